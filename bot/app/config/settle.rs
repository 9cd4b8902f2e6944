//! What a checked configuration means for decisions, and who may come in by it.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::{
    Config,
    file::{Auth, SourceKind, SourceSection, Texts},
};
use crate::{
    adapters::{
        alertmanager, deployments, generic,
        web::{self, Fingerprint, Keys},
    },
    domain::{
        people::PersonId,
        routes::{Route, route::DEFAULT},
        traces::Viewer,
    },
    engine::{
        Rules,
        rules::{People, Scope},
    },
};

impl Config {
    /// The rules that it lays down, but for what the runbooks add.
    pub fn rules(&self) -> Rules {
        let file = &self.file;
        Rules {
            people: self.known_people(),
            alerts: file.alerts.clone(),
            incidents: file.incidents.clone(),
            deployments: file.deployments,
            routes: file.routes.clone(),
            default_route: default_route(file.default_route.as_ref()),
            scopes: file.sources.iter().map(|source| (source.name.clone(), scope(source))).collect(),
            default_channel: file.chat.channel.clone(),
            freezes: file.freezes.clone(),
            limits: file.limits.clone(),
            budgets: file.budgets.clone(),
            viewer: file.traces.as_ref().and_then(|traces| traces.viewer.clone()).map(Viewer),
            ..Rules::default()
        }
    }

    /// Who may come in.
    pub fn keys(&self) -> Keys {
        let sources = self.file.sources.iter().map(|source| self.source(source)).collect();
        let mut keys = Keys { sources, ..Keys::default() };
        for (name, person) in &self.file.people {
            for token in person.token.iter().flat_map(|list| self.secrets_of(list)) {
                let print = Fingerprint::of(token.expose_secret());
                keys.people.extend(print.map(|print| (PersonId(name.clone()), print)));
            }
        }
        let tokens = self.file.web.metrics_token.iter().flat_map(|list| self.secrets_of(list));
        keys.scrapers = tokens.filter_map(|token| Fingerprint::of(token.expose_secret())).collect();
        keys
    }

    fn known_people(&self) -> People {
        let mut people =
            People { everyone: self.file.everyone.as_ref().map(|everyone| everyone.may), ..People::default() };
        for (name, person) in &self.file.people {
            let id = PersonId(name.clone());
            for account in person.discord.iter().flat_map(Texts::all) {
                people.accounts.insert(format!("discord:{account}"), id.clone());
            }
            people.known.insert(id, person.roles.iter().cloned().collect());
        }
        for (name, role) in &self.file.roles {
            people.roles.insert(name.clone(), role.may);
            for id in role.discord.iter().flat_map(Texts::all) {
                people.chat_roles.insert(format!("discord:{id}"), name.clone());
            }
        }
        people
    }

    fn source(&self, source: &SourceSection) -> web::Source {
        let name = source.name.clone();
        let mut feed: Option<web::Feed> = None;
        let (kind, parse): (_, Option<web::Parse>) = match source.kind {
            SourceKind::Alertmanager => {
                (web::SourceKind::Alertmanager, Some(Arc::new(move |body| alertmanager::parse(body, &name))))
            }
            SourceKind::Generic => {
                let mapping = source.mapping.clone().unwrap_or_default();
                (web::SourceKind::Generic, Some(Arc::new(move |body| generic::parse(body, &name, &mapping))))
            }
            SourceKind::Prometheus => (web::SourceKind::Prometheus, None),
            SourceKind::Github => {
                feed = Some(Arc::new(deployments::github::read));
                (web::SourceKind::Github, None)
            }
            SourceKind::Deployments => {
                feed = Some(Arc::new(move |_, body| deployments::generic::read(&name, body)));
                (web::SourceKind::Deployments, None)
            }
        };
        let auth = match (&source.auth, source.kind) {
            (Auth::Hmac { secret, .. }, SourceKind::Github) => web::Auth::signed_by_github(&self.secrets_of(secret)),
            (auth, _) => self.auth(auth),
        };
        web::Source { name: source.name.clone(), kind, auth, parse, feed, may: source.may }
    }

    fn auth(&self, auth: &Auth) -> web::Auth {
        match auth {
            Auth::Bearer(tokens) => web::Auth::bearer(&self.secrets_of(tokens)),
            Auth::Basic { user, password } => web::Auth::basic(user, &self.secrets_of(password)),
            Auth::Hmac { secret, header, time_header, tolerance } => {
                let mut auth = web::Auth::signed(&self.secrets_of(secret));
                if let web::Auth::Signed(signing) = &mut auth {
                    let or = |name: &Option<String>, usual: &str| name.as_deref().unwrap_or(usual).to_ascii_lowercase();
                    signing.header = or(header, &signing.header);
                    signing.time_header = signing.time_header.take().map(|usual| or(time_header, &usual));
                    signing.tolerance = tolerance.unwrap_or(signing.tolerance);
                }
                auth
            }
        }
    }
}

fn scope(source: &SourceSection) -> Scope {
    let set = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.iter().cloned().collect());
    Scope { services: set(&source.services), runbooks: set(&source.runbooks) }
}

/// The default route, with what it leaves out as if there were none.
fn default_route(route: Option<&Route>) -> Route {
    let fallback = Route::fallback();
    match route.cloned() {
        None => fallback,
        Some(route) => Route {
            name: DEFAULT.to_owned(),
            service: route.service.or(fallback.service),
            environment: route.environment.or(fallback.environment),
            severity: route.severity.or(fallback.severity),
            group_by: route.group_by.or(fallback.group_by),
            ..route
        },
    }
}
