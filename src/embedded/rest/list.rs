//! Lists: whole or in pages, of now or of an earlier version.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;
use serde_json::json;

use super::super::objects::versions;
use super::super::status::Cause;
use super::super::status::Status;
use super::super::storage::Entry;
use super::super::storage::Head;
use super::super::storage::Key;
use super::Call;
use super::answer::Answer;
use super::answer::Content;
use super::form;
use super::media;
use super::media::Form;
use super::select::Selector;

/// Where a list goes on.
struct Page {
    version: u64,
    after: Key,
}

/// Which version is listed.
enum Version {
    Latest,
    Exact(u64),
}

impl Call {
    /// Answers a list.
    pub(super) fn list(&self) -> Result<Answer, Status> {
        let selector = self.selector()?;
        let mut limit = usize::try_from(self.query.number("limit")?.unwrap_or(0)).unwrap_or(0);
        if self.query.get("resourceVersion") == "0" {
            limit = 0; // any version is good enough, and a whole one is at hand
        }
        let namespace = Some(&*self.place.namespace).filter(|namespace| !namespace.is_empty());
        let (version, page) = self.list_version(limit)?;
        let storage = &self.api.objects.storage;
        let resource = &self.kind.resource;
        let mut shown = None;
        let snapshot = match version {
            Version::Latest => storage.list(resource, namespace),
            Version::Exact(version) => match storage.list_at(resource, namespace, version) {
                Ok(snapshot) => snapshot,
                Err(_) => return Ok(expired(page.as_ref())),
            },
        };
        let start =
            page.as_ref().map_or(0, |page| snapshot.entries.partition_point(|entry| entry.key <= page.after));
        if let Some(page) = &page {
            shown = Some(page.version).filter(|version| *version > 0);
        }
        let version = shown.unwrap_or(snapshot.version);
        let rest = &snapshot.entries[start..];
        let (picked, more) = self.pick(rest, &selector, limit);
        let proceed = more.then(|| picked.last().map(|last| token(version, &last.key))).flatten();
        // Lists of custom kinds always tell of a next page, if only that there is none.
        let proceed = proceed
            .or_else(|| (self.kind.custom.is_some() && self.accepted.form == Form::Whole).then(String::new));
        let remaining = (more && selector.is_empty()).then(|| rest.len() - picked.len());
        let head = Head {
            api_version: &self.kind.gvk.api_version(),
            kind: &format!("{}List", self.kind.gvk.kind),
            version,
            proceed: proceed.map(Cow::Owned),
            remaining,
            bare: self.kind.custom.is_none(),
        };
        self.write_list(&head, &picked)
    }

    /// The entries that are meant, up to a limit, and whether there are more.
    fn pick<'e>(
        &self,
        entries: &'e [Arc<Entry>],
        selector: &Selector,
        limit: usize,
    ) -> (Vec<&'e Arc<Entry>>, bool) {
        if selector.is_empty() {
            let end = if limit == 0 { entries.len() } else { limit.min(entries.len()) };
            return (entries[..end].iter().collect(), end < entries.len());
        }
        let mut picked = Vec::new();
        for entry in entries.iter().filter(|entry| selector.picks_entry(&self.kind, entry)) {
            if limit > 0 && picked.len() == limit {
                return (picked, true);
            }
            picked.push(entry);
        }
        (picked, false)
    }

    fn write_list(&self, head: &Head<'_>, entries: &[&Arc<Entry>]) -> Result<Answer, Status> {
        let kind = &self.kind;
        let mut metadata = json!({"resourceVersion": head.version.to_string()});
        if let Some(proceed) = &head.proceed {
            metadata["continue"] = proceed.as_ref().into();
        }
        if let Some(remaining) = head.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        let start = versions::head(kind);
        let content = match self.accepted.form {
            Form::Whole if entries.iter().all(|entry| entry.json.starts_with(start.as_bytes())) => {
                Content::Raw(head.list(entries.iter().copied()))
            }
            Form::Whole => {
                let items: Vec<_> = entries.iter().map(|entry| versions::read(kind, entry)).collect();
                Content::Json(json!({
                    "kind": head.kind, "apiVersion": head.api_version, "metadata": metadata, "items": items,
                }))
            }
            Form::Table(version) => {
                let mut table =
                    form::table(self, version, entries.iter().map(|entry| versions::read(kind, entry)))?;
                table["metadata"] = metadata;
                Content::Json(table)
            }
            Form::MetadataList(version) => {
                let item = |entry: &&Arc<Entry>| form::metadata(&versions::read(kind, entry), version);
                Content::Json(json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": metadata, "items": entries.iter().map(item).collect::<Vec<_>>(),
                }))
            }
            Form::Metadata(_) => {
                return Err(media::unfit(format!(
                    "you requested PartialObjectMetadata, but the requested object is a list ({})",
                    form::go_type(kind, "List")
                )));
            }
        };
        Ok(Answer { yaml: self.accepted.yaml, ..Answer::of(200, content) })
    }

    /// Reads and checks `resourceVersion`, `resourceVersionMatch` and `continue`.
    fn list_version(&self, limit: usize) -> Result<(Version, Option<Page>), Status> {
        let told = self.query.get("resourceVersion");
        let matching = self.query.get("resourceVersionMatch");
        let token = self.query.get("continue");
        self.check_list_options(told, matching, token)?;
        if !token.is_empty() {
            if !matches!(told, "" | "0") {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let page = self.page(token)?;
            let version = if page.version == 0 { Version::Latest } else { Version::Exact(page.version) };
            return Ok((version, Some(page)));
        }
        if told.is_empty() || told == "0" {
            return Ok((Version::Latest, None));
        }
        let version = parse_version(told)
            .map_err(|status| Status::bad_request(format!("invalid resource version: {}", status.message)))?;
        let current = self.api.objects.storage.version();
        if version > current {
            return Err(too_large(version, current));
        }
        let exact = matching == "Exact" || (matching.is_empty() && limit > 0);
        Ok((if exact { Version::Exact(version) } else { Version::Latest }, None))
    }

    fn check_list_options(&self, told: &str, matching: &str, token: &str) -> Result<(), Status> {
        let mut causes = Vec::new();
        let mut forbidden = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
        let field = "resourceVersionMatch";
        if !self.query.get("sendInitialEvents").is_empty() {
            forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if !matching.is_empty() {
            if told.is_empty() {
                forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if !token.is_empty() {
                forbidden(field, "resourceVersionMatch is forbidden when continue is provided");
            }
            if matching == "Exact" && told == "0" {
                forbidden(field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                causes.push(Cause {
                    reason: "FieldValueNotSupported",
                    message: format!(
                        "Unsupported value: {matching:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
                    ),
                    field: field.into(),
                });
            }
        }
        if causes.is_empty() {
            Ok(())
        } else {
            Err(Status::invalid("meta.k8s.io", "ListOptions", "", &causes))
        }
    }

    fn page(&self, token: &str) -> Result<Page, Status> {
        let wrong = |why: &str| {
            Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = BASE64.decode(token.trim_end_matches('=')).map_err(|error| wrong(&error.to_string()))?;
        let told: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
        if told["v"] != "meta.k8s.io/v1" {
            return Err(wrong("server does not recognize this encoded version "));
        }
        let start = told["start"].as_str().unwrap_or_default().trim_end_matches('\0');
        if start.is_empty() {
            return Err(wrong("encoded start key empty (version meta.k8s.io/v1)"));
        }
        let (namespace, name) = start.rsplit_once('/').unwrap_or(("", start));
        let version = told["rv"].as_i64().unwrap_or(0);
        let after =
            Key { resource: self.kind.resource.clone(), namespace: namespace.into(), name: name.into() };
        Ok(Page { version: u64::try_from(version).unwrap_or(0), after })
    }

    /// The selector of a request.
    pub(super) fn selector(&self) -> Result<Selector, Status> {
        let fields = self.query.get("fieldSelector");
        let mut selector = Selector::parse(&self.kind, self.query.get("labelSelector"), fields)?;
        if !self.place.only.is_empty() {
            selector.restrict(&self.place.only);
        }
        Ok(selector)
    }
}

/// 410: the page that was to follow is not known any more.
fn expired(page: Option<&Page>) -> Answer {
    let Some(page) = page else {
        return Status::new(410, "Expired", "The resourceVersion for the provided list is too old.").into();
    };
    let mut refused = Status::new(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
    .to_json();
    refused["metadata"]["continue"] = token(0, &page.after).into();
    Answer::json(410, refused)
}

fn token(version: u64, after: &Key) -> String {
    let start = if after.namespace.is_empty() {
        format!("{}\0", after.name)
    } else {
        format!("{}/{}\0", after.namespace, after.name)
    };
    let version = if version == 0 { Value::from(-1) } else { version.into() };
    BASE64.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

/// Reads a resource version.
pub(super) fn parse_version(told: &str) -> Result<u64, Status> {
    if told.is_empty() {
        return Ok(0);
    }
    told.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {told:?}: invalid syntax");
        Status::new(500, "", format!("resourceVersion: Invalid value: {told:?}: {why}"))
    })
}

/// 504: a version that is not reached yet.
pub(super) fn too_large(version: u64, current: u64) -> Status {
    let mut status = Status::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {version}, current: {current}"),
    );
    status.details = Some(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }));
    status
}
