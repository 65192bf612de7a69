//! The serving certificate as a value: what is good about it, what to do next, and how to make a new
//! one. Reading and writing it, and telling the time, is left to the caller.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
const CA_LIFE: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);
/// Clocks of kube-apiserver's machines may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_hours(1);
/// How long a new CA is only announced before certificates are signed with it. By then all replicas
/// and kube-apiservers know it.
const ANNOUNCED: SignedDuration = SignedDuration::from_hours(2);

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const CAS: &str = "ca.crt";
const CA_KEY: &str = "ca.key";

/// Why no certificate can be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// What the Secret holds, all as PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    /// Certificate that we show.
    pub(super) chain: String,
    /// Its key.
    pub(super) key: String,
    /// CAs that clients may believe: first the one that signs, then earlier ones.
    pub(super) cas: String,
    ca_key: String,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").field("chain", &self.chain).field("cas", &self.cas).finish_non_exhaustive()
    }
}

/// What is to be done with the material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is good.
    Keep,
    /// The certificate grows old, lacks a name or has another CA.
    Leaf,
    /// The CA grows old: a new one is announced, the certificate stays for now.
    Announce,
    /// Nothing of it can be used.
    All,
}

impl Material {
    /// Reads a Secret; `None` if a part is missing.
    pub(super) fn read(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        let part = |key| String::from_utf8(data.get(key)?.0.clone()).ok();
        Some(Self { chain: part(CHAIN)?, key: part(KEY)?, cas: part(CAS)?, ca_key: part(CA_KEY)? })
    }

    /// Returns the content of a Secret.
    pub(super) fn write(&self) -> BTreeMap<String, ByteString> {
        let Self { chain, key, cas, ca_key } = self;
        [(CHAIN, chain), (KEY, key), (CAS, cas), (CA_KEY, ca_key)]
            .into_iter()
            .map(|(name, pem)| (name.to_owned(), ByteString(pem.clone().into_bytes())))
            .collect()
    }

    /// Decides what to do with the material at `now`, if it is to serve under `names`.
    pub(super) fn next(&self, names: &[String], now: Timestamp) -> Next {
        let cas = certificates(&self.cas);
        let Some(ca) = cas.first().and_then(Facts::of) else { return Next::All };
        if !ca.is_valid(now) || !ca.has_key(&self.ca_key) {
            return Next::All;
        }
        let Some(leaf) = self.working_leaf(&cas, names, now) else { return Next::Leaf };
        if ca.is_old(now) {
            return Next::Announce;
        }
        let due = leaf.is_old(now) || leaf.issuer != ca.subject;
        if due && ca.age(now) >= ANNOUNCED { Next::Leaf } else { Next::Keep }
    }

    /// Returns the certificate if clients that know one of the CAs accept it under all names.
    fn working_leaf(
        &self,
        cas: &[CertificateDer<'static>],
        names: &[String],
        now: Timestamp,
    ) -> Option<Facts> {
        let chain = certificates(&self.chain);
        let leaf = chain.first()?;
        let parsed = ParsedCertificate::try_from(leaf).ok()?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(cas.iter().cloned());
        let time = u64::try_from(now.as_second()).ok()?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &chain[1..], time, algorithms.all).ok()?;
        for name in names {
            verify_server_name(&parsed, &ServerName::try_from(name.as_str()).ok()?).ok()?;
        }
        Facts::of(leaf).filter(|facts| facts.has_key(&self.key))
    }
}

/// Makes material from nothing.
pub(super) fn make(names: &[String], now: Timestamp) -> Result<Material, Error> {
    let ca = Authority::make(now)?;
    let (chain, key) = ca.sign(names, now)?;
    Ok(Material { chain, key, cas: ca.pem, ca_key: ca.issuer.key().serialize_pem() })
}

/// Signs another certificate with the present CA. It keeps the names of the last one, so that replicas
/// that want different names do not replace each other's certificate for ever.
pub(super) fn renew(old: &Material, names: &[String], now: Timestamp) -> Result<Material, Error> {
    let ca = Authority::read(&old.cas, &old.ca_key)?;
    let mut all = names.to_vec();
    let old_leaf = certificates(&old.chain);
    let kept = old_leaf.first().and_then(Facts::of).map(|leaf| leaf.names).unwrap_or_default();
    all.extend(kept.into_iter().filter(|name| !names.contains(name)));
    let (chain, key) = ca.sign(&all, now)?;
    Ok(Material { chain, key, ..old.clone() })
}

/// Puts a new CA before those that are still valid.
pub(super) fn announce(old: &Material, now: Timestamp) -> Result<Material, Error> {
    let ca = Authority::make(now)?;
    let valid = |ca: &CertificateDer<'static>| Facts::of(ca).is_some_and(|facts| facts.is_valid(now));
    let mut cas = ca.pem;
    for earlier in certificates(&old.cas).into_iter().filter(valid) {
        cas += &pem(&earlier);
    }
    Ok(Material { cas, ca_key: ca.issuer.key().serialize_pem(), ..old.clone() })
}

/// A CA that can sign.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn make(now: Timestamp) -> Result<Self, Error> {
        // Each CA has a name of its own: clients look for the issuer by name.
        let mut parameters = Self::parameters(&format!("gitopsd serving CA {}", now.as_second()));
        span(&mut parameters, now, CA_LIFE);
        let key = KeyPair::generate()?;
        let pem = parameters.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(parameters, key) })
    }

    fn read(pem: &str, key: &str) -> Result<Self, Error> {
        let name = certificates(pem).first().and_then(Facts::of).map(|ca| ca.common_name);
        let parameters = Self::parameters(&name.unwrap_or_default());
        Ok(Self { pem: pem.to_owned(), issuer: Issuer::new(parameters, KeyPair::from_pem(key)?) })
    }

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters
    }

    /// Returns certificate and key.
    fn sign(&self, names: &[String], now: Timestamp) -> Result<(String, String), Error> {
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "gitopsd");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        span(&mut parameters, now, LEAF_LIFE);
        let key = KeyPair::generate()?;
        Ok((parameters.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

fn span(parameters: &mut CertificateParams, now: Timestamp, life: SignedDuration) {
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    parameters.not_before = at(now - SKEW);
    parameters.not_after = at(now + life);
}

/// What decisions need to know of a certificate.
struct Facts {
    subject: String,
    common_name: String,
    issuer: String,
    names: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: Vec<u8>,
}

impl Facts {
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let common_name = certificate.subject().iter_common_name().next().and_then(|it| it.as_str().ok());
        let names = certificate.subject_alternative_name().ok()?.map(|names| &names.value.general_names);
        Some(Self {
            subject: certificate.subject().to_string(),
            common_name: common_name.unwrap_or_default().to_owned(),
            issuer: certificate.issuer().to_string(),
            names: names.into_iter().flatten().filter_map(name).collect(),
            not_before: Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
            public_key: certificate.public_key().raw.to_vec(),
        })
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.not_before) - SKEW
    }

    /// Two thirds of its life are over: enough is left for renewal to fail for weeks.
    fn is_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.not_before) * 3 >= self.not_after.duration_since(self.not_before) * 2
    }

    fn has_key(&self, pem: &str) -> bool {
        KeyPair::from_pem(pem).is_ok_and(|key| key.subject_public_key_info() == self.public_key)
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => Some(std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
            16 => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Reads all certificates of a PEM text that can be read.
pub(super) fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect()
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    fn names() -> Vec<String> {
        vec!["api.ns.svc".into(), "127.0.0.1".into()]
    }

    fn made() -> Material {
        make(&names(), start()).unwrap()
    }

    #[track_caller]
    fn check(material: &Material, now: Timestamp, expected: Next) {
        assert_eq!(material.next(&names(), now), expected, "at {now}");
    }

    #[test]
    fn fresh_material_is_good_at_once_and_survives_the_secret() {
        let material = made();
        check(&material, start(), Next::Keep);
        assert!(Material::read(&material.write()).unwrap() == material);
    }

    #[test]
    fn the_certificate_is_renewed_at_two_thirds_of_its_life() {
        let material = made();
        check(&material, start() + days(59), Next::Keep);
        let late = start() + days(60);
        check(&material, late, Next::Leaf);
        check(&material, start() + days(91), Next::Leaf);
        let renewed = renew(&material, &names(), late).unwrap();
        check(&renewed, late, Next::Keep);
        assert_eq!(renewed.cas, material.cas);
        assert_ne!(renewed.key, material.key);
    }

    #[test]
    fn a_missing_name_is_added_and_the_others_stay() {
        let material = made();
        let more = vec!["other.ns.svc".to_owned()];
        assert_eq!(material.next(&more, start()), Next::Leaf);
        let renewed = renew(&material, &more, start()).unwrap();
        assert_eq!(renewed.next(&more, start()), Next::Keep);
        check(&renewed, start(), Next::Keep);
    }

    #[test]
    fn a_new_ca_is_announced_before_it_signs() {
        let mut material = made();
        let mut now = start();
        while material.next(&names(), now) != Next::Announce {
            if material.next(&names(), now) == Next::Leaf {
                material = renew(&material, &names(), now).unwrap();
            }
            now += days(1);
            assert!(now < start() + days(490), "no CA was announced");
        }
        let announced = announce(&material, now).unwrap();
        assert_eq!(announced.chain, material.chain);
        assert_eq!(certificates(&announced.cas).len(), 2);
        assert_eq!(certificates(&announced.cas)[1], certificates(&material.cas)[0]);
        check(&announced, now, Next::Keep);
        check(&announced, now + HOUR, Next::Keep);
        now += HOUR * 2;
        check(&announced, now, Next::Leaf);
        let signed = renew(&announced, &names(), now).unwrap();
        check(&signed, now, Next::Keep);
        // Whoever still knows only the old CA accepts the old certificate, which others may still show.
        assert_eq!(certificates(&signed.cas).len(), 2);
    }

    #[test]
    fn an_expired_ca_leaves_the_bundle() {
        let material = made();
        let announced = announce(&material, start() + CA_LIFE).unwrap();
        assert_eq!(certificates(&announced.cas).len(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_made_anew() {
        let material = made();
        check(&material, start() + CA_LIFE, Next::All);
        check(&Material { cas: String::new(), ..material.clone() }, start(), Next::All);
        check(&Material { ca_key: "nonsense".into(), ..material.clone() }, start(), Next::All);
        let other = made();
        check(&Material { ca_key: other.ca_key.clone(), ..material.clone() }, start(), Next::All);
        check(&Material { key: other.key, ..material.clone() }, start(), Next::Leaf);
        check(&Material { chain: other.chain, ..material }, start(), Next::Leaf);
        assert!(Material::read(&BTreeMap::new()).is_none());
    }

    #[test]
    fn keys_are_not_shown() {
        let material = made();
        let shown = format!("{material:?}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
