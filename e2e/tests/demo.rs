//! The commands that `gitopsd demo` prints at its end, as printed.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use crate::harness::{
    cluster::Cluster,
    patience::eventually,
    program::{Said, program, run},
};

/// The demo, ended with the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_printed_commands_work() {
    let mut demo = program(env!("CARGO_BIN_EXE_gitopsd"));
    let mut demo = Demo(demo.arg("demo").stdout(Stdio::piped()).spawn().expect("gitopsd starts"));
    let output = BufReader::new(demo.0.stdout.take().expect("it was piped"));
    let mut printed = Vec::new();
    for line in output.lines() {
        printed.push(line.expect("the demo prints text").trim().to_owned());
        if printed.last().is_some_and(|line| line.starts_with("kubectl scale")) {
            break;
        }
    }
    let first = printed.iter().position(|line| line.starts_with("export KUBECONFIG="));
    let commands = &printed[first.unwrap_or_else(|| panic!("no commands in {printed:#?}"))..];
    let [export, applications, everything, events, explain, scale] = commands else {
        panic!("other commands were printed: {commands:#?}")
    };
    let tools = Path::new(Cluster::shared().dir()).join("bin");
    let sh = |command: &str| shell(&tools, &format!("{export}; {command}"));

    let shown = sh(applications).out();
    assert!(shown.contains("web") && shown.contains("Synced") && shown.contains("Healthy"), "{shown}");
    let shown = sh(everything).out();
    for part in ["pod/web-", "service/web", "deployment.apps/web   3/3", "configmap/web-config", "ingress"] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    assert!(sh(events).out().contains("OperationCompleted"));
    assert!(sh(explain).out().contains("automated"));
    // It watches until it is ended.
    let watched = sh(&scale.replace("kubectl get", "timeout 5 kubectl get"));
    assert!(watched.out.contains("deployment.apps/web scaled"), "{watched:?}");
    eventually("the deployment is put back", || {
        let ready = sh("kubectl get deployment web -n shop -o jsonpath={.spec.replicas}").attempt()?;
        if ready == "3" { Ok(()) } else { Err(ready) }
    });
}

/// Runs a command as a user types it.
fn shell(tools: &Path, command: &str) -> Said {
    let command = format!("PATH={}:$PATH; {command}", tools.display());
    let home = tempfile::tempdir().expect("a temporary folder");
    run(program("sh").args(["-c", &command]).env("HOME", home.path()), b"")
}
