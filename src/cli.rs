//! Subcommands of `gitopsd`.

mod demo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::api::crd;
use crate::app;
use crate::config::Serve;

/// Stack of a thread, in bytes. Reading an Application as nested as its type allows takes more than the
/// usual 2 MiB without optimisation; what is not used costs nothing.
const STACK: usize = 8 << 20;

/// GitOps as a native part of Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "gitopsd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve gitops/v1 and keep the cluster equal to Git
    Serve(Box<Serve>),
    /// Try it: a cluster, a Git repository and an application in this process, without anything else
    Demo,
    /// Write the `CustomResourceDefinition`s that store Applications and Projects
    Crds {
        /// Folder to write them to
        #[arg(long, value_name = "DIR", default_value = "crds")]
        dir: PathBuf,
    },
}

/// Runs the program and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(config) => {
            within(app::serve(*config)).and_then(|served| served.map_err(|error| error.to_string()))
        }
        Command::Demo => within(demo::run(Serve::for_demo())).and_then(|shown| shown),
        Command::Crds { dir } => crds(&dir),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("gitopsd: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `work` on as many threads as there are processors.
fn within<T>(work: impl Future<Output = T>) -> Result<T, String> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "cannot choose the cryptography to use: one is chosen already".to_owned())?;
    shun_huge_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    Ok(runtime.block_on(work))
}

/// With huge pages, each piece that the allocator touches of its address space takes 2 MiB: an idle server
/// has 25 MiB instead of 7. Where they cannot be turned off it just takes more.
#[cfg(target_os = "linux")]
fn shun_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn shun_huge_pages() {}

fn crds(dir: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for file in crd::files() {
        let path = dir.join(&file.name);
        std::fs::write(&path, &file.text).map_err(|error| failed(&path, error))?;
        println!("{}", path.display());
    }
    Ok(())
}
