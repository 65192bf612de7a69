//! Keys and certificates of the cluster, and its port: TLS with optional client certificates.
//!
//! The certificates are as good as for ever: the clock of tests may show any time, nobody is there to renew
//! them, and they vouch for nothing but one process.

mod connection;
mod pki;

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::access::{self, Peer, User};

pub use connection::serve;
pub use pki::{Identity, Pki};

/// Why there are no keys, or why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The files cannot be read or written.
    #[error("cannot keep the keys of the cluster in {}", dir.display())]
    Keep {
        /// Where they are kept.
        dir: Box<Path>,
        /// Why not.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("a certificate or key of the cluster is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The library refuses certificates or settings.
    #[error("cannot set up TLS")]
    Settings(#[from] rustls::Error),
    /// The library refuses a CA.
    #[error("cannot verify with the CA of the cluster")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What the port needs to know: what it shows, and whom it believes. Clones share it.
#[derive(Clone)]
pub struct Door {
    config: Arc<ServerConfig>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl Door {
    /// Sets the port up with the keys of the cluster.
    pub fn of(pki: &Pki) -> Result<Self, Error> {
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(pki.ca())?);
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let Identity { certificate, key } = pki.serving();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(Arc::new(Anybody(Arc::clone(&clients))))
            .with_single_cert(certificates(certificate)?, private_key(key)?)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), clients })
    }

    /// Finds out who holds the certificate that a client showed.
    fn peer(&self, chain: &[CertificateDer<'_>]) -> Peer {
        let Some((own, others)) = chain.split_first() else { return Peer::default() };
        let verified = self.clients.verify_client_cert(own, others, UnixTime::now()).is_ok();
        let user = if verified { holder(own) } else { None };
        // Whoever shows a certificate that does not count is not anonymous: 401.
        Peer { user: Some(user.unwrap_or_default()) }
    }
}

fn holder(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    // Go, and with it Kubernetes, lets the last common name win.
    let name = subject.iter_common_name().filter_map(|name| name.as_str().ok()).last()?.to_owned();
    let groups =
        subject.iter_organization().filter_map(|group| group.as_str().ok()).map(str::to_owned).collect();
    let digest: String = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    let extra = [(access::CREDENTIAL.to_owned(), vec![format!("X509SHA256={digest}")])].into();
    Some(User { name, groups, extra, ..User::default() })
}

/// Lets everybody in who can sign with the key of their certificate, or who shows none. Who vouches for it
/// is asked later, so that those for whom nobody does get an answer and not an alert.
#[derive(Debug)]
struct Anybody(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Reads all certificates of a PEM text.
pub(in crate::embedded) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// Reads a private key.
pub(in crate::embedded) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, Error> {
    Ok(PrivateKeyDer::from_pem_slice(pem.as_bytes())?)
}

#[cfg(test)]
mod tests;
