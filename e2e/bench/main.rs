//! What gitopsd costs: drives a release build in a real cluster of its own and prints tables in
//! Markdown. Fails where a limit is exceeded that does not depend on how fast the machine is.
//!
//! Deliberately absent: the costs of single functions; a profiler shows those.

mod audit;
mod fleet;
mod idle;
mod process;
mod push;
#[expect(dead_code, reason = "the measures of the embedded API use the rest")]
mod report;
mod rig;

#[expect(dead_code, reason = "the end-to-end tests use the rest")]
#[path = "../tests/harness"]
mod harness {
    pub(crate) mod cluster;
    pub(crate) mod gitopsd;
    mod http;
    pub(crate) mod patience;
    pub(crate) mod program;
    pub(crate) mod repo;
}

use std::process::ExitCode;

use report::Report;
use rig::Rig;

fn main() -> ExitCode {
    let mut rig = Rig::start();
    let mut report = Report::default();
    idle::memory(&rig, &mut report);
    let one = push::Push::start(&mut rig, &mut report);
    one.measure(&mut rig, &mut report);
    idle::requests(&mut rig, &mut report, &one);
    fleet::measure(&mut rig, &mut report);
    idle::requests(&mut rig, &mut report, &one);
    report.print()
}
