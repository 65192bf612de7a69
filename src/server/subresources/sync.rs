//! `POST …/applications/{name}/sync`: make live what Git says. The operation is stored with the
//! application; the answer comes at once, and progress is read from the status.

use axum::extract::Request;
use axum::response::Response;

use super::{accepted, application, commit};
use crate::api::application::{Application, ApplicationSource, Operation, SyncOperation};
use crate::api::requests::SyncRequest;
use crate::server::authentication::User;
use crate::server::failure::Failure;
use crate::server::request::RequestInfo;
use crate::server::rest::{Rest, read_json};
use crate::store::events::Happening;
use crate::store::request::Commit;

pub(in crate::server) async fn answer(
    rest: &Rest,
    info: &RequestInfo,
    user: &User,
    request: Request,
) -> Result<Response, Failure> {
    let (namespace, name) = application(info)?;
    let (mut parts, body) = request.into_parts();
    let commit = commit(&parts.uri)?;
    let body = read_json(&mut parts.headers, body).await?;
    let asked = SyncRequest::parse(&body).map_err(|invalid| Failure::bad_request(invalid.to_string()))?;
    let plan = |app: &Application| plan(app, &asked, &user.name);
    let app = rest.store.request_operation(namespace, name, commit, plan).await?;
    if commit == Commit::Store {
        tell(rest, &app, &asked, user).await;
    }
    Ok(accepted(info, &app))
}

/// Makes the operation from what is asked and what the application's spec says of syncs.
fn plan(app: &Application, asked: &SyncRequest, username: &str) -> Result<Operation, Failure> {
    let sources = app.spec.sources();
    if !asked.revisions.is_empty() && asked.revisions.len() != sources.len() {
        let (given, there) = (asked.revisions.len(), sources.len());
        return Err(Failure::bad_request(format!(
            "{given} revisions are given for {there} sources: give one each"
        )));
    }
    if is_automated(app) && asked.dry_run != Some(true) {
        tracked_only(app, asked, &sources)?;
    }
    let mut operation = asked.clone().into_operation(username);
    if let Some(policy) = &app.spec.sync_policy {
        operation.retry = operation.retry.or_else(|| policy.retry.clone());
        if let Some(SyncOperation { sync_options, .. }) =
            operation.sync.as_mut().filter(|_| asked.sync_options.is_empty())
        {
            sync_options.clone_from(&policy.sync_options);
        }
    }
    Ok(operation)
}

fn is_automated(app: &Application) -> bool {
    let policy = app.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
    policy.is_some_and(|automated| automated.enabled != Some(false))
}

/// The automation would at once bring back the revision that it follows.
fn tracked_only(
    app: &Application,
    asked: &SyncRequest,
    sources: &[&ApplicationSource],
) -> Result<(), Failure> {
    let status = app.status.as_ref().and_then(|status| status.sync.as_ref());
    let one = asked.revision.iter().filter(|_| asked.revisions.is_empty());
    for (at, revision) in one.chain(&asked.revisions).enumerate() {
        let tracked = sources.get(at).map_or("HEAD", |source| target(source));
        let current = status.and_then(|sync| sync.revisions.get(at).or(sync.revision.as_ref()));
        if !revision.is_empty() && revision != tracked && Some(revision) != current {
            let message = format!("Cannot sync to {revision}: auto-sync currently set to {tracked}");
            return Err(Failure::bad_request(message));
        }
    }
    Ok(())
}

fn target(source: &ApplicationSource) -> &str {
    source.target_revision.as_deref().filter(|revision| !revision.is_empty()).unwrap_or("HEAD")
}

/// The operation is stored: an event that cannot be written must not make the answer a failure.
async fn tell(rest: &Rest, app: &Application, asked: &SyncRequest, user: &User) {
    let happening = Happening::normal("OperationStarted", sentence(app, asked, user));
    if let Err(error) = rest.store.publish(app, &happening).await {
        tracing::warn!(%error, "cannot publish an event");
    }
}

fn sentence(app: &Application, asked: &SyncRequest, user: &User) -> String {
    let who = if user.is_authenticated() { user.name.as_str() } else { "Unknown user" };
    let what = if asked.resources.is_empty() { "sync" } else { "partial sync" };
    let sources = app.spec.sources();
    let status = app.status.as_ref().and_then(|status| status.sync.as_ref());
    let current = |at: usize| status.and_then(|sync| sync.revisions.get(at).or(sync.revision.as_ref()));
    let revisions = sources.iter().enumerate().map(|(at, source)| {
        let single = asked.revision.as_ref().filter(|_| at == 0);
        match (asked.revisions.get(at).or(single), current(at)) {
            (Some(revision), _) => revision.clone(),
            (None, Some(commit)) if commit != target(source) => format!("{} ({commit})", target(source)),
            (None, _) => target(source).to_owned(),
        }
    });
    format!("{who} initiated {what} to {}", revisions.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn app(policy: &Value) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "tide"},
            "spec": {"destination": {}, "project": "harbour", "syncPolicy": policy,
                "source": {"repoURL": "https://git.example/sea", "targetRevision": "main"}},
            "status": {"sync": {"status": "Synced", "revision": "c0ffee"}},
        }))
        .unwrap()
    }

    fn planned(policy: &Value, asked: &Value) -> Result<Value, String> {
        let asked = SyncRequest::parse(asked.to_string().as_bytes()).unwrap();
        let operation = plan(&app(policy), &asked, "jane").map_err(|failure| failure.to_string())?;
        Ok(serde_json::to_value(operation).unwrap())
    }

    #[test]
    fn the_spec_says_what_the_request_leaves_out() {
        let policy = json!({"retry": {"limit": 3}, "syncOptions": ["PruneLast=true"]});
        assert_eq!(
            planned(&policy, &json!({"prune": true})),
            Ok(json!({"sync": {"prune": true, "syncOptions": ["PruneLast=true"]},
                "initiatedBy": {"username": "jane"}, "retry": {"limit": 3}}))
        );
        assert_eq!(
            planned(&policy, &json!({"retry": {"limit": 0}, "syncOptions": ["Replace=true"]})),
            Ok(json!({"sync": {"syncOptions": ["Replace=true"]},
                "initiatedBy": {"username": "jane"}, "retry": {"limit": 0}}))
        );
    }

    #[test]
    fn automation_leaves_no_choice_of_revision() {
        let automated = json!({"automated": {}});
        let check = |policy: &Value, asked: Value, expected: Result<(), &str>| {
            assert_eq!(planned(policy, &asked).map(|_| ()), expected.map_err(Into::into), "{asked}");
        };
        check(
            &automated,
            json!({"revision": "v1"}),
            Err("Cannot sync to v1: auto-sync currently set to main"),
        );
        check(
            &automated,
            json!({"revisions": ["v1"]}),
            Err("Cannot sync to v1: auto-sync currently set to main"),
        );
        check(&automated, json!({"revision": "v1", "dryRun": true}), Ok(()));
        check(&automated, json!({"revision": "main"}), Ok(()));
        check(&automated, json!({"revision": "c0ffee"}), Ok(()));
        check(&json!({"automated": {"enabled": false}}), json!({"revision": "v1"}), Ok(()));
        check(&json!({}), json!({"revision": "v1"}), Ok(()));
        check(
            &json!({}),
            json!({"revisions": ["a", "b"]}),
            Err("2 revisions are given for 1 sources: give one each"),
        );
    }

    #[test]
    fn events_say_who_asked_for_what() {
        let check = |user: &User, asked: Value, expected: &str| {
            let asked = SyncRequest::parse(asked.to_string().as_bytes()).unwrap();
            assert_eq!(sentence(&app(&json!({})), &asked, user), expected);
        };
        let jane =
            User { name: "jane".into(), groups: vec!["system:authenticated".into()], ..User::default() };
        check(&jane, json!({}), "jane initiated sync to main (c0ffee)");
        check(&jane, json!({"revision": "v1"}), "jane initiated sync to v1");
        check(
            &jane,
            json!({"resources": [{"kind": "Pod", "name": "a"}]}),
            "jane initiated partial sync to main (c0ffee)",
        );
        check(&User::anonymous(), json!({}), "Unknown user initiated sync to main (c0ffee)");
    }
}
