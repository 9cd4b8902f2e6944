//! The rules in force: what the configuration and the runbook files say, checked and ready to decide by.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Signs, runs};
use crate::domain::{
    alerts,
    catalog::Catalog,
    deployments,
    freezes::Window,
    incidents,
    people::{Capability, Person, PersonId},
    reviews,
    routes::{Pick, Route},
    runs::budgets::Budget,
    traces::Viewer,
};

/// Everything that decisions are made by and that people can change while the bot runs.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Who is who, and what they may do.
    pub people: People,
    /// How alerts are told apart, and when they are stale or flap.
    pub alerts: alerts::Settings,
    /// When incidents are joined, resolved and reopened by themselves.
    pub incidents: incidents::Settings,
    /// The services that people wrote down.
    pub catalog: Arc<Catalog>,
    /// When a deployment counts as good, and which changes are near an incident.
    pub deployments: deployments::Settings,
    /// What alerts mean, in the order in which they are tried.
    pub routes: Vec<Route>,
    /// What an alert means that no other route takes.
    pub default_route: Route,
    /// What each source of alerts may set off, by its name; a source that is not here may set off anything.
    pub scopes: BTreeMap<String, Scope>,
    /// The channel for what belongs to no route.
    pub default_channel: String,
    /// The runbooks in force, and how far they may go.
    pub runs: runs::Settings,
    /// Windows in which nothing is changed.
    pub freezes: Vec<Window>,
    /// How many effects may be in flight to a system, by its name.
    pub limits: BTreeMap<String, u32>,
    /// How much of a service may be changed in an hour, by its name.
    pub budgets: BTreeMap<String, Budget>,
    /// The templates of reviews.
    pub reviews: reviews::Templates,
    /// Where people look at a trace, if there is such a place.
    pub viewer: Option<Viewer>,
    /// How the bot itself is; the engine puts its own here.
    pub signs: Signs,
}

impl Rules {
    /// The services that the configuration names: in its catalog, in its routes, and in what its sources may set off.
    /// None means that nobody wrote any down.
    pub fn services(&self) -> BTreeSet<&str> {
        let routes = self.routes.iter().chain([&self.default_route]);
        let of_routes = routes.filter_map(|route| route.service.as_ref()).flat_map(Pick::texts);
        let of_sources = self.scopes.values().filter_map(|scope| scope.services.as_ref()).flatten();
        let of_catalog = self.catalog.services.keys();
        of_routes.chain(of_sources.chain(of_catalog).map(String::as_str)).collect()
    }

    /// How long a deployment of this service must hold there before it counts as good.
    pub fn bake(&self, service: &str, environment: &str) -> Duration {
        self.catalog.bake(service, environment).unwrap_or(self.deployments.bake)
    }
}

/// What a source of alerts may set off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Services, or all of them.
    pub services: Option<BTreeSet<String>>,
    /// Runbooks, or all of them.
    pub runbooks: Option<BTreeSet<String>>,
}

/// Who is who, and what they may do.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// The people whom the configuration names, with their roles.
    pub known: BTreeMap<PersonId, BTreeSet<String>>,
    /// Which person an account is, by its name such as `discord:1234`.
    pub accounts: BTreeMap<String, PersonId>,
    /// What each role allows, at the most.
    pub roles: BTreeMap<String, Capability>,
    /// Which role a chat's own role stands for, by its name such as `discord:5678`.
    pub chat_roles: BTreeMap<String, String>,
    /// What everybody may do who can reach the bot at all.
    pub everyone: Option<Capability>,
}

impl People {
    /// The person behind an account, with the roles of the configuration and those that the chat says they have.
    pub fn behind<'a>(&self, account: &str, chat_roles: impl IntoIterator<Item = &'a str>) -> Person {
        let id = self.accounts.get(account).cloned().unwrap_or_else(|| PersonId(account.to_owned()));
        let mut roles = self.known.get(&id).cloned().unwrap_or_default();
        roles.extend(chat_roles.into_iter().filter_map(|role| self.chat_roles.get(role)).cloned());
        Person { id, roles }
    }

    /// What somebody is told who may not do this: whom to ask, or what to configure.
    pub fn whom_to_ask(&self, needed: Capability) -> String {
        let able: Vec<&str> =
            self.roles.iter().filter(|(_, has)| **has >= needed).map(|(role, _)| role.as_str()).collect();
        if able.is_empty() {
            format!("no role allows it: give one `may = \"{needed}\"` in the configuration")
        } else {
            format!("ask somebody with the role `{}`", able.join("` or `"))
        }
    }

    /// Whether one of the person's roles allows this.
    pub fn may(&self, person: &Person, needed: Capability) -> bool {
        let by_role = person.roles.iter().filter_map(|role| self.roles.get(role)).any(|has| *has >= needed);
        by_role || self.everyone.is_some_and(|has| has >= needed)
    }
}
