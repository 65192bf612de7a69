//! What is served, and how it changes.

use serde_json::json;

use super::*;

fn custom(group: &str, version: &str, plural: &str, kind: &str) -> Kind {
    Kind {
        gvk: Gvk { group: group.into(), version: version.into(), kind: kind.into() },
        plural: plural.into(),
        singular: kind.to_lowercase().into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        verbs: Vec::new(),
        subresources: Vec::new(),
        schema: Schema::of_custom(&json!({"type": "object"})),
        resource: format!("{plural}.{group}").into(),
        stored_version: version.into(),
        custom: Some(Arc::new(json!({}))),
        columns: Arc::new(json!([])),
    }
}

#[test]
fn built_in_kinds() {
    let kinds = Kinds::builtin();
    let pods = kinds.find("", "v1", "pods").unwrap();
    assert_eq!((&*pods.resource, &*pods.singular, pods.scope), ("pods", "pod", Scope::Namespaced));
    assert_eq!(pods.short_names, ["po".into()]);
    assert!(pods.has("eviction") && pods.has("status") && !pods.has("exec"));
    let eviction = pods.subresources.iter().find(|beneath| &*beneath.name == "eviction").unwrap();
    assert_eq!(eviction.gvk, Gvk::new("policy/v1", "Eviction"));
    assert_eq!(&*kinds.of("apps", "", "Deployment").unwrap().resource, "deployments.apps");
    assert_eq!(kinds.of("", "v1", "Namespace").unwrap().scope, Scope::Cluster);
    assert!(kinds.of("apps", "v1beta1", "Deployment").is_none());
    assert!(
        kinds.all().iter().all(|kind| !kind.columns[0].is_null() || !kind.verbs.contains(&"list".into()))
    );
    assert_eq!(data().version["major"], "1");
    let admins = data().roles.iter().filter(|role| role["metadata"]["name"] == "cluster-admin");
    assert_eq!(admins.count(), 2, "the role and its binding");
}

#[test]
fn custom_kinds_come_and_go() {
    let kinds = Kinds::builtin();
    let mut changes = kinds.changes();
    let before = kinds.all().len();
    kinds.define(
        "widgets.example.org",
        ["v1alpha1", "v1beta2", "v10", "v2", "next"]
            .map(|version| custom("example.org", version, "widgets", "Widget"))
            .into(),
    );
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), kinds.revision());
    let all = kinds.all();
    let versions: Vec<_> = all
        .iter()
        .filter(|kind| kind.gvk.group == "example.org")
        .map(|kind| kind.gvk.version.as_str())
        .collect();
    assert_eq!(versions, ["v10", "v2", "v1beta2", "v1alpha1", "next"]);
    assert_eq!(kinds.of("example.org", "", "Widget").unwrap().gvk.version, "v10");
    assert!(Kinds::builtin().of("example.org", "", "Widget").is_none(), "others have their own");
    kinds.define("widgets.example.org", Vec::new());
    assert_eq!(kinds.all().len(), before);
    kinds.define("pods", Vec::new());
    assert_eq!(kinds.all().len(), before, "what is built in stays");
}

#[test]
fn events_are_served_twice_and_stored_once() {
    let kinds = Kinds::builtin();
    let (core, events) =
        (kinds.of("", "v1", "Event").unwrap(), kinds.of("events.k8s.io", "v1", "Event").unwrap());
    assert_eq!((&core.resource, core.stored()), (&events.resource, events.stored()));
    let told = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a"}, "reason": "Started", "count": 2,
        "involvedObject": {"kind": "Pod", "name": "web"}, "message": "it runs", "source": {"component": "kubelet"},
        "reportingComponent": "kubelet",
    });
    let mut object = told.clone();
    convert(&mut object, &core.gvk, &events.gvk);
    assert_eq!(
        object,
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "a"}, "reason": "Started",
            "deprecatedCount": 2, "regarding": {"kind": "Pod", "name": "web"}, "note": "it runs",
            "deprecatedSource": {"component": "kubelet"}, "reportingController": "kubelet",
        })
    );
    convert(&mut object, &events.gvk, &core.gvk);
    assert_eq!(object, told);
}
