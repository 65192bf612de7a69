//! TLS as kube-apiserver and its clients expect it: 1.2 and 1.3, HTTP/2 and 1.1, a serving certificate
//! that can be exchanged while serving. Clients are asked for a certificate and must prove that they
//! hold its key, but who issued it is not judged here: that is a question of each request, answered
//! with the CAs of that moment (`authentication`).

mod client;
pub mod connection;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Certificate or key are not PEM.
    #[error("the serving certificate or its key is not PEM: make both anew by deleting the secret")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Certificate and key cannot be used together.
    #[error("the serving certificate does not fit its key")]
    Key(#[source] rustls::Error),
    /// The library refuses its own settings.
    #[error("cannot set up TLS")]
    Settings(#[source] rustls::Error),
}

/// The certificate that we show. It may be missing at first: handshakes fail until it is installed.
#[derive(Default)]
pub struct Serving {
    current: ArcSwapOption<CertifiedKey>,
}

impl Serving {
    /// Makes a place for a certificate.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Shows another certificate to the connections that are made from now on.
    pub fn install(&self, chain: &[u8], key: &[u8]) -> Result<(), Error> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(key)?;
        let certified =
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(Error::Key)?;
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("installed", &self.current.load().is_some()).finish()
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

/// The certificates that a client showed, its own first. They prove nothing but that it holds the key
/// of the first: who vouches for it must be verified for each request.
#[derive(Debug, Clone, Default)]
pub struct Peer(Arc<[CertificateDer<'static>]>);

impl Peer {
    /// Wraps what a handshake brought.
    #[must_use]
    pub fn new(chain: &[CertificateDer<'static>]) -> Self {
        Self(chain.into())
    }

    /// Returns the client's certificate and those that lead from it to a CA.
    #[must_use]
    pub fn chain(&self) -> Option<(&CertificateDer<'static>, &[CertificateDer<'static>])> {
        self.0.split_first()
    }
}

/// Makes the acceptor of handshakes that shows what is in `serving` at the time.
pub fn acceptor(serving: Arc<Serving>) -> Result<TlsAcceptor, Error> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::Settings)?
        .with_client_cert_verifier(Arc::new(client::Anybody::new(&provider)))
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![connection::H2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
