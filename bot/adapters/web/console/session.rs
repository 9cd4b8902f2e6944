//! Sessions of the page: begun with a personal token, kept in memory, ended with the token, by signing out or by age.
//!
//! The cookie carries a random name and only its digest is kept. Every form carries a second random word, so that a
//! page from elsewhere cannot press a button in somebody's name even where a browser sends the cookie along.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

use crate::{
    adapters::web::{Site, credentials::Fingerprint},
    domain::{
        people::{Person, PersonId},
        time::Time,
    },
};

const COOKIE: &str = "firewarden_session";
/// How long a session may stay unused: a shift.
const IDLE: Duration = Duration::from_hours(12);
/// The most sessions; the one that was unused longest gives way.
const MOST: usize = 1_000;

/// Somebody who has signed in, as one request sees them.
#[derive(Clone)]
pub(in crate::adapters::web) struct Session {
    /// Who it is, with the roles that count at this moment.
    pub(in crate::adapters::web) person: Person,
    /// The word that every form carries.
    pub(in crate::adapters::web) csrf: String,
}

struct Known {
    person: PersonId,
    token: Fingerprint,
    csrf: String,
    used_at: Time,
}

/// Every session.
#[derive(Default)]
pub(in crate::adapters::web) struct Sessions(Mutex<HashMap<Fingerprint, Known>>);

/// A word that nobody can guess.
pub(in crate::adapters::web) fn random_word() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}

impl Sessions {
    /// Begins a session and gives the value of its cookie.
    fn begin(&self, person: PersonId, token: Fingerprint, now: Time) -> String {
        let name = random_word();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, session| now.since(session.used_at) < IDLE);
        if known.len() >= MOST {
            let oldest = known.iter().min_by_key(|(_, session)| session.used_at).map(|(name, _)| *name);
            oldest.and_then(|name| known.remove(&name));
        }
        if let Some(name) = Fingerprint::of(&name) {
            known.insert(name, Known { person, token, csrf: random_word(), used_at: now });
        }
        name
    }

    fn find(&self, name: &Fingerprint, now: Time) -> Option<(PersonId, Fingerprint, String)> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = known.get_mut(name).filter(|session| now.since(session.used_at) < IDLE)?;
        session.used_at = now;
        Some((session.person.clone(), session.token, session.csrf.clone()))
    }

    fn end(&self, name: &Fingerprint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl Session {
    /// The session that the cookie names, if its token still opens the gate.
    pub(in crate::adapters::web) fn of(site: &Site, headers: &HeaderMap) -> Option<Session> {
        let (person, token, csrf) = site.sessions.find(&named(headers)?, site.engine.now())?;
        let holder = site.gate.keys().person(&token).cloned()?;
        (holder == person).then(|| Session { person: site.person(&person), csrf })
    }

    /// Whether a form carries the word of this session.
    pub(super) fn sent(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

/// Begins a session with a personal token; the answer is the cookie, `None` if the token is nobody's.
pub(super) fn begin(site: &Site, token: &str) -> Option<String> {
    let token = Fingerprint::of(token.trim())?;
    let person = site.gate.keys().person(&token).cloned()?;
    tracing::info!(person = %person, "somebody signed in to the page");
    let name = site.sessions.begin(person, token, site.engine.now());
    Some(cookie(site, &name, IDLE.as_secs()))
}

/// Ends the session and gives the cookie that takes the old one away.
pub(super) fn end(site: &Site, headers: &HeaderMap) -> String {
    if let Some(name) = named(headers) {
        site.sessions.end(&name);
    }
    cookie(site, "", 0)
}

fn cookie(site: &Site, value: &str, age: u64) -> String {
    let secure = if site.is_behind_tls { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

fn named(headers: &HeaderMap) -> Option<Fingerprint> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).and_then(|(_, value)| Fingerprint::of(value))
}

impl FromRequestParts<Arc<Site>> for Session {
    type Rejection = Response;

    /// Somebody who is not signed in is asked to, and comes back to the page they wanted.
    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        Session::of(site, &parts.headers).ok_or_else(|| {
            let wanted = if parts.method == axum::http::Method::GET { parts.uri.path() } else { "/" };
            let to = if super::is_own(wanted) && wanted != "/" {
                format!("/login?to={wanted}")
            } else {
                "/login".to_owned()
            };
            Redirect::to(&to).into_response()
        })
    }
}
