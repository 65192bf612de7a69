//! What projects permit, rule by rule.

use super::*;
use crate::api::project::{
    DestinationServiceAccount, ProjectDestination, SignatureKey, SyncWindow, SyncWindowKind,
};

const HERE: &str = "https://kubernetes.default.svc";

fn of_repos(repos: &[&str]) -> ProjectSpec {
    ProjectSpec { source_repos: repos.iter().map(|&repo| repo.into()).collect(), ..ProjectSpec::default() }
}

fn of_destinations(destinations: &[(&str, &str, &str)]) -> ProjectSpec {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let destinations = destinations
        .iter()
        .map(|(server, name, namespace)| ProjectDestination {
            server: given(server),
            name: given(name),
            namespace: given(namespace),
        })
        .collect();
    ProjectSpec { destinations, ..ProjectSpec::default() }
}

fn kinds(patterns: &[(&str, &str)]) -> Vec<KindPattern> {
    let pattern = |(group, kind): &(&str, &str)| KindPattern {
        group: (*group).into(),
        kind: (*kind).into(),
        name: None,
    };
    patterns.iter().map(pattern).collect()
}

#[test]
fn urls_of_one_repository_are_equal() {
    let check = |url: &str, expected: &str| assert_eq!(normalize_git_url(url), expected);
    check(" https://Example.com/Shop/Deploy.git ", "https://example.com/shop/deploy");
    check("git@example.com:shop/deploy.git", "git@example.com/shop/deploy");
    check("ssh://git@example.com/shop/deploy", "git@example.com/shop/deploy");
    check("ssh://git@example.com:2222/shop/deploy.git", "git@example.com:2222/shop/deploy");
    check("https://token@example.com/shop", "https://token@example.com/shop");
    check("oci://registry.example.com/shop", "oci://registry.example.com/shop");
}

#[test]
fn sources_are_permitted_by_glob() {
    let check = |repos: &[&str], url: &str, expected| {
        assert_eq!(permits_source(&of_repos(repos), url), expected, "{repos:?} {url}");
    };
    check(&[], "https://h/a/b", false);
    check(&["*"], "https://h/a/b", true);
    check(&["https://h/a/*"], "https://h/a/b.git", true);
    check(&["https://h/a/*"], "https://h/a/b/c", false);
    check(&["https://h/**"], "https://h/a/b/c", true);
    check(&["git@h:a/b"], "ssh://git@h/a/b.git", true);
    check(&["*", "!https://h/secret/*"], "https://h/secret/x", false);
    check(&["!https://h/secret/*"], "https://h/open/x", true);
    check(&["!https://h/secret/*", "https://h/a/*"], "https://h/secret/x", false);
}

#[test]
fn sources_fail_closed() {
    let check =
        |repos: &[&str], url: &str| assert!(!permits_source(&of_repos(repos), url), "{repos:?} {url}");
    check(&["https://h/ours/**"], "https://h/ours/../theirs/x");
    check(&["https://h/ours/**"], "https://h/ours/%2E%2e/theirs/x");
    check(&["https://h/ours/**"], "https://h/ours/.%2e/theirs/x");
    check(&["*", "!https://h/[broken"], "https://h/x");
    check(&["https://h/[broken"], "https://h/[broken");
}

#[test]
fn destinations_need_cluster_and_namespace() {
    let check = |destinations: &[(&str, &str, &str)], (server, name, namespace), expected| {
        let project = of_destinations(destinations);
        let permitted = permits_destination(&project, server, name, namespace);
        assert_eq!(permitted, expected, "{destinations:?} {server} {name} {namespace}");
    };
    check(&[], (HERE, "in-cluster", "shop"), false);
    check(&[(HERE, "", "shop")], (HERE, "in-cluster", "shop"), true);
    check(&[(HERE, "", "shop")], (HERE, "in-cluster", "other"), false);
    check(&[("", "in-cluster", "shop-*")], (HERE, "in-cluster", "shop-eu"), true);
    check(&[("*", "", "*")], ("https://far.example.com:6443", "", "x"), true);
    check(&[("https://*.example.com", "", "*")], ("https://a.b.example.com", "", "x"), true);
    check(&[("", "", "shop")], (HERE, "in-cluster", "shop"), false);
    check(&[(HERE, "", "")], (HERE, "in-cluster", "shop"), false);
}

#[test]
fn destinations_are_denied_by_any_deny_entry_that_hits() {
    let check = |destinations: &[(&str, &str, &str)], (server, name, namespace), expected| {
        let project = of_destinations(destinations);
        let permitted = permits_destination(&project, server, name, namespace);
        assert_eq!(permitted, expected, "{destinations:?} {server} {name} {namespace}");
    };
    let all_but_system = [("*", "", "*"), ("*", "", "!kube-*")];
    check(&all_but_system, (HERE, "in-cluster", "kube-system"), false);
    check(&all_but_system, (HERE, "in-cluster", "shop"), true);
    check(&[("*", "", "!kube-*")], (HERE, "in-cluster", "shop"), true);
    let not_here = [("*", "", "*"), ("!https://kubernetes.default.svc", "", "*")];
    check(&not_here, (HERE, "in-cluster", "shop"), false);
    check(&not_here, ("https://far", "far", "shop"), true);
    let not_named = [("*", "", "*"), ("", "!prod-*", "*")];
    check(&not_named, ("https://far", "prod-eu", "shop"), false);
    check(&not_named, ("https://far", "", "shop"), false);
    check(&not_named, ("https://far", "stage", "shop"), true);
    check(&[("", "*", "*"), ("", "stage", "!kube-*")], ("https://far", "stage", "kube-system"), false);
}

#[test]
fn namespaced_kinds_are_permitted_unless_listed() {
    let check = |allow: Option<&[(&str, &str)]>, deny: &[(&str, &str)], group: &str, kind: &str, expected| {
        let project = ProjectSpec {
            namespace_resource_whitelist: allow.map(kinds),
            namespace_resource_blacklist: kinds(deny),
            ..ProjectSpec::default()
        };
        assert_eq!(
            permits_kind(&project, group, kind, Scope::Namespaced),
            expected,
            "{allow:?} {deny:?} {kind}"
        );
    };
    check(None, &[], "apps", "Deployment", true);
    check(Some(&[]), &[], "apps", "Deployment", false);
    check(Some(&[("apps", "*")]), &[], "apps", "Deployment", true);
    check(Some(&[("apps", "*")]), &[], "", "Secret", false);
    check(Some(&[("*", "*")]), &[("", "Secret")], "", "Secret", false);
    check(None, &[("", "Secret")], "", "ConfigMap", true);
    check(None, &[("[broken", "Secret")], "", "ConfigMap", false);
}

#[test]
fn cluster_scoped_kinds_are_forbidden_unless_listed() {
    let mut project = ProjectSpec::default();
    let permits = |project: &ProjectSpec, group, kind, name| {
        permits_kind(project, group, kind, Scope::Cluster { name })
    };
    assert!(!permits(&project, "", "Namespace", "shop"));
    project.cluster_resource_whitelist = kinds(&[("", "Namespace"), ("rbac.*", "ClusterRole*")]);
    assert!(permits(&project, "", "Namespace", "shop"));
    assert!(permits(&project, "rbac.authorization.k8s.io", "ClusterRoleBinding", "x"));
    assert!(!permits(&project, "apiextensions.k8s.io", "CustomResourceDefinition", "x"));
    project.cluster_resource_whitelist[0].name = Some("shop-*".into());
    assert!(permits(&project, "", "Namespace", "shop-eu"));
    assert!(!permits(&project, "", "Namespace", "kube-system"));
    project.cluster_resource_blacklist = kinds(&[("rbac.*", "*")]);
    assert!(!permits(&project, "rbac.authorization.k8s.io", "ClusterRole", "x"));
}

#[test]
fn the_first_service_account_that_matches_counts() {
    let account = |server: &str, namespace: &str, name: &str| DestinationServiceAccount {
        server: server.into(),
        namespace: Some(namespace.into()),
        default_service_account: name.into(),
    };
    let accounts = vec![account(HERE, "shop-*", "shop-deployer"), account("*", "*", "ops:everywhere")];
    let project = ProjectSpec { destination_service_accounts: accounts, ..ProjectSpec::default() };
    let check = |server, namespace, expected: (&str, &str)| {
        let found = service_account(&project, server, namespace).unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str()), expected);
    };
    check(HERE, "shop-eu", ("shop-eu", "shop-deployer"));
    check(HERE, "other", ("ops", "everywhere"));
    assert_eq!(service_account(&ProjectSpec::default(), HERE, "shop"), None);
}

#[test]
fn validation_names_each_field_that_is_wrong() {
    let window = |applications: &[&str], schedule: &str| SyncWindow {
        kind: SyncWindowKind::Deny,
        schedule: schedule.into(),
        duration: "1h".into(),
        applications: applications.iter().map(|&name| name.into()).collect(),
        ..SyncWindow::default()
    };
    let account = DestinationServiceAccount {
        server: "!x".into(),
        namespace: None,
        default_service_account: "a*".into(),
    };
    let mut named = kinds(&[("", "Secret")]);
    named[0].name = Some("x".into());
    let project = ProjectSpec {
        description: Some("x".repeat(256)),
        source_repos: ["!*", "https://h/a", "https://h/a", "[x"].map(Into::into).into(),
        destinations: of_destinations(&[("*", "", "a"), ("*", "", "a"), ("", "", "b")]).destinations,
        namespace_resource_blacklist: named,
        sync_windows: vec![window(&["*"], "0 22 * * *"), window(&["*"], "0 22 * * *"), window(&[], "daily")],
        signature_keys: vec![SignatureKey { key_id: "ABC".into() }],
        destination_service_accounts: vec![account],
        ..ProjectSpec::default()
    };
    let fields: Vec<String> = validate(&project).into_iter().map(|error| error.field).collect();
    let expected = [
        "spec.description",
        "spec.sourceRepos[0]",
        "spec.sourceRepos[2]",
        "spec.sourceRepos[3]",
        "spec.destinations[1]",
        "spec.destinations[2]",
        "spec.namespaceResourceBlacklist[0].name",
        "spec.syncWindows[1]",
        "spec.syncWindows[2]",
        "spec.syncWindows[2].schedule",
        "spec.signatureKeys[0].keyID",
        "spec.destinationServiceAccounts[0].server",
        "spec.destinationServiceAccounts[0].defaultServiceAccount",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_usual_project_is_valid() {
    let project = ProjectSpec {
        source_repos: vec!["*".into()],
        cluster_resource_whitelist: kinds(&[("*", "*")]),
        ..of_destinations(&[(HERE, "", "*"), ("", "!prod", "*")])
    };
    assert_eq!(validate(&project), []);
}
