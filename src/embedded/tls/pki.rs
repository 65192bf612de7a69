//! The keys and certificates that a cluster has, and what others are told of them.

use std::fmt;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};
use serde_json::{Value, json};

use super::Error;
use crate::embedded::access::MASTERS;

/// The names by which the port is called.
const NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
const CA: &str = "gitopsd-embedded";
const PROXY: &str = "front-proxy-client";

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// All keys and certificates of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    ca: Identity,
    serving: Identity,
    admin: Identity,
    proxy_ca: String,
    proxy: Identity,
    tokens: Secret,
}

/// A private key, as PEM, that is not shown.
#[derive(Clone, PartialEq, Eq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Pki {
    /// Makes all of them.
    pub fn make() -> Result<Self, Error> {
        let ca = Authority::make(CA)?;
        let proxy_ca = Authority::make("gitopsd-embedded-front-proxy")?;
        Ok(Self {
            serving: ca.sign("kube-apiserver", None, Usage::Server)?,
            admin: ca.sign("admin", Some(MASTERS), Usage::Client)?,
            proxy: proxy_ca.sign(PROXY, None, Usage::Client)?,
            proxy_ca: proxy_ca.certificate,
            tokens: Secret(KeyPair::generate_for(&PKCS_ED25519)?.serialize_pem()),
            ca: Identity { key: ca.issuer.key().serialize_pem(), certificate: ca.certificate },
        })
    }

    /// Reads them from the folder `pki` of `dir`, or makes them there. Nobody else may read the private keys.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let folder = dir.join("pki");
        let failed = |source| Error::Keep { dir: folder.as_path().into(), source };
        match Self::read(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read.map_err(failed),
        }
        let made = Self::make()?;
        made.write(dir, &folder).map_err(failed)?;
        Ok(made)
    }

    fn read(folder: &Path) -> io::Result<Self> {
        let text = |name: &str| fs::read_to_string(folder.join(name));
        let identity = |name: &str| {
            let (certificate, key) = (text(&format!("{name}.crt"))?, text(&format!("{name}.key"))?);
            io::Result::Ok(Identity { certificate, key })
        };
        Ok(Self {
            ca: identity("ca")?,
            serving: identity("serving")?,
            admin: identity("admin")?,
            proxy_ca: text("front-proxy-ca.crt")?,
            proxy: identity(PROXY)?,
            tokens: Secret(text("service-account.key")?),
        })
    }

    /// Writes all or nothing: a folder that is complete takes its name last.
    fn write(&self, dir: &Path, folder: &Path) -> io::Result<()> {
        let Self { ca, serving, admin, proxy_ca, proxy, tokens } = self;
        fs::create_dir_all(dir)?;
        let draft = tempfile::Builder::new()
            .prefix(".pki")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(dir)?;
        let write = |name: String, text: &str, mode: u32| {
            let path = draft.path().join(name);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        for (name, identity) in [("ca", ca), ("serving", serving), ("admin", admin), (PROXY, proxy)] {
            write(format!("{name}.crt"), &identity.certificate, 0o644)?;
            write(format!("{name}.key"), &identity.key, 0o600)?;
        }
        write("front-proxy-ca.crt".into(), proxy_ca, 0o644)?;
        write("service-account.key".into(), &tokens.0, 0o600)?;
        fs::rename(draft.path(), folder)?;
        _ = draft.keep();
        fs::File::open(dir)?.sync_all()
    }

    /// The CA of the port and of its clients, as PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca.certificate
    }

    /// What the port shows.
    #[must_use]
    pub fn serving(&self) -> &Identity {
        &self.serving
    }

    /// What the administrator shows.
    #[must_use]
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// What the aggregator shows to the servers behind it.
    #[must_use]
    pub fn front_proxy(&self) -> &Identity {
        &self.proxy
    }

    /// The key that signs tokens, as PEM.
    #[must_use]
    pub fn token_key(&self) -> &str {
        &self.tokens.0
    }

    /// Makes a client certificate for a user in one group, or in none.
    pub fn user(&self, name: &str, group: Option<&str>) -> Result<Identity, Error> {
        Ok(Authority::read(CA, &self.ca)?.sign(name, group, Usage::Client)?)
    }

    /// What aggregated servers read to know whom to believe: the `ConfigMap`
    /// `kube-system/extension-apiserver-authentication`.
    #[must_use]
    pub fn authentication(&self) -> Value {
        json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
            "data": {
                "client-ca-file": self.ca.certificate,
                "requestheader-allowed-names": json!([PROXY]).to_string(),
                "requestheader-client-ca-file": self.proxy_ca,
                "requestheader-extra-headers-prefix": r#"["X-Remote-Extra-"]"#,
                "requestheader-group-headers": r#"["X-Remote-Group"]"#,
                "requestheader-uid-headers": r#"["X-Remote-Uid"]"#,
                "requestheader-username-headers": r#"["X-Remote-User"]"#,
            },
        })
    }

    /// Writes a kubeconfig for the administrator. `server` is a URL.
    #[must_use]
    pub fn kubeconfig(&self, server: &str) -> String {
        let encoded = |text: &str| BASE64.encode(text);
        let (ca, certificate, key) =
            (encoded(&self.ca.certificate), encoded(&self.admin.certificate), encoded(&self.admin.key));
        format!(
            "apiVersion: v1
kind: Config
current-context: gitopsd-embedded
clusters:
- name: gitopsd-embedded
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: gitopsd-embedded
  context:
    cluster: gitopsd-embedded
    user: admin
"
        )
    }
}

/// For what a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    Server,
    Client,
}

/// A CA that can sign.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn make(name: &str) -> Result<Self, rcgen::Error> {
        let (parameters, key) = (authority(name), KeyPair::generate()?);
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(parameters, key) })
    }

    fn read(name: &str, identity: &Identity) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::new(authority(name), KeyPair::from_pem(&identity.key)?);
        Ok(Self { certificate: identity.certificate.clone(), issuer })
    }

    fn sign(&self, name: &str, group: Option<&str>, usage: Usage) -> Result<Identity, rcgen::Error> {
        let mut parameters = parameters(name, group);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.use_authority_key_identifier_extension = true;
        parameters.extended_key_usages = match usage {
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Server => {
                let names: Vec<_> = NAMES.iter().map(|name| (*name).to_owned()).collect();
                parameters.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
                vec![ExtendedKeyUsagePurpose::ServerAuth]
            }
        };
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = parameters(name, None);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

/// What all certificates have in common. The organization of a user is a group.
fn parameters(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    if let Some(organization) = organization {
        parameters.distinguished_name.push(DnType::OrganizationName, organization);
    }
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2000, 1, 1);
    parameters.not_after = date_time_ymd(2100, 1, 1);
    parameters
}
