//! What `status.summary` tells about live objects: the images they run and the addresses they answer at.

use std::collections::BTreeSet;

use serde_json::Value;

/// Annotations whose value is a link: `link.argocd.argoproj.io/<id>: [title|]url`.
const LINK: &str = "link.argocd.argoproj.io/";
/// Annotation that keeps the addresses of an Ingress out.
const IGNORE_LINKS: &str = "argocd.argoproj.io/ignore-default-links";

/// Returns the distinct images of all pods and pod templates, init containers included, sorted.
#[must_use]
pub fn images<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let specs = objects.into_iter().filter_map(pod_spec);
    let containers = specs.flat_map(|spec| {
        ["initContainers", "containers"].into_iter().filter_map(|field| spec[field].as_array()).flatten()
    });
    let images =
        containers.filter_map(|container| container["image"].as_str()).filter(|image| !image.is_empty());
    sorted(images.map(String::from))
}

/// Returns where the spec of a pod stands in an object: a `Pod`, a `CronJob`, or anything with a pod template,
/// custom kinds included.
fn pod_spec(object: &Value) -> Option<&Value> {
    let pointers: &[&str] = match object["kind"].as_str()? {
        "Pod" => &["/spec"],
        "CronJob" => &["/spec/jobTemplate/spec/template/spec"],
        _ => &["/spec/template/spec"],
    };
    pointers.iter().find_map(|pointer| object.pointer(pointer)).filter(|spec| spec["containers"].is_array())
}

/// Returns the distinct addresses of Ingresses and of link annotations, sorted.
#[must_use]
pub fn external_urls<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    sorted(objects.into_iter().flat_map(|object| {
        let mut urls = links(object);
        if object["kind"] == "Ingress" && object["metadata"]["annotations"][IGNORE_LINKS] != "true" {
            urls.extend(ingress(object));
        }
        urls
    }))
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.collect::<BTreeSet<_>>().into_iter().collect()
}

fn links(object: &Value) -> Vec<String> {
    let annotations = object["metadata"]["annotations"].as_object();
    let linked = annotations.into_iter().flatten().filter(|(name, _)| name.starts_with(LINK));
    let url = |text: &str| text.rsplit_once('|').map_or(text, |(_, url)| url).trim().to_owned();
    linked.filter_map(|(_, value)| value.as_str()).map(url).filter(|url| !url.is_empty()).collect()
}

fn ingress(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let mut urls = Vec::new();
    for rule in spec["rules"].as_array().into_iter().flatten() {
        let host = rule["host"].as_str().filter(|host| !host.is_empty());
        let Some(address) = host.or_else(|| own_address(object)) else { continue };
        let scheme = if is_encrypted(spec, host) { "https" } else { "http" };
        let paths = rule["http"]["paths"].as_array().map_or(&[][..], Vec::as_slice);
        for path in paths {
            let path = path["path"].as_str().unwrap_or_default().trim_end_matches('*');
            urls.push(format!("{scheme}://{address}{path}"));
        }
        if paths.is_empty() {
            urls.push(format!("{scheme}://{address}"));
        }
    }
    urls
}

/// Returns the first address that the ingress controller published.
fn own_address(object: &Value) -> Option<&str> {
    let first = object["status"]["loadBalancer"]["ingress"].get(0)?;
    ["hostname", "ip"].into_iter().find_map(|field| first[field].as_str().filter(|text| !text.is_empty()))
}

/// A certificate serves the rule if it is for all hosts or names this one.
fn is_encrypted(spec: &Value, host: Option<&str>) -> bool {
    spec["tls"].as_array().into_iter().flatten().any(|tls| {
        let hosts = tls["hosts"].as_array().map_or(&[][..], Vec::as_slice);
        let named = host.is_some_and(|host| hosts.iter().any(|name| name == host));
        named || hosts.is_empty() && tls["secretName"].is_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn images_come_from_pods_templates_and_cron_jobs() {
        let pod =
            |image: &str| json!({"containers": [{"image": image}], "initContainers": [{"image": "init:1"}]});
        let objects = [
            json!({"kind": "Pod", "spec": pod("a:1")}),
            json!({"kind": "Deployment", "spec": {"template": {"spec": pod("b:1")}}}),
            json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod("c:1")}}}}}),
            json!({"kind": "Canary", "spec": {"template": {"spec": pod("a:1")}}}),
            json!({"kind": "ConfigMap", "data": {"image": "not:me"}}),
        ];
        assert_eq!(images(&objects), ["a:1", "b:1", "c:1", "init:1"]);
    }

    #[test]
    fn addresses_come_from_ingress_rules() {
        let check = |spec: Value, expected: &[&str]| {
            let status = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
            assert_eq!(
                external_urls([&json!({"kind": "Ingress", "spec": spec, "status": status})]),
                expected
            );
        };
        let paths = json!({"paths": [{"path": "/shop/*"}, {"path": "/"}]});
        check(
            json!({"rules": [{"host": "a.test", "http": paths}]}),
            &["http://a.test/", "http://a.test/shop/"],
        );
        check(
            json!({"rules": [{"host": "a.test", "http": paths}], "tls": [{"hosts": ["a.test"]}]}),
            &["https://a.test/", "https://a.test/shop/"],
        );
        check(
            json!({"rules": [{"host": "a.test"}], "tls": [{"hosts": ["b.test"], "secretName": "s"}]}),
            &["http://a.test"],
        );
        check(json!({"rules": [{"host": "a.test"}], "tls": [{"secretName": "s"}]}), &["https://a.test"]);
        check(json!({"rules": [{"http": {"paths": [{"path": "/x"}]}}]}), &["http://192.0.2.1/x"]);
        check(json!({"defaultBackend": {}}), &[]);
    }

    #[test]
    fn links_are_annotations_of_any_object() {
        let annotations = json!({"link.argocd.argoproj.io/a": "Board|https://board.test",
            "link.argocd.argoproj.io/b": "https://plain.test", "other": "https://no.test"});
        let object = json!({"kind": "ConfigMap", "metadata": {"annotations": annotations}});
        assert_eq!(external_urls([&object]), ["https://board.test", "https://plain.test"]);
        let hidden = json!({"kind": "Ingress", "metadata": {"annotations": {IGNORE_LINKS: "true"}},
            "spec": {"rules": [{"host": "a.test"}]}});
        assert!(external_urls([&hidden]).is_empty());
    }
}
