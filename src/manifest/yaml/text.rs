//! Bytes of a file become text.

use std::borrow::Cow;

use super::Error;

/// Decodes the bytes of a YAML file: UTF-16 if they begin with its byte order mark, else UTF-8.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest).map(Cow::Borrowed),
        _ => utf8(bytes).map(Cow::Borrowed),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        after(&before, "the text is not valid UTF-8")
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Error> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(pairs.iter().copied().map(unit)) {
        text.push(character.map_err(|_| after(&text, "the text is not valid UTF-16"))?);
    }
    if rest.is_empty() { Ok(text) } else { Err(after(&text, "the text ends within a UTF-16 character")) }
}

/// Makes an error at the position that follows `before`.
pub(super) fn after(before: &str, message: &str) -> Error {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error { line, column, message: message.into() }
}
