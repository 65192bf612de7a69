//! Whom kube-apiserver tells us to believe: the CAs and header names of the `ConfigMap`
//! `kube-system/extension-apiserver-authentication`, followed while we run. What cannot be read
//! leaves the last good state in place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use http::HeaderName;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::server::health::Flag;
use crate::server::tls::Peer;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
const REQUEST_HEADER_CA: &str = "requestheader-client-ca-file";
const CLIENT_CA: &str = "client-ca-file";

/// Why the `ConfigMap` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{key} holds no certificate that can be used")]
    NoCertificate { key: &'static str },
    #[error("{key} cannot be used as a CA")]
    Verifier { key: &'static str, source: rustls::server::VerifierBuilderError },
    #[error("{key} is not a JSON list of strings")]
    List { key: &'static str, source: serde_json::Error },
    #[error("{key} names {name:?}, which cannot be a header")]
    Header { key: &'static str, name: String },
}

/// The CAs and header names of one moment.
#[derive(Debug)]
pub(super) struct Trust {
    /// The front proxy; absent where the cluster has no aggregation layer.
    pub(super) front_proxy: Option<FrontProxy>,
    /// The CA of the cluster's client certificates.
    client_ca: Option<Ca>,
}

/// How kube-apiserver proves itself and passes on its users.
#[derive(Debug)]
pub(super) struct FrontProxy {
    ca: Ca,
    /// Common names that may pass on users; empty lets all certificates of the CA do it.
    allowed_names: Vec<String>,
    /// Where the user's name, uid and groups stand.
    pub(super) username_headers: Vec<HeaderName>,
    pub(super) uid_headers: Vec<HeaderName>,
    pub(super) group_headers: Vec<HeaderName>,
    /// What further attributes begin with, in lower case.
    pub(super) extra_prefixes: Vec<String>,
}

/// Holder of a verified certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) common_name: String,
    pub(super) organizations: Vec<String>,
}

struct Ca(Arc<dyn ClientCertVerifier>);

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ca")
    }
}

impl Trust {
    /// Reads the `ConfigMap`'s data.
    pub(super) fn parse(data: &BTreeMap<String, String>) -> Result<Self, Error> {
        let front_proxy = Ca::parse(data, REQUEST_HEADER_CA)?
            .map(|ca| {
                Ok(FrontProxy {
                    ca,
                    allowed_names: list(data, "requestheader-allowed-names")?,
                    username_headers: headers(data, "requestheader-username-headers")?,
                    uid_headers: headers(data, "requestheader-uid-headers")?,
                    group_headers: headers(data, "requestheader-group-headers")?,
                    extra_prefixes: prefixes(data, "requestheader-extra-headers-prefix")?,
                })
            })
            .transpose()?;
        Ok(Self { front_proxy, client_ca: Ca::parse(data, CLIENT_CA)? })
    }

    /// Returns the holder of the peer's certificate if the cluster's CA vouches for it.
    pub(super) fn client(&self, peer: &Peer, now: UnixTime) -> Option<Subject> {
        self.client_ca.as_ref()?.verify(peer, now)
    }
}

impl FrontProxy {
    /// Says whether the peer may pass on users.
    pub(super) fn is(&self, peer: &Peer, now: UnixTime) -> bool {
        self.ca.verify(peer, now).is_some_and(|subject| {
            self.allowed_names.is_empty() || self.allowed_names.contains(&subject.common_name)
        })
    }
}

impl Ca {
    fn parse(data: &BTreeMap<String, String>, key: &'static str) -> Result<Option<Self>, Error> {
        let Some(pem) = data.get(key).filter(|pem| !pem.trim().is_empty()) else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
        if roots.is_empty() {
            return Err(Error::NoCertificate { key });
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|source| Error::Verifier { key, source })?;
        Ok(Some(Self(verifier)))
    }

    /// Checks chain, validity and that the certificate is one for clients.
    fn verify(&self, peer: &Peer, now: UnixTime) -> Option<Subject> {
        let (own, others) = peer.chain()?;
        self.0.verify_client_cert(own, others, now).ok()?;
        subject(own)
    }
}

fn subject(certificate: &CertificateDer<'_>) -> Option<Subject> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    // Go, and with it Kubernetes, lets the last common name win.
    let common_name = subject.iter_common_name().filter_map(|name| name.as_str().ok()).last();
    Some(Subject {
        common_name: common_name.unwrap_or_default().to_owned(),
        organizations: subject
            .iter_organization()
            .filter_map(|organization| organization.as_str().ok().map(str::to_owned))
            .collect(),
    })
}

fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, Error> {
    match data.get(key).filter(|text| !text.trim().is_empty()) {
        Some(text) => serde_json::from_str::<Option<Vec<String>>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|source| Error::List { key, source }),
        None => Ok(Vec::new()),
    }
}

fn headers(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<HeaderName>, Error> {
    let names = list(data, key)?;
    names.into_iter().map(|name| name.parse().map_err(|_| Error::Header { key, name })).collect()
}

fn prefixes(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, Error> {
    let prefixes = list(data, key)?;
    Ok(prefixes.into_iter().filter(|prefix| !prefix.is_empty()).map(|it| it.to_ascii_lowercase()).collect())
}

/// The current [`Trust`]; empty until the `ConfigMap` was read for the first time.
pub(super) type Current = Arc<ArcSwapOption<Trust>>;

/// Reads the `ConfigMap` now and whenever it changes. Ends only with the process.
pub(super) async fn follow(client: kube::Client, current: Current, known: Flag) {
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client, NAMESPACE);
    let mut changes = Box::pin(watch_object(maps, NAME).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(Some(map)) => take(&map.data.unwrap_or_default(), &current, &known),
            Ok(None) => tracing::warn!(
                "ConfigMap {NAMESPACE}/{NAME} does not exist: kube-apiserver's requests cannot be believed until it does"
            ),
            Err(error) => tracing::warn!(
                %error,
                "cannot read ConfigMap {NAMESPACE}/{NAME}: is gitopsd bound to the role extension-apiserver-authentication-reader?"
            ),
        }
    }
}

fn take(data: &BTreeMap<String, String>, current: &Current, known: &Flag) {
    match Trust::parse(data) {
        Ok(trust) => {
            if trust.front_proxy.is_some() {
                known.set(true);
            } else {
                tracing::warn!(
                    "ConfigMap {NAMESPACE}/{NAME} has no {REQUEST_HEADER_CA}: kube-apiserver runs without aggregation layer"
                );
            }
            current.store(Some(Arc::new(trust)));
        }
        Err(error) => {
            tracing::warn!(%error, "ConfigMap {NAMESPACE}/{NAME} is not usable; the last good one stays");
        }
    }
}
