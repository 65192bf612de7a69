//! `x-kubernetes-validations`: rules in CEL that objects of a custom kind must obey. A rule that cannot be evaluated
//! here is not obeyed: an object is refused rather than let through unseen.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::Weak;

use kube_cel::CompiledSchema;
use kube_cel::ValidationError;
use serde_json::Value;
use serde_json::json;

use super::findings::Findings;
use crate::embedded::status::Cause;

/// Rules that were compiled, for as long as the kind is served whose version has them.
static COMPILED: Mutex<Vec<(Weak<Value>, Rules)>> = Mutex::new(Vec::new());

/// The rules of a version, if it has any.
type Rules = Option<Arc<CompiledSchema>>;

/// Finds or compiles the rules of a version.
pub(super) fn compiled(version: &Arc<Value>) -> Rules {
    let mut known = COMPILED.lock().expect("nobody panics while holding it");
    known.retain(|(of, _)| of.strong_count() > 0);
    if let Some((_, rules)) = known.iter().find(|(of, _)| of.as_ptr() == Arc::as_ptr(version)) {
        return rules.clone();
    }
    let schema = &version["schema"]["openAPIV3Schema"];
    let rules = has_rules(schema).then(|| Arc::new(kube_cel::compile_schema(schema)));
    known.push((Arc::downgrade(version), rules.clone()));
    rules
}

/// Says whether a schema has rules anywhere.
pub(super) fn has_rules(schema: &Value) -> bool {
    let within = |schema: &Value| schema.is_object() && has_rules(schema);
    schema["x-kubernetes-validations"].as_array().is_some_and(|rules| !rules.is_empty())
        || schema["properties"].as_object().is_some_and(|fields| fields.values().any(has_rules))
        || within(&schema["items"])
        || within(&schema["additionalProperties"])
}

/// Tells which of the rules in a schema an object does not obey; `before` is what it replaces.
pub(super) fn check(
    found: &mut Findings,
    rules: &CompiledSchema,
    schema: &Value,
    (object, before): (&Value, Option<&Value>),
) {
    let Err(errors) = kube_cel::validate_compiled(rules, object, before) else { return };
    for error in errors.into_vec() {
        let (field, value) = resolve(schema, object, &error.field_path);
        let unchanged = before.is_some_and(|before| resolve(schema, before, &error.field_path).1 == value);
        if unchanged && value.is_some() && !field.contains('[') {
            continue;
        }
        let field = if field.is_empty() { "<nil>".to_owned() } else { field };
        found.0.push(cause(&error, field, value));
    }
}

/// Tells what is wrong with a rule itself.
pub(in crate::embedded) fn check_rule(found: &mut Findings, rule: &Value, field: &str) {
    let compiled = kube_cel::compile_schema(&json!({"x-kubernetes-validations": [rule]}));
    for error in compiled.compilation_errors() {
        // The internal type is shown, whose fields have other names.
        let text = |name: &str| rule[name].as_str().unwrap_or_default();
        let shown = json!({
            "Rule": text("rule"), "Message": text("message"), "MessageExpression": text("messageExpression"),
            "Reason": rule["reason"], "FieldPath": text("fieldPath"), "OptionalOldSelf": rule["optionalOldSelf"],
        });
        found.invalid(&format!("{field}.rule"), shown, &format!("compilation failed: {error}"));
    }
}

fn cause(error: &ValidationError, field: String, value: Option<&Value>) -> Cause {
    // Values that have parts are not shown.
    let scalar = value.filter(|value| !value.is_object() && !value.is_array());
    let shown = scalar.map(|value| format!(": {value}")).unwrap_or_default();
    let (reason, kind) = match error.reason.as_deref() {
        Some("FieldValueForbidden") => ("FieldValueForbidden", "Forbidden".to_owned()),
        Some("FieldValueRequired") => ("FieldValueRequired", "Required value".to_owned()),
        Some("FieldValueDuplicate") => ("FieldValueDuplicate", format!("Duplicate value{shown}")),
        _ => ("FieldValueInvalid", format!("Invalid value{shown}")),
    };
    Cause { reason, message: format!("{kind}: {}", error.message), field }
}

/// Follows a path as the evaluation writes it, and answers it as Kubernetes writes it (`spec.map[key]`), with
/// what is there.
fn resolve<'a>(schema: &Value, value: &'a Value, path: &str) -> (String, Option<&'a Value>) {
    let (mut schema, mut value) = (schema, Some(value));
    let (mut told, mut rest) = (String::new(), path.trim_start_matches('.'));
    while !rest.is_empty() {
        if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            told.extend(["[", index, "]"]);
            value = value.and_then(|value| value.get(index.parse::<usize>().ok()?));
            (schema, rest) = (&schema["items"], after.trim_start_matches('.'));
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let known = &schema["properties"][&rest[..end]];
        if known.is_object() || !schema["additionalProperties"].is_object() {
            if !told.is_empty() {
                told.push('.');
            }
            told.push_str(&rest[..end]);
            value = value.and_then(|value| value.get(&rest[..end]));
            (schema, rest) = (known, rest[end..].trim_start_matches('.'));
        } else {
            // Keys of a map may have dots.
            let keys = value.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str());
            let key =
                keys.filter(|key| rest.starts_with(key)).max_by_key(|key| key.len()).unwrap_or(&rest[..end]);
            told.extend(["[", key, "]"]);
            value = value.and_then(|value| value.get(key));
            (schema, rest) = (&schema["additionalProperties"], rest[key.len()..].trim_start_matches('.'));
        }
    }
    (told, value)
}
