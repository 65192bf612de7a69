//! What gitopsd costs while nothing changes.

use std::{thread, time::Duration};

use crate::{
    audit::{Entry, by_name},
    push::Push,
    report::Report,
    rig::{POLL, Rig, now},
};

/// Enough for whatever follows a start, or the last change, to be over.
const CALM: Duration = Duration::from_secs(15);
const ROUNDS: usize = 4;

/// The memory of a server that has nothing to do.
pub(crate) fn memory(rig: &Rig, report: &mut Report) {
    thread::sleep(CALM);
    let memory = rig.gitopsd.memory();
    report.below("resident memory, idle, no applications", memory.resident, 40.0, "MiB");
    report.figure("… of that anonymous", format!("{:.1} MiB", memory.anonymous));
    report.figure("… threads", rig.gitopsd.threads());
}

/// Requests while applications are looked at and nothing is to be done: Git is asked several times, and
/// objects get annotations that Git does not mention.
pub(crate) fn requests(rig: &mut Rig, report: &mut Report, push: &Push) {
    thread::sleep(CALM);
    let (began, before) = (now(), rig.gitopsd.cpu());
    for round in 0..ROUNDS {
        Push::annotate(rig, round);
        thread::sleep(Duration::from_secs(POLL + 1));
    }
    let spent = rig.gitopsd.cpu() - before;
    let (housekeeping, others): (Vec<&Entry>, Vec<&Entry>) =
        rig.audit.since(began).partition(|entry| entry.is_housekeeping());
    let seconds = ROUNDS as u64 * (POLL + 1);
    let what =
        format!("API requests while nothing changes ({seconds} s, {ROUNDS} polls, {ROUNDS} foreign changes)");
    report.none(&what, others.len());
    report.figure(
        "… gitopsd's CPU",
        format!("{:.2} s, git's {:.2} s", spent.own.as_secs_f64(), spent.children.as_secs_f64()),
    );
    if !others.is_empty() {
        report.requests("Requests that should not be", &by_name(others.into_iter()), None);
    }
    report.requests("What goes on nevertheless", &by_name(housekeeping.into_iter()), None);
    // The polls did take place: a new commit is seen without anybody asking for it.
    let revision = push.touch(usize::MAX);
    rig.synced("push", &revision);
}
