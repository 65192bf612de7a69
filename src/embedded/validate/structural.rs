//! Whether an object of a custom kind fits its schema: OpenAPI validation with the messages of kube-apiserver.
//! What did not change since the last version of the object is not held against it.
//! <https://github.com/kubernetes/kube-openapi/tree/master/pkg/validation/validate>

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::LazyLock;
use std::sync::Mutex;

use regex::Regex;
use serde_json::Value;
use serde_json::json;

use super::findings::Findings;
use super::findings::sorted;
use super::formats;
use crate::embedded::status::Cause;

/// What is wrong with a value, and how much of it fits, by which the best of several alternatives is found.
#[derive(Debug, Default)]
struct Outcome {
    causes: Vec<Cause>,
    fitting: usize,
}

/// Tells what is wrong with a value at a path. `before` is what it replaces.
pub(super) fn check(schema: &Value, value: &Value, before: Option<&Value>, path: &str) -> Vec<Cause> {
    let mut outcome = Outcome::default();
    outcome.check(schema, value, before, path);
    outcome.causes
}

/// Tells which items of sets and maps are repeated.
pub(super) fn repeated(schema: &Value, value: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    lists(schema, value, path, &mut causes);
    causes
}

/// Checks that what is embedded is an object of Kubernetes.
pub(super) fn embedded(found: &mut Findings, schema: &Value, value: &Value, path: &str) {
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(object) => {
            if schema["x-kubernetes-embedded-resource"] == true {
                for name in ["apiVersion", "kind"] {
                    match value.get(name) {
                        None => found.required(&under(name), ""),
                        Some(Value::String(text)) if text.is_empty() => {
                            found.invalid(&under(name), "", "must not be empty");
                        }
                        Some(Value::String(_)) => {}
                        Some(other) => found.invalid(&under(name), other.clone(), "must be a string"),
                    }
                }
            }
            for (name, value) in object {
                let known = &schema["properties"][name.as_str()];
                if known.is_object() {
                    embedded(found, known, value, &under(name));
                } else if schema["additionalProperties"].is_object() {
                    embedded(found, &schema["additionalProperties"], value, &format!("{path}[{name}]"));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                embedded(found, &schema["items"], item, &format!("{path}[{index}]"));
            }
        }
        _ => {}
    }
}

/// Patterns are Go's, whose syntax is nearly that of the regex crate. Those it does not know match everything.
static PATTERNS: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

fn matches(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().expect("nobody panics while holding it");
    let regex = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
    regex.as_ref().is_none_or(|regex| regex.is_match(text))
}

impl Outcome {
    fn add(&mut self, reason: &'static str, field: &str, message: String) {
        let field = if field.is_empty() { "<nil>" } else { field };
        self.causes.push(Cause { reason, message, field: field.to_owned() });
    }

    fn invalid(&mut self, path: &str, value: &Value, detail: &str) {
        let message = format!("Invalid value: {}: {} in body {detail}", sorted(value), path);
        self.add("FieldValueInvalid", path, message);
    }

    fn type_invalid(&mut self, path: &str, shown: &str, expected: &str) {
        let message =
            format!("Invalid value: {shown:?}: {path} in body must be of type {expected}: {shown:?}");
        self.add("FieldValueTypeInvalid", path, message);
    }

    fn composite(&mut self, path: &str, detail: &str) {
        let message = format!("Invalid value: \"\": {path:?} {detail}");
        self.add("FieldValueInvalid", "", message);
    }

    fn merge(&mut self, other: Self) {
        self.causes.extend(other.causes);
        self.fitting += other.fitting;
    }

    /// Runs one check, and counts it if it finds nothing.
    fn step(&mut self, check: impl FnOnce(&mut Self)) {
        let found = self.causes.len();
        check(self);
        self.fitting += usize::from(self.causes.len() == found);
    }

    fn check(&mut self, schema: &Value, value: &Value, before: Option<&Value>, path: &str) {
        if before == Some(value) {
            self.fitting += 1;
            return;
        }
        self.step(|outcome| outcome.kind(schema, value, path));
        if !value.is_null() {
            self.step(|outcome| outcome.alternatives(schema, value, path));
            match value {
                Value::String(text) => self.step(|outcome| outcome.text(schema, text, path)),
                Value::Number(_) => self.step(|outcome| outcome.number(schema, value, path)),
                Value::Array(items) => self.step(|outcome| outcome.list(schema, items, before, path)),
                _ => {}
            }
        }
        self.step(|outcome| outcome.enumeration(schema, value, path));
        if let Value::Object(_) = value {
            self.step(|outcome| outcome.object(schema, value, before, path));
        }
    }

    fn kind(&mut self, schema: &Value, value: &Value, path: &str) {
        let expected = match schema["type"].as_str() {
            _ if schema["x-kubernetes-int-or-string"] == true => "integer,string",
            Some(kind) => kind,
            None => return,
        };
        let found = match value {
            Value::Null if schema["nullable"] == true => return,
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() && number.as_f64().is_some_and(|n| n.fract() != 0.0) => {
                "number"
            }
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !expected.split(',').any(|kind| kind == found || (kind == "number" && found == "integer")) {
            self.type_invalid(path, found, expected);
        }
    }

    fn alternatives(&mut self, schema: &Value, value: &Value, path: &str) {
        let outcomes = |keyword: &str| -> Vec<Self> {
            let schemas = schema[keyword].as_array().into_iter().flatten();
            let outcome = |schema| {
                let mut outcome = Self::default();
                outcome.check(schema, value, None, path);
                outcome
            };
            schemas.map(outcome).collect()
        };
        let any = outcomes("anyOf");
        if !any.is_empty() && any.iter().all(Self::fails) {
            self.composite(path, "must validate at least one schema (anyOf)");
            self.best(any);
        }
        let one = outcomes("oneOf");
        let valid = one.iter().filter(|outcome| !outcome.fails()).count();
        if !one.is_empty() && valid != 1 {
            let found = match valid {
                0 => "Found none valid".to_owned(),
                valid => format!("Found {valid} valid alternatives"),
            };
            self.composite(path, &format!("must validate one and only one schema (oneOf). {found}"));
            if valid == 0 {
                self.best(one);
            }
        }
        let all = outcomes("allOf");
        let valid = all.iter().filter(|outcome| !outcome.fails()).count();
        let total = all.len();
        for outcome in all {
            self.merge(outcome);
        }
        if valid != total {
            let none = if valid == 0 { ". None validated" } else { "" };
            self.composite(path, &format!("must validate all the schemas (allOf){none}"));
        }
        if schema["not"].is_object() && check(&schema["not"], value, None, path).is_empty() {
            self.composite(path, "must not validate the schema (not)");
        }
    }

    fn fails(&self) -> bool {
        !self.causes.is_empty()
    }

    /// Tells what is wrong with the alternative that fits best.
    fn best(&mut self, outcomes: Vec<Self>) {
        let best =
            outcomes.into_iter().reduce(|best, next| if next.fitting > best.fitting { next } else { best });
        self.merge(best.unwrap_or_default());
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            let bytes = if most == 1 { "byte" } else { "bytes" };
            self.add("FieldValueTooLong", path, format!("Too long: may not be more than {most} {bytes}"));
        } else if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            self.invalid(path, &text.into(), &format!("should be at least {least} chars long"));
        } else if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !matches(pattern, text)) {
            self.invalid(path, &text.into(), &format!("should match '{pattern}'"));
        }
        if let Some(format) = schema["format"].as_str().filter(|format| !formats::fits(format, text)) {
            self.type_invalid(path, text, format);
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let number = value.as_f64().unwrap_or_default();
        let format = schema["format"].as_str().unwrap_or_default();
        if schema["type"] == "integer" && value.as_i64().is_none() && number.fract() != 0.0 {
            let message = format!(
                "Invalid value: \"\": Checked value must be of type integer (default format) in {path}"
            );
            self.add("FieldValueInvalid", "", message);
        }
        if format == "int32" && value.as_i64().is_some_and(|number| i32::try_from(number).is_err()) {
            let message = format!(
                "Invalid value: \"\": Checked value must be of type integer with format int32 in {path}"
            );
            self.add("FieldValueInvalid", "", message);
        }
        if let Some(factor) = schema["multipleOf"].as_f64()
            && ((number / factor) - (number / factor).round()).abs() > 1e-9
        {
            self.invalid(path, value, &format!("should be a multiple of {}", go_float(factor)));
        }
        if let Some(least) = schema["minimum"].as_f64() {
            if schema["exclusiveMinimum"] == true && number <= least {
                self.invalid(path, value, &format!("should be greater than {}", go_float(least)));
            } else if number < least {
                self.invalid(path, value, &format!("should be greater than or equal to {}", go_float(least)));
            }
        }
        if let Some(most) = schema["maximum"].as_f64() {
            if schema["exclusiveMaximum"] == true && number >= most {
                self.invalid(path, value, &format!("should be less than {}", go_float(most)));
            } else if number > most {
                self.invalid(path, value, &format!("should be less than or equal to {}", go_float(most)));
            }
        }
    }

    fn list(&mut self, schema: &Value, items: &[Value], before: Option<&Value>, path: &str) {
        let of_items = &schema["items"];
        let before = before.and_then(Value::as_array);
        if of_items.is_object() {
            for (index, item) in items.iter().enumerate() {
                let before = before.and_then(|before| same_item(schema, item, before));
                self.check(of_items, item, before, &format!("{path}[{index}]"));
            }
        }
        let length = items.len();
        if let Some(least) = schema["minItems"].as_u64().filter(|least| (length as u64) < *least) {
            self.invalid(path, &length.into(), &format!("should have at least {least} items"));
        }
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| length as u64 > *most) {
            self.too_many(path, length, most);
        }
        if schema["uniqueItems"] == true {
            let different: HashSet<_> = items.iter().map(|item| sorted(item).to_string()).collect();
            if different.len() < length {
                self.invalid(path, &"".into(), "shouldn't contain duplicates");
            }
        }
    }

    fn too_many(&mut self, path: &str, actual: usize, most: u64) {
        let items = if most == 1 { "item" } else { "items" };
        self.add("FieldValueTooMany", path, format!("Too many: {actual}: must have at most {most} {items}"));
    }

    fn enumeration(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(supported) = schema["enum"].as_array().filter(|values| !values.contains(value)) else {
            return;
        };
        let told = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{text:?}")
        };
        let supported: Vec<_> = supported.iter().map(told).collect();
        let (found, supported) = (sorted(value), supported.join(", "));
        let message = format!("Unsupported value: {found}: supported values: {supported}");
        self.add("FieldValueNotSupported", path, message);
    }

    fn object(&mut self, schema: &Value, value: &Value, before: Option<&Value>, path: &str) {
        let Some(object) = value.as_object() else { return };
        let length = object.len();
        if let Some(least) = schema["minProperties"].as_u64().filter(|least| (length as u64) < *least) {
            self.invalid(path, &length.into(), &format!("should have at least {least} properties"));
        }
        if let Some(most) = schema["maxProperties"].as_u64().filter(|most| length as u64 > *most) {
            self.too_many(path, length, most);
        }
        let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let values = &schema["additionalProperties"];
        let known = |name: &str| schema["properties"].get(name);
        for (name, value) in object {
            let before = before.and_then(|before| before.get(name));
            if known(name).is_some() {
                continue;
            }
            if values.is_object() {
                self.check(values, value, before, &under(name));
            } else if *values == false {
                let message = format!("Invalid value: \"\": {path}.{name} in body is a forbidden property");
                self.add("FieldValueInvalid", path, message);
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = object.get(name) {
                let before = before.and_then(|before| before.get(name));
                self.check(schema, value, before, &under(name));
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                self.add("FieldValueRequired", &under(name), "Required value".to_owned());
            }
        }
    }
}

/// The item that is the same one, by the keys of a list that is a map.
fn same_item<'a>(schema: &Value, item: &Value, before: &'a [Value]) -> Option<&'a Value> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array()?;
    let same = |other: &&Value| keys.iter().filter_map(Value::as_str).all(|key| other[key] == item[key]);
    before.iter().find(same)
}

fn lists(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let known = &schema["properties"][name.as_str()];
                if known.is_object() {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    lists(known, value, &path, causes);
                } else if schema["additionalProperties"].is_object() {
                    lists(&schema["additionalProperties"], value, &format!("{path}[{name}]"), causes);
                }
            }
        }
        Value::Array(items) => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array();
            let identity = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => Some(item.clone()),
                Some("map") => {
                    let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                    let given = keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
                    Some(json!(given.collect::<serde_json::Map<_, _>>()))
                }
                _ => None,
            };
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if let Some(identity) = identity(item).map(|identity| sorted(&identity).to_string())
                    && !seen.insert(identity.clone())
                {
                    let message = format!("Duplicate value: {identity}");
                    causes.push(Cause { reason: "FieldValueDuplicate", message, field: path.clone() });
                }
                lists(&schema["items"], item, &path, causes);
            }
        }
        _ => {}
    }
}

/// A number as Go's `%v` writes it.
fn go_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or_default() {
        -4..=5 => format!("{number}"),
        exponent => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
    }
}
