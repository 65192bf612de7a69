//! The differences that are known.
//!
//! A line `# REASON` is followed by lines `SCENARIO STEP PLACE`: the number of the step, and a JSON pointer
//! into the answer, in which `*` stands for one name, and at the end for any rest.

use std::cell::Cell;

/// The list.
pub(crate) struct Known(Vec<Line>);

struct Line {
    text: String,
    is_used: Cell<bool>,
}

impl Known {
    /// Reads it.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| Line { text: line.to_owned(), is_used: Cell::new(false) }).collect())
    }

    /// Whether a difference in a step (its title begins with the number) is known.
    pub(crate) fn covers(&self, scenario: &str, title: &str, place: &str) -> bool {
        let number = title.split(' ').next().unwrap_or_default();
        let mut covers = false;
        for line in &self.0 {
            let words: Vec<&str> = line.text.split(' ').collect();
            if words[..2] == [scenario, number] && fits(words[2], place) {
                line.is_used.set(true);
                covers = true;
            }
        }
        covers
    }

    /// Lines that covered nothing.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|line| !line.is_used.get()).map(|line| line.text.as_str())
    }
}

fn fits(pattern: &str, place: &str) -> bool {
    let mut names = place.split('/');
    let mut parts = pattern.split('/').peekable();
    while let Some(part) = parts.next() {
        match names.next() {
            None => return false,
            Some(_) if part == "*" && parts.peek().is_none() => return true,
            Some(name) if part != "*" && part != name => return false,
            Some(_) => {}
        }
    }
    names.next().is_none()
}
