//! How quickly scenarios are played: those of `tests/scenarios`, on as many threads as there are processors.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::report::ratio;
use super::scenarios::play::play;
use super::scenarios::script::{self, Step};

/// How often each scenario is played.
const ROUNDS: usize = 5;

/// How many steps and scenarios there are, how many steps a second are done, and how long one scenario takes a
/// thread in milliseconds. The cluster that all are copies of is there already.
pub(crate) fn scenarios() -> [f64; 4] {
    let all = all();
    play(&all[0].0, &all[0].1, None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, plays) = (AtomicUsize::new(0), ROUNDS * all.len());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= plays {
                        return;
                    }
                    let (name, steps) = &all[number % all.len()];
                    play(name, steps, None);
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let steps = all.iter().map(|(_, steps)| steps.len()).sum::<usize>();
    let (float, rate) = (|count| ratio(count, 1), ratio(steps * ROUNDS, 1) / seconds);
    [float(steps), float(all.len()), rate, 1000.0 * seconds * ratio(threads, plays)]
}

fn all() -> Vec<(String, Vec<Step>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(&dir).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "scenario"));
    paths.sort();
    let read = |path: &Path| {
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).expect("it can be read");
        (name.clone(), script::read(&name, &text))
    };
    paths.iter().map(|path| read(path)).collect()
}
