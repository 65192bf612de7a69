//! Users as kube-apiserver passes them on in headers. Whether the sender may do so was decided before.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use super::User;
use super::trust::FrontProxy;

/// Reads the user; `None` if there is none or it is not text.
pub(super) fn user(proxy: &FrontProxy, headers: &HeaderMap) -> Option<User> {
    let name = first(headers, &proxy.username_headers)?;
    let uid = first(headers, &proxy.uid_headers).unwrap_or_default();
    let mut groups = Vec::new();
    for value in proxy.group_headers.iter().flat_map(|name| headers.get_all(name)) {
        groups.push(text(value.as_bytes())?);
    }
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = extra_key(proxy, name) {
            extra.entry(key).or_default().push(text(value.as_bytes())?);
        }
    }
    Some(User { name, uid, groups, extra })
}

/// Says whether a header is one of those that carry users.
pub(super) fn is_identity(proxy: &FrontProxy, name: &HeaderName) -> bool {
    let FrontProxy { username_headers, uid_headers, group_headers, .. } = proxy;
    [username_headers, uid_headers, group_headers].into_iter().any(|names| names.contains(name))
        || extra_key(proxy, name).is_some()
}

fn first(headers: &HeaderMap, names: &[HeaderName]) -> Option<String> {
    names
        .iter()
        .find_map(|name| headers.get(name))
        .and_then(|value| text(value.as_bytes()))
        .filter(|it| !it.is_empty())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// Keys are percent-encoded, since headers allow fewer characters; header names come in lower case.
pub(super) fn extra_key(proxy: &FrontProxy, name: &HeaderName) -> Option<String> {
    proxy.extra_prefixes.iter().find_map(|prefix| name.as_str().strip_prefix(prefix.as_str())).map(decode)
}

/// Decodes a key of further attributes, which stays as it is if it does not decode.
pub(super) fn decode(key: &str) -> String {
    percent_decode_str(key).decode_utf8().map_or_else(|_| key.to_owned(), |decoded| decoded.to_lowercase())
}
