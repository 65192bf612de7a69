//! What names of several kinds may look like. Each function answers what is wrong with one, in Kubernetes' words.
//! <https://github.com/kubernetes/apimachinery/tree/master/pkg/util/validation>

use std::sync::LazyLock;

use regex::Regex;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// A pattern that a whole text must match, and how that is explained.
struct Form {
    pattern: &'static str,
    explanation: &'static str,
    examples: &'static [&'static str],
    regex: LazyLock<Regex>,
}

macro_rules! form {
    ($name:ident, $pattern:expr, $explanation:expr, $examples:expr) => {
        static $name: Form = Form {
            pattern: $pattern,
            explanation: $explanation,
            examples: $examples,
            regex: LazyLock::new(|| Regex::new(&format!("^(?:{})$", $pattern)).expect("tested")),
        };
    };
}

form!(
    DNS_LABEL,
    LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
     end with an alphanumeric character",
    &["my-name", "123-abc"]
);
form!(
    DNS_SUBDOMAIN,
    SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
     start and end with an alphanumeric character",
    &["example.com"]
);
form!(
    DNS_1035,
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
     character, and end with an alphanumeric character",
    &["my-name", "abc-123"]
);
form!(
    WILDCARD,
    r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
     lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    &["*.example.com"]
);
form!(
    LABEL_KEY,
    QUALIFIED,
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
     character",
    &["MyName", "my.name", "123-abc"]
);
form!(
    LABEL_VALUE,
    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
     start and end with an alphanumeric character",
    &["MyValue", "my_value", "12345"]
);
form!(
    CONFIG_KEY,
    "[-._a-zA-Z0-9]+",
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    &["key.name", "KEY_NAME", "key-name"]
);
form!(
    PERCENT,
    "[0-9]+%",
    "a valid percent string must be a numeric string followed by an ending '%'",
    &["1%", "93%"]
);

impl Form {
    fn fits(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    fn told(&self) -> String {
        let examples: Vec<_> = self.examples.iter().map(|example| format!("'{example}', ")).collect();
        let (told, examples, pattern) = (self.explanation, examples.join(" or "), self.pattern);
        format!("{told} (e.g. {examples}regex used for validation is '{pattern}')")
    }

    fn check(&self, value: &str, most: usize) -> Vec<String> {
        let long = (value.len() > most).then(|| no_more_than(most));
        long.into_iter().chain((!self.fits(value)).then(|| self.told())).collect()
    }
}

fn no_more_than(most: usize) -> String {
    format!("must be no more than {most} characters")
}

/// A label of a DNS name: `web-1`.
pub(in crate::embedded) fn dns_label(value: &str) -> Vec<String> {
    if DNS_SUBDOMAIN.fits(value) && !DNS_LABEL.fits(value) {
        let long = (value.len() > 63).then(|| no_more_than(63));
        return long.into_iter().chain(["must not contain dots".to_owned()]).collect();
    }
    DNS_LABEL.check(value, 63)
}

/// A DNS name: `web-1.example.org`.
pub(in crate::embedded) fn dns_subdomain(value: &str) -> Vec<String> {
    DNS_SUBDOMAIN.check(value, 253)
}

/// A label that begins with a letter.
pub(in crate::embedded) fn dns_1035_label(value: &str) -> Vec<String> {
    DNS_1035.check(value, 63)
}

/// A DNS name below a wildcard: `*.example.org`.
pub(in crate::embedded) fn wildcard_subdomain(value: &str) -> Vec<String> {
    WILDCARD.check(value, 253)
}

/// The value of a label.
pub(in crate::embedded) fn label_value(value: &str) -> Vec<String> {
    LABEL_VALUE.check(value, 63)
}

/// The key of a label or annotation: `app`, `example.org/app`.
pub(in crate::embedded) fn label_key(value: &str) -> Vec<String> {
    let (prefix, name) = match value.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {optional}", LABEL_KEY.told())];
        }
    };
    let mut wrong = match prefix {
        None => Vec::new(),
        Some("") => vec!["prefix part must be non-empty".to_owned()],
        Some(prefix) => dns_subdomain(prefix).iter().map(|wrong| format!("prefix part {wrong}")).collect(),
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    }
    wrong.extend(LABEL_KEY.check(name, 63).iter().map(|wrong| format!("name part {wrong}")));
    wrong
}

/// A key of a `ConfigMap` or `Secret`.
pub(in crate::embedded) fn config_key(value: &str) -> Vec<String> {
    let mut wrong = CONFIG_KEY.check(value, 253);
    match value {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        _ if value.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// A percentage: `25%`.
pub(in crate::embedded) fn percent(value: &str) -> Vec<String> {
    PERCENT.check(value, usize::MAX)
}

/// What may stand between two slashes of a path.
pub(in crate::embedded) fn path_segment(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    let forbidden = ["/", "%"].into_iter().filter(|forbidden| value.contains(forbidden));
    forbidden.map(|forbidden| format!("may not contain '{forbidden}'")).collect()
}

/// The name of a port.
pub(in crate::embedded) fn port_name(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let charset = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if value.len() > 15 {
        wrong.push(no_more_than(15));
    }
    if value.is_empty() || !value.chars().all(charset) {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.chars().any(|c| c.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// The number of a port.
pub(in crate::embedded) fn port_number(value: i64) -> Vec<String> {
    let fits = (1..=65535).contains(&value);
    if fits { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".to_owned()] }
}

/// The name of an environment variable.
pub(in crate::embedded) fn variable(value: &str) -> Vec<String> {
    if value.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
        return Vec::new();
    }
    let told =
        "a valid environment variable name must consist only of printable ASCII characters other than '='";
    vec![told.to_owned()]
}

/// Checks what `generateName` makes of a name: a dash at its end is fine.
pub(in crate::embedded) fn as_prefix(value: &str) -> String {
    match value.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut rest = rest.to_owned();
            rest.pop();
            rest + "a"
        }
        _ => value.to_owned(),
    }
}
