//! Emptying a namespace in the APIs that other servers serve, as the namespace controller does.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Method;
use http::Request;
use http::header;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::super::access::User;
use super::super::controllers::Elsewhere;
use super::Api;

/// A resource of another server.
struct Resource {
    group: String,
    version: String,
    plural: String,
}

impl Api {
    /// Deletes what aggregated APIs hold in a namespace, and tells what is left.
    pub async fn empty(&self, namespace: &str) -> Elsewhere {
        let mut remaining = BTreeMap::new();
        let resources = match resources(&self.aggregation.discovery()) {
            Ok(resources) => resources,
            Err(stale) => {
                return Elsewhere::Failed(format!(
                    "unable to retrieve the complete list of server APIs: {stale}: stale GroupVersion discovery: \
                     {stale}"
                ));
            }
        };
        for resource in resources {
            match self.empty_resource(&resource, namespace).await {
                Ok(0) => {}
                Ok(count) => {
                    remaining.insert(format!("{}.{}", resource.plural, resource.group), count);
                }
                Err(why) => return Elsewhere::Failed(why),
            }
        }
        Elsewhere::Remaining(remaining)
    }

    async fn empty_resource(&self, resource: &Resource, namespace: &str) -> Result<usize, String> {
        let body = r#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}"#;
        self.ask(resource, namespace, Method::DELETE, body).await?;
        let list = self.ask(resource, namespace, Method::GET, "").await?;
        Ok(list["items"].as_array().map_or(0, Vec::len))
    }

    async fn ask(
        &self,
        resource: &Resource,
        namespace: &str,
        method: Method,
        body: &str,
    ) -> Result<Value, String> {
        let Resource { group, version, plural } = resource;
        let failed = |why: String| format!("{plural}.{group}: {why}");
        let Some(target) = self.aggregation.target(group, version) else { return Ok(Value::Null) };
        let request = Request::builder()
            .method(method)
            .uri(format!("/apis/{group}/{version}/namespaces/{namespace}/{plural}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body.to_owned()))
            .map_err(|error| failed(error.to_string()))?;
        let response = self.aggregation.forward(&target, &User::admin(), request).await;
        let code = response.status();
        let bytes =
            response.into_body().collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
        if code.is_success() || code.as_u16() == 404 {
            return Ok(serde_json::from_slice(&bytes).unwrap_or_default());
        }
        Err(failed(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// The namespaced resources of other servers that can be listed and deleted. An error names a version whose
/// server does not answer.
fn resources(discovery: &[Value]) -> Result<Vec<Resource>, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for group in discovery {
        let name = text(&group["metadata"]["name"]);
        for version in group["versions"].as_array().into_iter().flatten() {
            let told = text(&version["version"]);
            if version["freshness"] == "Stale" {
                return Err(format!("{name}/{told}"));
            }
            for resource in version["resources"].as_array().into_iter().flatten() {
                let can = |verb: &str| {
                    resource["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|one| one == verb))
                };
                if resource["scope"] == "Namespaced" && can("list") && can("deletecollection") {
                    found.push(Resource {
                        group: name.clone(),
                        version: told.clone(),
                        plural: text(&resource["resource"]),
                    });
                }
            }
        }
    }
    Ok(found)
}
