//! Waiting that belongs to a write: an object is gone, a new kind is served.

use std::time::Duration;

use tokio::time::Instant;

use super::Write;
use crate::cluster::discovery::Discovery;
use crate::engine::live::Live;
use crate::engine::step::{Done, Failure, Reason};
use crate::manifest::Gvk;

/// How long an object that is to be made anew may take to go.
const UNTIL_GONE: Duration = Duration::from_mins(1);
/// How long a new definition may take until its kind is served; Argo CD waits as long.
const UNTIL_SERVED: Duration = Duration::from_secs(3);

impl Write<'_> {
    /// Waits until the object with this uid is gone.
    pub(super) async fn gone(&self, uid: &str) -> Result<(), Failure> {
        let mut polls = Polls::for_at_most(UNTIL_GONE);
        loop {
            let present = self.fetch().await?.filter(|live| live.uid == uid);
            match present {
                None => return Ok(()),
                Some(present) if !polls.wait().await => return Err(held(&present)),
                Some(_) => {}
            }
        }
    }
}

/// Waits, after a definition was written, until its kinds are served, so that objects of them can be
/// applied next. Gives up silently: whoever uses the kind will say that it is unknown.
pub(super) async fn settle(done: &Done, discovery: &Discovery) {
    let (Done::Created(live) | Done::Configured(live)) = done else { return };
    if live.key.group != "apiextensions.k8s.io" || live.key.kind != "CustomResourceDefinition" {
        return;
    }
    let defined = defines(live);
    let mut polls = Polls::for_at_most(UNTIL_SERVED);
    loop {
        let served = match discovery.refresh().await {
            Ok(kinds) => defined.iter().all(|gvk| kinds.resource(gvk).is_some()),
            Err(_) => false,
        };
        if served || !polls.wait().await {
            return;
        }
    }
}

/// Returns the kinds that a definition says it serves.
fn defines(definition: &Live) -> Vec<Gvk> {
    let spec = &definition.value()["spec"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["served"].as_bool().unwrap_or_default())
        .map(|version| Gvk {
            group: text(&spec["group"]),
            version: text(&version["name"]),
            kind: text(&spec["names"]["kind"]),
        })
        .collect()
}

fn held(live: &Live) -> Failure {
    let value = live.value();
    let finalizers = value["metadata"]["finalizers"].as_array().into_iter().flatten();
    let finalizers: Vec<_> = finalizers.filter_map(serde_json::Value::as_str).collect();
    let seconds = UNTIL_GONE.as_secs();
    let message = match finalizers.as_slice() {
        [] => format!("the old object was still there {seconds} s after it was deleted"),
        finalizers => format!(
            "the old object was still there {seconds} s after it was deleted, held by: {}",
            finalizers.join(", ")
        ),
    };
    Failure { reason: Reason::Conflict, message }
}

/// Pauses that grow from 50 ms to 1 s until a deadline.
struct Polls {
    deadline: Instant,
    pause: Duration,
}

impl Polls {
    fn for_at_most(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, pause: Duration::from_millis(50) }
    }

    /// Pauses; says whether there is time for another try.
    async fn wait(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_definition_names_the_versions_it_serves() {
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "trees.grove.example"},
            "spec": {"group": "grove.example", "names": {"kind": "Tree"},
                "versions": [{"name": "v1", "served": true}, {"name": "v0", "served": false}]}});
        let live = Live::from_json(&definition.to_string()).unwrap();
        assert_eq!(defines(&live), [Gvk::new("grove.example/v1", "Tree")]);
    }

    #[test]
    fn what_holds_an_object_is_named() {
        let object = json!({"apiVersion": "v1", "kind": "Basket",
            "metadata": {"name": "plums", "finalizers": ["orchard.example/count"]}});
        let failure = held(&Live::from_json(&object.to_string()).unwrap());
        assert_eq!(failure.reason, Reason::Conflict);
        assert!(failure.message.ends_with("held by: orchard.example/count"), "{}", failure.message);
    }
}
