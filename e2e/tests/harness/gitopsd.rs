//! gitopsd as a local process, with the rights that `manifests/` give it.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Stdio},
    sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{
    cluster::{Cluster, script},
    patience::eventually,
    program::{program, run},
};

/// gitopsd in a cluster, running or not. Restarted, it listens where it did before.
pub(crate) struct Gitopsd {
    cluster: &'static Cluster,
    port: u16,
    kubeconfig: PathBuf,
    flags: &'static [&'static str],
    process: Option<Child>,
}

static SHARED: OnceLock<RwLock<Gitopsd>> = OnceLock::new();

fn shared() -> &'static RwLock<Gitopsd> {
    SHARED.get_or_init(|| RwLock::new(Gitopsd::install(Cluster::shared())))
}

impl Gitopsd {
    /// The gitopsd that tests have in common, running for as long as this is held.
    pub(crate) fn shared() -> RwLockReadGuard<'static, Self> {
        loop {
            let gitopsd = shared().read().unwrap_or_else(PoisonError::into_inner);
            if gitopsd.process.is_some() {
                return gitopsd;
            }
            drop(gitopsd);
            drop(Self::alone());
        }
    }

    /// The same with nobody else using it: for tests that stop or kill it. They need not start it
    /// again.
    pub(crate) fn alone() -> RwLockWriteGuard<'static, Self> {
        let mut gitopsd = shared().write().unwrap_or_else(PoisonError::into_inner);
        if gitopsd.process.is_none() {
            gitopsd.start();
        }
        gitopsd
    }

    /// Installs it from `crds/` and `manifests/` and starts it.
    pub(crate) fn install(cluster: &'static Cluster) -> Self {
        Self::install_with(cluster, &[])
    }

    /// The same with more flags.
    pub(crate) fn install_with(cluster: &'static Cluster, flags: &'static [&'static str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("a bound socket has an address").port();
        drop(free);
        let registered =
            run(script("gitopsd").arg("register").arg(cluster.dir()).arg(port.to_string()), b"").out();
        let kubeconfig = PathBuf::from(registered.trim());
        let mut gitopsd = Self { cluster, port, kubeconfig, flags, process: None };
        gitopsd.start();
        gitopsd
    }

    /// The cluster it works in.
    pub(crate) fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// Where it listens, for requests that do not go through kube-apiserver.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it and waits until kube-apiserver passes requests on.
    pub(crate) fn start(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.cluster.dir().join("logs/gitopsd.log"))
            .expect("the cluster's folder is there");
        let process = program(env!("CARGO_BIN_EXE_gitopsd"))
            .arg("serve")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--cache-dir")
            .arg(self.cluster.dir().join("gitopsd"))
            .args(["--namespace", "gitops-system"])
            .args(self.flags)
            .env("GITOPSD_CLUSTER", self.cluster.dir()) // so that it ends with the cluster
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("gitopsd starts");
        fs::write(self.cluster.dir().join("pids/gitopsd"), process.id().to_string())
            .expect("the cluster's folder is there");
        self.process = Some(process);
        self.wait_until_served();
    }

    /// Ends it as Kubernetes does and returns whether it was content.
    pub(crate) fn stop(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        run(program("kill").args(["-TERM", &process.id().to_string()]), b"").out();
        process.wait().expect("it is our child").success()
    }

    /// Starts it again with these flags beside the usual ones.
    pub(crate) fn restart_with(&mut self, flags: &'static [&'static str]) {
        assert!(self.stop(), "it ends when it is told to");
        self.flags = flags;
        self.start();
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is our child");
            process.wait().expect("it is our child");
        }
    }

    /// Asks through kube-apiserver, because that is what knows whether the registration works.
    fn wait_until_served(&mut self) {
        let admin = self.cluster.admin();
        eventually("gitops/v1 is served", || {
            if let Some(process) = &mut self.process
                && let Ok(Some(status)) = process.try_wait()
            {
                panic!("gitopsd ended with {status}\n{}", super::cluster::last_words());
            }
            admin.kubectl("get --raw /apis/gitops/v1").attempt()
        });
    }
}
