//! What a process uses, as Linux counts it.

use std::{fs, path::Path, time::Duration};

/// A running process.
pub(crate) struct Process {
    pid: String,
}

/// Processor time since the start.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    /// Of the process.
    pub(crate) own: Duration,
    /// Of those that it started and that have ended, such as `git`.
    pub(crate) children: Duration,
}

/// Memory in MiB.
pub(crate) struct Memory {
    /// Resident.
    pub(crate) resident: f64,
    /// The part of it that no file backs: without the program's own text.
    pub(crate) anonymous: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

impl Process {
    /// A process of the cluster in `dir`.
    pub(crate) fn of(dir: &Path, name: &str) -> Self {
        let pid = fs::read_to_string(dir.join("pids").join(name)).expect("it runs");
        Self { pid: pid.trim().to_owned() }
    }

    pub(crate) fn cpu(&self) -> Cpu {
        let stat = self.read("stat");
        // The name may contain anything, and what follows it cannot contain a parenthesis.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: Vec<u64> =
            fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
        let [user, system, children_user, children_system] = ticks[..] else { panic!("odd stat: {stat}") };
        let time = |ticks| Duration::from_millis(10 * ticks); // 100 ticks a second on every Linux
        Cpu { own: time(user + system), children: time(children_user + children_system) }
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = self.read("status");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
            f64::from(kib.expect("Linux tells it")) / 1024.0
        };
        Memory { resident: value("VmRSS"), anonymous: value("RssAnon"), peak: value("VmHWM") }
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> String {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        line.unwrap_or_default().trim().to_owned()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).expect("the process runs")
    }
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            own: self.own.saturating_sub(earlier.own),
            children: self.children.saturating_sub(earlier.children),
        }
    }
}
