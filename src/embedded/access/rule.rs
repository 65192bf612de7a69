//! One rule of a Role: what it allows, whether it covers another, and how messages write it.
//! The meaning is that of Kubernetes' `rbac/v1` evaluation helpers and its policy comparator.

use serde_json::{Map, Value, json};

use super::Attributes;

/// A `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) verbs: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) urls: Vec<String>,
}

impl Rule {
    /// Reads an item of `rules`.
    pub(super) fn of(value: &Value) -> Self {
        let strings = |field: &str| {
            let items = value[field].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: strings("verbs"),
            groups: strings("apiGroups"),
            resources: strings("resources"),
            names: strings("resourceNames"),
            urls: strings("nonResourceURLs"),
        }
    }

    /// Reads the `rules` of a Role.
    pub(super) fn all(role: &Value) -> Vec<Self> {
        role["rules"].as_array().into_iter().flatten().map(Self::of).collect()
    }

    /// Returns the rule that allows everything to be done with objects, and with everything else.
    pub(super) fn everything() -> [Self; 2] {
        let all = || vec!["*".to_owned()];
        [
            Self { verbs: all(), groups: all(), resources: all(), ..Self::default() },
            Self { verbs: all(), urls: all(), ..Self::default() },
        ]
    }

    /// Says whether the rule allows this.
    pub(super) fn allows(&self, attributes: &Attributes) -> bool {
        if !has(&self.verbs, &attributes.verb) {
            return false;
        }
        if attributes.is_resource() {
            has(&self.groups, &attributes.group)
                && self.allows_resource(&attributes.resource, &attributes.subresource)
                && (self.names.is_empty() || self.names.contains(&attributes.name))
        } else {
            self.urls.iter().any(|url| url == "*" || covers_url(url, &attributes.path))
        }
    }

    fn allows_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|own| {
            if own == "*" || subresource.is_empty() {
                return own == "*" || own == resource;
            }
            let split = own.split_once('/');
            split.is_some_and(|(main, sub)| (main == "*" || main == resource) && sub == subresource)
        })
    }

    /// Splits the rule into rules with one verb, one group, one resource and one name each.
    fn split(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut parts = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let part = Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        parts.push(part);
                    } else {
                        parts.extend(self.names.iter().map(|name| Self { names: one(name), ..part.clone() }));
                    }
                }
            }
        }
        for url in &self.urls {
            let urls =
                self.verbs.iter().map(|verb| Self { verbs: one(verb), urls: one(url), ..Self::default() });
            parts.extend(urls);
        }
        parts
    }

    /// Says whether the rule allows all that `part`, one of a split rule, allows.
    fn covers(&self, part: &Self) -> bool {
        let resource = |wanted: &String| {
            has(&self.resources, wanted)
                || wanted.split_once('/').is_some_and(|(_, sub)| {
                    self.resources.iter().any(|own| own.strip_prefix("*/") == Some(sub))
                })
        };
        has_all(&self.verbs, &part.verbs)
            && has_all(&self.groups, &part.groups)
            && part.resources.iter().all(resource)
            && part.urls.iter().all(|url| self.urls.iter().any(|own| covers_url(own, url)))
            && (self.names.is_empty()
                || !part.names.is_empty() && part.names.iter().all(|name| self.names.contains(name)))
    }

    /// Writes the rule as messages do.
    fn described(&self) -> String {
        let parts = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.urls),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let told: Vec<_> = parts
            .into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| format!("{name}:{}", quoted(values)))
            .collect();
        format!("{{{}}}", told.join(", "))
    }

    /// Returns the rule as an item of `resourceRules`, `nonResourceRules` or `rules`.
    pub(super) fn to_json(&self) -> Value {
        let mut rule = Map::new();
        let fields = [
            ("verbs", &self.verbs),
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ];
        for (field, values) in fields {
            if !values.is_empty() {
                rule.insert(field.into(), json!(values));
            }
        }
        rule.into()
    }
}

/// Tells what `wanted` allows beyond `held`, one line for each rule; nothing if that is nothing.
pub(super) fn missing(held: &[Rule], wanted: &[Rule]) -> Vec<String> {
    let uncovered = wanted
        .iter()
        .flat_map(Rule::split)
        .filter(|part| !held.iter().any(|own| own.covers(part)))
        .collect::<Vec<_>>();
    let mut lines: Vec<_> = compacted(uncovered).iter().map(Rule::described).collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Joins the verbs of rules that otherwise say the same.
fn compacted(parts: Vec<Rule>) -> Vec<Rule> {
    let mut joined: Vec<Rule> = Vec::new();
    for part in parts {
        let same = joined.iter_mut().find(|rule| {
            !rule.resources.is_empty()
                && rule.names == part.names
                && rule.groups == part.groups
                && rule.resources == part.resources
        });
        match same {
            Some(rule) => rule.verbs.extend(part.verbs),
            None => joined.push(part),
        }
    }
    joined
}

/// Writes a list of strings as Go's `%q` does.
pub(super) fn quoted(values: &[String]) -> String {
    let values: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", values.join(" "))
}

fn has(own: &[String], wanted: &str) -> bool {
    own.iter().any(|own| own == "*" || own == wanted)
}

fn has_all(own: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| has(own, wanted))
}

fn covers_url(own: &str, url: &str) -> bool {
    own == url || own.ends_with('*') && url.starts_with(own.trim_end_matches('*'))
}
