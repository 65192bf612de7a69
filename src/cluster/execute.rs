//! Carries out steps. No decision is made here: a step says what is done, and the answer of the API
//! server says what became of it.

pub(crate) mod failure;
mod settle;

use futures::{StreamExt, stream};
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};

use self::failure::{Attempt, unknown_kind};
use super::client::Connection;
use super::discovery::Discovery;
use super::discovery::kinds::Resource;
use super::live::Cache;
use super::request::{Answer, JSON, Refusal, exchange, get, query, with_body};
use super::{Error, ServiceAccount};
use crate::engine::live::Live;
use crate::engine::step::{Action, Done, FIELD_MANAGER, Failure, Outcome, Propagation, Reason, Step};
use crate::manifest::{Key, Manifest};

/// How many writes run at once.
const AT_ONCE: usize = 16;
/// Media type of server-side apply; JSON is YAML.
const APPLY: &str = "application/apply-patch+yaml";

/// On whose behalf writes are made, with its rights and no others.
struct Actor<'a> {
    client: Client,
    account: &'a ServiceAccount,
}

/// Writes to one cluster.
#[derive(Clone)]
pub struct Executor {
    connection: Connection,
    discovery: Discovery,
    live: Cache,
}

impl Executor {
    /// Makes an executor that looks kinds up in `discovery` and records answers in `live`.
    #[must_use]
    pub fn new(connection: Connection, discovery: Discovery, live: Cache) -> Self {
        Self { connection, discovery, live }
    }

    /// Carries out steps that do not depend on each other; the outcomes are in the order of the steps.
    pub async fn execute(&self, account: &ServiceAccount, steps: &[Step]) -> Vec<Outcome> {
        let actor = &self.actor(account);
        // Collected first: as a lazy stream its closure would not be general enough to be sent.
        let outcomes: Vec<_> = steps.iter().map(|step| self.outcome(actor, step)).collect();
        stream::iter(outcomes).buffered(AT_ONCE).collect().await
    }

    async fn outcome(&self, actor: &Actor<'_>, step: &Step) -> Outcome {
        Outcome { key: step.key.clone(), result: self.step(actor, step).await }
    }

    /// Returns what the object would become if it was applied; nothing is written.
    pub async fn predict(
        &self,
        account: &ServiceAccount,
        key: &Key,
        manifest: &Manifest,
    ) -> Result<Value, Failure> {
        let actor = &self.actor(account);
        let step = Step {
            key: key.clone(),
            gvk: manifest.gvk(),
            action: Action::Apply(manifest.clone()),
            dry_run: true,
        };
        let write = self.write(actor, &step).await?;
        let answer = write.apply(manifest).await?;
        serde_json::from_slice(&answer.body).map_err(|_| write.failed("patch", &Refusal::garbled()))
    }

    fn actor<'a>(&self, account: &'a ServiceAccount) -> Actor<'a> {
        Actor { client: self.connection.acting_as(account), account }
    }

    async fn step(&self, actor: &Actor<'_>, step: &Step) -> Result<Done, Failure> {
        if let Action::Delete { uid, propagation } = &step.action {
            return self.delete(actor, step, uid, *propagation).await;
        }
        let write = self.write(actor, step).await?;
        let done = match &step.action {
            Action::Apply(manifest) => {
                // Asked before, because the watch can be quicker than the answer.
                let before = self.live.get(&step.key);
                write.judge(before.as_deref(), &write.apply(manifest).await?)?
            }
            Action::Replace(manifest) => write.replace(manifest).await?,
            Action::Recreate(manifest) => write.recreate(manifest).await?,
            Action::Delete { .. } => unreachable!("handled above"),
        };
        if !step.dry_run {
            self.record(&done);
            settle::settle(&done, &self.discovery).await;
        }
        Ok(done)
    }

    async fn write<'a>(&'a self, actor: &'a Actor<'a>, step: &'a Step) -> Result<Write<'a>, Failure> {
        failure::check_names(&step.key)?;
        let resource = self.discovery.resource(&step.gvk).await.map_err(|error| match error {
            Error::UnknownKind(gvk) => unknown_kind(&gvk),
            error => Failure { reason: Reason::Unavailable, message: error.to_string() },
        })?;
        Ok(Write { actor, live: &self.live, step, resource })
    }

    /// Deletes in whatever version the kind is still served; a kind that is not has no objects.
    async fn delete(
        &self,
        actor: &Actor<'_>,
        step: &Step,
        uid: &str,
        propagation: Propagation,
    ) -> Result<Done, Failure> {
        let kinds = self.discovery.kinds();
        let resource = match kinds.in_any_version(&step.gvk) {
            Some(resource) => resource.clone(),
            None => match self.write(actor, step).await {
                Ok(write) => write.resource,
                Err(Failure { reason: Reason::UnknownKind, .. }) => return Ok(Done::Gone),
                Err(failure) => return Err(failure),
            },
        };
        let write = Write { actor, live: &self.live, step, resource };
        let done = write.delete(uid, propagation).await?;
        match &done {
            Done::Gone if !step.dry_run => self.live.forget(&step.key, uid),
            done if !step.dry_run => self.record(done),
            _ => {}
        }
        Ok(done)
    }

    fn record(&self, done: &Done) {
        if let Done::Created(live) | Done::Configured(live) | Done::Unchanged(live) | Done::Deleting(live) =
            done
        {
            self.live.record(live.clone());
        }
    }
}

/// One step on its way.
struct Write<'a> {
    actor: &'a Actor<'a>,
    live: &'a Cache,
    step: &'a Step,
    resource: Resource,
}

impl Write<'_> {
    async fn apply(&self, manifest: &Manifest) -> Result<Answer, Failure> {
        let path =
            self.path(&[("fieldManager", FIELD_MANAGER), ("force", "true"), ("fieldValidation", "Strict")]);
        let send = || self.send(Method::PATCH, &path, APPLY, manifest.value());
        match send().await {
            // Applying twice is the same as applying once, and a server that goes away cuts connections.
            Err(Refusal::Unreachable(_)) => send().await,
            result => result,
        }
        .map_err(|refusal| self.failed("patch", &refusal))
    }

    /// Writes the whole object over the one that is there, or creates it.
    async fn replace(&self, manifest: &Manifest) -> Result<Done, Failure> {
        let Some(present) = self.fetch().await? else { return self.create(manifest).await };
        let mut value = manifest.value().clone();
        value["metadata"]["resourceVersion"] = present.resource_version.clone().into();
        let path = self.path(&[("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]);
        let answer = self.send(Method::PUT, &path, JSON, &value).await;
        let live = self.read(&answer.map_err(|refusal| self.failed("update", &refusal))?)?;
        Ok(if self.same(&present, &live) { Done::Unchanged(live) } else { Done::Configured(live) })
    }

    async fn recreate(&self, manifest: &Manifest) -> Result<Done, Failure> {
        if let Some(present) = self.fetch().await? {
            let deleted = self.delete(&present.uid, Propagation::Background).await?;
            if self.step.dry_run {
                // The name is still taken, so that creating cannot be tried.
                return Ok(Done::Configured(present));
            }
            if deleted != Done::Gone {
                self.gone(&present.uid).await?;
            }
            self.live.forget(&self.step.key, &present.uid);
        }
        self.create(manifest).await
    }

    async fn create(&self, manifest: &Manifest) -> Result<Done, Failure> {
        let parameters = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")];
        let path = self.query(&self.resource.collection(&self.step.key.namespace), &parameters);
        let answer = self.send(Method::POST, &path, JSON, manifest.value()).await;
        self.read(&answer.map_err(|refusal| self.failed("create", &refusal))?).map(Done::Created)
    }

    async fn delete(&self, uid: &str, propagation: Propagation) -> Result<Done, Failure> {
        // Parameters in the query are ignored where there is a body.
        let dry_run: &[&str] = if self.step.dry_run { &["All"] } else { &[] };
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid},
            "propagationPolicy": propagation.as_str(), "dryRun": dry_run});
        let path = self.resource.object(&self.step.key.namespace, &self.step.key.name);
        match self.send(Method::DELETE, &path, JSON, &options).await {
            Ok(answer) => self.deleted(&answer),
            Err(refusal) if refusal.code() == 404 => Ok(Done::Gone),
            // Another object has the name, or this one is going already.
            Err(refusal) if refusal.code() == 409 => match self.fetch().await? {
                Some(present) if present.uid == uid && present.deleting => Ok(Done::Deleting(present)),
                Some(present) if present.uid == uid => Err(self.failed("delete", &refusal)),
                _ => Ok(Done::Gone),
            },
            Err(refusal) => Err(self.failed("delete", &refusal)),
        }
    }

    /// An object that is gone is answered by a `Status` or, by some kinds, by its last state.
    fn deleted(&self, answer: &Answer) -> Result<Done, Failure> {
        let text = answer.text().map_err(|refusal| self.failed("delete", &refusal))?;
        Ok(match Live::from_json(text) {
            Ok(live) if live.deleting => Done::Deleting(live),
            _ => Done::Gone,
        })
    }

    /// Tells from the answer to an apply what it did.
    fn judge(&self, before: Option<&Live>, answer: &Answer) -> Result<Done, Failure> {
        let live = self.read(answer)?;
        if answer.code == StatusCode::CREATED {
            return Ok(Done::Created(live));
        }
        let unchanged = before.is_some_and(|before| self.same(before, &live));
        Ok(if unchanged { Done::Unchanged(live) } else { Done::Configured(live) })
    }

    /// A write that changes nothing keeps the resource version; so does every dry run.
    fn same(&self, before: &Live, after: &Live) -> bool {
        let untouched = before.uid == after.uid && before.resource_version == after.resource_version;
        untouched && (!self.step.dry_run || content(before) == content(after))
    }

    /// Reads the object as it is now.
    async fn fetch(&self) -> Result<Option<Live>, Failure> {
        fetch(&self.actor.client, &self.resource, &self.step.key)
            .await
            .map_err(|refusal| self.failed("get", &refusal))
    }

    fn read(&self, answer: &Answer) -> Result<Live, Failure> {
        answer
            .text()
            .and_then(|text| Live::from_json(text).map_err(|_| Refusal::garbled()))
            .map_err(|refusal| self.failed("read", &refusal))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &'static str,
        body: &Value,
    ) -> Result<Answer, Refusal> {
        let body = serde_json::to_vec(body).map_err(|_| Refusal::garbled())?;
        exchange(&self.actor.client, with_body(method, path, content, body)).await
    }

    fn path(&self, parameters: &[(&str, &str)]) -> String {
        let Key { namespace, name, .. } = &self.step.key;
        self.query(&self.resource.object(namespace, name), parameters)
    }

    fn query(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let mut parameters = parameters.to_vec();
        if self.step.dry_run {
            parameters.push(("dryRun", "All"));
        }
        format!("{path}?{}", query(&parameters))
    }

    fn failed(&self, verb: &'static str, refusal: &Refusal) -> Failure {
        let account = Some(self.actor.account);
        Attempt { verb, resource: &self.resource, key: &self.step.key, account }.failure(refusal)
    }
}

/// Reads an object; `None` if there is none.
pub(super) async fn fetch(client: &Client, resource: &Resource, key: &Key) -> Result<Option<Live>, Refusal> {
    match exchange(client, get(&resource.object(&key.namespace, &key.name), JSON)).await {
        Ok(answer) => Live::from_json(answer.text()?).map(Some).map_err(|_| Refusal::garbled()),
        Err(refusal) if refusal.code() == 404 => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Returns the object without what a dry run changes even where nothing would change.
fn content(live: &Live) -> Value {
    let mut value = live.value();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for field in ["managedFields", "generation", "resourceVersion"] {
            metadata.remove(field);
        }
    }
    value
}

#[cfg(test)]
mod tests;
