//! Collects what was measured and prints it.

use std::{collections::BTreeMap, fmt::Write, fs, process::ExitCode};

/// All tables.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<[String; 3]>,
    tables: String,
    missed: bool,
}

impl Report {
    /// A figure for which there is no limit.
    pub(crate) fn figure(&mut self, what: &str, value: impl Into<String>) {
        self.row(what, value.into(), String::new());
    }

    /// A figure that must be below `limit`, in the same unit.
    pub(crate) fn below(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.limited(what, format!("{value:.2} {unit}"), format!("below {limit} {unit}"), value < limit);
    }

    /// A figure that must be at least `limit`, in the same unit.
    pub(crate) fn above(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.limited(what, format!("{value:.0} {unit}"), format!("{limit} {unit} or more"), value >= limit);
    }

    /// A number that must be 0.
    pub(crate) fn none(&mut self, what: &str, value: usize) {
        self.limited(what, value.to_string(), "0".into(), value == 0);
    }

    fn limited(&mut self, what: &str, value: String, limit: String, held: bool) {
        self.missed |= !held;
        self.row(what, value, if held { limit } else { format!("**{limit}**") });
    }

    fn row(&mut self, what: &str, value: String, limit: String) {
        eprintln!("{what}: {value}"); // for those who wait
        self.rows.push([what.to_owned(), value, limit]);
    }

    /// A table of requests, the most frequent first. `per` divides a second column.
    pub(crate) fn requests(
        &mut self,
        title: &str,
        counted: &BTreeMap<String, usize>,
        per: Option<(&str, usize)>,
    ) {
        let mut counted: Vec<_> = counted.iter().collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let text = &mut self.tables;
        let _ = writeln!(text, "\n{title}\n");
        let _ = match per {
            Some((unit, _)) => writeln!(text, "| request | count | per {unit} |\n|---|--:|--:|"),
            None => writeln!(text, "| request | count |\n|---|--:|"),
        };
        for (request, count) in counted {
            let _ = match per {
                Some((_, units)) => writeln!(text, "| {request} | {count} | {:.2} |", ratio(*count, units)),
                None => writeln!(text, "| {request} | {count} |"),
            };
        }
    }

    /// Prints everything; the exit code tells whether all limits were held.
    pub(crate) fn print(self) -> ExitCode {
        println!("\nRelease build, {}.\n\n| measure | value | limit |\n|---|--:|--:|", machine());
        for [what, value, limit] in self.rows {
            println!("| {what} | {value} | {limit} |");
        }
        println!("{}", self.tables);
        if self.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// `count` divided by `units`.
pub(crate) fn ratio(count: usize, units: usize) -> f64 {
    let float = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    float(count) / float(units.max(1))
}

/// Times depend on what else the machine does.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{processors} processors, load {}", load.split(' ').next().unwrap_or("unknown"))
}
