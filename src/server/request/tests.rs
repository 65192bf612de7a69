//! Which request means what, in all spellings.

use super::*;

fn parse(method: &str, path: &str) -> Result<Target, Failure> {
    Target::parse(&method.parse().unwrap(), &path.parse().unwrap())
}

/// Writes a request as `verb resource/subresource namespace name`, `-` for what is absent.
fn told(info: &RequestInfo) -> String {
    let RequestInfo { verb, family, resource, subresource, namespace, name, selected_name } = info;
    let mut words = vec![verb.as_str().to_owned(), resource.plural().to_owned()];
    if let Some(subresource) = subresource {
        words[1] += "/";
        words[1] += subresource.as_str();
    }
    words.push(namespace.clone().unwrap_or("-".into()));
    words.push(name.clone().unwrap_or("-".into()));
    if let Some(selected) = selected_name {
        words.push(format!("={selected}"));
    }
    if *family == PathFamily::Project {
        words.push("(project)".into());
    }
    words.join(" ")
}

#[track_caller]
fn check(request: &str, expected: &str) {
    let (method, path) = request.split_once(' ').unwrap();
    let found = match parse(method, path) {
        Ok(Target::Resource(info)) => told(&info),
        Ok(Target::Page(page)) => format!("{page:?}"),
        Err(failure) => format!("{} {failure}", failure.code().as_u16()),
    };
    assert_eq!(found, expected, "{request}");
}

#[test]
fn canonical_paths() {
    let apps = "/apis/gitops/v1/namespaces/team/applications";
    check(&format!("GET {apps}"), "list applications team -");
    check(&format!("HEAD {apps}"), "list applications team -");
    check(&format!("GET {apps}/"), "list applications team -");
    check(&format!("POST {apps}"), "create applications team -");
    check(&format!("DELETE {apps}"), "deletecollection applications team -");
    check(&format!("GET {apps}/shop"), "get applications team shop");
    check(&format!("GET {apps}/shop?watch=true"), "get applications team shop");
    check(&format!("PUT {apps}/shop"), "update applications team shop");
    check(&format!("PATCH {apps}/shop"), "patch applications team shop");
    check(&format!("DELETE {apps}/shop"), "delete applications team shop");
    check(&format!("GET {apps}/shop/status"), "get applications/status team shop");
    check(&format!("PATCH {apps}/shop/status"), "patch applications/status team shop");
    check(&format!("GET {apps}/shop/events"), "get applications/events team shop");
    check(&format!("POST {apps}/shop/sync"), "create applications/sync team shop");
    check(&format!("POST {apps}/shop/refresh"), "create applications/refresh team shop");
    check("GET /apis/gitops/v1/applications", "list applications - -");
    check("GET /apis/gitops/v1/projects", "list projects - -");
    check("POST /apis/gitops/v1/projects", "create projects - -");
    check("GET /apis/gitops/v1/projects/team/status", "get projects/status - team");
    check("GET /apis/gitops/v1/namespaces/project/applications/x", "get applications project x");
}

#[test]
fn project_paths_mean_the_same() {
    for prefix in ["/gitops/v1", "/apis/gitops/v1", "/apis/gitops/v1/namespaces/team"] {
        let apps = format!("{prefix}/project/team/applications");
        check(&format!("GET {apps}"), "list applications team - (project)");
        check(&format!("GET {apps}?watch=1"), "watch applications team - (project)");
        check(&format!("POST {apps}"), "create applications team - (project)");
        check(&format!("GET {apps}/shop"), "get applications team shop (project)");
        check(&format!("PUT {apps}/shop"), "update applications team shop (project)");
        check(&format!("DELETE {apps}/shop"), "delete applications team shop (project)");
        check(&format!("GET {apps}/shop/events?size=3"), "get applications/events team shop (project)");
        check(&format!("POST {apps}/shop/sync"), "create applications/sync team shop (project)");
        check(&format!("POST {apps}/shop/refresh"), "create applications/refresh team shop (project)");
    }
}

#[test]
fn a_project_path_stays_in_the_namespace_that_was_authorized() {
    check(
        "GET /apis/gitops/v1/namespaces/mine/project/theirs/applications",
        "400 project \"theirs\" lives in namespace \"theirs\", not in \"mine\": use its namespace in the path",
    );
}

#[test]
fn watching_is_read_as_kube_apiserver_reads_it() {
    let apps = "/apis/gitops/v1/namespaces/team/applications";
    for yes in
        ["watch=true", "watch", "watch=", "watch=1", "watch=banana", "watch=true&watch=false", "w%61tch=1"]
    {
        check(&format!("GET {apps}?{yes}"), "watch applications team -");
    }
    for no in ["", "watch=false", "watch=FALSE", "watch=0", "watched=true", "watch=0&watch=1"] {
        check(&format!("GET {apps}?{no}"), "list applications team -");
    }
    check(&format!("POST {apps}?watch=true"), "create applications team -");
}

#[test]
fn a_selected_name_is_what_resource_names_apply_to() {
    let apps = "/apis/gitops/v1/namespaces/team/applications";
    let select = |selector: &str| format!("GET {apps}?fieldSelector={selector}");
    check(&select("metadata.name%3Dshop"), "list applications team - =shop");
    check(&select("metadata.name==shop"), "list applications team - =shop");
    check(&select("spec.project=a,metadata.name=shop"), "list applications team - =shop");
    check(&format!("{}&watch=1", select("metadata.name=shop")), "watch applications team - =shop");
    check(&select("metadata.name!=shop"), "list applications team -");
    check(&select("metadata.name=shop%5C,x"), "list applications team -");
    check(&format!("DELETE {apps}?fieldSelector=metadata.name=shop"), "deletecollection applications team -");
    // Go drops the whole parameter, which would widen the list to all objects.
    check(
        &select("metadata.name=shop,x%zz"),
        "400 malformed query parameter \"fieldSelector=metadata.name=shop,x%zz\"",
    );
    check(
        &select("metadata.name=shop;x"),
        "400 malformed query parameter \"fieldSelector=metadata.name=shop;x\"",
    );
}

#[test]
fn actions_that_a_resource_does_not_have() {
    let apps = "/apis/gitops/v1/namespaces/team/applications";
    let unsupported =
        |verb: &str| format!("405 {verb} is not supported on resources of kind \"applications.gitops\"");
    check(&format!("POST {apps}/shop"), &unsupported("create"));
    check(&format!("POST {apps}/shop/status"), &unsupported("create"));
    check(&format!("DELETE {apps}/shop/status"), &unsupported("delete"));
    check(&format!("GET {apps}/shop/sync"), &unsupported("get"));
    check(&format!("POST {apps}/shop/events"), &unsupported("create"));
    check(&format!("OPTIONS {apps}"), &unsupported("options"));
    check(&format!("PUT {apps}"), "400 name must be provided");
    check(&format!("PATCH {apps}"), "400 name must be provided");
    check("POST /apis/gitops/v1/applications", "404 404 page not found");
    check("DELETE /apis/gitops/v1/applications", "404 404 page not found");
    check("POST /apis/gitops/v1", "404 404 page not found");
}

#[test]
fn paths_that_nobody_serves() {
    for path in [
        "/apis/gitops/v2/applications",
        "/apis/gitops.other/v1/applications",
        "/apis/gitops/v1/widgets",
        "/apis/gitops/v1/applications/shop",
        "/apis/gitops/v1/namespaces/team",
        "/apis/gitops/v1/namespaces/team/projects",
        "/apis/gitops/v1/namespaces/team/applications/shop/secrets",
        "/apis/gitops/v1/namespaces/team/applications/shop/status/more",
        "/apis/gitops/v1/namespaces//applications",
        "/apis/gitops/v1/namespaces/../applications",
        "/apis/gitops/v1/namespaces/%2e%2e/applications",
        "/apis/gitops/v1/namespaces/a%2Fb/applications",
        "/apis/gitops/v1/namespaces/a%252Fb/applications",
        "/apis/gitops/v1/namespaces/a%3Fb/applications",
        "/apis/gitops/v1/namespaces/team/applications/%00",
        "/apis/gitops/v1/namespaces/team/applications/%ff",
        "/apis/gitops/v1/project",
        "/apis/gitops/v1/project/team",
        "/apis/gitops/v1/project/team/projects",
        "/apis/gitops/v1/projects/team/applications",
        "/apis/gitops/v1/watch/namespaces/team/applications",
        "/gitops/v1/namespaces/team/applications",
        "/healthz/a/b",
        "/api/v1",
    ] {
        check(&format!("GET {path}"), "404 404 page not found");
    }
}

#[test]
fn names_are_decoded_and_cannot_reach_into_the_url() {
    let apps = "/apis/gitops/v1/namespaces/team/applications";
    check(&format!("GET {apps}/sh%6Fp"), "get applications team shop");
    check(&format!("GET {apps}/a%3Fwatch=1"), "404 applications.gitops \"a?watch=1\" not found");
    check(&format!("GET {apps}/a%23b"), "404 applications.gitops \"a#b\" not found");
}

#[test]
fn pages() {
    check("GET /", "Index");
    check("GET /apis", "Groups");
    check("GET /apis/", "Groups");
    check("HEAD /apis/gitops", "Group");
    check("GET /apis/gitops/v1/", "Resources");
    check("GET /openapi/v2", "OpenApiV2");
    check("GET /openapi/v3", "OpenApiV3");
    check("GET /openapi/v3/apis/gitops/v1?hash=1", "OpenApiV3Group");
    check("GET /readyz?verbose", "Health(Probe { question: Readyz, check: None })");
    check("GET /livez/ping", "Health(Probe { question: Livez, check: Some(\"ping\") })");
}
