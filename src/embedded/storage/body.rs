//! Lists as they are answered: stored bytes put together, without parsing any.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;

use super::Entry;

/// What a list says beside its items.
#[derive(Debug, Clone, Default)]
pub struct Head<'a> {
    /// `apiVersion`: `apps/v1`.
    pub api_version: &'a str,
    /// `kind`, of the list: `DeploymentList`.
    pub kind: &'a str,
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// `metadata.continue`, if there is more.
    pub proceed: Option<Cow<'a, str>>,
    /// `metadata.remainingItemCount`, if it is known.
    pub remaining: Option<usize>,
    /// Whether items go without `apiVersion` and `kind`, as those of built-in kinds do. Items where these
    /// are not the first two fields keep them.
    pub bare: bool,
}

impl Head<'_> {
    /// Returns the JSON of the list.
    #[must_use]
    pub fn list<'e>(&self, entries: impl IntoIterator<Item = &'e Arc<Entry>, IntoIter: Clone>) -> Bytes {
        let entries = entries.into_iter();
        let size: usize = entries.clone().map(|entry| entry.json.len() + 1).sum();
        let mut body = Vec::with_capacity(size + 256);
        self.open(&mut body).expect("memory takes every write");
        let types = self.types();
        for (index, entry) in entries.enumerate() {
            if index > 0 {
                body.push(b',');
            }
            match types.iter().find_map(|types| entry.json.strip_prefix(types.as_bytes())) {
                Some(rest) => {
                    body.push(b'{');
                    body.extend_from_slice(rest);
                }
                None => body.extend_from_slice(&entry.json),
            }
        }
        body.extend_from_slice(b"]}");
        body.into()
    }

    fn open(&self, body: &mut Vec<u8>) -> std::io::Result<()> {
        let Self { api_version, kind, version, proceed, remaining, bare: _ } = self;
        write!(
            body,
            r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{version}""#
        )?;
        if let Some(proceed) = proceed {
            write!(body, r#","continue":{}"#, serde_json::Value::from(&**proceed))?;
        }
        if let Some(remaining) = remaining {
            write!(body, r#","remainingItemCount":{remaining}"#)?;
        }
        write!(body, r#"}},"items":["#)
    }

    /// How items begin that have their type in front, in both orders.
    fn types(&self) -> Vec<String> {
        let Some(kind) = self.kind.strip_suffix("List").filter(|_| self.bare) else { return Vec::new() };
        let version = self.api_version;
        vec![
            format!(r#"{{"kind":"{kind}","apiVersion":"{version}","#),
            format!(r#"{{"apiVersion":"{version}","kind":"{kind}","#),
        ]
    }
}
