//! What is not about objects: health, the version, discovery, OpenAPI.

use http::HeaderMap;
use http::header;
use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;

use super::super::discovery;
use super::super::status::Status;
use super::Api;
use super::answer::Answer;
use super::answer::Content;
use super::media;
use super::query::Query;

/// Health checks by their names.
const CHECKS: [&str; 4] = ["ping", "log", "storage", "informer-sync"];

/// How long a document may be kept that is named by its content.
const FOREVER: &str = "public, immutable";

impl Api {
    /// Answers a path that is not one of objects; nothing if it means nothing here.
    pub(super) fn about(
        &self,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Option<Answer>, Status> {
        let path = path.trim_end_matches('/');
        Ok(match path {
            "" => Some(Answer::json(200, json!({"paths": self.paths()}))),
            "/version" => Some(Answer::json(200, discovery::version().clone())),
            "/healthz" | "/livez" | "/readyz" => Some(health(&path[1..], query)),
            "/api" | "/apis" => Some(self.groups(path, headers)),
            "/openapi/v3" => Some(cached(self.openapi_index(), headers)),
            _ => {
                if path.starts_with("/openapi/v3/") {
                    return Ok(self.document(path, query, headers));
                }
                if let Some((_, check)) = path.strip_prefix('/').and_then(|path| path.split_once("z/")) {
                    return Ok(CHECKS.contains(&check).then(|| Answer::of(200, Content::Text("ok".into()))));
                }
                let found = self.plain(path);
                if found.is_some() {
                    media::check_plain(headers)?;
                }
                found.map(|found| Answer::json(200, found))
            }
        })
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
                .into_iter()
                .map(Into::into)
                .collect();
        for kind in self.objects.kinds.all() {
            paths.push(format!("/{}", kind.root()));
            if !kind.gvk.group.is_empty() {
                paths.push(format!("/apis/{}", kind.gvk.group));
            }
        }
        paths.sort();
        paths.dedup();
        paths
    }

    fn groups(&self, path: &str, headers: &HeaderMap) -> Answer {
        match media::wants_aggregated(headers) {
            None => Answer::from(Status::new(
                406,
                "NotAcceptable",
                "only the following media types are accepted: application/json, \
                 application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2",
            )),
            Some(true) => {
                let mut found = discovery::aggregated(&self.objects.kinds, path == "/api");
                if path == "/apis" {
                    merge(&mut found["items"], self.aggregation.discovery(), "/metadata/name");
                }
                let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                let mut answer = cached(found, headers);
                if answer.code == 200 {
                    answer = answer.with_header(header::CONTENT_TYPE, media);
                }
                answer
            }
            Some(false) => match self.plain(path) {
                Some(found) => Answer::json(200, found).with_header(header::VARY, "Accept"),
                None => Answer::nothing_here(),
            },
        }
    }

    fn openapi_index(&self) -> Value {
        let mut index = discovery::openapi_index(&self.objects.kinds);
        for (path, url) in self.aggregation.openapi() {
            index["paths"][path] = json!({"serverRelativeURL": url});
        }
        index
    }

    /// Discovery in its older form.
    fn plain(&self, path: &str) -> Option<Value> {
        let found = discovery::plain(&self.objects.kinds, path);
        if path == "/apis" {
            let mut found = found?;
            merge(&mut found["groups"], self.aggregation.groups(), "/name");
            return Some(found);
        }
        let group = path.strip_prefix("/apis/").filter(|group| !group.contains('/'));
        let Some(group) = group else { return found };
        let elsewhere = self.aggregation.groups().into_iter().find(|known| known["name"] == *group);
        found.or_else(|| {
            let mut group = elsewhere?;
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Some(group)
        })
    }

    fn document(&self, path: &str, query: &Query, headers: &HeaderMap) -> Option<Answer> {
        let bytes = discovery::openapi(&self.objects.kinds, path)?;
        let tag = format!("\"{}\"", hex(&Sha256::digest(&bytes)));
        let lasting = if query.get("hash").is_empty() { "no-cache, private" } else { FOREVER };
        if headers.get(header::IF_NONE_MATCH).is_some_and(|told| told == tag.as_str()) {
            return Some(Answer::of(304, Content::Text(String::new())).with_header(header::ETAG, &tag));
        }
        let answer = Answer::of(200, Content::Raw(bytes)).with_header(header::ETAG, &tag);
        Some(answer.with_header(header::CACHE_CONTROL, lasting).with_header(header::VARY, "Accept"))
    }
}

/// Adds groups that others serve to those that are served here; versions of one group are put together.
fn merge(groups: &mut Value, others: Vec<Value>, name: &str) {
    let Some(groups) = groups.as_array_mut() else { return };
    for other in others {
        match groups.iter_mut().find(|group| group.pointer(name) == other.pointer(name)) {
            Some(group) => {
                let versions = other["versions"].as_array().cloned().unwrap_or_default();
                if let Some(known) = group["versions"].as_array_mut() {
                    known.extend(versions);
                }
            }
            None => groups.push(other),
        }
    }
}

/// An answer with the hash of its content, which need not be sent to who has it.
fn cached(value: Value, headers: &HeaderMap) -> Answer {
    let tag = format!("\"{}\"", hex(&Sha256::digest(value.to_string())).to_uppercase());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|told| told == tag.as_str());
    let answer = if known { Answer::of(304, Content::Text(String::new())) } else { Answer::json(200, value) };
    answer.with_header(header::ETAG, &tag).with_header(header::VARY, "Accept")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn health(name: &str, query: &Query) -> Answer {
    if !query.flag("verbose") {
        return Answer::of(200, Content::Text("ok".into()));
    }
    let checks: String = CHECKS.into_iter().map(|check| format!("[+]{check} ok\n")).collect();
    Answer::of(200, Content::Text(format!("{checks}{name} check passed\n")))
}
