//! Events of the YAML parser become values. Aliases are copied, within a budget; merge keys are
//! applied where they stand.

use std::collections::HashMap;
use std::io::{Chain, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, Event, EventData, Mark, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::scalar::{self, Scalar};
use super::{Document, Error, text};

/// Values nested deeper than this are refused: live objects are read with a limit of 128.
const DEPTH: usize = 100;
/// How many bytes of values the anchors and aliases of one text may copy.
const COPIED: usize = 64 << 20;
/// What a value takes in memory beside its text, roughly.
const OVERHEAD: usize = 64;
/// From how many nodes on the share of aliases is looked at, and how many aliases are always fine.
const UNSUSPICIOUS: (usize, usize) = (1_000, 100);
/// Below the first number of nodes 99 % of them may come from aliases, from the second on 10 %.
const SHARES: (usize, usize) = (400_000, 4_000_000);
const MERGE_TAG: &str = "tag:yaml.org,2002:merge";

/// How many `%TAG` lines a text may have: the parser compares each with all before it.
const TAG_DIRECTIVES: usize = 1_000;

/// The documents of a text, as an iterator. Made by [`super::read`].
pub struct Documents<'a> {
    text: &'a str,
    parser: Parser<Chain<&'a [u8], &'static [u8]>>,
    /// Where the last event began.
    mark: Mark,
    /// Bytes that anchors and aliases copied.
    copied: usize,
    finished: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut parser = Parser::new();
        parser.set_encoding(Encoding::Utf8);
        // The parser cannot bear a block scalar that ends without a line break.
        let end: &[u8] = if ends_with_break(text) { b"" } else { b"\n" };
        parser.set_input(text.as_bytes().chain(end));
        Self { text, parser, mark: Mark::default(), copied: 0, finished: false }
    }

    /// Reads on to the end of the next document that is not empty.
    fn document(&mut self) -> Result<Option<Document>, Error> {
        let mut builder = Builder::after(self.copied);
        loop {
            let event = self.event()?;
            match event.data {
                EventData::StreamEnd => return Ok(None),
                EventData::DocumentEnd { .. } => {
                    self.copied = builder.copied;
                    match std::mem::replace(&mut builder, Builder::after(self.copied)).root {
                        Some(document) if !document.value.is_null() => return Ok(Some(document)),
                        _ => {}
                    }
                }
                data => {
                    builder.take(data, event.start_mark).map_err(|message| at(event.start_mark, message))?;
                }
            }
        }
    }

    fn event(&mut self) -> Result<Event, Error> {
        if self.mark.index == 0 && self.text.matches("%TAG").nth(TAG_DIRECTIVES).is_some() {
            return Err(at(self.mark, format!("there are more than {TAG_DIRECTIVES} %TAG directives")));
        }
        // The parser panics on a few rare texts, such as a tag before a comma. Nothing of it is used
        // after that, because an error ends the iteration.
        let parsed = catch_unwind(AssertUnwindSafe(|| self.parser.parse()))
            .map_err(|_| at(self.mark, "the text after this place is beyond the YAML parser".into()))?;
        let mut event = parsed.map_err(|error| syntax(self.text, &error))?;
        self.mark = event.start_mark;
        self.undo_added_break(&mut event);
        Ok(event)
    }

    /// Takes the line break that `new` added from the block scalar that ends with it.
    fn undo_added_break(&self, event: &mut Event) {
        let reaches_end = usize::try_from(event.end_mark.index).is_ok_and(|index| index > self.text.len());
        if let EventData::Scalar { value, style: ScalarStyle::Literal | ScalarStyle::Folded, .. } =
            &mut event.data
            && reaches_end
        {
            let last_line_is_blank = ends_with_break(self.text.trim_end_matches(' '));
            if !last_line_is_blank || value == "\n" || value.ends_with("\n\n") {
                value.truncate(value.strip_suffix('\n').unwrap_or(value).len());
            }
        }
    }
}

fn ends_with_break(text: &str) -> bool {
    text.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let document = self.document().transpose();
        self.finished = !matches!(document, Some(Ok(_)));
        document
    }
}

fn at(mark: Mark, message: String) -> Error {
    Error { line: line(mark), column: one_based(mark.column), message }
}

fn line(mark: Mark) -> usize {
    one_based(mark.line)
}

fn one_based(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX).saturating_add(1)
}

fn syntax(text: &str, error: &libyaml_safer::Error) -> Error {
    let Some(mark) = error.problem_mark() else {
        // The reader refuses characters before the parser sees them, and does not say where.
        let position = text.find(|c| !is_printable(c)).unwrap_or(text.len());
        return text::after(&text[..position], error.problem());
    };
    let mut message = error.problem().to_owned();
    if let (Some(context), Some(begin)) = (error.context(), error.context_mark()) {
        message = format!("{message} {context} that begins in line {}", line(begin));
    }
    at(mark, message)
}

/// The characters that YAML 1.1 allows in a stream.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// What a value weighs, itself included.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    /// Levels of lists and objects; 0 for a scalar.
    height: usize,
}

impl Weight {
    fn of_text(text: &str) -> Self {
        Self { nodes: 1, bytes: OVERHEAD + text.len(), height: 0 }
    }

    fn add(&mut self, inner: Self) {
        self.nodes += inner.nodes;
        self.bytes += inner.bytes;
        self.height = self.height.max(inner.height + 1);
    }
}

/// A finished node.
#[derive(Debug, Clone)]
enum Node {
    Scalar(Scalar),
    /// An unquoted `<<`: a merge where a key is expected, text elsewhere.
    Merge,
    Collection(Value),
}

impl Node {
    fn into_value(self) -> Result<Value, String> {
        match self {
            Self::Scalar(scalar) => scalar.into_value(),
            Self::Merge => Ok("<<".into()),
            Self::Collection(value) => Ok(value),
        }
    }

    fn into_key(self) -> Result<Key, String> {
        match self {
            Self::Scalar(scalar) => scalar.into_key().map(Key::Name),
            Self::Merge => Ok(Key::Merge),
            Self::Collection(_) => Err("a key is a list or an object".into()),
        }
    }
}

#[derive(Debug)]
enum Key {
    Name(String),
    Merge,
}

/// What an anchor stands for.
#[derive(Debug)]
enum Anchored {
    /// Its value is still being read.
    Open,
    Whole(Node, Weight),
}

/// A list or object that is still being read.
#[derive(Debug)]
struct Frame {
    container: Container,
    anchor: Option<String>,
    weight: Weight,
}

#[derive(Debug)]
enum Container {
    List(Vec<Value>),
    Object(Map<String, Value>, Option<Key>),
}

/// Builds one document.
#[derive(Debug, Default)]
struct Builder {
    root: Option<Document>,
    frames: Vec<Frame>,
    anchors: HashMap<String, Anchored>,
    first_line: Option<usize>,
    nodes: usize,
    aliased: usize,
    copied: usize,
}

impl Builder {
    /// `copied` is what earlier documents of the text copied.
    fn after(copied: usize) -> Self {
        Self { copied, ..Self::default() }
    }

    fn take(&mut self, event: EventData, mark: Mark) -> Result<(), String> {
        let is_content = !matches!(event, EventData::StreamStart { .. } | EventData::DocumentStart { .. });
        if is_content {
            self.first_line.get_or_insert(line(mark));
        }
        match event {
            EventData::Scalar { anchor, tag, value, plain_implicit, style, .. } => {
                let plain = style == ScalarStyle::Plain && plain_implicit;
                self.scalar(anchor, tag.as_deref(), plain, value)
            }
            EventData::SequenceStart { anchor, .. } => self.open(anchor, Container::List(Vec::new())),
            EventData::MappingStart { anchor, .. } => self.open(anchor, Container::Object(Map::new(), None)),
            EventData::SequenceEnd | EventData::MappingEnd => self.close(),
            EventData::Alias { anchor } => self.alias(&anchor),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        anchor: Option<String>,
        tag: Option<&str>,
        plain: bool,
        text: String,
    ) -> Result<(), String> {
        let weight = Weight::of_text(&text);
        let merges = text == "<<" && (plain || tag == Some(MERGE_TAG));
        let node = if merges { Node::Merge } else { Node::Scalar(scalar::resolve(tag, plain, text)?) };
        self.nodes += 1;
        self.remember(anchor, &node, weight)?;
        self.place(node, weight)
    }

    fn open(&mut self, anchor: Option<String>, container: Container) -> Result<(), String> {
        self.nodes += 1;
        check_depth(self.frames.len() + 1)?;
        if let Some(anchor) = &anchor {
            self.anchors.insert(anchor.clone(), Anchored::Open);
        }
        let weight = Weight { nodes: 1, bytes: OVERHEAD, height: 1 };
        self.frames.push(Frame { container, anchor, weight });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let frame = self.frames.pop().expect("the parser ends only what it has begun");
        let value = match frame.container {
            Container::List(items) => Value::Array(items),
            Container::Object(entries, _) => Value::Object(entries),
        };
        let node = Node::Collection(value);
        self.remember(frame.anchor, &node, frame.weight)?;
        self.place(node, frame.weight)
    }

    fn alias(&mut self, anchor: &str) -> Result<(), String> {
        let (node, weight) = match self.anchors.get(anchor) {
            None => return Err(format!("the anchor `{anchor}` is not known")),
            Some(Anchored::Open) => {
                return Err(format!("the value of the anchor `{anchor}` contains itself"));
            }
            Some(Anchored::Whole(node, weight)) => {
                charge(&mut self.copied, weight.bytes)?;
                (node.clone(), *weight)
            }
        };
        check_depth(self.frames.len() + weight.height)?;
        self.nodes += weight.nodes;
        self.aliased += weight.nodes;
        self.check_aliases()?;
        // `<<` given by an alias is a name like any other.
        let node = if matches!(node, Node::Merge) { Node::Scalar(Scalar::Text("<<".into())) } else { node };
        self.place(node, weight)
    }

    fn remember(&mut self, anchor: Option<String>, node: &Node, weight: Weight) -> Result<(), String> {
        if let Some(anchor) = anchor {
            charge(&mut self.copied, weight.bytes)?;
            self.anchors.insert(anchor, Anchored::Whole(node.clone(), weight));
        }
        Ok(())
    }

    /// The rule by which go-yaml refuses documents that consist mainly of aliases.
    fn check_aliases(&self) -> Result<(), String> {
        let (low, high) = SHARES;
        let per_mille = 990 - 890 * (self.nodes.clamp(low, high) - low) / (high - low);
        let suspicious = self.nodes > UNSUSPICIOUS.0 && self.aliased > UNSUSPICIOUS.1;
        if suspicious && self.aliased * 1000 > self.nodes * per_mille { Err(excessive()) } else { Ok(()) }
    }

    fn place(&mut self, node: Node, weight: Weight) -> Result<(), String> {
        let Some(frame) = self.frames.last_mut() else {
            let line = self.first_line.unwrap_or(1);
            self.root = Some(Document { line, value: node.into_value()?, memory: weight.bytes });
            return Ok(());
        };
        frame.weight.add(weight);
        match &mut frame.container {
            Container::List(items) => items.push(node.into_value()?),
            Container::Object(entries, key) => match key.take() {
                None => *key = Some(node.into_key()?),
                Some(Key::Name(name)) => {
                    entries.insert(name, node.into_value()?);
                }
                Some(Key::Merge) => merge(entries, node.into_value()?)?,
            },
        }
        Ok(())
    }
}

/// Copies what `<<` names. As in go-yaml v2 it overwrites the keys that stand above it; of a list,
/// earlier objects win.
fn merge(entries: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    let objects = match value {
        Value::Array(items) => items,
        value => vec![value],
    };
    for object in objects.into_iter().rev() {
        let Value::Object(object) = object else {
            return Err("a merge (<<) needs an object or a list of objects".into());
        };
        entries.extend(object);
    }
    Ok(())
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > DEPTH { Err(format!("values are nested more than {DEPTH} levels deep")) } else { Ok(()) }
}

fn charge(copied: &mut usize, bytes: usize) -> Result<(), String> {
    *copied += bytes;
    if *copied > COPIED { Err(excessive()) } else { Ok(()) }
}

fn excessive() -> String {
    "aliases (*name) expand to more than is reasonable".into()
}
