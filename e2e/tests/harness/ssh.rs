//! An SSH server that lets one key in, for repositories that are fetched over SSH.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
};

use tempfile::TempDir;

use super::{
    patience::eventually,
    program::{program, run},
    repo::Repo,
};

/// The server; it ends when this is dropped.
pub(crate) struct Sshd {
    folder: TempDir,
    port: u16,
    user: String,
    process: Child,
}

impl Sshd {
    /// Starts it for the user that runs the tests.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        keygen(&path.join("host"));
        keygen(&path.join("client"));
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/client.pub\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n",
            path.display()
        );
        fs::write(path.join("config"), config).expect("the folder is there");
        // Run by root, it wants this folder, which installations make only when they start it.
        let _ = fs::create_dir_all("/run/sshd");
        let process = program("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(path.join("config"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(path.join("log")).expect("the folder is there"))
            .spawn()
            .expect("sshd is installed (Debian: openssh-server)");
        let user = run(program("id").arg("-un"), b"").out().trim().to_owned();
        let sshd = Self { folder, port, user, process };
        eventually("sshd listens", || sshd.greets());
        sshd
    }

    /// The address of a repository for `spec.source.repoURL`.
    pub(crate) fn url(&self, repo: &Repo) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, repo.path().display())
    }

    /// The private key that is let in.
    pub(crate) fn key(&self) -> String {
        fs::read_to_string(self.folder.path().join("client")).expect("the key was made")
    }

    fn greets(&self) -> Result<(), String> {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let stream =
            TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| format!("{error}: {}", log()))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).map_err(|error| error.to_string())?;
        if line.starts_with("SSH-2.0-") { Ok(()) } else { Err(format!("{line:?}: {}", log())) }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended by itself
        let _ = self.process.wait();
    }
}

fn keygen(file: &Path) {
    run(program("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file), b"").out();
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("a bound socket has an address").port()
}
