//! Label and field selectors.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::kinds::Kind;
use super::super::objects::versions;
use super::super::status::Status;
use super::super::storage::Entry;
use super::super::storage::Key;
use super::super::validate::names;

/// Which objects are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

/// As much of an object as a label selector looks at.
#[derive(Default, Deserialize)]
struct Labelled<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    labels: Option<HashMap<Cow<'a, str>, Cow<'a, str>>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    path: String,
    equal: bool,
    value: String,
}

impl Selector {
    /// Reads both selectors of a request.
    pub(super) fn parse(kind: &Kind, labels: &str, fields: &str) -> Result<Self, Status> {
        let labels = parse_labels(labels).map_err(Status::bad_request)?;
        let fields = parse_fields(fields).map_err(Status::bad_request)?;
        for field in &fields {
            if !is_known(kind, &field.path) {
                return Err(Status::bad_request(unknown(kind, &field.path)));
            }
        }
        Ok(Self { labels, fields })
    }

    /// Picks only the object of this name.
    pub(super) fn restrict(&mut self, name: &str) {
        self.fields.push(Field { path: "metadata.name".into(), equal: true, value: name.into() });
    }

    /// Whether it picks everything.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether a stored object is meant.
    pub(super) fn picks_entry(&self, kind: &Kind, entry: &Entry) -> bool {
        if !self.fields.iter().all(|field| field.picks_key(&entry.key).unwrap_or(true)) {
            return false;
        }
        let by_key =
            self.labels.is_empty() && self.fields.iter().all(|field| field.picks_key(&entry.key).is_some());
        if by_key {
            return true;
        }
        if self.fields.iter().all(|field| field.picks_key(&entry.key).is_some()) {
            let labelled: Labelled = serde_json::from_slice(&entry.json).unwrap_or_default();
            let labels = labelled.metadata.labels.unwrap_or_default();
            return self
                .labels
                .iter()
                .all(|requirement| requirement.picks(labels.get(&*requirement.key).map(|value| &**value)));
        }
        self.picks(&versions::read(kind, entry))
    }

    /// Whether an object is meant.
    pub(super) fn picks(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.picks(labels[&requirement.key].as_str()))
            && self.fields.iter().all(|field| field.picks(object))
    }
}

impl Requirement {
    fn picks(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.iter().any(|one| one == value)),
            Test::Above(limit) => number().is_some_and(|number| number > *limit),
            Test::Below(limit) => number().is_some_and(|number| number < *limit),
        }
    }
}

impl Field {
    /// Whether the object under `key` is meant, as far as the key tells.
    fn picks_key(&self, key: &Key) -> Option<bool> {
        let found = match self.path.as_str() {
            "metadata.name" => &key.name,
            "metadata.namespace" => &key.namespace,
            _ => return None,
        };
        Some((**found == *self.value) == self.equal)
    }

    fn picks(&self, object: &Value) -> bool {
        let path = match self.path.as_str() {
            "reportingComponent" if object["reportingComponent"].is_null() => "source.component",
            "source" => "source.component",
            path => path,
        };
        let found = path.split('.').fold(object, |value, part| &value[part]);
        let found = match found {
            Value::String(text) => text.clone(),
            Value::Null if path == "spec.unschedulable" => "false".into(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (found == self.value) == self.equal
    }
}

/// Fields that built-in kinds can be selected by, beside name and namespace.
fn known(resource: &str) -> &'static [&'static str] {
    match resource {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "secrets" => &["type"],
        "events" | "events.events.k8s.io" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "namespaces" => &["status.phase"],
        "nodes" => &["spec.unschedulable"],
        "replicationcontrollers" => &["status.replicas"],
        "jobs.batch" => &["status.successful"],
        "services" => &["spec.clusterIP", "spec.type"],
        "certificatesigningrequests.certificates.k8s.io" => &["spec.signerName"],
        _ => &[],
    }
}

fn is_known(kind: &Kind, path: &str) -> bool {
    let selectable = kind.custom.as_ref().and_then(|custom| custom["selectableFields"].as_array());
    let selectable =
        || selectable.into_iter().flatten().filter_map(|field| field["jsonPath"].as_str()?.strip_prefix('.'));
    matches!(path, "metadata.name" | "metadata.namespace")
        || known(&kind.resource).contains(&path)
        || selectable().any(|field| field == path)
}

fn unknown(kind: &Kind, path: &str) -> String {
    match &*kind.resource {
        "pods" => format!("field label not supported: {path}"),
        _ if known(&kind.resource).is_empty() && kind.custom.is_none() => {
            format!("{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
        _ => format!("field label not supported: {path}"),
    }
}

const BACKSLASH: &str = "\u{1}";
const COMMA: &str = "\u{2}";

fn parse_fields(text: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    // A comma in a value is written with a backslash, and so is a backslash.
    let text = &text.replace("\\\\", BACKSLASH).replace("\\,", COMMA);
    let plain = |text: &str| text.replace(COMMA, ",").replace(BACKSLASH, "\\");
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = term.split_once("==") {
            (path, value, true)
        } else if let Some((path, value)) = term.split_once('=') {
            (path, value, true)
        } else {
            return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
        };
        fields.push(Field { path: path.into(), equal, value: plain(value) });
    }
    Ok(fields)
}

/// Reads a label selector: `a=b,c!=d,e in (f,g),h,!i,j>1`.
fn parse_labels(text: &str) -> Result<Vec<Requirement>, String> {
    let mut requirements = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (requirement, after) = parse_requirement(rest)?;
        requirements.push(requirement);
        rest = match after.trim_start() {
            "" => "",
            after => {
                let next = after.strip_prefix(',').map(str::trim_start);
                match next {
                    Some(next) if !next.is_empty() => next,
                    Some(_) => return Err("found '', expected: identifier after ','".into()),
                    None => return Err(misplaced(after, "',' or 'end of string'")),
                }
            }
        };
    }
    Ok(requirements)
}

fn misplaced(found: &str, expected: &str) -> String {
    let found = word(found).0;
    format!("unable to parse requirement: found '{found}', expected: {expected}")
}

/// Splits off what can be a key, a value or an operator.
fn word(text: &str) -> (&str, &str) {
    let special = |sign: char| matches!(sign, '=' | '!' | '(' | ')' | ',' | '<' | '>');
    let end = match text.find(|sign: char| special(sign) || sign.is_whitespace()) {
        Some(0) => text.find(|sign: char| !special(sign)).unwrap_or(text.len()).max(1),
        Some(end) => end,
        None => text.len(),
    };
    text.split_at(end)
}

fn parse_requirement(text: &str) -> Result<(Requirement, &str), String> {
    if let Some(rest) = text.strip_prefix('!') {
        let (key, rest) = word(rest.trim_start());
        check_key(key)?;
        return Ok((Requirement { key: key.into(), test: Test::Absent }, rest));
    }
    if text.starts_with(['=', '(', ')', ',', '<', '>']) {
        return Err(format!("found '{}', expected: !, identifier, or 'end of string'", word(text).0));
    }
    let (key, rest) = word(text);
    check_key(key)?;
    let rest = rest.trim_start();
    let done = |test, rest| Ok((Requirement { key: key.into(), test }, rest));
    if rest.is_empty() || rest.starts_with(',') {
        return done(Test::Exists, rest);
    }
    for (operator, negated) in [("notin", true), ("in", false)] {
        let Some(after) = rest.strip_prefix(operator).filter(|after| after.starts_with([' ', '('])) else {
            continue;
        };
        let (values, rest) = parse_values(after.trim_start())?;
        return done(if negated { Test::NotIn(values) } else { Test::In(values) }, rest);
    }
    for operator in ["==", "!=", "=", ">", "<"] {
        let Some(after) = rest.strip_prefix(operator) else { continue };
        let after = after.trim_start();
        let (value, rest) = if after.starts_with(',') { ("", after) } else { word(after) };
        check_value(key, value)?;
        let number = || {
            value.parse::<i64>().map_err(|_| {
                format!(
                    "unable to parse requirement: values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the \
                     value must be an integer"
                )
            })
        };
        let test = match operator {
            "!=" => Test::NotIn(vec![value.into()]),
            ">" => Test::Above(number()?),
            "<" => Test::Below(number()?),
            _ => Test::In(vec![value.into()]),
        };
        return done(test, rest);
    }
    Err(misplaced(rest, "in, notin, =, ==, !=, gt, lt"))
}

fn parse_values(text: &str) -> Result<(Vec<String>, &str), String> {
    let Some(text) = text.strip_prefix('(') else {
        return Err(misplaced(text, "'('"));
    };
    let Some((values, rest)) = text.split_once(')') else {
        return Err(misplaced("", "',' or ')'"));
    };
    Ok((values.split(',').map(|value| value.trim().to_owned()).collect(), rest))
}

fn check_key(key: &str) -> Result<(), String> {
    match names::label_key(key).first() {
        None => Ok(()),
        Some(wrong) => Err(format!("unable to parse requirement: <nil>: Invalid value: {key:?}: {wrong}")),
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    match names::label_value(value).first() {
        None => Ok(()),
        Some(wrong) => {
            Err(format!("unable to parse requirement: values[0][{key}]: Invalid value: {value:?}: {wrong}"))
        }
    }
}
