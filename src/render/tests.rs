//! Directories in memory become manifests.

mod memory;

use serde_json::{Value, json};

use self::memory::Memory;
use super::tree::{Kind, Tree as _};
use super::{Error, Limits, Rendered, Request, render};
use crate::api::application::{ApplicationSource, Tool};

fn source(spec: &Value) -> ApplicationSource {
    let mut value = json!({"repoURL": "https://git.example.com/shop"});
    value.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

fn run(tree: &Memory, spec: &Value) -> Result<Rendered, Error> {
    let limits = Limits { bytes: 10_000, objects: 20, memory: 20_000 };
    render(&Request { tree, source: &source(spec), application: "shop", limits })
}

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

fn names(rendered: &Rendered) -> Vec<&str> {
    rendered.manifests.iter().map(crate::manifest::Manifest::name).collect()
}

/// Renders files that each hold one object named after their path, and returns which were read.
fn chosen(files: &[&str], spec: &Value) -> Vec<String> {
    let tree = files.iter().fold(Memory::default(), |tree, file| {
        let name = file.replace(['/', '.', '_'], "-");
        let text = if file.ends_with(".json") {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string()
        } else {
            object(&name)
        };
        tree.with(file, Kind::File, text.as_bytes())
    });
    run(&tree, spec).unwrap().origins.into_iter().map(|origin| origin.file).collect()
}

#[test]
fn reads_manifests_in_lexical_order() {
    let files =
        ["app/b.yml", "app/a.yaml", "app/c.json", "app/d.txt", "app/b/x.yaml", "app/E.YAML", "z.yaml"];
    let check = |spec, expected: &[&str]| assert_eq!(chosen(&files, &spec), expected);
    check(json!({"path": "app"}), &["app/a.yaml", "app/b.yml", "app/c.json"]);
    check(
        json!({"path": "./app/", "directory": {"recurse": true}}),
        &["app/a.yaml", "app/b/x.yaml", "app/b.yml", "app/c.json"],
    );
    check(json!({"path": "."}), &["z.yaml"]);
    check(json!({"path": "app/../app/b"}), &["app/b/x.yaml"]);
    check(
        json!({"path": "app", "directory": {"disableExtensionFilter": true, "exclude": "*.json"}}),
        &["app/E.YAML", "app/a.yaml", "app/b.yml", "app/d.txt"],
    );
}

#[test]
fn globs_choose_files() {
    let files = ["a/dev.yaml", "a/prod.yaml", "a/sub/dev.yaml", "a/sub/prod.yml", "a/x1.yaml", "a/x2.yaml"];
    let check = |include: &str, exclude: &str, expected: &[&str]| {
        let spec =
            json!({"path": "a", "directory": {"recurse": true, "include": include, "exclude": exclude}});
        assert_eq!(chosen(&files, &spec), expected, "{include} {exclude}");
    };
    check("dev.yaml", "", &["a/dev.yaml"]);
    check("*dev.yaml", "", &["a/dev.yaml", "a/sub/dev.yaml"]);
    check("**/dev.yaml", "", &["a/sub/dev.yaml"]);
    check("{dev,x?}.yaml", "", &["a/dev.yaml", "a/x1.yaml", "a/x2.yaml"]);
    check("x[!1].yaml", "", &["a/x2.yaml"]);
    check("*.y{a,}ml", "*/*", &["a/dev.yaml", "a/prod.yaml", "a/x1.yaml", "a/x2.yaml"]);
    check("*", "{sub/*,x*}", &["a/dev.yaml", "a/prod.yaml"]);
    check("nothing", "", &[]);
    let error = run(&Memory::new(&[("a.yaml", "")]), &json!({"directory": {"include": "{a"}})).unwrap_err();
    assert!(error.to_string().starts_with("directory.include `{a` is not a glob: "), "{error}");
}

#[test]
fn paths_stay_within_the_repository() {
    let tree = Memory::new(&[("app/a.yaml", ""), ("file", "")]).with("module", Kind::Submodule, b"");
    let check = |path: &str, expected: &str| {
        let spec = json!({"path": path});
        assert_eq!(run(&tree, &spec).unwrap_err().to_string(), expected);
    };
    check("/app", "/app: app path is absolute");
    check("../shop", "../shop: app path outside root");
    check("app/../../x", "app/../../x: app path outside root");
    check("nope", "nope: app path does not exist");
    check("app/a.yaml/x", "app/a.yaml/x: app path does not exist");
    check("file", "file: app path is not a directory");
    check("module/x", "module/x: it is in a Git submodule, and submodules are not fetched by this version");
}

#[test]
fn follows_links_within_the_repository() {
    let tree = Memory::new(&[
        ("real/a.yaml", &object("a")),
        ("common/b.yaml", &object("b")),
        ("app/c.yaml", &object("c")),
    ])
    .link("app/b.yaml", "../common/./b.yaml")
    .link("app/dangling.yaml", "../nope.yaml")
    .link("app/dir.yaml", "../common")
    .link("app/unrelated", "/etc/passwd")
    .link("here", "there")
    .link("there", "real")
    .link("real/up", "..");
    let rendered = run(&tree, &json!({"path": "app"})).unwrap();
    assert_eq!(names(&rendered), ["b", "c"]);
    assert_eq!(rendered.warnings, ["app/dangling.yaml: the symbolic link leads to nothing and was left out"]);
    assert_eq!(names(&run(&tree, &json!({"path": "here"})).unwrap()), ["a"]);
    assert_eq!(names(&run(&tree, &json!({"path": "real/up/here"})).unwrap()), ["a"]);
}

#[test]
fn refuses_links_that_lead_out() {
    let check = |target: &str, expected: &str| {
        let tree = Memory::new(&[("app/a.yaml", &object("a"))])
            .link("app/l.yaml", target)
            .link("app/sub/up", "../..");
        assert_eq!(run(&tree, &json!({"path": "app"})).unwrap_err().to_string(), expected);
    };
    check("/etc/passwd", "repository contains out-of-bounds symlinks. file: app/l.yaml");
    check("../../shop/x.yaml", "repository contains out-of-bounds symlinks. file: app/l.yaml");
    check("sub/up/../x.yaml", "repository contains out-of-bounds symlinks. file: app/l.yaml");
    check("l.yaml", "app/l.yaml: it leads over more than 10 symbolic links");
    let tree = Memory::default().link("app", "../elsewhere");
    let error = run(&tree, &json!({"path": "app"})).unwrap_err();
    assert_eq!(error.to_string(), "repository contains out-of-bounds symlinks. file: app");
}

#[test]
fn other_tools_are_refused() {
    let check = |file: &str, spec: Value, expected: &str| {
        let tree = Memory::new(&[("app/a.yaml", &object("a")), (file, "{}")]);
        assert_eq!(run(&tree, &spec).unwrap_err().to_string(), expected);
    };
    let app = || json!({"path": "app"});
    check("app/Chart.yaml", app(), "app: Helm sources are not rendered by this version");
    for file in ["app/kustomization.yaml", "app/kustomization.yml", "app/Kustomization"] {
        check(file, app(), "app: Kustomize sources are not rendered by this version");
    }
    check(
        "x",
        json!({"path": "app", "helm": {"releaseName": "r"}}),
        "app: Helm sources are not rendered by this version",
    );
    check(
        "x",
        json!({"path": "app", "kustomize": {"namePrefix": "r"}}),
        "app: Kustomize sources are not rendered by this version",
    );
    check(
        "x",
        json!({"path": "app", "plugin": {}}),
        "app: sources of config management plugins are not rendered by this version",
    );
    check(
        "x",
        json!({"chart": "web"}),
        "web: charts from Helm repositories are not rendered by this version",
    );
    check("app/m.jsonnet", app(), "app/m.jsonnet: Jsonnet files are not rendered by this version");
    check(
        "x",
        json!({"path": "app", "helm": {"releaseName": "r"}, "directory": {"recurse": true}}),
        "multiple application sources defined: Helm,Directory",
    );
}

#[test]
fn a_directory_block_overrules_the_files() {
    let tree = Memory::new(&[("a.yaml", &object("a")), ("kustomization.yaml", "resources: [a.yaml]\n")]);
    let rendered = run(&tree, &json!({"directory": {"exclude": "kust*"}, "helm": {}})).unwrap();
    assert_eq!((names(&rendered), rendered.source_type), (vec!["a"], Tool::Directory));
    for nothing in [json!({}), json!({"recurse": false})] {
        let error = run(&tree, &json!({"directory": nothing})).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{nothing}: {error}");
    }
}

#[test]
fn takes_documents_and_lists_apart() {
    let text = format!(
        "# about\n---\n{}---\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b}}}}\n- apiVersion: v1\n  kind: ConfigMapList\n  items: [{{metadata: {{name: c}}}}]\n---\napiVersion: v1\nkind: List\nitems:\n---\n{}",
        object("a"),
        object("d")
    );
    let rendered = run(&Memory::new(&[("all.yaml", &text)]), &json!({})).unwrap();
    assert_eq!(names(&rendered), ["a", "b", "c", "d"]);
    assert_eq!(rendered.manifests[2].gvk().to_string(), "v1/ConfigMap");
    let lines: Vec<usize> = rendered.origins.iter().map(|origin| origin.line).collect();
    assert_eq!(lines, [3, 9, 9, 21]);
}

#[test]
fn what_is_no_manifest_is_left_out() {
    let check = |file: &str, text: &str, warning: Option<&str>| {
        let tree = Memory::new(&[("a.yaml", &object("a")), (file, text)]);
        let rendered = run(&tree, &json!({})).unwrap();
        assert_eq!(names(&rendered), ["a"], "{file}");
        let expected: Vec<String> = warning
            .map(|why| format!("{file}: it holds no Kubernetes objects and was left out: {why}"))
            .into_iter()
            .collect();
        assert_eq!(rendered.warnings, expected);
    };
    check(
        "values.yaml",
        "replicas: 2\n",
        Some("the document in line 1: apiVersion is missing or not a string"),
    );
    check("list.yaml", "- a\n", Some("the document in line 1: it is not an object"));
    check("broken.yaml", "a: {{ .Values.x }}\n", Some("line 1, column 17: a key is a list or an object"));
    check("empty.yaml", "# nothing\n", None);
    check("empty.json", " ", None);
    check("skipped.yaml", "# +argocd:skip-file-rendering\nkind: [\n", None);
    check(".argocd-source-other.yaml", "directory: {recurse: true}\n", None);
}

#[test]
fn what_should_be_a_manifest_and_is_not_fails_the_whole() {
    let check = |file: &str, text: String, expected: &str| {
        let tree = Memory::new(&[("a.yaml", &object("a")), (file, &text)]);
        assert_eq!(run(&tree, &json!({})).unwrap_err().to_string(), format!("{file}: {expected}"));
    };
    check(
        "b.yaml",
        format!("{} bad: [\n", object("b")),
        "line 5, column 2: did not find expected key while parsing a block mapping that begins in line 1",
    );
    check(
        "b.yaml",
        format!("{}---\na: {{\n", object("b")),
        "line 7, column 1: did not find expected node content while parsing a flow node that begins in line 7",
    );
    check(
        "b.yaml",
        format!("{}---\nreplicas: 2\n", object("b")),
        "the document in line 6: apiVersion is missing or not a string",
    );
    check(
        "b.yaml",
        "kind: ConfigMap\nmetadata: {name: b}\n".into(),
        "the document in line 1: apiVersion is missing or not a string",
    );
    check(
        "b.yaml",
        "apiVersion: v1\nkind: ConfigMap\n".into(),
        "the document in line 1: metadata.name is missing or not a string",
    );
    check(
        "b.yaml",
        format!("{}  labels: {{tier: 1}}\n", object("b")),
        "the document in line 1: metadata.labels.tier is not a string; put its value in quotes",
    );
    check("b.json", "{\"a\": }".into(), "line 1, column 7: expected value");
    check("b.json", "{} {}".into(), "it holds several objects, and a JSON file may hold only one");
    check(
        "b.json",
        "{}".into(),
        "apiVersion is missing or not a string; if the file is no manifest, leave it out with directory.exclude",
    );
}

#[test]
fn what_is_not_fetched_is_not_passed_over() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    let tree = Memory::new(&[("a.yaml", &object("a")), ("b.yaml", pointer)]);
    let error = run(&tree, &json!({})).unwrap_err().to_string();
    assert_eq!(error, "b.yaml: it is a pointer of Git LFS, whose content is not fetched by this version");
    let tree = Memory::new(&[("a.yaml", &object("a"))]).with("module", Kind::Submodule, b"");
    assert_eq!(names(&run(&tree, &json!({})).unwrap()), ["a"]);
    let error = run(&tree, &json!({"directory": {"recurse": true}})).unwrap_err().to_string();
    assert_eq!(error, "module: it is in a Git submodule, and submodules are not fetched by this version");
}

#[test]
fn numbers_mean_the_same_in_json_and_yaml() {
    let tree = Memory::new(&[
        (
            "a.json",
            r#"{"apiVersion": "v1", "kind": "X", "metadata": {"name": "a"}, "spec": [1.0, 1.5, 1e2, 3]}"#,
        ),
        ("b.yaml", "{apiVersion: v1, kind: X, metadata: {name: b}, spec: [1.0, 1.5, 1e2, 3]}"),
    ]);
    for manifest in run(&tree, &json!({})).unwrap().manifests {
        assert_eq!(manifest.value()["spec"], json!([1, 1.5, 100, 3]), "{}", manifest.name());
    }
}

#[test]
fn large_sources_are_refused() {
    let check = |files: &[(&str, &str)], expected: &str| {
        assert_eq!(run(&Memory::new(files), &json!({})).unwrap_err().to_string(), expected);
    };
    let half = format!("# {}\n{}", "x".repeat(6_000), object("a"));
    check(
        &[("a.yaml", &half), ("b.yaml", &half)],
        ".: exceeded max combined manifest file size of 10000 bytes; leave files out with directory.exclude",
    );
    let many: String = (0..21).map(|n| format!("---\n{}", object(&format!("n{n}")))).collect();
    check(&[("a.yaml", &many)], ".: the files hold more than 20 objects; split the application");
    let aliases =
        format!("{}data:\n  a: &a {}\n  b: [{}]\n", object("a"), "x".repeat(1_000), ["*a"; 30].join(", "));
    check(
        &[("a.yaml", &aliases)],
        ".: the files hold more than 20000 bytes of objects, aliases expanded; split the application",
    );
}

#[test]
fn the_repository_may_change_the_options() {
    let tree = Memory::new(&[
        (
            "app/.argocd-source.yaml",
            "repoURL: https://evil.example.com\npath: ../..\ndirectory: {recurse: true, exclude: 'b*'}\n",
        ),
        ("app/.argocd-source-shop.yaml", "directory: {exclude: null}\n"),
        ("app/.argocd-source-other.yaml", "helm: {releaseName: r}\n"),
        ("app/a/x.yaml", &object("x")),
        ("app/b.yaml", &object("b")),
    ]);
    assert_eq!(names(&run(&tree, &json!({"path": "app"})).unwrap()), ["x", "b"]);
    let tree = tree.with("app/.argocd-source.yaml", Kind::File, b"kustomize: {namePrefix: p}\n");
    assert!(matches!(run(&tree, &json!({"path": "app"})), Err(Error::Unsupported { .. })));
    let tree = tree.with("app/.argocd-source.yaml", Kind::File, b"directory: {recurse: often}\n");
    let error = run(&tree, &json!({"path": "app"})).unwrap_err().to_string();
    assert!(error.starts_with("app/.argocd-source.yaml: invalid type"), "{error}");
}

#[test]
fn tells_what_the_result_depends_on() {
    let tree = |shared: &str, other: &str| {
        Memory::new(&[
            ("app/a.yaml", &object("a")),
            ("common/b.yaml", &object(shared)),
            ("other/c.yaml", &object(other)),
        ])
        .link("app/b.yaml", "../common/b.yaml")
        .link("app/gone.yaml", "../later.yaml")
        .link("current", "app")
    };
    let before = tree("b", "c");
    let read = run(&before, &json!({"path": "current"})).unwrap().read;
    let holds = |tree: &Memory| {
        read.iter().all(|(path, id)| tree.entry(path).unwrap().map_or(String::new(), |entry| entry.id) == *id)
    };
    assert!(holds(&before));
    assert!(holds(&tree("b", "changed")), "files elsewhere do not matter");
    assert!(!holds(&tree("changed", "c")), "the target of a link matters");
    assert!(!holds(&tree("b", "c").with("app/new.yaml", Kind::File, b"")));
    assert!(!holds(&tree("b", "c").with("later.yaml", Kind::File, b"")), "a dangling link may come to life");
    assert!(!holds(&tree("b", "c").link("current", "other")));
}
