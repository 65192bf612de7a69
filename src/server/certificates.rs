//! The serving certificate and who believes it: made and renewed by ourselves under an own CA, shared
//! by all replicas through a Secret, and announced to kube-apiserver in the `caBundle` of our
//! `APIService`. What to do is decided in `material`; here it is read, written and followed.

mod material;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Clock;
use super::health::{Flag, Health};
use super::tls::Serving;
use crate::api::names::{API_SERVICE, SERVICE, SERVING_CERT_SECRET};
use material::{Material, Next};

const FIELD_MANAGER: &str = "gitopsd";
const CHECK_INTERVAL: Duration = Duration::from_hours(1);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Where the certificate is kept and for whom it is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Namespace of gitopsd.
    pub namespace: String,
    /// Secret that all replicas share.
    pub secret: String,
    /// `APIService` whose `caBundle` is kept right.
    pub api_service: String,
    /// DNS names and IP addresses that clients call us by; the same for all replicas.
    pub names: Vec<String>,
}

impl Settings {
    /// Returns the settings of gitopsd in `namespace`.
    #[must_use]
    pub fn of(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            secret: SERVING_CERT_SECRET.into(),
            api_service: API_SERVICE.into(),
            names: vec![
                format!("{SERVICE}.{namespace}.svc"),
                format!("{SERVICE}.{namespace}.svc.cluster.local"),
                "localhost".into(),
                "127.0.0.1".into(),
            ],
        }
    }
}

/// Why a step failed; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Make(#[from] material::Error),
    #[error("cannot show the certificate")]
    Install(#[from] super::tls::Error),
    #[error("cannot write secret {secret}: {source}")]
    Write { secret: String, source: kube::Error },
    #[error("cannot read secret {secret}: {source}")]
    Read { secret: String, source: kube::Error },
}

/// Keeps a certificate in `serving` and kube-apiserver's belief in it. Ends only with the process;
/// readiness of `health` waits for the first certificate from this call on.
pub fn keep(
    client: kube::Client,
    settings: Settings,
    serving: Arc<Serving>,
    health: &Health,
    clock: Clock,
) -> impl Future<Output = ()> + Send + use<> {
    let (bundle, announced) = watch::channel(None);
    let keeper = Keeper {
        secrets: Api::namespaced(client.clone(), &settings.namespace),
        settings: settings.clone(),
        serving,
        installed: health.flag("serving-certificate"),
        bundle,
    };
    async move {
        tokio::join!(keeper.run(clock), announce(client, settings.api_service, announced));
    }
}

/// PEM text of the CAs, once there is one.
type Bundle = Option<String>;

struct Keeper {
    secrets: Api<Secret>,
    settings: Settings,
    serving: Arc<Serving>,
    installed: Flag,
    bundle: watch::Sender<Bundle>,
}

impl Keeper {
    /// Looks whenever the Secret changes, every hour, and soon after a failure.
    async fn run(self, clock: Clock) {
        let name = &self.settings.secret;
        let mut changes = Box::pin(watch_object(self.secrets.clone(), name).default_backoff());
        let mut held = None;
        let mut look = Instant::now() + CHECK_INTERVAL;
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(secret)) => held = secret,
                    Some(Err(error)) => {
                        tracing::warn!(%error, "cannot follow secret {}/{name}", self.settings.namespace);
                        continue;
                    }
                    None => return,
                },
                () = sleep_until(look) => {}
            }
            look = Instant::now()
                + match self.step(&mut held, clock()).await {
                    Ok(()) => CHECK_INTERVAL,
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the serving certificate is not as it should be"
                        );
                        RETRY_INTERVAL
                    }
                };
        }
    }

    /// Makes what is missing, as often as another replica comes first, and shows the result.
    async fn step(&self, held: &mut Option<Secret>, now: Timestamp) -> Result<(), Error> {
        const ATTEMPTS: usize = 5;
        for _ in 0..ATTEMPTS {
            let data = held.as_ref().and_then(|secret| secret.data.as_ref());
            let current = data.and_then(Material::read);
            let Some(wanted) = self.wanted(current.as_ref(), now)? else { break };
            *held = match self.write(held.as_ref(), &wanted).await {
                Ok(written) => Some(written),
                Err(kube::Error::Api(status)) if status.code == 409 => self.read().await?,
                Err(source) => return Err(Error::Write { secret: self.settings.secret.clone(), source }),
            };
        }
        let data = held.as_ref().and_then(|secret| secret.data.as_ref());
        data.and_then(Material::read).map_or(Ok(()), |material| self.show(&material))
    }

    /// Returns what the Secret should hold instead; `None` if it is good.
    fn wanted(&self, current: Option<&Material>, now: Timestamp) -> Result<Option<Material>, Error> {
        let names = &self.settings.names;
        let Some(current) = current else { return Ok(Some(material::make(names, now)?)) };
        let next = current.next(names, now);
        if next != Next::Keep {
            tracing::info!(?next, "the serving certificate is renewed");
        }
        Ok(match next {
            Next::Keep => None,
            Next::Leaf => Some(material::renew(current, names, now)?),
            Next::Announce => Some(material::announce(current, now)?),
            Next::All => Some(material::make(names, now)?),
        })
    }

    /// Writes only over the state that was read.
    async fn write(&self, held: Option<&Secret>, material: &Material) -> Result<Secret, kube::Error> {
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        let name = &self.settings.secret;
        let data = Some(material.write());
        if let Some(held) = held {
            let secret = Secret { data, ..held.clone() };
            return self.secrets.replace(name, &parameters, &secret).await;
        }
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let secret = Secret { metadata, type_: Some("kubernetes.io/tls".into()), data, ..Secret::default() };
        self.secrets.create(&parameters, &secret).await
    }

    async fn read(&self) -> Result<Option<Secret>, Error> {
        let secret = &self.settings.secret;
        let read = self.secrets.get_opt(secret).await;
        read.map_err(|source| Error::Read { secret: secret.clone(), source })
    }

    fn show(&self, material: &Material) -> Result<(), Error> {
        self.serving.install(material.chain.as_bytes(), material.key.as_bytes())?;
        self.installed.set(true);
        self.bundle.send_if_modified(|bundle| {
            let changed = bundle.as_ref() != Some(&material.cas);
            *bundle = Some(material.cas.clone());
            changed
        });
        Ok(())
    }
}

/// Keeps the `caBundle` of our `APIService` right.
async fn announce(client: kube::Client, name: String, mut bundle: watch::Receiver<Bundle>) {
    let api: Api<APIService> = Api::all(client);
    let mut changes = Box::pin(watch_object(api.clone(), &name).default_backoff());
    // Whether it is there, once that is known.
    let mut held: Option<Option<APIService>> = None;
    let mut look = Instant::now() + CHECK_INTERVAL;
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(service)) => held = Some(service),
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot follow APIService {name}");
                    continue;
                }
                None => return,
            },
            changed = bundle.changed() => if changed.is_err() { return },
            () = sleep_until(look) => {}
        }
        look = Instant::now() + CHECK_INTERVAL;
        let wanted = bundle.borrow_and_update().clone();
        let Some(wanted) = wanted else { continue };
        let Some(held) = &held else { continue };
        let Some(service) = held else {
            tracing::warn!(
                "APIService {name} does not exist: nothing of gitops/v1 is served through kube-apiserver until manifests/ is applied"
            );
            continue;
        };
        if let Some(patch) = correction(service, &wanted) {
            match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Ok(_) => tracing::info!("kube-apiserver was told our CA in APIService {name}"),
                Err(error) => {
                    tracing::warn!(%error, "cannot write the caBundle of APIService {name}");
                    look = Instant::now() + RETRY_INTERVAL;
                }
            }
        }
    }
}

/// Returns the patch that makes kube-apiserver believe all of our CAs; `None` if it does. More CAs than
/// ours are left alone: a replica that has not yet read of a new CA must not take it away again.
fn correction(service: &APIService, wanted: &str) -> Option<serde_json::Value> {
    let spec = service.spec.as_ref()?;
    let believed = spec.ca_bundle.as_ref().map(certificates).unwrap_or_default();
    let complete = material::certificates(wanted).iter().all(|ca| believed.contains(ca));
    if complete && spec.insecure_skip_tls_verify != Some(true) {
        return None;
    }
    let bundle = ByteString(wanted.as_bytes().to_vec());
    Some(json!({"spec": {"caBundle": bundle, "insecureSkipTLSVerify": null}}))
}

fn certificates(bundle: &ByteString) -> Vec<CertificateDer<'static>> {
    material::certificates(&String::from_utf8_lossy(&bundle.0))
}

#[cfg(test)]
mod tests;
