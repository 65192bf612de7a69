//! What the embedded Kubernetes API costs: time to start, memory, time of a list, speed of scenarios. Needs nothing
//! but Rust and git. Fails where a limit is exceeded.
//!
//! Each measure is taken in a process of its own, so that nothing is warm, and no memory is left from another one.

mod objects;
#[expect(dead_code, reason = "the measures of the whole of gitopsd use the rest")]
#[path = "../../e2e/bench/report.rs"]
mod report;
mod speed;
mod start;

#[path = "../scenarios"]
mod scenarios {
    mod outcome;
    pub(crate) mod play;
    mod repository;
    pub(crate) mod script;
    mod world;
}

use std::process::ExitCode;

use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often a start is measured; the median counts.
const STARTS: usize = 9;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("start"), _) => told(&[start::alone()]),
        (Some("start-installed"), _) => told(&[start::installed()]),
        (Some("memory"), _) => told(&objects::memory()),
        (Some("list"), _) => told(&[objects::list()]),
        (Some("fill"), Some(dir)) => told(&[objects::fill(dir.as_ref())]),
        (Some("reopen"), Some(dir)) => told(&objects::reopen(dir.as_ref())),
        (Some("scenarios"), _) => told(&speed::scenarios()),
        _ => return all(),
    }
    ExitCode::SUCCESS
}

/// Takes all measures.
fn all() -> ExitCode {
    let mut report = Report::default();
    let median = |measure| {
        let mut times: Vec<f64> = (0..STARTS).map(|_| figures::<1>(&[measure])[0]).collect();
        times.sort_by(f64::total_cmp);
        times[STARTS / 2]
    };
    report.below("embedded API, start to first answer", median("start"), 100.0, "ms");
    report.below("… with gitopsd installed (`serve --embedded`)", median("start-installed"), 100.0, "ms");
    let count = objects::MANY;
    let [anonymous, resident] = figures(&["memory"]);
    report.below(&format!("resident memory, {count} small objects"), resident, 300.0, "MiB");
    report.figure("… of that anonymous", format!("{anonymous:.1} MiB"));
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().to_str().expect("a name in UTF-8");
    let [filled] = figures(&["fill", dir]);
    report.figure(&format!("writing {count} small objects to a data directory"), format!("{filled:.0} ms"));
    let [reopened, resident] = figures(&["reopen", dir]);
    report.figure("… opening it again, to first answer", format!("{reopened:.0} ms"));
    report.figure("… resident memory then", format!("{resident:.1} MiB"));
    let [listed] = figures(&["list"]);
    report.below(&format!("list of {} objects", objects::SOME), listed, 50.0, "ms");
    let [steps, scenarios, rate, alone] = figures(&["scenarios"]);
    report.above(&format!("scenario steps ({steps} of {scenarios} scenarios)"), rate, 1000.0, "a second");
    report.figure("… a scenario", format!("{alone:.1} ms of a processor"));
    report.print()
}

/// Prints figures for the process that started this one.
fn told(figures: &[f64]) {
    for figure in figures {
        println!("{figure}");
    }
}

/// Takes a measure in a new process.
fn figures<const N: usize>(arguments: &[&str]) -> [f64; N] {
    let program = std::env::current_exe().expect("this program is a file");
    #[expect(clippy::disallowed_methods, reason = "the program starts itself")]
    let output = std::process::Command::new(program)
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program can be started");
    assert!(output.status.success(), "{arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("figures are text");
    let figures: Vec<f64> = text.lines().map(|line| line.parse().expect("a figure")).collect();
    figures.try_into().expect("as many figures as are asked for")
}
