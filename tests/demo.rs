//! The program as somebody without a cluster meets it: `demo`, and `serve --embedded`.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that goes wrong")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use gitopsd::cluster::client::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Nothing here takes longer, even on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running gitopsd, killed at the end.
struct Program(Child);

impl Program {
    fn start(arguments: &[&str]) -> (Self, mpsc::Receiver<String>) {
        #[expect(clippy::disallowed_methods, reason = "the program itself is tested")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitopsd"));
        command.args(arguments).stdout(Stdio::piped()).env("NO_COLOR", "1");
        let mut child = command.spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        (Self(child), lines)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        self.signal(signal);
        self.0.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that a program prints.
fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

/// Waits for a line, and returns all up to it.
#[track_caller]
fn until(lines: &mpsc::Receiver<String>, text: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => seen.push(line),
            Err(why) => panic!("no line with '{text}' ({why}):\n{}", seen.join("\n")),
        }
        if seen.last().is_some_and(|line| line.contains(text)) {
            return seen;
        }
    }
}

#[test]
fn the_demo_plays_and_leaves_nothing_behind() {
    let (mut demo, lines) = Program::start(&["demo"]);
    let seen = until(&lines, "export KUBECONFIG=");
    let shown = |words: &[&str]| seen.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(shown(&["Application/web", "Synced", "Healthy", "Succeeded: successfully synced"]), "{seen:#?}");
    assert!(shown(&["Deployment/web", "Progressing", "of 3 pods"]), "{seen:#?}");
    assert!(shown(&["Service/web", "OutOfSync", "Missing"]), "{seen:#?}");
    let kubeconfig = seen.last().and_then(|line| line.split_once('=')).unwrap().1;
    assert!(Path::new(kubeconfig).exists());
    assert_eq!(until(&lines, "kubectl scale").len(), 5);
    assert!(demo.end(Signal::INT).success());
    assert!(!Path::new(kubeconfig).exists(), "{kubeconfig} is still there");
}

#[tokio::test]
async fn an_embedded_cluster_with_a_folder_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--embedded", "--log=warn", "--data-dir", dir.path().to_str().unwrap()];
    let projects = "/apis/gitops/v1/projects";
    let (mut program, lines) = Program::start(&arguments);
    let path = kubeconfig(&lines);
    let project = json!({
        "apiVersion": "gitops/v1", "kind": "Project", "metadata": {"name": "shop"},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    let made = ask(&path, "POST", projects, &project).await;
    let uid = &made["metadata"]["uid"];
    program.end(Signal::KILL);

    let (mut program, lines) = Program::start(&arguments);
    let found = ask(&kubeconfig(&lines), "GET", &format!("{projects}/shop"), &Value::Null).await;
    assert_eq!(&found["metadata"]["uid"], uid);
    assert!(uid.is_string());
    assert!(program.end(Signal::TERM).success());
}

fn kubeconfig(lines: &mpsc::Receiver<String>) -> String {
    until(lines, "export KUBECONFIG=").last().and_then(|line| line.split_once('=')).unwrap().1.to_owned()
}

/// Asks until gitops/v1 is served.
async fn ask(kubeconfig: &str, method: &str, path: &str, body: &Value) -> Value {
    let client = Connection::from_kubeconfig(Some(Path::new(kubeconfig))).await.unwrap().client();
    let asking = async {
        loop {
            let text = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            let request = http::Request::builder().method(method).uri(path);
            let request = request.header("content-type", "application/json").body(text).unwrap();
            match client.request::<Value>(request).await {
                Ok(answer) => return answer,
                Err(kube::Error::Api(status)) if status.code == 503 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{method} {path}: {error}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}
