//! The rules of the house: which room may import which, what pure rooms may not say, how files begin
//! and how long they may be. ARCHITECTURE.md gives the reasons.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that goes wrong")]

use std::path::{Path, PathBuf};

/// A room and the rooms it may import. What is not listed may be imported by nobody but `app` and `cli`.
const ROOMS: [(&str, &[&str]); 14] = [
    ("manifest", &[]),
    ("api", &["manifest"]),
    ("engine", &["api", "manifest"]),
    ("source", &["api"]),
    ("render", &["api", "manifest"]),
    ("cluster", &["engine", "manifest"]),
    ("store", &["api", "manifest"]),
    ("server", &["api", "manifest", "store"]),
    ("controller", &["api", "cluster", "engine", "manifest", "render", "source", "store"]),
    ("embedded", &["manifest"]),
    ("config", &["api", "engine"]),
    ("telemetry", &["config"]),
    (
        "app",
        &[
            "api",
            "cluster",
            "config",
            "controller",
            "embedded",
            "manifest",
            "server",
            "source",
            "store",
            "telemetry",
        ],
    ),
    ("cli", &["api", "app", "config", "manifest"]),
];

/// Of some rooms only these modules may be imported, and by this room.
const WORDS_ONLY: [(&str, &str, &[&str]); 1] = [("cluster", "engine", &["live", "step"])];

/// Rooms without I/O, and what would be a sign of it.
const PURE: [&str; 4] = ["manifest", "api", "engine", "render"];
const IMPURE_WORDS: [&str; 10] = [
    "async ",
    ".await",
    "SystemTime",
    "Timestamp::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "tokio::",
    "tracing::",
];

const LONGEST_FILE: usize = 600;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 50, "found only {} source files under {}", sources.len(), root.display());
    sources
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().to_path_buf();
            let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push(Source { path: relative, room, text });
        }
    }
}

/// Lines of code with their numbers, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// What stands behind each `crate::` of a line.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").filter_map(|(at, word)| {
        let before = line[..at].chars().next_back();
        let continues = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
        (!continues).then(|| &line[at + word.len()..])
    })
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn rooms_import_only_what_they_may() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room) else { continue };
        for (number, line) in code(&source.text) {
            for path in imports(line) {
                let room = word(path);
                let place = format!("{}:{number}", source.path.display());
                if room.is_empty() {
                    faults.push(format!("{place}: write one `use crate::room::…` a room, without braces"));
                } else if room != source.room && !allowed.contains(&room) {
                    faults.push(format!("{place}: `{}` may not import `{room}`", source.room));
                }
                let module = word(path.get(room.len() + 2..).unwrap_or_default());
                let narrow = WORDS_ONLY.iter().find(|(by, of, _)| *by == source.room && *of == room);
                if let Some((.., words)) = narrow.filter(|(.., words)| !words.contains(&module)) {
                    faults.push(format!("{place}: `{}` may import only {words:?} of `{room}`", source.room));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn every_room_has_a_place_in_the_table() {
    let known = |room: &str| ROOMS.iter().any(|(name, _)| *name == room) || ["lib", "main"].contains(&room);
    let faults: Vec<_> = sources()
        .into_iter()
        .filter(|source| !known(&source.room))
        .map(|source| format!("{}: the room `{}` is not in the table", source.path.display(), source.room))
        .collect();
    none(&faults);
}

#[test]
fn server_and_controller_never_meet() {
    let of = |room: &str| ROOMS.iter().find(|(name, _)| *name == room).unwrap().1;
    assert!(!of("server").contains(&"controller") && !of("controller").contains(&"server"));
}

#[test]
fn pure_rooms_do_no_io() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str())) {
        for (number, line) in code(&source.text) {
            for impure in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{number}: says `{impure}`", source.path.display()));
            }
        }
    }
    none(&faults);
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    let mut faults = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: its first line is not `//! …`", source.path.display()));
        }
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            faults.push(format!("{}: {lines} lines; two subjects live here", source.path.display()));
        }
    }
    none(&faults);
}

#[test]
fn the_checks_see_what_they_look_for() {
    let found: Vec<_> = imports("use crate::engine::live; mycrate::store; $crate::api").map(word).collect();
    assert_eq!(found, ["engine"]);
    assert_eq!(code("//! crate::x\nfn f() {}").count(), 1);
}
