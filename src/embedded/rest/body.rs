//! Bodies of requests: how much, in which format, and fields that come twice.

use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use serde::de;
use serde_json::Map;
use serde_json::Value;

use super::super::status::Status;
use crate::manifest::yaml;

/// More is not read.
const LONGEST: usize = 3 * 1024 * 1024;

/// What a body holds.
pub(super) struct Sent {
    /// The value.
    pub(super) value: Value,
    /// What is said of fields that come twice: `duplicate field "spec.a"`.
    pub(super) repeated: Vec<String>,
}

/// Reads all of a body.
pub(super) async fn collect(body: Body) -> Result<Bytes, Status> {
    match Limited::new(body, LONGEST).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LONGEST}");
            Err(Status::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(Status::bad_request(format!("unable to read the body: {error}"))),
    }
}

/// The media type of a body, without parameters; empty if it is not told.
pub(super) fn media(headers: &HeaderMap) -> &str {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim()
}

/// Reads an object.
pub(super) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Sent, Status> {
    match media(headers) {
        "" | "application/json" | "*/*" => json(bytes),
        "application/yaml" => yaml(bytes),
        _ => Err(unsupported(&["application/json", "application/yaml"])),
    }
}

/// 415.
pub(super) fn unsupported(known: &[&str]) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        known.join(", ")
    );
    Status::new(415, "UnsupportedMediaType", message)
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Sent, Status> {
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let place = Place { path: String::new(), repeated: &mut repeated };
    let value = de::DeserializeSeed::deserialize(place, &mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    Ok(Sent { value, repeated })
}

/// Reads YAML, of which JSON is a part.
pub(super) fn yaml(bytes: &[u8]) -> Result<Sent, Status> {
    let mut documents = yaml::documents(bytes)
        .map_err(|error| Status::bad_request(format!("error converting YAML to JSON: {error}")))?;
    let value = if documents.is_empty() { Value::Null } else { documents.swap_remove(0) };
    Ok(Sent { value, repeated: Vec::new() })
}

/// Where a value is that is read.
struct Place<'a> {
    path: String,
    repeated: &'a mut Vec<String>,
}

impl<'de> de::DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, all.len());
            match items.next_element_seed(Place { path, repeated: self.repeated })? {
                Some(item) => all.push(item),
                None => return Ok(all.into()),
            }
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if all.contains_key(&key) {
                self.repeated.push(format!("duplicate field {path:?}"));
            }
            let value = fields.next_value_seed(Place { path, repeated: self.repeated })?;
            all.insert(key, value);
        }
        Ok(all.into())
    }
}
