//! Which person a request comes from: by their personal token, or by the session that they began with it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use super::{Site, answers::Trouble, console::session::Session, credentials::Shown};
use crate::domain::people::{Person, PersonId};

/// A person with a personal token in the `Authorization` header, and nothing else: what programs use.
pub(super) struct Token(pub(super) Person);

/// A person with either a token or a session: for what only reads.
pub(super) struct Asking;

impl Site {
    /// The person with the roles that the configuration gives them.
    pub(super) fn person(&self, id: &PersonId) -> Person {
        let roles = self.engine.rules().people.known.get(id).cloned().unwrap_or_default();
        Person { id: id.clone(), roles }
    }
}

fn unknown() -> Trouble {
    Trouble::new(StatusCode::UNAUTHORIZED, "The token is nobody's")
        .hint("send your personal token as `Authorization: Bearer …`")
}

impl FromRequestParts<Arc<Site>> for Token {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Trouble> {
        match Shown::read(&parts.headers) {
            Shown::Bearer(token) => {
                let keys = site.gate.keys();
                keys.person(&token).map(|id| Token(site.person(id))).ok_or_else(unknown)
            }
            Shown::Basic(_) | Shown::Nothing => Err(unknown()),
        }
    }
}

impl FromRequestParts<Arc<Site>> for Asking {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Trouble> {
        if Session::of(site, &parts.headers).is_some() {
            return Ok(Asking);
        }
        Token::from_request_parts(parts, site).await.map(|_| Asking)
    }
}
