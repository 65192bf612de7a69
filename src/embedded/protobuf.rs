//! Bodies as kubectl and other typed clients write them: objects of built-in kinds as protobuf. They are read
//! here; answers are JSON, which these clients read as well.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What bodies begin with.
const MAGIC: &[u8] = b"k8s\0";
/// `e2e/protobuf` writes this and says what is in it.
const PACKED: &[u8] = include_bytes!("protobuf.json.gz");

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not what it says it is.
    #[error("the body is not protobuf of Kubernetes")]
    Malformed,
    /// Its kind is not known in this form.
    #[error("no kind {kind:?} is registered for version {version:?}")]
    Unknown {
        /// `apiVersion`.
        version: String,
        /// `kind`.
        kind: String,
    },
}

/// A field: its name in JSON, its type, and letters for how it is written.
type Field = (String, String, String);

static MESSAGES: LazyLock<HashMap<String, HashMap<u64, Field>>> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(PACKED).read_to_string(&mut text).expect("the file was made by gzip");
    serde_json::from_str(&text).expect("`e2e/protobuf` made the file")
});

/// Reads an object.
pub fn read(bytes: &[u8]) -> Result<Value, Error> {
    let body = bytes.strip_prefix(MAGIC).ok_or(Error::Malformed)?;
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for part in Parts(body) {
        match part? {
            (1, Part::Bytes(types)) => {
                for part in Parts(types) {
                    match part? {
                        (1, Part::Bytes(text)) => version = utf8(text)?,
                        (2, Part::Bytes(text)) => kind = utf8(text)?,
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let name = message(&version, &kind);
    if !MESSAGES.contains_key(&name) {
        return Err(Error::Unknown { version, kind });
    }
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), version.into());
    fill(&mut object, &name, raw)?;
    Ok(object.into())
}

/// The name of the message for a kind.
fn message(version: &str, kind: &str) -> String {
    let (group, version) = version.split_once('/').unwrap_or(("core", version));
    match kind {
        // All groups share it.
        "DeleteOptions" => "meta.v1.DeleteOptions".to_owned(),
        _ => format!("{}.{version}.{kind}", group.split('.').next().unwrap_or_default()),
    }
}

/// One field as it is written.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order in which they are written.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Malformed)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let length = usize::try_from(length).map_err(|_| Error::Malformed)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn part(&mut self) -> Result<(u64, Part<'a>), Error> {
        let tag = self.number()?;
        let part = match tag & 7 {
            0 => Part::Number(self.number()?),
            1 => Part::Bytes(self.take(8)?),
            2 => {
                let length = self.number()?;
                Part::Bytes(self.take(length)?)
            }
            5 => Part::Bytes(self.take(4)?),
            _ => return Err(Error::Malformed),
        };
        Ok((tag >> 3, part))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(u64, Part<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_err() {
            self.0 = &[];
        }
        Some(part)
    }
}

/// Reads a message into an object. No message holds itself, so that this ends.
fn fill(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let Some(fields) = MESSAGES.get(name) else { return Err(Error::Malformed) };
    for part in Parts(bytes) {
        let (number, part) = part?;
        // Fields of later versions of Kubernetes are not known here.
        let Some((field, kind, how)) = fields.get(&number) else { continue };
        if how.contains('i') {
            let Part::Bytes(bytes) = part else { return Err(Error::Malformed) };
            fill(object, kind, bytes)?;
        } else if how.contains('m') {
            let Part::Bytes(bytes) = part else { return Err(Error::Malformed) };
            let (key, value) = entry(kind, bytes)?;
            object_at(object, field).insert(key, value);
        } else {
            let value = value(kind, &part)?;
            if how.contains('r') {
                let list = object.entry(field).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().ok_or(Error::Malformed)?.push(value);
            } else if how.contains('p') || !is_zero(&value) {
                object.insert(field.clone(), value);
            }
        }
    }
    Ok(())
}

fn object_at<'a>(object: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let slot = object.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made an object above")
}

/// Reads an entry of a map.
fn entry(kind: &str, bytes: &[u8]) -> Result<(String, Value), Error> {
    let mut key = String::new();
    let mut found = value(kind, &nothing(kind))?;
    for part in Parts(bytes) {
        match part? {
            (1, Part::Bytes(text)) => key = utf8(text)?,
            (2, part) => found = value(kind, &part)?,
            _ => {}
        }
    }
    Ok((key, found))
}

/// What is not written is zero.
fn nothing(kind: &str) -> Part<'static> {
    if matches!(kind, "bool" | "int32" | "int64") { Part::Number(0) } else { Part::Bytes(&[]) }
}

fn value(kind: &str, part: &Part<'_>) -> Result<Value, Error> {
    Ok(match (kind, part) {
        ("bool", Part::Number(number)) => (*number != 0).into(),
        // Negative numbers are written as if they had 64 bits.
        ("int32" | "int64", Part::Number(number)) => number.cast_signed().into(),
        ("string", Part::Bytes(bytes)) => utf8(bytes)?.into(),
        ("bytes", Part::Bytes(bytes)) => BASE64.encode(bytes).into(),
        (_, Part::Bytes(bytes)) => composed(kind, bytes)?,
        _ => return Err(Error::Malformed),
    })
}

/// Reads a message, also where JSON writes it as something else than an object.
fn composed(kind: &str, bytes: &[u8]) -> Result<Value, Error> {
    match kind {
        "meta.v1.FieldsV1" | "runtime.RawExtension" => return raw(bytes),
        "meta.v1.Time" | "meta.v1.MicroTime" => return time(kind, bytes),
        _ => {}
    }
    let mut object = Map::new();
    fill(&mut object, kind, bytes)?;
    Ok(match kind {
        "resource.Quantity" => object.remove("string").unwrap_or_else(|| "0".into()),
        "intstr.IntOrString" => match object.remove("type") {
            Some(_) => object.remove("strVal").unwrap_or_else(|| "".into()),
            None => object.remove("intVal").unwrap_or_else(|| 0.into()),
        },
        _ if kind.ends_with(".ExtraValue") => {
            object.remove("items").unwrap_or_else(|| Value::Array(Vec::new()))
        }
        _ => object.into(),
    })
}

/// Reads what is JSON already.
fn raw(bytes: &[u8]) -> Result<Value, Error> {
    for part in Parts(bytes) {
        if let (1, Part::Bytes(json)) = part? {
            return serde_json::from_slice(json).map_err(|_| Error::Malformed);
        }
    }
    Ok(Value::Null)
}

fn time(kind: &str, bytes: &[u8]) -> Result<Value, Error> {
    let (mut seconds, mut nanos) = (0, 0);
    for part in Parts(bytes) {
        match part? {
            (1, Part::Number(number)) => seconds = number.cast_signed(),
            (2, Part::Number(number)) => nanos = i32::try_from(number).map_err(|_| Error::Malformed)?,
            _ => {}
        }
    }
    if (seconds, nanos) == (0, 0) {
        return Ok(Value::Null);
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| Error::Malformed)?;
    let text = if kind == "meta.v1.Time" { format!("{time:.0}") } else { format!("{time:.6}") };
    Ok(text.into())
}

fn utf8(bytes: &[u8]) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Malformed)
}

/// Says whether JSON leaves this out unless Go has a pointer for it.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(_) => false,
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests;
