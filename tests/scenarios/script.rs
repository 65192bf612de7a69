//! The text of a scenario, read into steps.
//!
//! A line without indentation is a step; indented lines below it are its body. `#` begins a comment
//! between steps.

use std::time::Duration;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// What is done.
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Writes files to the repository and commits: path and text; without text the file is removed.
    Commit(Vec<(String, Option<String>)>),
    /// Applies a project in which everything is allowed, and gives its account all rights; or only the latter.
    Setup(bool),
    /// Server-side applies objects as a user would: the YAML text.
    Apply(String),
    /// Merge-patches an object: kind, name, YAML text.
    Patch(String, String, String),
    /// Deletes an object: kind and name.
    Delete(String, String),
    /// Posts to a subresource of an application: subresource, application, YAML text of the body, and the
    /// code that is expected.
    Post(String, String, String, u16),
    /// Waits until a table of conditions on an object holds: kind, name, pointer and expected text.
    Wait(String, String, Vec<(String, String)>),
    /// Waits until an object is gone.
    Gone(String, String),
    /// Moves the clock.
    Advance(Duration),
    /// Makes the first requests of the controller fail: code, verb, group resource, how many.
    Fail(u16, String, String, u32),
    /// The process dies and another one begins.
    Restart,
    /// Lets everything come to rest, and records what there is.
    Show,
}

/// Reads a script.
#[track_caller]
pub(crate) fn read(name: &str, text: &str) -> Vec<Step> {
    let mut steps: Vec<(usize, String, Vec<&str>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let indented = line.starts_with(' ') || line.is_empty();
        match steps.last_mut() {
            Some((.., body)) if indented => body.push(line.strip_prefix("  ").unwrap_or(line.trim_start())),
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => steps.push((index + 1, line.to_owned(), Vec::new())),
        }
    }
    let action = |line: usize, head: &str, body: &[&str]| {
        action(head, body).unwrap_or_else(|| panic!("{name}:{line}: this is no step: {head}"))
    };
    steps.iter().map(|(line, head, body)| Step { line: *line, action: action(*line, head, body) }).collect()
}

fn action(head: &str, body: &[&str]) -> Option<Action> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let text = || body.join("\n") + "\n";
    let (verb, rest) = words.split_first()?;
    Some(match (*verb, rest) {
        ("commit", []) => Action::Commit(files(body)?),
        ("setup", []) => Action::Setup(true),
        ("setup-rights", []) => Action::Setup(false),
        ("apply", []) => Action::Apply(text()),
        ("patch", [kind, name]) => Action::Patch((*kind).into(), (*name).into(), text()),
        ("delete", [kind, name]) => Action::Delete((*kind).into(), (*name).into()),
        ("post", [path, name]) => Action::Post((*path).into(), (*name).into(), text(), 0),
        ("post", [path, name, code]) => {
            Action::Post((*path).into(), (*name).into(), text(), code.parse().ok()?)
        }
        ("wait", [kind, name, "gone"]) => Action::Gone((*kind).into(), (*name).into()),
        ("wait", [kind, name, conditions @ ..]) if !conditions.is_empty() => {
            let pairs = conditions.iter().map(|condition| {
                let (pointer, value) = condition.split_once('=')?;
                Some((pointer.to_owned(), value.to_owned()))
            });
            Action::Wait((*kind).into(), (*name).into(), pairs.collect::<Option<_>>()?)
        }
        ("advance", [time]) => Action::Advance(time.parse::<jiff::SignedDuration>().ok()?.try_into().ok()?),
        ("fail", [code, verb, resource, count]) => {
            Action::Fail(code.parse().ok()?, (*verb).into(), (*resource).into(), count.parse().ok()?)
        }
        ("restart", []) => Action::Restart,
        ("show", []) => Action::Show,
        _ => return None,
    })
}

/// Files are headed by `--- PATH`, or `--- PATH removed`.
fn files(body: &[&str]) -> Option<Vec<(String, Option<String>)>> {
    let mut files: Vec<(String, Option<String>)> = Vec::new();
    for line in body {
        if let Some(path) = line.strip_prefix("--- ") {
            match path.strip_suffix(" removed") {
                Some(path) => files.push((path.into(), None)),
                None => files.push((path.into(), Some(String::new()))),
            }
        } else if let Some((_, Some(text))) = files.last_mut() {
            text.push_str(line);
            text.push('\n');
        } else if !line.is_empty() {
            return None;
        }
    }
    Some(files)
}

#[test]
fn scripts_are_read() {
    let text = "# About.\ncommit\n  --- a.yaml\n  kind: A\n\n  b: c\n  --- b.yaml removed\n\nadvance 2m\nwait Job x .a=1 .b=2\nwait Job x gone\nshow\n";
    let steps = read("x", text);
    let actions: Vec<_> = steps.into_iter().map(|step| (step.line, step.action)).collect();
    let files = vec![("a.yaml".into(), Some("kind: A\n\nb: c\n".into())), ("b.yaml".into(), None)];
    let conditions = vec![(".a".into(), "1".into()), (".b".into(), "2".into())];
    assert_eq!(
        actions,
        [
            (2, Action::Commit(files)),
            (9, Action::Advance(Duration::from_mins(2))),
            (10, Action::Wait("Job".into(), "x".into(), conditions)),
            (11, Action::Gone("Job".into(), "x".into())),
            (12, Action::Show),
        ]
    );
}
