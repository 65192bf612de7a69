//! What objects, labels and finalizers may be called, and names that are made up.

use std::sync::LazyLock;

use regex::Regex;

use super::super::kinds::Kind;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
    for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// How objects of a kind are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Subdomain,
    Label,
    Dns1035,
    PathSegment,
}

fn rule(kind: &Kind) -> Rule {
    match &*kind.resource {
        "namespaces" | "statefulsets.apps" => Rule::Label,
        "services" => Rule::Dns1035,
        "events" | "events.events.k8s.io" | "apiservices.apiregistration.k8s.io" => Rule::PathSegment,
        _ if kind.gvk.group == "rbac.authorization.k8s.io" => Rule::PathSegment,
        _ => Rule::Subdomain,
    }
}

/// Tells what is wrong with the name of an object, or, if `prefix`, with `generateName`.
pub(super) fn check(kind: &Kind, name: &str, prefix: bool) -> Vec<String> {
    let name = if prefix { without_dash(name) } else { name.to_owned() };
    match rule(kind) {
        Rule::Subdomain => bounded(&name, 253, is_subdomain(&name), SUBDOMAIN),
        Rule::Label => bounded(&name, 63, is_label(&name), LABEL),
        Rule::Dns1035 => {
            let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
            bounded(&name, 63, starts && is_label(&name), DNS_1035)
        }
        Rule::PathSegment => path_segment(&name),
    }
}

/// A trailing dash is what a made-up name goes on after.
fn without_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => name.to_owned(),
    }
}

fn bounded(name: &str, longest: usize, valid: bool, rule: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > longest {
        wrong.push(format!("must be no more than {longest} bytes"));
    }
    if !valid {
        wrong.push(rule.to_owned());
    }
    wrong
}

fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%']
        .into_iter()
        .filter(|sign| name.contains(*sign))
        .map(|sign| format!("may not contain '{sign}'"))
        .collect()
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn is_subdomain(name: &str) -> bool {
    !name.is_empty() && name.split('.').all(is_label)
}

/// Tells what is wrong with a namespace that an object is in.
pub(super) fn check_namespace(namespace: &str) -> Vec<String> {
    bounded(namespace, 63, is_label(namespace), LABEL)
}

static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").expect("it is a regular expression")
});

/// Tells what is wrong with the key of a label or with the name of a finalizer.
#[must_use]
pub(crate) fn check_key(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return vec![format!(
                "a qualified name {KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let mut wrong = Vec::new();
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            let told = bounded(prefix, 253, is_subdomain(prefix), SUBDOMAIN);
            wrong.extend(told.into_iter().map(|message| format!("prefix part {message}")));
        }
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".into());
    }
    if !QUALIFIED.is_match(name) {
        wrong.push(format!("name part {KEY}"));
    }
    wrong
}

/// Tells what is wrong with the value of a label.
#[must_use]
pub(crate) fn check_value(value: &str) -> Vec<String> {
    bounded(value, 63, value.is_empty() || QUALIFIED.is_match(value), VALUE)
}

/// Makes up a name that starts with `base`.
pub(super) fn made_up(base: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let cut = base.char_indices().map(|(at, _)| at).chain([base.len()]).take_while(|at| *at <= 58).last();
    let random = uuid::Uuid::new_v4();
    let end = random.as_bytes()[..5].iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    base[..cut.unwrap_or(0)].chars().chain(end).collect()
}
