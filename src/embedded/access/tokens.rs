//! Tokens of service accounts as values: signed JWTs with the claims of Kubernetes' bound tokens. Whether what
//! they are bound to still exists is not decided here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::SignatureVerificationAlgorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Who issues tokens, and for whom they are good unless something else was asked for.
pub(super) const AUDIENCE: &str = "https://kubernetes.default.svc";

/// Verified tokens that are remembered.
const KNOWN: usize = 1024;
/// Clocks may differ by this many seconds.
const LEEWAY: i64 = 60;

/// The key that signs tokens cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the key that signs tokens is not an Ed25519 key in PEM")]
pub struct InvalidKey;

/// Signs and verifies.
pub(super) struct Tokens {
    key: KeyPair,
    id: String,
    /// Tokens whose signature was found to be right.
    known: Mutex<HashMap<Box<str>, Arc<Claims>>>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "aud")]
    pub(super) audiences: Vec<String>,
    #[serde(rename = "exp")]
    pub(super) expires: i64,
    #[serde(rename = "iat")]
    pub(super) issued: i64,
    #[serde(rename = "iss")]
    pub(super) issuer: String,
    #[serde(rename = "jti")]
    pub(super) id: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) bound: Bound,
    #[serde(rename = "nbf")]
    pub(super) not_before: i64,
    #[serde(rename = "sub")]
    pub(super) subject: String,
}

/// What a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bound {
    pub(super) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<Ref>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Ref>,
    #[serde(rename = "serviceaccount")]
    pub(super) account: Ref,
}

/// An object, told apart from later ones of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ref {
    pub(super) name: String,
    pub(super) uid: String,
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is none of ours.
    Unknown,
    /// It claims to be one of ours, with this error.
    Bad(String),
}

impl Rejected {
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::Bad(why.into())
    }

    /// Writes the failure as `TokenReviews` do.
    pub(super) fn described(&self) -> String {
        const UNKNOWN: &str = "invalid bearer token";
        match self {
            Self::Unknown => UNKNOWN.to_owned(),
            Self::Bad(why) => format!("[{UNKNOWN}, {why}]"),
        }
    }
}

impl Tokens {
    /// Makes a key.
    pub(super) fn new() -> Self {
        Self::of(KeyPair::generate_for(&PKCS_ED25519).expect("the system has random numbers"))
    }

    /// Reads a key.
    pub(super) fn with_key(pem: &str) -> Result<Self, InvalidKey> {
        let key = KeyPair::from_pem(pem).ok().filter(|key| key.is_compatible(&PKCS_ED25519));
        key.map(Self::of).ok_or(InvalidKey)
    }

    fn of(key: KeyPair) -> Self {
        let id = BASE64.encode(Sha256::digest(key.public_key_raw()));
        Self { key, id, known: Mutex::default() }
    }

    /// Writes a token.
    pub(super) fn sign(&self, claims: &Claims) -> String {
        let encode = |value: &Value| BASE64.encode(value.to_string());
        let header = encode(&json!({"alg": "EdDSA", "kid": self.id}));
        let claims = encode(&serde_json::to_value(claims).expect("claims are texts and numbers"));
        let signed = format!("{header}.{claims}");
        let signature = self.key.sign(signed.as_bytes()).expect("an Ed25519 key signs everything");
        format!("{signed}.{}", BASE64.encode(signature))
    }

    /// Reads a token that must be good now, for one of `audiences`.
    pub(super) fn verify(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Arc<Claims>, Rejected> {
        let claims = self.signed(token)?;
        if !claims.audiences.iter().any(|audience| audiences.contains(audience)) {
            let (own, wanted) = (super::rule::quoted(&claims.audiences), super::rule::quoted(audiences));
            let why = format!("token audiences {own} is invalid for the target audiences {wanted}");
            return Err(Rejected::Bad(why));
        }
        let now = now.as_second();
        if now > claims.expires + LEEWAY {
            return Err(Rejected::bad("service account token has expired"));
        }
        if now + LEEWAY < claims.not_before {
            return Err(Rejected::bad("service account token is not valid yet"));
        }
        Ok(claims)
    }

    /// Reads a token that we signed.
    fn signed(&self, token: &str) -> Result<Arc<Claims>, Rejected> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = known.get(token) {
            return Ok(Arc::clone(claims));
        }
        let claims = Arc::new(self.read(token)?);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(token.into(), Arc::clone(&claims));
        Ok(claims)
    }

    fn read(&self, token: &str) -> Result<Claims, Rejected> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejected::Unknown)?;
        let (_, claims) = signed.split_once('.').ok_or(Rejected::Unknown)?;
        let claims: Value = BASE64
            .decode(claims)
            .ok()
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .filter(|claims: &Value| claims["iss"] == AUDIENCE)
            .ok_or(Rejected::Unknown)?;
        let key = self.key.public_key_raw();
        let verify = |signature: Vec<u8>| ed25519().verify_signature(key, signed.as_bytes(), &signature).ok();
        BASE64
            .decode(signature)
            .ok()
            .and_then(verify)
            .ok_or_else(|| Rejected::bad("go-jose/go-jose: error in cryptographic primitive"))?;
        serde_json::from_value(claims).map_err(|error| Rejected::Bad(error.to_string()))
    }
}

fn ed25519() -> &'static dyn SignatureVerificationAlgorithm {
    let known = aws_lc_rs::default_provider().signature_verification_algorithms.mapping;
    let found = known.iter().find(|(scheme, _)| *scheme == SignatureScheme::ED25519);
    found.and_then(|(_, algorithms)| algorithms.first().copied()).expect("the library verifies Ed25519")
}
