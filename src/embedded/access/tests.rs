//! Rights as kube-apiserver grants and refuses them. The messages are those of a real one.

mod tokens;

use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderName;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::embedded::kinds::Kinds;
use crate::embedded::storage::{Key, Storage, Write};

const START: i64 = 1_790_000_000;

/// Rights, and the objects that they come from.
struct World {
    access: Access,
    now: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        let now = Arc::new(AtomicI64::new(START));
        let clock = Arc::clone(&now);
        let objects = Objects {
            storage: Storage::in_memory(),
            kinds: Kinds::builtin(),
            clock: Arc::new(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()),
        };
        Self { access: Access::of(objects), now }
    }

    fn key(resource: &str, object: &Value) -> Key {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Key { resource: resource.into(), namespace: text("namespace").into(), name: text("name").into() }
    }

    fn put(&self, resource: &str, object: Value) {
        let key = Self::key(resource, &object);
        self.access.objects.storage.write::<()>(&key, |_| Ok(Write::Put(object))).unwrap();
    }

    fn remove(&self, resource: &str, object: Value) {
        let key = Self::key(resource, &object);
        self.access.objects.storage.write::<()>(&key, |_| Ok(Write::Remove(object))).unwrap();
    }

    /// Makes a role, or a `ClusterRole` if the namespace is empty.
    fn role(&self, namespace: &str, name: &str, rules: &Value) {
        let resource = if namespace.is_empty() { "clusterroles" } else { "roles" };
        let metadata = json!({"namespace": namespace, "name": name});
        self.put(&format!("{resource}.{RBAC}"), json!({"metadata": metadata, "rules": rules}));
    }

    /// Binds a role (`Role/x`, `ClusterRole/x`) to a subject (`User/x`, `Group/x`, `ServiceAccount/ns/x`).
    fn bind(&self, namespace: &str, name: &str, role: &str, subject: &str) {
        let resource = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
        self.put(&format!("{resource}.{RBAC}"), binding(namespace, name, role, subject));
    }

    fn account(&self, namespace: &str, name: &str, uid: &str) {
        self.put("serviceaccounts", json!({"metadata": {"namespace": namespace, "name": name, "uid": uid}}));
    }

    fn token(&self, namespace: &str, name: &str, spec: &Value) -> String {
        let request = json!({"kind": "TokenRequest", "spec": spec});
        let answer = self.access.request_token(namespace, name, &request).unwrap();
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Answers who asks with these headers, as `name [groups]`, or the message of the failure.
    fn who(&self, user: Option<User>, headers: &[(&str, &str)], attributes: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let attributes = (!attributes.is_empty()).then(|| asked(attributes));
        match self.access.authenticate_for(&Peer { user }, &map, attributes.as_ref()) {
            Ok(user) => format!("{} {:?}", user.name, user.groups),
            Err(status) => format!("{} {}", status.code, status.message),
        }
    }

    fn review(&self, kind: &str, spec: &Value, user: &User) -> Value {
        let body = json!({"kind": kind, "apiVersion": "v1", "spec": spec});
        match self.access.review(kind, &body, user).unwrap() {
            Ok(answer) => answer["status"].clone(),
            Err(status) => format!("{} {}", status.code, status.message).into(),
        }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn binding(namespace: &str, name: &str, role: &str, subject: &str) -> Value {
    let (kind, role) = role.split_once('/').unwrap();
    let subject = match subject.split('/').collect::<Vec<_>>()[..] {
        [kind, namespace, name] => json!({"kind": kind, "namespace": namespace, "name": name}),
        [kind, name] => json!({"kind": kind, "name": name}),
        _ => json!({}),
    };
    json!({
        "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role}, "subjects": [subject],
    })
}

fn user(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    User { name: name.into(), groups, ..User::default() }
}

/// Reads `verb resource[/sub][.group] [namespace[/name]]`, or `verb /path`.
fn asked(text: &str) -> Attributes {
    let mut words = text.split(' ');
    let (verb, what) = (words.next().unwrap().to_owned(), words.next().unwrap());
    if what.starts_with('/') {
        return Attributes { verb, path: what.into(), ..Attributes::default() };
    }
    let (resource, group) = what.split_once('.').unwrap_or((what, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let place = words.next().unwrap_or_default();
    let (namespace, name) = place.split_once('/').unwrap_or((place, ""));
    Attributes {
        verb,
        group: group.into(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: name.into(),
        path: String::new(),
    }
}

#[track_caller]
fn check(world: &World, user: &User, question: &str, allowed: bool) {
    let answer = world.access.authorize(user, &asked(question));
    assert_eq!(answer.is_ok(), allowed, "{question} as {user:?}: {answer:?}");
}

#[test]
fn rules_allow_what_they_name_where_they_are_bound() {
    let world = World::new();
    let rules = json!([
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
        {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale"]},
        {"verbs": ["get"], "apiGroups": ["*"], "resources": ["secrets"], "resourceNames": ["one"]},
        {"verbs": ["get"], "nonResourceURLs": ["/logs/*", "/version"]},
    ]);
    world.role("", "some", &rules);
    world.role("here", "some", &rules);
    world.role("", "all", &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]));
    world.bind("", "alice", "ClusterRole/some", "User/alice");
    world.bind("here", "bob", "Role/some", "User/bob");
    world.bind("here", "team", "ClusterRole/all", "Group/team");
    world.bind("here", "account", "ClusterRole/all", "ServiceAccount/robot");
    world.bind("", "account", "ClusterRole/all", "ServiceAccount/other/robot");
    let (alice, bob, team) = (user("alice", &[]), user("bob", &[]), user("x", &["team"]));
    for (question, expected) in [
        ("get pods here/x", true),
        ("list pods", true),
        ("watch pods", false),
        ("get pods.apps here/x", false),
        ("get pods/log here/x", true),
        ("get pods/exec here/x", false),
        ("patch deployments/scale.apps here/x", true),
        ("patch deployments.apps here/x", false),
        ("patch scale.apps here/x", false),
        ("get secrets.any here/one", true),
        ("get secrets here/two", false),
        ("get secrets here", false),
        ("get /logs/a/b", true),
        ("get /logs", false),
        ("get /version", true),
        ("post /version", false),
    ] {
        check(&world, &alice, question, expected);
    }
    for (question, expected) in
        [("get pods here/x", true), ("get pods there/x", false), ("get pods", false), ("get /version", false)]
    {
        check(&world, &bob, question, expected);
    }
    check(&world, &team, "delete nodes.x here/y", true);
    check(&world, &team, "delete nodes.x", false);
    check(&world, &user("system:serviceaccount:here:robot", &[]), "get pods here/x", true);
    check(&world, &user("system:serviceaccount:here:robot", &[]), "get pods there/x", false);
    check(&world, &user("system:serviceaccount:other:robot", &[]), "get pods there/x", true);
    check(&world, &User::admin(), "get pods", true);
    check(&world, &User::anonymous(), "get /version", false);
}

#[test]
fn a_change_counts_from_the_next_question_on() {
    let world = World::new();
    let alice = user("alice", &["team"]);
    let rules = |verb: &str| json!([{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]);
    check(&world, &alice, "get pods", false);
    world.bind("", "b", "ClusterRole/r", "User/alice");
    check(&world, &alice, "get pods", false);
    world.role("", "r", &rules("get"));
    check(&world, &alice, "get pods", true);
    world.role("", "r", &rules("list"));
    check(&world, &alice, "get pods", false);
    check(&world, &alice, "list pods", true);
    world.bind("", "b", "ClusterRole/r", "User/bob");
    check(&world, &alice, "list pods", false);
    world.bind("", "b", "ClusterRole/r", "Group/team");
    check(&world, &alice, "list pods", true);
    world.remove(&format!("clusterrolebindings.{RBAC}"), binding("", "b", "ClusterRole/r", "Group/team"));
    check(&world, &alice, "list pods", false);
}

#[test]
fn refusals_are_worded_as_kubernetes_words_them() {
    let world = World::new();
    let refused =
        |user: &User, question: &str| world.access.authorize(user, &asked(question)).unwrap_err().to_json();
    let joe = user("joe", &[]);
    for (question, message, details) in [
        (
            "list deployments.apps ns",
            r#"deployments.apps is forbidden: User "joe" cannot list resource "deployments" in API group "apps" in the namespace "ns""#,
            json!({"group": "apps", "kind": "deployments"}),
        ),
        (
            "get deployments/scale.apps ns/a",
            r#"deployments.apps "a" is forbidden: User "joe" cannot get resource "deployments/scale" in API group "apps" in the namespace "ns""#,
            json!({"name": "a", "group": "apps", "kind": "deployments"}),
        ),
        (
            "get pods /ha",
            r#"pods "ha" is forbidden: User "joe" cannot get resource "pods" in API group "" at the cluster scope"#,
            json!({"name": "ha", "kind": "pods"}),
        ),
        ("get /foo?<", r#"forbidden: User "joe" cannot get path "/foo?&lt;""#, json!({})),
    ] {
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": "Forbidden", "details": details, "code": 403,
        });
        assert_eq!(refused(&joe, question), expected);
    }
    world.bind("", "lost3", "ClusterRole/nonesuch3", "User/joe");
    world.bind("ns", "lost", "ClusterRole/nonesuch", "User/joe");
    world.bind("ns", "lost2", "Role/nonesuch2", "User/joe");
    let message = refused(&joe, "list secrets ns")["message"].as_str().unwrap().to_owned();
    assert!(
        message.ends_with(
            r#"the namespace "ns": rbac: RBAC: [clusterrole.rbac.authorization.k8s.io "nonesuch3" not found, clusterrole.rbac.authorization.k8s.io "nonesuch" not found, role.rbac.authorization.k8s.io "nonesuch2" not found]"#
        ),
        "{message}"
    );
}

#[test]
fn impersonation_needs_the_right_to_it() {
    let world = World::new();
    world.role(
        "",
        "imp",
        &json!([{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users", "groups"]}]),
    );
    world.bind("", "joe", "ClusterRole/imp", "User/joe");
    world.role(
        "",
        "some",
        &json!([
            {"verbs": ["impersonate-on:serviceaccount:get"], "apiGroups": [""], "resources": ["pods"]},
            {"verbs": ["impersonate:serviceaccount"], "apiGroups": ["authentication.k8s.io"], "resources": ["serviceaccounts"]},
        ]),
    );
    world.bind("", "sue", "ClusterRole/some", "User/sue");
    let (joe, sue, eve) = (user("joe", &[]), user("sue", &[]), user("eve", &[]));
    let account = r#"system:serviceaccount:x:y ["system:serviceaccounts", "system:serviceaccounts:x", "system:authenticated"]"#;
    for (who, headers, question, expected) in [
        (&joe, &[("impersonate-user", "alice")][..], "get pods ns", r#"alice ["system:authenticated"]"#),
        (
            &joe,
            &[("impersonate-user", "system:anonymous")],
            "",
            r#"system:anonymous ["system:unauthenticated"]"#,
        ),
        (
            &joe,
            &[("impersonate-user", "a"), ("impersonate-group", "g"), ("impersonate-group", "h")],
            "",
            r#"a ["g", "h", "system:authenticated"]"#,
        ),
        (
            &joe,
            &[("impersonate-user", "system:serviceaccount:x:y")],
            "",
            r#"403 serviceaccounts "y" is forbidden: User "joe" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "x""#,
        ),
        (
            &joe,
            &[("impersonate-user", "a"), ("impersonate-uid", "5")],
            "",
            r#"403 uids.authentication.k8s.io "5" is forbidden: User "joe" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope"#,
        ),
        (
            &joe,
            &[("impersonate-user", "a"), ("impersonate-extra-Foo%2fBar", "5")],
            "",
            r#"403 userextras.authentication.k8s.io "5" is forbidden: User "joe" cannot impersonate resource "userextras/foo/bar" in API group "authentication.k8s.io" at the cluster scope"#,
        ),
        (
            &joe,
            &[("impersonate-group", "alice")],
            "",
            r#"400 requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"alice"}, Extra:map[string][]string(nil)} without impersonating a user name"#,
        ),
        (
            &joe,
            &[("impersonate-group", "alice"), ("impersonate-extra-foo", "5"), ("impersonate-uid", "u")],
            "",
            r#"400 requested &user.DefaultInfo{Name:"", UID:"u", Groups:[]string{"alice"}, Extra:map[string][]string{"foo":[]string{"5"}}} without impersonating a user name"#,
        ),
        (
            &eve,
            &[("impersonate-user", "alice")],
            "get pods/log default/x",
            r#"403 pods "x" is forbidden: User "eve" cannot impersonate-on:user-info:get resource "pods/log" in API group "" in the namespace "default""#,
        ),
        (
            &eve,
            &[("impersonate-user", "system:serviceaccount:x:y")],
            "get /foo",
            r#"403 forbidden: User "eve" cannot impersonate-on:serviceaccount:get path "/foo""#,
        ),
        (&sue, &[("impersonate-user", "system:serviceaccount:x:y")], "get pods ns/p", account),
        (
            &sue,
            &[("impersonate-user", "system:serviceaccount:x:y")],
            "delete pods ns/p",
            r#"403 pods "p" is forbidden: User "sue" cannot impersonate-on:serviceaccount:delete resource "pods" in API group "" in the namespace "ns""#,
        ),
        (&User::admin(), &[("impersonate-user", "system:serviceaccount:x:y")], "", account),
    ] {
        assert_eq!(world.who(Some(who.clone()), headers, question), expected);
    }
}

#[test]
fn nobody_gives_away_rights_that_they_do_not_have() {
    let world = World::new();
    let (roles, bindings) = (format!("clusterroles.{RBAC}"), format!("clusterrolebindings.{RBAC}"));
    world.role("", "pods", &json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    world.role("", "all", &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]));
    world.role(
        "",
        "give",
        &json!([
            {"verbs": ["escalate"], "apiGroups": [RBAC], "resources": ["roles"]},
            {"verbs": ["bind"], "apiGroups": [RBAC], "resources": ["clusterroles"], "resourceNames": ["all"]},
        ]),
    );
    world.bind("", "joe", "ClusterRole/pods", "User/joe");
    world.bind("", "joe-lost", "ClusterRole/nonesuch3", "User/joe");
    world.bind("", "sue", "ClusterRole/give", "User/sue");
    let (joe, sue) = (user("joe", &["a", "b"]), user("sue", &[]));
    let role = |rules: Value| json!({"metadata": {"name": "esc"}, "rules": rules});
    let guard = |user: &User, resource: &str, before: Option<&Value>, after: &Value| {
        world.access.guard(user, resource, "", before, after).map_err(|status| (status.code, status.message))
    };
    let wanted = role(json!([
        {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "secrets", "deployments/scale"]},
        {"verbs": ["get"], "nonResourceURLs": ["/x", "/y"]},
        {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["a"], "resourceNames": ["n1", "n2"]},
    ]));
    let message = r#"clusterroles.rbac.authorization.k8s.io "esc" is forbidden: user "joe" (groups=["a" "b"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["deployments/scale"], Verbs:["get" "list"]}
{APIGroups:[""], Resources:["pods"], Verbs:["list"]}
{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}
{APIGroups:["apps"], Resources:["a"], ResourceNames:["n1"], Verbs:["get"]}
{APIGroups:["apps"], Resources:["a"], ResourceNames:["n2"], Verbs:["get"]}
{APIGroups:["apps"], Resources:["deployments/scale"], Verbs:["get" "list"]}
{APIGroups:["apps"], Resources:["pods"], Verbs:["get" "list"]}
{APIGroups:["apps"], Resources:["secrets"], Verbs:["get" "list"]}
{NonResourceURLs:["/x"], Verbs:["get"]}
{NonResourceURLs:["/y"], Verbs:["get"]}; resolution errors: [clusterroles.rbac.authorization.k8s.io "nonesuch3" not found]"#;
    assert_eq!(guard(&joe, &roles, None, &wanted), Err((403, message.into())));
    assert_eq!(guard(&User::admin(), &roles, None, &wanted), Ok(()));
    assert!(guard(&sue, &roles, None, &wanted).is_err(), "she may escalate roles only");
    assert_eq!(guard(&sue, &format!("roles.{RBAC}"), None, &wanted), Ok(()));
    let ended = json!({"metadata": {"name": "esc", "finalizers": ["f"]}, "rules": wanted["rules"]});
    assert_eq!(guard(&joe, &roles, Some(&ended), &wanted), Ok(()), "only what lets it end changes");
    let held = role(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    assert_eq!(guard(&joe, &roles, None, &held), Ok(()));
    let gathers =
        json!({"metadata": {"name": "esc"}, "aggregationRule": {"clusterRoleSelectors": [{}]}, "rules": []});
    let message = r#"clusterroles.rbac.authorization.k8s.io "esc" is forbidden: must have cluster-admin privileges to use the aggregationRule"#;
    assert_eq!(guard(&joe, &roles, None, &gathers), Err((403, message.into())));

    let bound = |role: &str| binding("", "esc", &format!("ClusterRole/{role}"), "User/x");
    let message = r#"clusterrolebindings.rbac.authorization.k8s.io "nope" not found"#;
    assert_eq!(guard(&joe, &bindings, None, &bound("nope")), Err((404, message.into())));
    assert!(guard(&joe, &bindings, None, &bound("all")).is_err());
    assert_eq!(guard(&joe, &bindings, None, &bound("pods")), Ok(()));
    assert_eq!(guard(&sue, &bindings, None, &bound("all")), Ok(()));
    assert!(guard(&sue, &bindings, None, &bound("pods")).is_err());
    assert_eq!(guard(&joe, "pods", None, &json!({})), Ok(()));
}

#[test]
fn reviews_answer_what_the_authorizer_would() {
    let world = World::new();
    world.role("", "pods", &json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]));
    world.role("", "urls", &json!([{"verbs": ["get"], "nonResourceURLs": ["/version"]}]));
    world.bind("ns", "joe", "ClusterRole/pods", "ServiceAccount/default/joe");
    world.bind("", "all", "ClusterRole/urls", "Group/system:authenticated");
    let joe = user("system:serviceaccount:default:joe", &["system:authenticated"]);
    let resource = json!({"verb": "get", "resource": "pods", "namespace": "ns"});
    let reason =
        r#"RBAC: allowed by RoleBinding "joe/ns" of ClusterRole "pods" to ServiceAccount "joe/default""#;
    let nobody = r#".authorization.k8s.io "" is invalid: [spec: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified, spec.user: Invalid value: "": at least one of user or group must be specified]"#;
    let both = r#".authorization.k8s.io "" is invalid: spec: Invalid value: {"Path":"","Verb":""}: exactly one of nonResourceAttributes or resourceAttributes must be specified"#;
    let elsewhere = r#".authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "ns": must match metadata.namespace"#;
    let other = json!({"verb": "get", "path": "/version"});
    for (kind, spec, expected) in [
        (
            "SubjectAccessReview",
            json!({"user": joe.name, "resourceAttributes": resource}),
            json!({"allowed": true, "reason": reason}),
        ),
        (
            "SubjectAccessReview",
            json!({"user": "a", "resourceAttributes": resource}),
            json!({"allowed": false}),
        ),
        (
            "SubjectAccessReview",
            json!({"groups": [MASTERS], "nonResourceAttributes": other}),
            json!({"allowed": true}),
        ),
        ("SubjectAccessReview", json!({}), format!("422 {nobody}").into()),
        (
            "LocalSubjectAccessReview",
            json!({"user": "a", "resourceAttributes": resource}),
            format!("422 {elsewhere}").into(),
        ),
        (
            "SelfSubjectAccessReview",
            json!({"resourceAttributes": resource}),
            json!({"allowed": true, "reason": reason}),
        ),
        (
            "SelfSubjectAccessReview",
            json!({"resourceAttributes": {}, "nonResourceAttributes": {}}),
            format!("422 {both}").into(),
        ),
        ("SelfSubjectRulesReview", json!({}), "400 no namespace on request".into()),
        (
            "SelfSubjectRulesReview",
            json!({"namespace": "ns"}),
            json!({
                "resourceRules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}],
                "incomplete": false,
            }),
        ),
        (
            "SelfSubjectReview",
            Value::Null,
            json!({"userInfo": {"username": joe.name, "groups": ["system:authenticated"]}}),
        ),
        ("TokenReview", json!({}), "400 token is required for TokenReview in authentication".into()),
    ] {
        assert_eq!(world.review(kind, &spec, &joe), expected, "{kind} {spec}");
    }
    assert!(world.access.review("Pod", &json!({}), &joe).is_none());
}
