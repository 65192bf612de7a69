//! What is wrong with an application that its schema cannot say.
//!
//! Only what the text of the object shows: whether the project permits it is `policy`'s, whether a
//! repository or cluster exists is the controller's.

use std::collections::BTreeSet;

use super::{ApplicationSource, ApplicationSpec};
use crate::api::FieldError;

/// Finds what is wrong with a spec that lives in `namespace`.
#[must_use]
pub fn validate(spec: &ApplicationSpec, namespace: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !spec.project.is_empty() && spec.project != namespace {
        errors.push(FieldError::new(
            "spec.project",
            format!(
                "is '{}', but an application belongs to the project whose namespace it is in: leave it out or write '{namespace}'",
                spec.project
            ),
        ));
    }
    destination(spec, &mut errors);
    sources(spec, &mut errors);
    errors
}

fn destination(spec: &ApplicationSpec, errors: &mut Vec<FieldError>) {
    if let (Some(name), Some(server)) =
        (given(spec.destination.name.as_ref()), given(spec.destination.server.as_ref()))
    {
        errors.push(FieldError::new(
            "spec.destination",
            format!("application destination can't have both name and server defined: {name} {server}"),
        ));
    }
}

fn sources(spec: &ApplicationSpec, errors: &mut Vec<FieldError>) {
    if spec.source_hydrator.is_some() {
        return;
    }
    if spec.sources.is_empty() {
        match &spec.source {
            Some(source) => single(source, errors),
            None => errors.push(FieldError::new("spec.source", "is missing: write source or sources")),
        }
        return;
    }
    let (mut names, mut references) = (BTreeSet::new(), BTreeSet::new());
    for (index, source) in spec.sources.iter().enumerate() {
        let at = format!("spec.sources[{index}]");
        one_of_several(source, &at, errors);
        if let Some(name) = given(source.name.as_ref()).filter(|name| !names.insert(*name)) {
            errors.push(FieldError::new(
                format!("{at}.name"),
                format!("'{name}' is the name of another source too"),
            ));
        }
        if let Some(reference) =
            given(source.reference.as_ref()).filter(|reference| !references.insert(*reference))
        {
            errors.push(FieldError::new(
                format!("{at}.ref"),
                format!("invalid sources: multiple sources had the same `ref` key '{reference}'"),
            ));
        }
    }
}

fn single(source: &ApplicationSource, errors: &mut Vec<FieldError>) {
    if source.repo_url.is_empty()
        || given(source.path.as_ref()).is_none() && given(source.chart.as_ref()).is_none()
    {
        errors.push(FieldError::new(
            "spec.source",
            "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
        ));
    }
    any(source, "spec.source", errors);
}

fn one_of_several(source: &ApplicationSource, at: &str, errors: &mut Vec<FieldError>) {
    let origin = [&source.path, &source.chart, &source.reference]
        .into_iter()
        .any(|field| given(field.as_ref()).is_some());
    if source.repo_url.is_empty() || !origin {
        errors.push(FieldError::new(
            at,
            format!("{at}.repoURL and one of {at}.path, {at}.chart or {at}.ref are required"),
        ));
    }
    any(source, at, errors);
}

/// What holds for a source wherever it stands.
fn any(source: &ApplicationSource, at: &str, errors: &mut Vec<FieldError>) {
    if source.chart_name().is_some() && given(source.target_revision.as_ref()).is_none() {
        errors.push(FieldError::new(
            format!("{at}.targetRevision"),
            format!("{at}.targetRevision is required if the manifest source is a helm chart"),
        ));
    }
    let tools = source.tools();
    if tools.len() > 1 {
        let words: Vec<&str> = tools.into_iter().map(super::Tool::as_str).collect();
        errors
            .push(FieldError::new(at, format!("multiple application sources defined: {}", words.join(","))));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if let Some(reference) =
        given(source.reference.as_ref()).filter(|reference| !reference.chars().all(plain))
    {
        errors.push(FieldError::new(
            format!("{at}.ref"),
            format!("{at}.ref {reference} cannot contain any special characters except '_' and '-'"),
        ));
    }
}

/// Returns a text that is there and not empty.
fn given(field: Option<&String>) -> Option<&str> {
    field.map(String::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(spec: Value, expected: &[(&str, &str)]) {
        let spec: ApplicationSpec = serde_json::from_value(spec).unwrap();
        let errors = validate(&spec, "team");
        let found: Vec<(&str, &str)> =
            errors.iter().map(|error| (error.field.as_str(), error.message.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn usual_applications_are_valid() {
        let source = json!({"repoURL": "https://h/r", "path": "web"});
        check(json!({"project": "", "destination": {"namespace": "web"}, "source": source}), &[]);
        check(
            json!({"project": "team", "destination": {}, "sources": [
                {"repoURL": "https://charts", "chart": "web", "targetRevision": "1.x"},
                {"repoURL": "https://h/r", "ref": "values_1-a"}]}),
            &[],
        );
    }

    #[test]
    fn project_and_destination_are_unambiguous() {
        let source = json!({"repoURL": "https://h/r", "path": "web"});
        check(
            json!({"project": "other", "destination": {"name": "a", "server": "https://b"}, "source": source}),
            &[
                (
                    "spec.project",
                    "is 'other', but an application belongs to the project whose namespace it is in: leave it out \
                     or write 'team'",
                ),
                (
                    "spec.destination",
                    "application destination can't have both name and server defined: a https://b",
                ),
            ],
        );
    }

    #[test]
    fn a_single_source_is_complete_and_of_one_kind() {
        let of = |source: Value| json!({"project": "team", "destination": {}, "source": source});
        check(
            json!({"project": "team", "destination": {}}),
            &[("spec.source", "is missing: write source or sources")],
        );
        check(
            of(json!({"repoURL": "https://h/r"})),
            &[(
                "spec.source",
                "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
            )],
        );
        check(
            of(json!({"repoURL": "https://charts", "chart": "web"})),
            &[(
                "spec.source.targetRevision",
                "spec.source.targetRevision is required if the manifest source is a helm chart",
            )],
        );
        check(
            of(json!({"repoURL": "https://h/r", "path": ".", "helm": {}, "kustomize": {}, "plugin": {}})),
            &[("spec.source", "multiple application sources defined: Kustomize,Helm,Plugin")],
        );
    }

    #[test]
    fn several_sources_are_told_apart() {
        check(
            json!({"project": "team", "destination": {}, "sources": [
                {"repoURL": "https://h/r", "ref": "v", "name": "n"},
                {"repoURL": "https://h/s", "ref": "v", "path": "a", "name": "n"},
                {"repoURL": "https://h/t", "ref": "a/b"},
                {"repoURL": "https://h/u"}]}),
            &[
                ("spec.sources[1].name", "'n' is the name of another source too"),
                ("spec.sources[1].ref", "invalid sources: multiple sources had the same `ref` key 'v'"),
                (
                    "spec.sources[2].ref",
                    "spec.sources[2].ref a/b cannot contain any special characters except '_' and '-'",
                ),
                (
                    "spec.sources[3]",
                    "spec.sources[3].repoURL and one of spec.sources[3].path, spec.sources[3].chart or \
                     spec.sources[3].ref are required",
                ),
            ],
        );
    }
}
