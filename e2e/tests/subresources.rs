//! `sync`, `refresh` and `events`, through kube-apiserver and past it, in both spellings of the path.

use serde_json::{Value, json};

use crate::harness::{
    api::{Answer, Api, Identity},
    app::{App, admin, result},
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, config_map},
    repo::{Change, Repo},
};

/// A way to a subresource of an application.
struct Way {
    name: &'static str,
    api: Api,
    base: String,
    /// What a request that was accepted is answered with.
    accepted: u16,
}

/// All ways to one application.
fn ways(gitopsd: &Gitopsd, project: &Project, app: &str) -> [Way; 5] {
    let kubernetes = || admin(gitopsd.cluster());
    let direct = || Api::gitopsd(gitopsd, Identity::Known("admin"));
    let canonical = format!("/apis/gitops/v1/namespaces/{}/applications/{app}", project.name());
    let project = format!("gitops/v1/project/{}/applications/{app}", project.name());
    [
        Way { name: "canonical", api: kubernetes(), base: canonical.clone(), accepted: 201 },
        Way { name: "project", api: kubernetes(), base: format!("/apis/{project}"), accepted: 204 },
        Way { name: "canonical, direct", api: direct(), base: canonical, accepted: 201 },
        Way {
            name: "project under /apis, direct",
            api: direct(),
            base: format!("/apis/{project}"),
            accepted: 204,
        },
        Way { name: "project, direct", api: direct(), base: format!("/{project}"), accepted: 204 },
    ]
}

impl Way {
    fn post(&self, subresource: &str, body: &Value) -> Answer {
        self.api.send(&format!("POST {}/{subresource}", self.base), body)
    }

    fn events(&self, query: &str) -> Answer {
        self.api.get(&format!("{}/events{query}", self.base))
    }

    /// The answer to an accepted request: the application, or nothing at all.
    #[track_caller]
    fn took(&self, answer: &Answer) {
        assert_eq!(answer.code, self.accepted, "{}: {answer:?}", self.name);
        if self.accepted == 204 {
            assert_eq!(answer.body, "", "{}", self.name);
        } else {
            assert_eq!(answer.json()["kind"], "Application", "{}", self.name);
        }
    }
}

fn phase(app: &Value) -> &Value {
    &app["status"]["operationState"]["phase"]
}

/// A hook that runs until it is let go.
const GATE: &str = r#"{"apiVersion": "batch/v1", "kind": "Job",
    "metadata": {"name": "gate", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
    "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "registry.invalid/gate:1"}]}}}}"#;

#[test]
fn every_way_syncs() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-ways");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "0"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    for (round, way) in ways(&gitopsd, &project, "shop").iter().enumerate() {
        let value = format!("{round}");
        let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", &value))]);
        let answer = if round % 2 == 0 {
            way.api.ask(&crate::harness::api::Request {
                line: &format!("POST {}/sync", way.base),
                ..Default::default()
            })
        } else {
            way.post("sync", &json!({}))
        };
        way.took(&answer);
        app.promptly(&format!("{} syncs", way.name), |app| {
            app["status"]["operationState"]["syncResult"]["revision"] == revision.as_str()
                && phase(app) == "Succeeded"
        });
        assert_eq!(project.get("configmap/settings")["data"]["value"], value.as_str(), "{}", way.name);
    }
    let initiator = &app.read()["status"]["operationState"]["operation"]["initiatedBy"];
    assert_eq!(initiator["username"], "admin", "who asks past kube-apiserver is known as well");
}

#[test]
fn one_operation_at_a_time() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-busy");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one")), Change::Put("b.json", GATE)]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let sync = app.start_sync(json!({}));
    sync.waits(&app, "waiting for completion of hook batch/Job/gate");
    for way in ways(&gitopsd, &project, "shop") {
        let refusal = way.post("sync", &json!({})).refused(409);
        assert_eq!(refusal["reason"], "Conflict", "{}", way.name);
        let message = refusal["message"].as_str().unwrap_or_default();
        assert!(message.contains("another operation is already in progress"), "{message}");
    }
    let patch = r#"{"spec": {"suspend": false}}"#;
    project.run_with("patch job gate --patch-file=/dev/stdin", patch).out();
    assert_eq!(sync.over(&app)["phase"], "Succeeded");
    app.start_sync(json!({"strategy": {"apply": {}}})).over(&app);
}

#[test]
fn a_sync_does_what_its_body_says() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-body");
    let repo = Repo::new();
    let old = repo.commit(&[
        Change::Put("a.yaml", &config_map("first", "old")),
        Change::Put("b.yaml", &config_map("second", "old")),
    ]);
    repo.tag("v1", &old);
    let new = repo.commit(&[
        Change::Put("a.yaml", &config_map("first", "new")),
        Change::Remove("b.yaml"),
        Change::Put("c.yaml", &config_map("third", "new")),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let values = || {
        let maps = project.get("configmaps --selector=gitops/application")["items"].take();
        let maps = maps.as_array().cloned().unwrap_or_default();
        let pair =
            |map: &Value| format!("{}={}", map["metadata"]["name"], map["data"]["value"]).replace('"', "");
        maps.iter().map(pair).collect::<Vec<_>>().join(" ")
    };

    let state = app.sync(json!({"dryRun": true}));
    assert_eq!(state["phase"], "Succeeded", "{state}");
    assert_eq!(result(&state, "ConfigMap", "third")["message"], "applied (dry run)");
    assert_eq!(values(), "");
    assert!(app.read()["status"]["history"].is_null());

    let state = app.sync(json!({"revision": "v1"}));
    assert_eq!(state["syncResult"]["revision"], old.as_str(), "a tag is resolved");
    assert_eq!(values(), "first=old second=old");

    let one = json!({"resources": [{"group": "", "kind": "ConfigMap", "name": "third"}]});
    let state = app.sync(one);
    assert_eq!(state["syncResult"]["resources"].as_array().map(Vec::len), Some(1), "{state}");
    assert_eq!(values(), "first=old second=old third=new");

    app.sync(json!({}));
    assert_eq!(values(), "first=new second=old third=new");
    app.sync(json!({"prune": true}));
    assert_eq!(values(), "first=new third=new");
    app.settled_at(&new);

    let refuse = |body: Value, words: &str| {
        let refusal = app.post("sync", &body).refused(400);
        let message = refusal["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{message}");
    };
    refuse(json!({"purge": true}), "unknown field `purge`");
    refuse(json!({"prune": "yes"}), "expected a boolean");
    refuse(json!({"revisions": ["v1", "v1"]}), "2 revisions are given for 1 sources");
    let state = app.sync(json!({"revision": "nowhere"}));
    assert_eq!(state["phase"], "Error");
    assert!(state["message"].as_str().is_some_and(|message| message.contains("nowhere")), "{state}");
    assert_eq!(values(), "first=new third=new");
}

#[test]
fn every_way_refreshes() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-refresh");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "0"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    app.until("it is compared", |app| app["status"]["sync"]["status"] == "OutOfSync");
    for (round, way) in ways(&gitopsd, &project, "shop").iter().enumerate() {
        let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", &format!("{round}")))]);
        let kind = if round % 2 == 0 { "normal" } else { "hard" };
        let answer = way.post("refresh", &json!({"type": kind}));
        way.took(&answer);
        if way.accepted == 201 {
            assert_eq!(answer.json()["metadata"]["annotations"]["gitops/refresh"], kind);
        }
        app.promptly(&format!("{} refreshes", way.name), |app| {
            app["status"]["sync"]["revision"] == revision.as_str()
                && !app["metadata"]["annotations"].to_string().contains("gitops/refresh")
        });
    }
    // A refresh that finds nothing is noticed all the same.
    let before = app.read()["status"]["reconciledAt"].clone();
    eventually("the time of the look is told", || {
        app.refresh();
        let now = app.read()["status"]["reconciledAt"].clone();
        if now == before { Err(now.to_string()) } else { Ok(()) }
    });
    let refusal = app.post("refresh", &json!({"type": "soft"})).refused(400);
    assert!(refusal["message"].as_str().is_some_and(|message| message.contains("`soft`")), "{refusal}");

    // Argo CD's way.
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "argo"))]);
    project.run("annotate applications.gitops/shop argocd.argoproj.io/refresh=hard").out();
    app.promptly("the annotation counts", |app| {
        app["status"]["sync"]["revision"] == revision.as_str()
            && !app["metadata"]["annotations"].to_string().contains("argocd.argoproj.io/refresh")
    });
}

#[test]
fn applications_that_are_not_there_are_not_found() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-missing");
    for way in ways(&gitopsd, &project, "nothing") {
        for subresource in ["sync", "refresh"] {
            let refusal = way.post(subresource, &json!({})).refused(404);
            assert_eq!(refusal["message"], r#"applications.gitops "nothing" not found"#, "{}", way.name);
        }
        way.events("").refused(404);
    }
}

const WEB: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "registry.invalid/web:1"}]}}}}"#;

#[test]
fn events_tell_of_the_application_and_its_objects() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-events");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.json", WEB)]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    app.sync(json!({}));
    app.settled_at(&revision);
    assert_eq!(app.sync(json!({"revision": "nowhere"}))["phase"], "Error");
    // Of something else in the same namespace.
    project.run("create deployment other --image=other").out();

    let ways = ways(&gitopsd, &project, "shop");
    let list = |query: &str| ways[0].events(query).accepted(200).json();
    let wanted =
        ["OperationCompleted", "OperationStarted", "ResourceUpdated", "ScalingReplicaSet", "Scheduled"];
    let all = eventually("everything is told", || {
        let all = list("?size=500");
        let text = all["items"].to_string();
        let missing: Vec<_> = wanted.iter().filter(|reason| !text.contains(**reason)).collect();
        if missing.is_empty() && text.contains("\"Warning\"") {
            Ok(all)
        } else {
            Err(format!("{missing:?} in {text}"))
        }
    });
    assert_eq!((&all["kind"], &all["apiVersion"]), (&json!("EventList"), &json!("v1")));
    let about_others = items(&all).iter().filter(|event| {
        event["involvedObject"]["name"].as_str().is_some_and(|name| name.starts_with("other"))
    });
    assert_eq!(about_others.count(), 0);
    check_order(&all);

    let every = |query: &str, field: &str, expected: &str| {
        let found = list(&format!("?size=500&{query}"));
        assert!(!items(&found).is_empty(), "{query} finds nothing");
        for event in items(&found) {
            assert_eq!(event.pointer(field), Some(&json!(expected)), "{query}");
        }
    };
    every("reason=ScalingReplicaSet", "/reason", "ScalingReplicaSet");
    every("kind=Application", "/involvedObject/kind", "Application");
    every("kind=Pod", "/involvedObject/kind", "Pod");
    every("name=shop", "/involvedObject/name", "shop");
    every("name=web&kind=Deployment", "/involvedObject/name", "web");
    every("event_type=Warning", "/type", "Warning");
    every("event_type=Normal&reason=OperationStarted", "/type", "Normal");
    check_times(&list, &all);
    check_pages(&list);
    for (query, words) in [
        ("start_time=yesterday", "start_time"),
        ("end_time=1.5", "end_time"),
        ("start_time=20&end_time=10", "later than end_time"),
        ("event_type=Bad", "Normal or Warning"),
        ("pageno=0", "pageno"),
        ("size=many", "size"),
    ] {
        let refusal = ways[0].events(&format!("?{query}")).refused(400);
        assert!(refusal["message"].as_str().is_some_and(|message| message.contains(words)), "{refusal}");
    }
    for way in &ways {
        let found = way.events("?reason=ScalingReplicaSet").accepted(200).json();
        assert_eq!((&found["kind"], &found["total_items"]), (&json!("EventList"), &json!(1)), "{}", way.name);
    }
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().expect("a list has items")
}

fn time(event: &Value) -> &str {
    let time = [&event["lastTimestamp"], &event["eventTime"], &event["metadata"]["creationTimestamp"]];
    time.into_iter().find_map(Value::as_str).expect("an event has a time")
}

/// Newest first. Times of different precision compare as text up to the second.
fn check_order(all: &Value) {
    let seconds: Vec<_> = items(all).iter().map(|event| &time(event)[..19]).collect();
    assert!(seconds.is_sorted_by(|newer, older| newer >= older), "{seconds:?}");
    assert_eq!(all["total_items"], items(all).len());
    assert_eq!(all["total_page"], 1);
}

fn check_times(list: &dyn Fn(&str) -> Value, all: &Value) {
    let total = |query: &str| list(query)["total_items"].as_u64().expect("it is a number");
    let everything = total("");
    let oldest = items(all).last().map(|event| time(event)[..19].to_owned()).expect("there are events");
    assert!(total(&format!("?start_time={oldest}Z")) >= everything);
    assert!(total("?start_time=946684800&end_time=4102444800") >= everything, "2000 to 2100");
    assert_eq!(total("?end_time=2000-01-01T00:00:00Z"), 0);
    assert_eq!(total("?end_time=946684800"), 0);
    assert_eq!(total("?start_time=2100-01-01T00:00:00%2B01:00"), 0);
    assert_eq!(total("?start_time=4102444800"), 0);
}

fn check_pages(list: &dyn Fn(&str) -> Value) {
    // Those of the Deployment do not become more.
    let of_web = "kind=Deployment,ReplicaSet,Pod&name=&reason=ScalingReplicaSet,SuccessfulCreate,Scheduled";
    let whole = list(&format!("?{of_web}"));
    assert_eq!(whole["total_items"], 3, "{whole}");
    let mut paged = Vec::new();
    for number in 1..=2 {
        let page = list(&format!("?{of_web}&size=2&pageno={number}"));
        assert_eq!((&page["total_items"], &page["total_page"]), (&json!(3), &json!(2)));
        paged.extend_from_slice(items(&page));
    }
    assert_eq!(paged, items(&whole));
    let beyond = list(&format!("?{of_web}&size=2&pageno=3"));
    assert!(items(&beyond).is_empty() && beyond["total_items"] == 3, "{beyond}");
}

#[test]
fn kubectl_shows_the_events() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sub-describe");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    app.sync(json!({}));
    eventually("both show the end of the sync", || {
        for command in ["describe applications.gitops/shop", "events --for=application.v1.gitops/shop"] {
            let said = project.run(command).attempt()?;
            if !said.contains("OperationCompleted") || !said.contains("succeeded") {
                return Err(said);
            }
        }
        Ok(())
    });
}
