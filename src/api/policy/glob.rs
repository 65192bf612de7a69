//! Globs as project rules and file filters use them: `*`, `**`, `?`, `[a-z]`, `{a,b}` and `\`.
//!
//! Not `globset`: there `**` counts only as a whole path component, while `https://host/team-**` must
//! reach across slashes here.

/// What `*` and `?` do at a `/`. `**` always goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Star {
    /// They match it like any other character.
    CrossesSlash,
    /// They do not match it.
    StopsAtSlash,
}

/// Why a text is not a glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A `[` or `{` is never closed, or a `\` is the last character.
    #[error("'{0}' is not a glob: a '[', '{{' or '\\' in it is not completed")]
    Incomplete(String),
    /// Its alternatives multiply beyond measure, or its braces are too deep.
    #[error(
        "'{0}' is not a usable glob: it has more than {MAX_ALTERNATIVES} alternatives, or too many braces within braces"
    )]
    TooMany(String),
}

/// A parsed glob. Matching takes time proportional to the product of both lengths, whatever the glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// One of these has to match.
    alternatives: Vec<Vec<Token>>,
}

const MAX_ALTERNATIVES: usize = 256;
/// Braces within braces.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Exactly(char),
    /// Any one character, but a slash only where that is said.
    One {
        slash: bool,
    },
    /// Any number of characters.
    Many {
        slash: bool,
    },
    /// One character in one of these ranges, or in none of them.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads a glob.
    pub fn parse(text: &str, star: Star) -> Result<Self, Invalid> {
        let characters: Vec<char> = text.chars().collect();
        let mut parser = Parser { text, rest: &characters, slash: star == Star::CrossesSlash, depth: 0 };
        let alternatives = parser.sequence()?;
        Ok(Self { alternatives })
    }

    /// Says whether the whole of `text` is what the glob describes.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.alternatives.iter().any(|tokens| matches(tokens, &text))
    }
}

/// Walks the tokens with the set of all positions of the text that can be reached so far.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for (at, _) in reached.iter().enumerate().filter(|(_, reached)| **reached) {
            match token {
                Token::Many { slash } => {
                    let run = text[at..].iter().take_while(|c| *slash || **c != '/').count();
                    next[at..=at + run].fill(true);
                }
                _ if at < text.len() && token.admits(text[at]) => next[at + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    reached[text.len()]
}

impl Token {
    fn admits(&self, c: char) -> bool {
        match self {
            Self::Exactly(wanted) => *wanted == c,
            Self::One { slash } | Self::Many { slash } => *slash || c != '/',
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a [char],
    slash: bool,
    /// How many braces are open.
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn require(&mut self) -> Result<char, Invalid> {
        self.next().ok_or_else(|| Invalid::Incomplete(self.text.into()))
    }

    /// Reads up to the end, or within braces up to the next `,` or `}`, which stays unread.
    fn sequence(&mut self) -> Result<Vec<Vec<Token>>, Invalid> {
        let mut sequences = vec![Vec::new()];
        while let Some(&c) = self.rest.first() {
            if self.depth > 0 && (c == ',' || c == '}') {
                break;
            }
            self.next();
            if c == '{' {
                sequences = self.multiply(&sequences)?;
                continue;
            }
            let token = self.token(c)?;
            for sequence in &mut sequences {
                sequence.push(token.clone());
            }
        }
        Ok(sequences)
    }

    /// Reads the alternatives after a `{` and appends each of them to each sequence.
    fn multiply(&mut self, sequences: &[Vec<Token>]) -> Result<Vec<Vec<Token>>, Invalid> {
        if self.depth == MAX_DEPTH {
            return Err(Invalid::TooMany(self.text.into()));
        }
        self.depth += 1;
        let mut alternatives = Vec::new();
        loop {
            alternatives.extend(self.sequence()?);
            if self.require()? == '}' {
                break;
            }
        }
        self.depth -= 1;
        if sequences.len() * alternatives.len() > MAX_ALTERNATIVES {
            return Err(Invalid::TooMany(self.text.into()));
        }
        let joined = |sequence: &Vec<Token>| {
            alternatives
                .iter()
                .map(|more| [sequence.as_slice(), more.as_slice()].concat())
                .collect::<Vec<_>>()
        };
        Ok(sequences.iter().flat_map(joined).collect())
    }

    fn token(&mut self, c: char) -> Result<Token, Invalid> {
        Ok(match c {
            '?' => Token::One { slash: self.slash },
            '*' if self.rest.first() == Some(&'*') => {
                while self.rest.first() == Some(&'*') {
                    self.next();
                }
                Token::Many { slash: true }
            }
            '*' => Token::Many { slash: self.slash },
            '[' => self.class()?,
            '\\' => Token::Exactly(self.require()?),
            other => Token::Exactly(other),
        })
    }

    fn class(&mut self) -> Result<Token, Invalid> {
        let negated = matches!(self.rest.first(), Some('!' | '^'));
        if negated {
            self.next();
        }
        let mut ranges = Vec::new();
        loop {
            let from = match self.require()? {
                ']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
                '\\' => self.require()?,
                other => other,
            };
            let is_range = self.rest.first() == Some(&'-') && self.rest.get(1).is_some_and(|c| *c != ']');
            let to = if is_range {
                self.next();
                self.require()?
            } else {
                from
            };
            ranges.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes_where_these_separate() {
        use Star::{CrossesSlash, StopsAtSlash};
        let check = |glob: &str, text: &str, star, expected| {
            assert_eq!(Glob::parse(glob, star).unwrap().matches(text), expected, "{glob} {text}");
        };
        check("https://h/team/*", "https://h/team/shop", StopsAtSlash, true);
        check("https://h/team/*", "https://h/team/shop/deploy", StopsAtSlash, false);
        check("https://h/team/*", "https://h/team/shop/deploy", CrossesSlash, true);
        check("https://h/**", "https://h/team/shop/deploy", StopsAtSlash, true);
        check("https://h/team-**", "https://h/team-a/b", StopsAtSlash, true);
        check("a?c", "a/c", StopsAtSlash, false);
        check("a?c", "a/c", CrossesSlash, true);
        check("", "", CrossesSlash, true);
        check("*", "", CrossesSlash, true);
        check("", "x", CrossesSlash, false);
    }

    #[test]
    fn classes_alternatives_and_escapes() {
        let check = |glob: &str, text: &str, expected| {
            let parsed = Glob::parse(glob, Star::CrossesSlash).unwrap();
            assert_eq!(parsed.matches(text), expected, "{glob} {text}");
        };
        check("{prod,stage-[0-9]}-*", "stage-7-eu", true);
        check("{prod,stage-[0-9]}-*", "stage-x-eu", false);
        check("{a,{b,c}d}", "cd", true);
        check("x{,y}", "x", true);
        check("[!a-c]1", "d1", true);
        check("[!a-c]1", "b1", false);
        check("[a-]", "-", true);
        check("\\*", "*", true);
        check("\\*", "x", false);
        check("a,b}", "a,b}", true);
    }

    #[test]
    fn what_cannot_be_a_glob_is_an_error() {
        for text in ["[a", "{a,b", "x\\", "[]"] {
            assert_eq!(Glob::parse(text, Star::CrossesSlash), Err(Invalid::Incomplete(text.into())));
        }
        let bomb = "{a,b}".repeat(9);
        assert_eq!(Glob::parse(&bomb, Star::CrossesSlash), Err(Invalid::TooMany(bomb)));
        let pit = "{".repeat(100_000);
        assert_eq!(Glob::parse(&pit, Star::CrossesSlash), Err(Invalid::TooMany(pit)));
    }

    #[test]
    fn many_stars_do_not_multiply_the_work() {
        let glob = Glob::parse(&"*a".repeat(50), Star::CrossesSlash).unwrap();
        assert!(!glob.matches(&"a".repeat(49)));
        assert!(glob.matches(&"a".repeat(500)));
    }
}
