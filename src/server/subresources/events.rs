//! `GET …/applications/{name}/events`: events of the application and of what it manages, newest first.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::Uri;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{application, parameters};
use crate::server::failure::Failure;
use crate::server::request::RequestInfo;
use crate::server::rest::Rest;
use crate::store::events::{EventPage, Filter, Page};

/// Events a page where the client does not say.
const SIZE: usize = 30;
/// Events a page at most.
const MOST: usize = 500;

pub(in crate::server) async fn answer(
    rest: &Rest,
    info: &RequestInfo,
    uri: &Uri,
) -> Result<Response, Failure> {
    let (namespace, name) = application(info)?;
    let (filter, page) = wishes(parameters(uri))?;
    let app = rest.store.application(namespace, name).await?;
    Ok(Json(list(&rest.store.events(&app, &filter, page).await?)).into_response())
}

/// A core/v1 list, with the totals beside it.
fn list(page: &EventPage) -> Value {
    let EventPage { events, total, pages, resource_version } = page;
    json!({
        "kind": "EventList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": resource_version},
        "items": events,
        "total_items": total,
        "total_page": pages,
    })
}

/// Reads the query. Parameters of other meaning are passed over, as kube-apiserver does.
fn wishes(parameters: impl Iterator<Item = (String, String)>) -> Result<(Filter, Page), Failure> {
    let (mut filter, mut page) = (Filter::default(), Page { number: 1, size: SIZE });
    for (key, value) in parameters.filter(|(_, value)| !value.is_empty()) {
        match key.as_str() {
            "start_time" => filter.start = Some(time(&key, &value)?),
            "end_time" => filter.end = Some(time(&key, &value)?),
            "reason" => filter.reasons.extend(words(&value)),
            "kind" => filter.kinds.extend(words(&value)),
            "name" => filter.names.extend(words(&value)),
            "event_type" => filter.types.extend(types(&value)?),
            "pageno" => page.number = count(&key, &value)?,
            "size" => page.size = count(&key, &value)?.min(MOST),
            _ => {}
        }
    }
    match (filter.start, filter.end) {
        (Some(start), Some(end)) if start > end => Err(bad("start_time", "is later than end_time")),
        _ => Ok((filter, page)),
    }
}

fn words(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Into::into)
}

fn types(list: &str) -> Result<Vec<String>, Failure> {
    let types: Vec<String> = words(list).collect();
    let known = |word: &String| ["normal", "warning"].contains(&word.to_ascii_lowercase().as_str());
    match types.iter().find(|word| !known(word)) {
        Some(word) => Err(bad("event_type", &format!("is {word:?}: write Normal or Warning"))),
        None => Ok(types),
    }
}

fn time(key: &str, value: &str) -> Result<Timestamp, Failure> {
    let seconds = value.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.or_else(|| value.parse().ok()).ok_or_else(|| {
        bad(key, &format!("is {value:?}: write RFC 3339 such as 2026-01-31T08:00:00Z, or unix seconds"))
    })
}

fn count(key: &str, value: &str) -> Result<usize, Failure> {
    let count = value.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| bad(key, &format!("is {value:?}: write a number from 1")))
}

fn bad(key: &str, why: &str) -> Failure {
    Failure::bad_request(format!("the query parameter {key} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<(Filter, Page), String> {
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
        wishes(parameters).map_err(|failure| failure.to_string())
    }

    #[test]
    fn nothing_said_wants_the_newest_thirty() {
        assert_eq!(read("timeout=30s&pretty=true"), Ok((Filter::default(), Page { number: 1, size: 30 })));
    }

    #[test]
    fn every_parameter_counts() {
        let query = "start_time=60&end_time=1970-01-01T00%3A02%3A00%2B00:00&reason=Pulled,%20Killing&reason=Created\
                     &kind=Pod&name=crane,,boat&event_type=warning&pageno=3&size=100000";
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let filter = Filter {
            start: at(60),
            end: at(120),
            reasons: list(&["Pulled", "Killing", "Created"]),
            kinds: list(&["Pod"]),
            names: list(&["crane", "boat"]),
            types: list(&["warning"]),
        };
        assert_eq!(read(query), Ok((filter, Page { number: 3, size: 500 })));
    }

    #[test]
    fn nonsense_is_named() {
        let check = |query: &str, words: &str| {
            let text = read(query).unwrap_err();
            assert!(text.contains(words), "{text}");
        };
        check("start_time=yesterday", "start_time is \"yesterday\"");
        check("end_time=99999999999999999", "end_time is");
        check("start_time=2&end_time=1", "start_time is later");
        check("event_type=Normal,Bad", "event_type is \"Bad\"");
        check("pageno=0", "pageno is \"0\"");
        check("size=-1", "size is \"-1\"");
    }
}
