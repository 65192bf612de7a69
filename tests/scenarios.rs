//! Whole-system scenarios: scripts under `scenarios/`, and what they come to, beside them. With
//! `RECORD_SCENARIOS=1` the outcomes are written anew; `SCENARIO=name` plays only one.

mod outcome;
mod play;
mod repository;
mod script;
mod world;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use play::{Played, play};
use script::Step;

struct Scenario {
    name: String,
    path: PathBuf,
    steps: Vec<Step>,
}

fn all() -> Vec<Scenario> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(&dir).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "scenario"));
    if let Some(only) = std::env::var_os("SCENARIO") {
        paths.retain(|path| path.file_stem() == Some(&only));
    }
    paths.sort();
    assert!(!paths.is_empty(), "no scenarios in {}", dir.display());
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        Scenario { steps: script::read(&name, &text), name, path }
    };
    paths.into_iter().map(read).collect()
}

/// Does `work` for each item, on as many threads as there are processors, and returns what failed.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            std::thread::Builder::new()
                .stack_size(8 << 20)
                .spawn_scoped(scope, || {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(item)));
                        let why = match done {
                            Ok(Ok(())) => continue,
                            Ok(Err(why)) => why,
                            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
                        };
                        failed.lock().expect("nobody fails while holding it").push(why);
                    }
                })
                .expect("a thread");
        }
    });
    failed.into_inner().expect("nobody failed while holding it")
}

#[test]
fn end_as_recorded() {
    let failed = each(&all(), |scenario| {
        let outcome = scenario.path.with_extension("outcome");
        let Played { shown, .. } = play(&scenario.name, &scenario.steps, None);
        if std::env::var_os("RECORD_SCENARIOS").is_some() {
            std::fs::write(&outcome, &shown).expect("the outcome can be written");
            return Ok(());
        }
        let recorded = std::fs::read_to_string(&outcome).unwrap_or_default();
        if shown == recorded {
            Ok(())
        } else {
            Err(format!("{}:\n{}", scenario.name, difference(&recorded, &shown)))
        }
    });
    assert!(failed.is_empty(), "{} scenarios differ:\n{}", failed.len(), failed.join("\n"));
}

/// The process is killed after each of its writes in turn; everything ends as if it had not been.
#[test]
fn end_the_same_when_killed_after_any_write() {
    let runs: Vec<_> = all()
        .into_iter()
        .map(|scenario| {
            let whole = play(&scenario.name, &scenario.steps, None);
            (scenario, whole)
        })
        .collect();
    let kills: Vec<_> = runs
        .iter()
        .flat_map(|(scenario, whole)| (1..=whole.writes).map(move |kill| (scenario, whole, kill)))
        .collect();
    assert!(kills.len() > runs.len(), "the scenarios write hardly anything");
    let done = AtomicUsize::new(0);
    let failed = each(&kills, |(scenario, whole, kill)| {
        let killed = play(&scenario.name, &scenario.steps, Some(*kill));
        done.fetch_add(usize::from(killed.killed), Ordering::Relaxed);
        if killed.end == whole.end {
            return Ok(());
        }
        Err(format!("{} killed after write {kill}:\n{}", scenario.name, difference(&whole.end, &killed.end)))
    });
    // A write that a fault of the scenario refuses kills nobody, and a run may do with a write less.
    let done = done.into_inner();
    assert!(done * 10 >= kills.len() * 9, "only {done} of {} kills took place", kills.len());
    assert!(failed.is_empty(), "{} of {} differ:\n{}", failed.len(), kills.len(), failed.join("\n"));
}

/// The lines that only one of two texts has.
fn difference(expected: &str, found: &str) -> String {
    let only = |a: &str, b: &str, mark: char| {
        let missing = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        missing.map(|line| format!("  {mark} {line}\n")).collect::<String>()
    };
    let lines = only(expected, found, '-') + &only(found, expected, '+');
    if lines.is_empty() { "  the order differs\n".into() } else { lines }
}
