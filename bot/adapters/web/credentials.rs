//! Who may come in: alert sources and people, each known by secrets of which only digests are kept.
//!
//! Presented secrets are hashed first and the hashes compared in constant time, against every candidate, so that
//! neither the length of a secret nor the place of the first wrong byte shows. Two secrets may hold at the same time,
//! which is what a rotation needs.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::domain::{
    alerts::{Batch, Malformed},
    deployments::Report,
    people::{Capability, PersonId},
    time::Time,
};

/// Reads the body of a delivery of one source.
pub type Parse = Arc<dyn Fn(&[u8]) -> Result<Batch, Malformed> + Send + Sync>;

/// Reads the body of a delivery about deployments and changes, with the event that its headers name.
pub type Feed = Arc<dyn Fn(&str, &[u8]) -> Result<Option<Report>, Malformed> + Send + Sync>;

/// Something that sends alerts, or tells of deployments.
#[derive(Clone)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// Which of the webhooks it uses.
    pub kind: SourceKind,
    /// How it proves who it is.
    pub auth: Auth,
    /// How its alerts are read; none if it sends by Alertmanager's API, which has a format of its own, or sends none.
    pub parse: Option<Parse>,
    /// How what it tells of deployments is read, if it tells of them.
    pub feed: Option<Feed>,
    /// What it may do beside sending, by Alertmanager's API.
    pub may: Option<Capability>,
}

/// The formats in which alerts, and reports of deployments, are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Alertmanager's webhook, version 4.
    Alertmanager,
    /// JSON whose fields the configuration maps.
    Generic,
    /// What Prometheus sends to an Alertmanager: its API, version 2.
    Prometheus,
    /// GitHub's webhooks.
    Github,
    /// JSON of any deployer.
    Deployments,
}

/// How a source proves who it is.
#[derive(Clone)]
pub enum Auth {
    /// `Authorization: Bearer`.
    Bearer(Vec<Fingerprint>),
    /// `Authorization: Basic`.
    Basic(Vec<Fingerprint>),
    /// A signature over the time and the body.
    Signed(Signing),
}

/// How deliveries are signed: HMAC-SHA256, in hexadecimal, over the time in Unix seconds, a dot, and the body; or over the
/// body alone, where the sender has it so.
#[derive(Clone)]
pub struct Signing {
    keys: Vec<Hmac<Sha256>>,
    /// The header with the signature, which may start with `sha256=`.
    pub header: String,
    /// The header with the time in Unix seconds; without one, no time is signed.
    pub time_header: Option<String>,
    /// How far that time may be from the bot's.
    pub tolerance: Duration,
}

/// The digest of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The digest of this secret; `None` for an empty one, which lets nobody in.
    pub fn of(secret: &str) -> Option<Self> {
        (!secret.is_empty()).then(|| Self(Sha256::digest(secret.as_bytes()).into()))
    }

    fn is_one_of<'a>(&self, known: impl IntoIterator<Item = &'a Fingerprint>) -> bool {
        known.into_iter().fold(Choice::from(0), |found, one| found | self.0.ct_eq(&one.0)).into()
    }
}

impl Auth {
    /// Any of these tokens.
    pub fn bearer(tokens: &[SecretString]) -> Self {
        Auth::Bearer(tokens.iter().filter_map(|token| Fingerprint::of(token.expose_secret())).collect())
    }

    /// This user with any of these passwords.
    pub fn basic(user: &str, passwords: &[SecretString]) -> Self {
        let known = passwords.iter().filter(|password| !password.expose_secret().is_empty());
        Auth::Basic(known.filter_map(|word| Fingerprint::of(&format!("{user}:{}", word.expose_secret()))).collect())
    }

    /// A signature by any of these secrets, in the headers `x-firewarden-signature` and `x-firewarden-time`, at most
    /// five minutes old.
    pub fn signed(secrets: &[SecretString]) -> Self {
        let known = secrets.iter().map(|secret| secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty());
        Auth::Signed(Signing {
            keys: known.filter_map(|secret| Hmac::new_from_slice(secret).ok()).collect(),
            header: "x-firewarden-signature".to_owned(),
            time_header: Some("x-firewarden-time".to_owned()),
            tolerance: Duration::from_mins(5),
        })
    }
}

impl Auth {
    /// A signature by any of these secrets over the body alone, as GitHub signs.
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
    pub fn signed_by_github(secrets: &[SecretString]) -> Self {
        match Self::signed(secrets) {
            Auth::Signed(signing) => {
                Auth::Signed(Signing { header: "x-hub-signature-256".to_owned(), time_header: None, ..signing })
            }
            other @ (Auth::Bearer(_) | Auth::Basic(_)) => other,
        }
    }
}

/// What a request shows in its `Authorization` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Bearer(Fingerprint),
    Basic(Fingerprint),
}

impl Shown {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return Shown::Nothing;
        };
        let Some((scheme, rest)) = value.split_once(' ') else { return Shown::Nothing };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Fingerprint::of(rest).map_or(Shown::Nothing, Shown::Bearer);
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let pair = BASE64_STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            return pair.and_then(|pair| Fingerprint::of(&pair)).map_or(Shown::Nothing, Shown::Basic);
        }
        Shown::Nothing
    }
}

impl Source {
    /// Whether the headers alone prove that this source is calling.
    pub(super) fn admits(&self, shown: &Shown) -> bool {
        match (&self.auth, shown) {
            (Auth::Bearer(known), Shown::Bearer(token)) => token.is_one_of(known),
            (Auth::Basic(known), Shown::Basic(pair)) => pair.is_one_of(known),
            (Auth::Bearer(_) | Auth::Basic(_) | Auth::Signed(_), _) => false,
        }
    }

    /// How its deliveries are signed, if they are and this one claims to be.
    pub(super) fn signing(&self, headers: &HeaderMap) -> Option<&Signing> {
        match &self.auth {
            Auth::Signed(signing) if headers.contains_key(&signing.header) => Some(signing),
            Auth::Signed(_) | Auth::Bearer(_) | Auth::Basic(_) => None,
        }
    }
}

impl Signing {
    /// The signature, in lower-case hexadecimal, if it is right and fresh.
    pub(super) fn verified(&self, headers: &HeaderMap, body: &[u8], now: Time) -> Option<String> {
        let said = match &self.time_header {
            Some(header) => Some(headers.get(header)?.to_str().ok()?.trim()),
            None => None,
        };
        let apart = match said {
            Some(said) => {
                let at = Time::from_millis(said.parse::<i64>().ok()?.checked_mul(1000)?);
                now.since(at).max(at.since(now))
            }
            None => Duration::ZERO,
        };
        let signature = headers.get(&self.header)?.to_str().ok()?.trim();
        let signature = hex::decode(signature.strip_prefix("sha256=").unwrap_or(signature)).ok()?;
        let mut is_right = Choice::from(0);
        for key in &self.keys {
            let mut mac = key.clone();
            if let Some(said) = said {
                mac.update(said.as_bytes());
                mac.update(b".");
            }
            mac.update(body);
            is_right |= mac.finalize().into_bytes().as_slice().ct_eq(&signature);
        }
        (bool::from(is_right) && apart <= self.tolerance).then(|| hex::encode(signature))
    }
}

/// Everybody who may come in. Replaced as a whole when the configuration is read anew.
#[derive(Clone, Default)]
pub struct Keys {
    /// The sources of alerts.
    pub sources: Vec<Source>,
    /// The personal tokens. A person may have several.
    pub people: Vec<(PersonId, Fingerprint)>,
    /// The tokens that may read the metrics; nobody is asked for one if there is none.
    pub scrapers: Vec<Fingerprint>,
}

impl Keys {
    /// The person whose token this is.
    pub(super) fn person(&self, token: &Fingerprint) -> Option<&PersonId> {
        let mut found = None;
        for (person, known) in &self.people {
            if token.is_one_of([known]) {
                found = Some(person);
            }
        }
        found
    }

    /// Whether the metrics may be read by whoever shows this.
    pub(super) fn may_scrape(&self, shown: &Shown) -> bool {
        match shown {
            _ if self.scrapers.is_empty() => true,
            Shown::Bearer(token) => token.is_one_of(&self.scrapers),
            Shown::Basic(_) | Shown::Nothing => false,
        }
    }
}

/// The keys in force.
#[derive(Default)]
pub struct Gate(RwLock<Arc<Keys>>);

impl Gate {
    /// A gate that opens to these.
    pub fn new(keys: Keys) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Arc::new(keys))))
    }

    /// Opens to these instead, from the next request on. A session ends with the token that it began with.
    pub fn adopt(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Who may come in.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
