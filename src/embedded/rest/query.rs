//! Query parameters, and the options of writes that they hold.

use bytes::Bytes;
use http::HeaderMap;
use http::header;
use serde_json::Value;

use super::super::objects::Deletion;
use super::super::objects::Options;
use super::super::objects::Validation;
use super::super::status::Cause;
use super::super::status::Status;
use super::body;

/// The query of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows `?`.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A parameter that is true or false: what is neither counts as true, as in kube-apiserver.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.get(name), "0" | "f" | "F" | "false" | "FALSE" | "False")
    }

    /// A number; nothing if it is not there.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// Refuses a `timeout` that is not a duration.
    pub(super) fn check_timeout(&self) -> Result<(), Status> {
        let told = self.get("timeout");
        if told.is_empty() || is_duration(told) {
            return Ok(());
        }
        let message =
            format!("invalid timeout specified in the request URL - time: invalid duration {told:?}");
        Err(Status::bad_request(message))
    }

    /// The options of a write. `kind` is what they are called in messages: `CreateOptions`.
    pub(super) fn options(
        &self,
        kind: &str,
        headers: &HeaderMap,
        text: &Bytes,
        applies: bool,
    ) -> Result<Options, Status> {
        let mut causes = Vec::new();
        let dry_run = self.dry_run(&mut causes);
        let validation = match self.get("fieldValidation") {
            "" | "Warn" => Validation::Warn,
            "Ignore" => Validation::Ignore,
            "Strict" => Validation::Strict,
            other => {
                causes.push(unsupported(
                    "fieldValidation",
                    &format!("{other:?}"),
                    "\"\", \"Ignore\", \"Strict\", \"Warn\"",
                ));
                Validation::Warn
            }
        };
        if self.has("force") && kind == "PatchOptions" && !applies {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
        let manager = self.get("fieldManager");
        if applies && manager.is_empty() {
            causes.push(Cause {
                reason: "FieldValueRequired",
                message: "Required value: is required for apply patch".into(),
                field: "fieldManager".into(),
            });
        }
        if let Some((at, sign)) = manager.chars().enumerate().find(|(_, sign)| sign.is_control()) {
            let told = format!("{manager:?}").replace("\\0", "\\x00");
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!(
                    "Invalid value: {told}: invalid character U+{:04X} (at position {at})",
                    u32::from(sign)
                ),
                field: "fieldManager".into(),
            });
        }
        if manager.len() > 128 {
            causes.push(Cause {
                reason: "FieldValueTooLong",
                message: "Too long: may not be more than 128 bytes".into(),
                field: "fieldManager".into(),
            });
        }
        refuse(kind, &causes)?;
        let manager = if manager.is_empty() { agent(headers) } else { manager.to_owned() };
        Ok(Options { manager, dry_run, validation, force: self.flag("force"), text: text.clone() })
    }

    fn dry_run(&self, causes: &mut Vec<Cause>) -> bool {
        let told: Vec<_> = self.0.iter().filter(|(key, _)| key == "dryRun").map(|(_, value)| value).collect();
        if told.iter().any(|value| *value != "All") {
            let told = serde_json::to_string(&told).expect("texts are JSON");
            causes.push(unsupported("dryRun", &told, "\"All\""));
        }
        !told.is_empty()
    }

    /// The options of a deletion: from its body, if it has one, or else from the query.
    pub(super) fn deletion(&self, body: Option<&Value>) -> Result<Deletion, Status> {
        let mut causes = Vec::new();
        let mut deletion = Deletion { dry_run: self.dry_run(&mut causes), ..Deletion::default() };
        let orphans;
        if let Some(body) = body {
            let kind = body["kind"].as_str().unwrap_or_default();
            if !matches!(kind, "" | "DeleteOptions") {
                let version = body["apiVersion"].as_str().unwrap_or_default();
                return Err(Status::bad_request(body::unregistered(kind, version)));
            }
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            deletion.uid = text(&body["preconditions"]["uid"]);
            deletion.version = text(&body["preconditions"]["resourceVersion"]);
            deletion.propagation = text(&body["propagationPolicy"]);
            deletion.grace = body["gracePeriodSeconds"].as_i64();
            orphans = body["orphanDependents"].as_bool();
            if let Some(told) = body["dryRun"].as_array().filter(|told| !told.is_empty()) {
                deletion.dry_run = true;
                if told.iter().any(|value| value != "All") {
                    causes.push(unsupported("dryRun", &body["dryRun"].to_string(), "\"All\""));
                }
            }
        } else {
            deletion.grace = self.number("gracePeriodSeconds")?;
            deletion.propagation =
                Some(self.get("propagationPolicy").to_owned()).filter(|policy| !policy.is_empty());
            orphans = self.has("orphanDependents").then(|| self.flag("orphanDependents"));
        }
        if orphans.is_some() && deletion.propagation.is_some() {
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!(
                    "Invalid value: {:?}: orphanDependents and deletionPropagation cannot be both set",
                    deletion.propagation.as_deref().unwrap_or_default()
                ),
                field: "propagationPolicy".into(),
            });
        }
        if let Some(policy) = &deletion.propagation
            && !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan")
        {
            let known = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
            causes.push(unsupported("propagationPolicy", &format!("{policy:?}"), known));
        }
        refuse("DeleteOptions", &causes)?;
        if let Some(orphans) = orphans {
            deletion.propagation = Some(if orphans { "Orphan" } else { "Background" }.into());
        }
        Ok(deletion)
    }
}

fn unsupported(field: &str, told: &str, known: &str) -> Cause {
    Cause {
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {told}: supported values: {known}"),
        field: field.into(),
    }
}

fn refuse(kind: &str, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", kind, "", causes)) }
}

/// What stands for `fieldManager`: the program that sends the request.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    agent.split('/').next().unwrap_or_default().chars().take(128).collect()
}

fn is_duration(text: &str) -> bool {
    let mut rest = text;
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let number =
            rest.len() - rest.trim_start_matches(|sign: char| sign.is_ascii_digit() || sign == '.').len();
        rest = &rest[number..];
        let unit = ["ns", "us", "ms", "h", "m", "s"].into_iter().find(|unit| rest.starts_with(unit));
        let Some(unit) = unit.filter(|_| number > 0) else { return false };
        rest = &rest[unit.len()..];
    }
    true
}
