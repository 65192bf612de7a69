//! What a YAML scalar means, following go-yaml v2, the reader inside `sigs.k8s.io/yaml`:
//! `yes` and `on` are booleans, `0777` is octal, `1_000` is a number, dates stay text.

use base64::Engine as _;
use serde_json::{Number, Value};

/// A scalar before it becomes JSON: keys need to know an integer from a float.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

const TAGS: &str = "tag:yaml.org,2002:";

/// Resolves a scalar. `plain` says that it is neither quoted nor a block scalar.
pub(super) fn resolve(tag: Option<&str>, plain: bool, text: String) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return Ok(if plain { guess(&text).unwrap_or(Scalar::Text(text)) } else { Scalar::Text(text) });
    };
    match tag.strip_prefix(TAGS) {
        Some("binary") => binary(&text).map(Scalar::Text),
        Some(name @ ("null" | "bool" | "int" | "float" | "timestamp")) => tagged(name, text),
        _ => Ok(Scalar::Text(text)),
    }
}

fn tagged(name: &str, text: String) -> Result<Scalar, String> {
    match (name, guess(&text)) {
        ("null", Some(scalar @ Scalar::Null))
        | ("bool", Some(scalar @ Scalar::Bool(_)))
        | ("int", Some(scalar @ (Scalar::Int(_) | Scalar::Unsigned(_))))
        | ("float", Some(scalar @ (Scalar::Float(_) | Scalar::Int(_) | Scalar::Unsigned(_)))) => Ok(scalar),
        ("timestamp", _) if is_date(&text) => Ok(Scalar::Text(text)),
        _ => Err(format!("`{text}` is not a !!{name}")),
    }
}

fn is_date(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    year == 4 && text.as_bytes().get(4) == Some(&b'-')
}

fn binary(text: &str) -> Result<String, String> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| "the value of !!binary is not base64".to_owned())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads an unquoted scalar; `None` means that it is text.
fn guess(text: &str) -> Option<Scalar> {
    match text.as_bytes().first() {
        None => Some(Scalar::Null),
        Some(b'.') => special(text).or_else(|| dotted(text)),
        Some(b'+' | b'-' | b'0'..=b'9') => special(text).or_else(|| number(text)),
        Some(_) => word(text),
    }
}

fn word(text: &str) -> Option<Scalar> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Scalar::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        _ => None,
    }
}

fn special(text: &str) -> Option<Scalar> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

/// A number that begins with a dot. Underscores may stand between digits only, as in Go.
fn dotted(text: &str) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        at > 0 && digit(at - 1) && digit(at + 1)
    };
    let fine = bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || between_digits(at));
    if fine { float(&text.replace('_', "")) } else { None }
}

fn number(text: &str) -> Option<Scalar> {
    let text = text.replace('_', "");
    integer(&text).or_else(|| float(&text)).or_else(|| signed_binary(&text))
}

/// An integer with the prefixes of Go: `0x`, `0b`, `0o`, and a bare `0` for octal.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-' | b'+') => text.split_at(1),
        _ => ("", text),
    };
    let prefixed = |radix, length: usize| (radix, &rest[length..]);
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => prefixed(16, 2),
        [b'0', b'b' | b'B', ..] => prefixed(2, 2),
        [b'0', b'o' | b'O', ..] => prefixed(8, 2),
        [b'0', _, ..] => prefixed(8, 1),
        _ => prefixed(10, 0),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match sign {
        "-" => i64::try_from(-i128::from(magnitude)).ok().map(Scalar::Int),
        _ => match i64::try_from(magnitude) {
            Ok(small) => Some(Scalar::Int(small)),
            Err(_) => sign.is_empty().then_some(Scalar::Unsigned(magnitude)),
        },
    }
}

/// go-yaml reads `0b-1` as -1; kept, because Kubernetes tools do.
fn signed_binary(text: &str) -> Option<Scalar> {
    i64::from_str_radix(text.strip_prefix("0b")?, 2).ok().map(Scalar::Int)
}

/// A decimal number with an optional fraction and exponent. What does not fit into 64 bits is text.
fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fine = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    let exponent_fine = exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    if !mantissa_fine || !exponent_fine {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Scalar::Float)
}

impl Scalar {
    /// Turns the scalar into JSON. Whole floats become integers, because Go writes them that way
    /// and Kubernetes then reads integers.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Text(value) => value.into(),
            Self::Float(value) => match whole(value) {
                Some(whole) => whole.into(),
                None => Number::from_f64(value)
                    .map(Value::Number)
                    .ok_or("infinity and not-a-number have no place in a manifest")?,
            },
        })
    }

    /// Turns the scalar into the key of a JSON object.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Null => Err("a key is null".into()),
            Self::Unsigned(value) => Err(format!("the key {value} is too large for an integer")),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Text(value) => Ok(value),
            Self::Float(value) => Ok(float_key(value)),
        }
    }
}

fn whole(value: f64) -> Option<i64> {
    if value.fract() == 0.0 { format!("{value:.0}").parse().ok() } else { None }
}

/// Go writes a float key with the precision of 32 bits, with an exponent from 1e+06 on.
fn float_key(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the format that Kubernetes tools use for keys")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
