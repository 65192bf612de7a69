//! What is found wrong with an object, worded as `field.Error` of Kubernetes words it.

use serde_json::Value;

use crate::embedded::status::Cause;

/// What is wrong with an object, so far.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Findings(pub(in crate::embedded) Vec<Cause>);

impl Findings {
    fn add(&mut self, reason: &'static str, field: &str, kind: &str, detail: &str) {
        let message = if detail.is_empty() { kind.to_owned() } else { format!("{kind}: {detail}") };
        self.0.push(Cause { reason, message, field: field.to_owned() });
    }

    /// `Required value`, with a detail unless it is empty.
    pub(in crate::embedded) fn required(&mut self, field: &str, detail: &str) {
        self.add("FieldValueRequired", field, "Required value", detail);
    }

    /// `Invalid value: "x": detail`.
    pub(in crate::embedded) fn invalid(&mut self, field: &str, value: impl Into<Value>, detail: &str) {
        let kind = format!("Invalid value: {}", value.into());
        self.add("FieldValueInvalid", field, &kind, detail);
    }

    /// One `invalid` for each message.
    pub(in crate::embedded) fn invalid_each(&mut self, field: &str, value: &str, details: &[String]) {
        for detail in details {
            self.invalid(field, value, detail);
        }
    }

    /// `Unsupported value: "x": supported values: "a", "b"`.
    pub(in crate::embedded) fn unsupported(
        &mut self,
        field: &str,
        value: impl Into<Value>,
        supported: &[&str],
    ) {
        let kind = format!("Unsupported value: {}", value.into());
        let supported: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        let detail = if supported.is_empty() { "" } else { &detail };
        self.add("FieldValueNotSupported", field, &kind, detail);
    }

    /// `Duplicate value: "x"`.
    pub(in crate::embedded) fn duplicate(&mut self, field: &str, value: impl Into<Value>) {
        let kind = format!("Duplicate value: {}", value.into());
        self.add("FieldValueDuplicate", field, &kind, "");
    }

    /// `Not found: "x"`.
    pub(in crate::embedded) fn not_found(&mut self, field: &str, value: impl Into<Value>) {
        let kind = format!("Not found: {}", value.into());
        self.add("FieldValueNotFound", field, &kind, "");
    }

    /// `Forbidden: detail`.
    pub(in crate::embedded) fn forbidden(&mut self, field: &str, detail: &str) {
        self.add("FieldValueForbidden", field, "Forbidden", detail);
    }

    /// `Too long: may not be more than 63 bytes`.
    pub(in crate::embedded) fn too_long(&mut self, field: &str, most: usize) {
        let detail = format!("may not be more than {most} bytes");
        self.add("FieldValueTooLong", field, "Too long", &detail);
    }

    /// `Invalid value: 0: must be greater than or equal to 0` for numbers below zero.
    pub(in crate::embedded) fn not_negative(&mut self, field: &str, value: Option<i64>) {
        if let Some(value) = value.filter(|value| *value < 0) {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }

    /// `field is immutable`, if it changed.
    pub(in crate::embedded) fn immutable(
        &mut self,
        field: &str,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        if before.unwrap_or(&Value::Null) != after.unwrap_or(&Value::Null) {
            self.invalid(field, after.cloned().unwrap_or_default(), "field is immutable");
        }
    }

    /// `Required value` for absent or empty values, `Unsupported value` for those that are not among `supported`.
    pub(in crate::embedded) fn one_of(&mut self, field: &str, value: Option<&str>, supported: &[&str]) {
        match value {
            None | Some("") => self.required(field, ""),
            Some(value) => self.known(field, Some(value), supported),
        }
    }

    /// `Unsupported value` for values that are not among `supported`.
    pub(in crate::embedded) fn known(&mut self, field: &str, value: Option<&str>, supported: &[&str]) {
        if let Some(value) = value.filter(|value| !supported.contains(value)) {
            self.unsupported(field, value, supported);
        }
    }
}

/// A value whose objects are Go's maps, which have their keys in order.
pub(in crate::embedded) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
