//! Finding the events of an application.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Event;

use super::scope::Scope;
use crate::api::application::Application;
use crate::store::{Error, Store, get};

/// How many events kube-apiserver is asked for at a time.
const CHUNK: u32 = 500;

/// Which events are wanted. An empty list wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Not older than this.
    pub start: Option<Timestamp>,
    /// Not newer than this.
    pub end: Option<Timestamp>,
    /// With one of these reasons.
    pub reasons: Vec<String>,
    /// About objects of one of these kinds, in any case.
    pub kinds: Vec<String>,
    /// About objects with one of these names.
    pub names: Vec<String>,
    /// Of one of these types (`Normal`, `Warning`), in any case.
    pub types: Vec<String>,
}

/// Which part of the events is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Number of the page; the first is 1.
    pub number: usize,
    /// Events a page; at least 1.
    pub size: usize,
}

/// Some of an application's events, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events of the page.
    pub events: Vec<Event>,
    /// Events on all pages.
    pub total: usize,
    /// Number of pages.
    pub pages: usize,
    /// Resource version of the newest list that was read.
    pub resource_version: String,
}

impl Store {
    /// Finds events about `app` and about what it manages in this cluster.
    pub async fn events(&self, app: &Application, filter: &Filter, page: Page) -> Result<EventPage, Error> {
        let scope = Scope::of(app);
        let own = app.metadata.namespace.as_deref().ok_or(Error::Nameless("metadata.namespace"))?;
        let mut namespaces = scope.namespaces();
        let elsewhere = namespaces.remove(own);
        let uid = app.metadata.uid.as_deref().unwrap_or_default();
        let mut found = Found::default();
        // Without objects in the application's own namespace, the server can find its events.
        let selector = if elsewhere { String::new() } else { format!("involvedObject.uid={uid}") };
        self.collect(own, &selector, &mut found, |event| scope.covers(event) && filter.admits(event)).await?;
        for namespace in namespaces {
            self.collect(namespace, "", &mut found, |event| scope.covers(event) && filter.admits(event))
                .await?;
        }
        Ok(found.page(page))
    }

    async fn collect(
        &self,
        namespace: &str,
        selector: &str,
        found: &mut Found,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<(), Error> {
        let mut next = String::new();
        loop {
            let path = path(namespace, selector, &next);
            let list: List<Event> = self.call(get(&path)?).await?;
            found.events.extend(list.items.into_iter().filter(&wanted));
            found.resource_version = list.metadata.resource_version.unwrap_or_default();
            next = list.metadata.continue_.unwrap_or_default();
            if next.is_empty() {
                return Ok(());
            }
        }
    }
}

fn path(namespace: &str, selector: &str, next: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &CHUNK.to_string());
    for (key, value) in [("fieldSelector", selector), ("continue", next)] {
        if !value.is_empty() {
            query.append_pair(key, value);
        }
    }
    format!("/api/v1/namespaces/{namespace}/events?{}", query.finish())
}

#[derive(Default)]
struct Found {
    events: Vec<Event>,
    resource_version: String,
}

impl Found {
    fn page(self, page: Page) -> EventPage {
        let Self { mut events, resource_version } = self;
        events.sort_by_cached_key(|event| (Reverse(last_seen(event)), event.metadata.name.clone()));
        let total = events.len();
        let before = page.number.saturating_sub(1).saturating_mul(page.size);
        let events = events.into_iter().skip(before).take(page.size).collect();
        EventPage { events, total, pages: total.div_ceil(page.size.max(1)), resource_version }
    }
}

impl Filter {
    fn admits(&self, event: &Event) -> bool {
        let Self { start, end, reasons, kinds, names, types } = self;
        let seen = last_seen(event);
        let within = |bound: &Option<Timestamp>, fits: fn(&Timestamp, &Timestamp) -> bool| {
            bound.as_ref().is_none_or(|bound| seen.as_ref().is_some_and(|seen| fits(seen, bound)))
        };
        within(start, Timestamp::ge)
            && within(end, Timestamp::le)
            && one_of(reasons, event.reason.as_deref())
            && one_of(kinds, event.involved_object.kind.as_deref())
            && one_of(names, event.involved_object.name.as_deref())
            && one_of(types, event.type_.as_deref())
    }
}

fn one_of(wanted: &[String], text: Option<&str>) -> bool {
    wanted.is_empty()
        || text.is_some_and(|text| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(text)))
}

/// Returns when the event happened last. Old and new ways of writing events differ in the field.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    series
        .map(|time| time.0)
        .or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| event.event_time.as_ref().map(|time| time.0))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(name: &str, at: i64) -> Event {
        let time = Timestamp::from_second(at).unwrap().to_string();
        read(&json!({"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "name": "crane"},
            "reason": "Pulled", "type": "Normal", "lastTimestamp": time}))
    }

    fn read(event: &Value) -> Event {
        serde_json::from_value(event.clone()).unwrap()
    }

    #[test]
    fn filters_admit_what_fits_all_of_them() {
        let check = |filter: Filter, admitted: bool| {
            assert_eq!(filter.admits(&event("e", 100)), admitted, "{filter:?}");
        };
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        check(Filter::default(), true);
        check(Filter { start: at(100), end: at(100), ..Filter::default() }, true);
        check(Filter { start: at(101), ..Filter::default() }, false);
        check(Filter { end: at(99), ..Filter::default() }, false);
        check(Filter { reasons: list(&["Killing", "Pulled"]), ..Filter::default() }, true);
        check(Filter { reasons: list(&["Killing"]), ..Filter::default() }, false);
        check(Filter { kinds: list(&["pod"]), names: list(&["crane"]), ..Filter::default() }, true);
        check(Filter { kinds: list(&["pod"]), names: list(&["boat"]), ..Filter::default() }, false);
        check(Filter { types: list(&["warning"]), ..Filter::default() }, false);
    }

    #[test]
    fn pages_come_newest_first() {
        let found = || Found {
            events: vec![event("old", 1), event("b", 2), event("a", 2), event("new", 3)],
            resource_version: "9".into(),
        };
        let check = |number: usize, size: usize, names: &[&str], pages: usize| {
            let page = found().page(Page { number, size });
            let got: Vec<_> = page.events.iter().map(|event| event.metadata.name.clone().unwrap()).collect();
            assert_eq!((got.join(" "), page.total, page.pages), (names.join(" "), 4, pages));
        };
        check(1, 3, &["new", "a", "b"], 2);
        check(2, 3, &["old"], 2);
        check(3, 3, &[], 2);
        check(usize::MAX, usize::MAX, &[], 1);
        check(1, 4, &["new", "a", "b", "old"], 1);
    }

    #[test]
    fn every_way_of_writing_the_time_counts() {
        let check =
            |event: Value| assert_eq!(last_seen(&read(&event)), Some(Timestamp::from_second(60).unwrap()));
        let object = json!({});
        let time = "1970-01-01T00:01:00Z";
        let micro = "1970-01-01T00:01:00.000000Z";
        let old = "1970-01-01T00:00:01Z";
        check(json!({"metadata": {"creationTimestamp": time}, "involvedObject": object}));
        check(json!({"metadata": {"creationTimestamp": old}, "involvedObject": object, "eventTime": micro}));
        check(json!({"metadata": {}, "involvedObject": object, "lastTimestamp": time, "eventTime": micro}));
        check(json!({"metadata": {}, "involvedObject": object, "lastTimestamp": old,
            "series": {"count": 2, "lastObservedTime": micro}}));
    }
}
