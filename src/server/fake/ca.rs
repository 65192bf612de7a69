//! Certificate authorities for tests.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Something that signs.
pub(crate) struct Ca {
    /// Its own certificate.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A signed certificate and its key.
pub(crate) struct Leaf {
    /// As a handshake carries it.
    pub(crate) der: CertificateDer<'static>,
    /// As a Secret carries it.
    pub(crate) pem: String,
    key: KeyPair,
}

impl Leaf {
    /// Returns the key as a handshake needs it.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// Returns the key as a Secret carries it.
    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// Returns the time by which everything signed by [`Ca::client`] is valid.
pub(crate) fn today() -> jiff::Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = named(name, None);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    fn sign(&self, parameters: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Leaf { der: certificate.der().clone(), pem: certificate.pem(), key }
    }

    fn issue(&self, mut parameters: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Leaf {
        parameters.extended_key_usages = vec![purpose];
        let day = Duration::from_hours(24);
        parameters.not_before = rcgen::date_time_ymd(2026, 6, 1) - day;
        parameters.not_after = rcgen::date_time_ymd(2026, 6, 1) + day;
        self.sign(&parameters)
    }

    /// Signs a client's certificate.
    pub(crate) fn client(&self, name: &str, organization: Option<&str>) -> Leaf {
        self.issue(named(name, organization), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Signs a certificate that may not be used by clients.
    pub(crate) fn not_for_clients(&self, name: &str) -> Leaf {
        self.issue(named(name, None), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Signs a server's certificate, valid whenever tests run.
    pub(crate) fn server(&self, name: &str) -> Leaf {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&parameters)
    }
}

fn named(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        parameters.distinguished_name.push(DnType::OrganizationName, organization);
    }
    parameters
}
