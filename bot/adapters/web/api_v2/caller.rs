//! Who asks by Alertmanager's API: a person with their token, or a source, which may do what its configuration says.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use super::Told;
use crate::{
    adapters::web::{Site, Source, answers::Trouble, credentials::Shown},
    domain::people::{Actor, Capability, Person},
};

/// Somebody who proved who they are.
pub(super) enum Caller {
    /// A person.
    Person(Person),
    /// A source of alerts.
    Source(Box<Source>),
}

impl Caller {
    /// As the log names them.
    pub(super) fn actor(&self) -> Actor {
        match self {
            Caller::Person(person) => Actor::Person(person.id.clone()),
            Caller::Source(source) => Actor::Source(source.name.clone()),
        }
    }

    /// Sends away whoever may not do this.
    pub(super) fn must(&self, site: &Site, needed: Capability) -> Result<(), Told> {
        let people = &site.engine.rules().people;
        let (is_allowed, hint) = match self {
            Caller::Person(person) => (people.may(person, needed), people.whom_to_ask(needed)),
            Caller::Source(source) => {
                let hint = format!("`may = \"{needed}\"` in its `[[sources]]` allows it");
                (source.may.is_some_and(|may| may >= needed), hint)
            }
        };
        if is_allowed {
            return Ok(());
        }
        let what = format!("`{}` may not do this: it needs `{needed}`", self.actor());
        Err(Trouble::new(StatusCode::FORBIDDEN, what).hint(hint).into())
    }
}

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Told;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Told> {
        let shown = Shown::read(&parts.headers);
        let keys = site.gate.keys();
        if let Some(source) = keys.sources.iter().find(|source| source.admits(&shown)) {
            return Ok(Caller::Source(Box::new(source.clone())));
        }
        if let Shown::Bearer(token) = &shown
            && let Some(person) = keys.person(token)
        {
            return Ok(Caller::Person(site.person(person)));
        }
        let trouble = Trouble::new(StatusCode::UNAUTHORIZED, "The credentials are nobody's")
            .hint("send a source's token or password, or your personal token as `Authorization: Bearer …`");
        Err(trouble.into())
    }
}
