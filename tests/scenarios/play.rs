//! Plays a script in a world.

use std::time::Duration;

use gitopsd::manifest::yaml;
use serde_json::Value;

use super::outcome::{self, Detail};
use super::script::{Action, Step};
use super::world::{self, World};

/// How long, on the scenario's clock, something is waited for.
const PATIENCE: Duration = Duration::from_mins(15);
/// The namespace, and so project, of what scripts name.
const NAMESPACE: &str = "shop";

/// What one run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    /// What each `show` recorded.
    pub(crate) shown: String,
    /// What there is in the end.
    pub(crate) end: String,
    /// How many writes gitopsd's controller sent.
    pub(crate) writes: usize,
    /// Whether the controller was killed by a fault.
    pub(crate) killed: bool,
}

/// Plays `steps`; the controller is killed after its write number `kill`, counted from 1.
pub(crate) fn play(name: &str, steps: &[Step], kill: Option<usize>) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let failing = steps.iter().filter_map(|step| match &step.action {
            Action::Fail(code, verb, resource, count) => Some(world::failing(*code, verb, resource, *count)),
            _ => None,
        });
        let mut world = World::start(failing.chain(kill.map(world::killed_after)).collect()).await;
        let mut shown = String::new();
        for step in steps {
            let place = format!("{name}:{}", step.line);
            act(&mut world, &place, &step.action, &mut shown).await;
        }
        world.rest().await;
        Played {
            shown,
            end: outcome::state(&world, Detail::Whole),
            writes: world.writes(),
            killed: world.killed,
        }
    })
}

async fn act(world: &mut World, place: &str, action: &Action, shown: &mut String) {
    match action {
        Action::Commit(files) => world.repository.commit(files),
        Action::Setup(project) => {
            let documents = SETUP.split("\n---\n").skip(usize::from(!project));
            apply(world, place, &documents.collect::<Vec<_>>().join("\n---\n")).await;
        }
        Action::Apply(text) => apply(world, place, text).await,
        Action::Patch(kind, name, text) => {
            let text = world.repository.meant(text);
            let patch = yaml::documents(text.as_bytes()).unwrap_or_else(|error| panic!("{place}: {error}"));
            let path = named(world, place, kind, name);
            expect(place, world.send("PATCH", &path, MERGE, patch.first().unwrap_or(&Value::Null)).await, 0);
        }
        Action::Delete(kind, name) => {
            let path = named(world, place, kind, name);
            expect(place, world.send("DELETE", &path, JSON, &Value::Null).await, 0);
        }
        Action::Post(subresource, name, text, code) => {
            let body = yaml::documents(text.as_bytes()).unwrap_or_else(|error| panic!("{place}: {error}"));
            let body = body.first().cloned().unwrap_or(Value::Object(serde_json::Map::new()));
            let path = format!("{}/{subresource}", named(world, place, "Application", name));
            expect(place, world.send("POST", &path, JSON, &body).await, *code);
        }
        Action::Wait(kind, name, conditions) => {
            let conditions: Vec<_> = conditions
                .iter()
                .map(|(path, value)| (path.clone(), world.repository.meant(value)))
                .collect();
            until(world, place, kind, name, |object| {
                object.is_some_and(|object| {
                    conditions.iter().all(|(path, value)| text_at(object, path) == *value)
                })
            })
            .await;
        }
        Action::Gone(kind, name) => until(world, place, kind, name, |object| object.is_none()).await,
        Action::Advance(time) => {
            world.rest().await;
            world.pass(*time).await;
            world.rest().await;
        }
        Action::Fail(..) => {} // holds from the beginning
        Action::Restart => world.restart(),
        Action::Show => {
            world.rest().await;
            shown.push_str(&outcome::state(world, Detail::Objects));
            shown.push_str("---\n");
        }
    }
}

async fn apply(world: &World, place: &str, text: &str) {
    let text = world.repository.meant(text);
    for object in yaml::documents(text.as_bytes()).unwrap_or_else(|error| panic!("{place}: {error}")) {
        let path = format!("{}?fieldManager=user&force=true", path(world, place, &object));
        expect(place, world.send("PATCH", &path, APPLY, &object).await, 0);
    }
}

/// A project in which everything is allowed, and all rights for its account.
const SETUP: &str = include_str!("setup.yaml");
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Checks an answer: the code that is expected, or any success.
#[track_caller]
fn expect(place: &str, (code, body): (u16, Value), expected: u16) {
    let right = if expected == 0 { (200..300).contains(&code) } else { code == expected };
    assert!(right, "{place}: {code} {}", body["message"].as_str().unwrap_or_default());
}

/// Waits on the scenario's clock.
async fn until(world: &mut World, place: &str, kind: &str, name: &str, met: impl Fn(Option<&Value>) -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let path = named(world, place, kind, name);
    let mut pause = Duration::from_millis(500);
    loop {
        world.rest().await;
        let (code, object) = world.send("GET", &path, JSON, &Value::Null).await;
        let object = (code == 200).then_some(object);
        if met(object.as_ref()) {
            return;
        }
        let late = tokio::time::Instant::now() > deadline;
        assert!(!late, "{place}: it does not come to that:\n{}", outcome::state(world, Detail::Objects));
        world.pass(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(30));
    }
}

/// `.status.sync.status` of an object.
fn text_at(object: &Value, path: &str) -> String {
    match object.pointer(&path.replace('.', "/")) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn path(world: &World, place: &str, object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE);
    world.path(kind, namespace, name).unwrap_or_else(|| panic!("{place}: the kind {kind} is not known"))
}

fn named(world: &World, place: &str, kind: &str, name: &str) -> String {
    world.path(kind, NAMESPACE, name).unwrap_or_else(|| panic!("{place}: the kind {kind} is not known"))
}
