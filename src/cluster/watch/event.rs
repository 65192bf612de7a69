//! The events of a watch, read from its bytes.

use bytes::{Buf, Bytes, BytesMut};
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::live::Live;

/// Annotation on the bookmark after which the initial list is complete.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    /// `ADDED` or `MODIFIED`.
    Applied(Live),
    /// `DELETED`, with the last state; also sent when an object no longer matches the selector.
    Deleted(Live),
    /// Everything up to `version` has been sent.
    Bookmark {
        version: String,
        /// The objects so far are all there are.
        ends_initial: bool,
    },
    /// `ERROR`: the watch is over.
    Failed(Box<Status>),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: std::collections::HashMap<String, String>,
}

/// Why a line of a watch is not an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event of a watch")]
pub(crate) struct Malformed;

impl Event {
    /// Reads one line. A bare `Status`, which some proxies send, is a failure too.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Malformed> {
        let Ok(Envelope { r#type, object }) = serde_json::from_slice(line) else {
            return serde_json::from_slice(line).map(Self::Failed).map_err(|_| Malformed);
        };
        let object = object.get();
        match r#type {
            "ADDED" | "MODIFIED" => Live::from_json(object).map(Self::Applied).map_err(|_| Malformed),
            "DELETED" => Live::from_json(object).map(Self::Deleted).map_err(|_| Malformed),
            "BOOKMARK" => {
                let Bookmark { metadata } = serde_json::from_str(object).map_err(|_| Malformed)?;
                let ends_initial = metadata.annotations.get(INITIAL_END).is_some_and(|value| value == "true");
                Ok(Self::Bookmark { version: metadata.resource_version, ends_initial })
            }
            "ERROR" => serde_json::from_str(object).map(Self::Failed).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end, so that a long line is not searched anew
    /// with each chunk.
    searched: usize,
}

impl Lines {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next whole line that is not blank.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        loop {
            let Some(found) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let line = self.buffer.split_to(self.searched + found).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_arrive_in_pieces() {
        let mut lines = Lines::default();
        lines.push(b"{\"a\":1");
        assert_eq!(lines.next(), None);
        lines.push(b"}\n\n{\"b\":2}\n{");
        assert_eq!(lines.next().as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(lines.next().as_deref(), Some(&b"{\"b\":2}"[..]));
        assert_eq!(lines.next(), None);
        lines.push(b"}\n");
        assert_eq!(lines.next().as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn objects_keep_their_bytes() {
        let object = r#"{"apiVersion":"v1","kind":"Basket","metadata":{"name":"a",  "uid":"u"}}"#;
        let told = format!(r#"{{"type":"ADDED","object":{object}}}"#);
        let Event::Applied(live) = Event::read(told.as_bytes()).unwrap() else { panic!("an object") };
        assert_eq!(live.key.name, "a");
        assert_eq!(live.json(), object);
    }

    #[test]
    fn bookmarks_say_whether_the_initial_list_ended() {
        let check = |annotations: &str, expected| {
            let line = format!(
                r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"7"{annotations}}}}}}}"#
            );
            let Event::Bookmark { version, ends_initial } = Event::read(line.as_bytes()).unwrap() else {
                panic!("a bookmark")
            };
            assert_eq!((version.as_str(), ends_initial), ("7", expected));
        };
        check("", false);
        check(r#","annotations":{"k8s.io/initial-events-end":"true"}"#, true);
    }

    #[test]
    fn failures_are_read_with_and_without_their_envelope() {
        let check = |line: &str| {
            let Event::Failed(status) = Event::read(line.as_bytes()).unwrap() else { panic!("a failure") };
            assert_eq!(status.code, 410);
        };
        check(r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#);
        check(r#"{"kind":"Status","code":410,"reason":"Expired"}"#);
        assert!(Event::read(b"not json").is_err());
        assert!(Event::read(br#"{"type":"NEWS","object":{}}"#).is_err());
    }
}
