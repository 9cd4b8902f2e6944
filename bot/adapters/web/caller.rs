//! Which person a request comes from: by their personal token, or by the session that they began with it.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::Response,
};

use super::{
    Site,
    answers::Trouble,
    console::{page, session::Session},
    credentials::Shown,
};
use crate::domain::people::{Capability, Person, PersonId};

/// A person with a personal token in the `Authorization` header, and nothing else: what programs use.
pub(super) struct Token(pub(super) Person);

/// A person with either a token or a session who may look: for what only reads.
pub(super) struct Asking;

/// Somebody who has signed in and may look at the pages.
pub(super) struct Viewer(pub(super) Session);

impl Site {
    /// The person with the roles that the configuration gives them.
    pub(super) fn person(&self, id: &PersonId) -> Person {
        let roles = self.engine.rules().people.known.get(id).cloned().unwrap_or_default();
        Person { id: id.clone(), roles }
    }

    fn may_look(&self, person: &Person) -> Result<(), Trouble> {
        let people = &self.engine.rules().people;
        if people.may(person, Capability::View) {
            return Ok(());
        }
        let what = format!("Nothing is shown to `{}`: none of their roles allows it", person.id);
        Err(Trouble::new(StatusCode::FORBIDDEN, what).hint(people.whom_to_ask(Capability::View)))
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
        let person = match Session::of(site, &parts.headers) {
            Some(session) => session.person,
            None => Token::from_request_parts(parts, site).await?.0,
        };
        site.may_look(&person).map(|()| Asking)
    }
}

impl FromRequestParts<Arc<Site>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let session = Session::from_request_parts(parts, site).await?;
        site.may_look(&session.person).map_err(|trouble| page::sorry(&trouble))?;
        Ok(Viewer(session))
    }
}
