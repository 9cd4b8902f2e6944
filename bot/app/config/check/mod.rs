//! What a configuration of the right shape can still get wrong. All of it is said at once.

mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use super::{
    Config, Look, clusters,
    file::{SecretList, SecretRef, Texts},
    places,
};
use crate::{
    domain::{
        diagnostic::Diagnostic,
        routes::{Route, route::DEFAULT},
        runbooks::words,
        traces::Viewer,
    },
    store::Server,
};

/// The shortest time between two heartbeats.
const SHORTEST_BEAT: Duration = Duration::from_secs(10);
/// The shortest time that what is over is kept.
const SHORTEST_KEPT: Duration = Duration::from_hours(24);
/// The shortest token that is taken for a secret of its own.
const SHORTEST_TOKEN: usize = 16;

/// Everything that is wrong with the configuration.
pub(super) fn problems(config: &Config, look: Look) -> Vec<Diagnostic> {
    let mut check = Check { config, look, problems: Vec::new() };
    check.store();
    check.web();
    check.people();
    check.sources();
    check.routes();
    check.discord();
    clusters::check(&mut check);
    check.github();
    check.watchers();
    check.prometheus();
    check.guards();
    check.retention();
    check.traces();
    check.log();
    check.problems
}

/// What a configuration says of runbooks that there are not.
pub fn unknown_runbooks(config: &Config, known: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut check = Check { config, look: Look::WithoutSecrets, problems: Vec::new() };
    let mut name = |path: &[&dyn Display], runbook: &String| {
        if !known.contains(runbook) {
            let folder = config.runbooks_directory();
            let hint = match words::nearest(runbook, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("put it into `{}`", folder.display()),
            };
            check.add(path, format!("there is no runbook `{runbook}`"), hint);
        }
    };
    for (index, source) in config.file.sources.iter().enumerate() {
        for (place, runbook) in source.runbooks.iter().flatten().enumerate() {
            name(&[&"sources", &index, &"runbooks", &place], runbook);
        }
    }
    for (index, route) in config.file.routes.iter().enumerate() {
        for (place, runbook) in route.runbooks.iter().enumerate() {
            name(&[&"routes", &index, &"runbooks", &place], runbook);
        }
    }
    for (place, runbook) in config.file.default_route.iter().flat_map(|route| &route.runbooks).enumerate() {
        name(&[&"default_route", &"runbooks", &place], runbook);
    }
    check.problems
}

/// A look over a configuration, and what it found.
pub(super) struct Check<'a> {
    pub(super) config: &'a Config,
    pub(super) look: Look,
    problems: Vec<Diagnostic>,
}

impl Check<'_> {
    pub(super) fn add(&mut self, path: &[&dyn Display], what: impl Into<String>, hint: impl Into<String>) {
        let mut problem = Diagnostic::new(&self.config.path, what).hint(hint);
        problem.place = places::of(&self.config.text, path);
        self.problems.push(problem);
    }

    pub(super) fn url(&mut self, path: &[&dyn Display], url: &str) {
        let parsed = reqwest::Url::parse(url);
        if !parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            self.add(path, format!("`{url}` is not an address of the web"), "write it whole, as `https://host/path`");
        }
    }

    /// Discord's ids are numbers of 64 bits, written as texts.
    fn snowflake(&mut self, path: &[&dyn Display], id: &str) {
        if id.parse::<u64>().is_err() || id == "0" {
            self.add(
                path,
                format!("`{id}` is not an id of Discord"),
                "switch on the developer mode in Discord's settings, then copy the id from the context menu",
            );
        }
    }

    pub(super) fn secret(&mut self, path: &[&dyn Display], reference: &SecretRef) -> Option<secrecy::SecretString> {
        if self.look == Look::WithoutSecrets {
            return None;
        }
        match self.config.secret(reference) {
            Ok(secret) => Some(secret),
            Err(why) => {
                self.add(path, format!("the secret is missing: {why}"), "set it before the program is started");
                None
            }
        }
    }

    fn secrets(&mut self, path: &[&dyn Display], list: &SecretList) -> Vec<secrecy::SecretString> {
        let all = list.all();
        if all.is_empty() || all.len() > 2 {
            self.add(
                path,
                format!("it names {} secrets", all.len()),
                "name one, or two while one takes the other's place",
            );
        }
        all.iter().filter_map(|reference| self.secret(path, reference)).collect()
    }

    fn store(&mut self) {
        let Some(reference) = &self.config.file.store.url else { return };
        let Some(url) = self.secret(&[&"store", &"url"], reference) else { return };
        if Server::read(&url).is_err() {
            let what = "the secret is not the address of a database of PostgreSQL";
            self.add(&[&"store", &"url"], what, "write it as `postgres://user:password@host/database`");
        }
    }

    fn web(&mut self) {
        let web = &self.config.file.web;
        if web.listen.parse::<SocketAddr>().is_err() {
            self.add(
                &[&"web", &"listen"],
                format!("`{}` is not an address with a port", web.listen),
                "write it as `127.0.0.1:8080`, or `0.0.0.0:8080` to be reached from everywhere",
            );
        }
        if let Some(url) = &web.public_url {
            self.url(&[&"web", &"public_url"], url);
        }
        if !(1024..=256 * 1024 * 1024).contains(&web.body_limit) {
            self.add(
                &[&"web", &"body_limit"],
                format!("`{}` is not a sensible limit", web.body_limit),
                "give bytes from 1024 to 268435456; 500 alerts need about 500000",
            );
        }
        if let Some(tokens) = &web.metrics_token {
            self.secrets(&[&"web", &"metrics_token"], tokens);
        }
    }

    fn people(&mut self) {
        let file = &self.config.file;
        let mut accounts: BTreeMap<&str, &str> = BTreeMap::new();
        let mut tokens: Vec<(String, &str)> = Vec::new();
        for (name, person) in &file.people {
            if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || "-_.".contains(letter)) {
                self.add(
                    &[&"people", name],
                    format!("`{name}` cannot be a person's name here"),
                    "use letters, digits, `-`, `_` and `.`",
                );
            }
            for id in person.discord.iter().flat_map(Texts::all) {
                self.snowflake(&[&"people", name, &"discord"], id);
                if let Some(other) = accounts.insert(id, name).filter(|other| *other != name) {
                    let what = format!("the account `{id}` is given to `{other}` too");
                    self.add(&[&"people", name, &"discord"], what, "an account belongs to one person");
                }
            }
            for (index, role) in person.roles.iter().enumerate() {
                self.role(&[&"people", name, &"roles", &index], role);
            }
            let Some(list) = &person.token else { continue };
            let path: [&dyn Display; 3] = [&"people", name, &"token"];
            for secret in self.secrets(&path, list) {
                let text = secrecy::ExposeSecret::expose_secret(&secret).to_owned();
                if text.len() < SHORTEST_TOKEN {
                    self.add(
                        &path,
                        format!("the token is shorter than `{SHORTEST_TOKEN}` characters"),
                        "make one with `openssl rand -hex 32`",
                    );
                }
                match tokens.iter().find(|(known, other)| *known == text && *other != name) {
                    Some((_, other)) => {
                        let what = format!("it is the token of `{other}` too");
                        self.add(&path, what, "a token is personal: make another one with `openssl rand -hex 32`");
                    }
                    None => tokens.push((text, name)),
                }
            }
        }
        let mut roles: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, role) in &file.roles {
            for id in role.discord.iter().flat_map(Texts::all) {
                self.snowflake(&[&"roles", name, &"discord"], id);
                if let Some(other) = roles.insert(id, name).filter(|other| *other != name) {
                    let what = format!("Discord's role `{id}` stands for `{other}` too");
                    self.add(&[&"roles", name, &"discord"], what, "a role of Discord stands for one role");
                }
            }
        }
    }

    fn role(&mut self, path: &[&dyn Display], role: &str) {
        let roles = &self.config.file.roles;
        if !roles.contains_key(role) {
            let hint = match words::nearest(role, roles.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `[roles.{role}]` with what it may"),
            };
            self.add(path, format!("there is no role `{role}`"), hint);
        }
    }

    fn routes(&mut self) {
        let mut names = BTreeSet::new();
        for (index, route) in self.config.file.routes.iter().enumerate() {
            if route.name == DEFAULT || !names.insert(&route.name) {
                let what = format!("there are two routes `{}`", route.name);
                self.add(&[&"routes", &index, &"name"], what, "give each a name of its own; `default` is taken");
            }
            self.route(&[&"routes", &index], route);
        }
        if let Some(route) = &self.config.file.default_route {
            if !(route.name.is_empty() || route.name == DEFAULT) || !route.matchers.is_empty() || route.goes_on {
                self.add(
                    &[&"default_route"],
                    "the default route takes whatever no other takes",
                    "take out `name`, `match` and `continue`",
                );
            }
            self.route(&[&"default_route"], &Route { name: DEFAULT.to_owned(), ..route.clone() });
        }
    }

    fn route(&mut self, path: &[&dyn Display], route: &Route) {
        for what in route.problems() {
            self.add(path, what, "see `firewarden.example.toml`");
        }
        let under = |key: &'static &'static str| -> Vec<&dyn Display> {
            path.iter().copied().chain([key as &dyn Display]).collect()
        };
        if let Some(channel) = &route.channel {
            self.channel(&under(&"channel"), channel);
        }
        let file = &self.config.file;
        for (index, page) in route.page.iter().enumerate() {
            let mut at = under(&"page");
            at.push(&index);
            match page.split_once(':') {
                Some(("role", role)) => self.role(&at, role),
                Some(("person", person)) if file.people.contains_key(person) => {}
                Some(("person", person)) => {
                    let what = format!("there is no person `{person}`");
                    self.add(&at, what, format!("add `[people.{person}]`"));
                }
                Some(_) | None => {
                    let what = format!("`{page}` cannot be paged");
                    self.add(&at, what, "write `role:on-call` or `person:ada`");
                }
            }
        }
    }

    fn channel(&mut self, path: &[&dyn Display], channel: &str) {
        let Some(discord) = &self.config.file.discord else { return };
        if !discord.channels.contains_key(channel) {
            let hint = match words::nearest(channel, discord.channels.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{channel} = \"…\"` with the channel's id to `[discord.channels]`"),
            };
            self.add(path, format!("there is no channel `{channel}`"), hint);
        }
    }

    fn discord(&mut self) {
        let Some(discord) = &self.config.file.discord else { return };
        self.secret(&[&"discord", &"token"], &discord.token);
        self.snowflake(&[&"discord", &"application"], &discord.application);
        self.snowflake(&[&"discord", &"guild"], &discord.guild);
        for (name, id) in &discord.channels {
            self.snowflake(&[&"discord", &"channels", name], id);
        }
        if let Some(url) = &discord.api_url {
            self.url(&[&"discord", &"api_url"], url);
        }
        let channel = &self.config.file.chat.channel;
        self.channel(&[&"chat", &"channel"], channel);
    }

    fn watchers(&mut self) {
        if let Some(emergency) = &self.config.file.emergency {
            self.url(&[&"emergency", &"url"], &emergency.url);
            if let Some(token) = &emergency.token {
                self.secret(&[&"emergency", &"token"], token);
            }
        }
        if let Some(heartbeat) = &self.config.file.heartbeat {
            self.url(&[&"heartbeat", &"url"], &heartbeat.url);
            if heartbeat.every < SHORTEST_BEAT {
                let what = "the heartbeat is called too often";
                self.add(&[&"heartbeat", &"every"], what, "`10s` is the least, `1m` is usual");
            }
        }
    }

    fn retention(&mut self) {
        let after = self.config.file.retention.closed_after;
        if after.is_some_and(|after| after < SHORTEST_KEPT) {
            let what = "incidents would leave while people still work on what followed them";
            self.add(&[&"retention", &"closed_after"], what, "`1d` is the least, `180d` is usual");
        }
    }

    fn traces(&mut self) {
        let Some(traces) = &self.config.file.traces else { return };
        self.url(&[&"traces", &"endpoint"], &traces.endpoint);
        for (name, value) in &traces.headers {
            let path: [&dyn Display; 3] = [&"traces", &"headers", name];
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                self.add(&path, format!("`{name}` is not the name of a header"), "write it as `authorization`");
            }
            self.secret(&path, value);
        }
        if let Some(viewer) = &traces.viewer {
            let path: [&dyn Display; 2] = [&"traces", &"viewer"];
            if viewer.contains(Viewer::PLACE) {
                self.url(&path, &viewer.replace(Viewer::PLACE, "0"));
            } else {
                let what = format!("`{viewer}` does not say where the trace's name belongs");
                self.add(&path, what, "put `{trace}` there, as in `https://traces.example.org/trace/{trace}`");
            }
        }
    }

    fn log(&mut self) {
        let level = &self.config.file.log.level;
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(level) {
            let what = format!("`{level}` is not a level: {error}");
            self.add(&[&"log", &"level"], what, "write `info`, or `info,firewarden::engine=debug`");
        }
        let directory = &self.config.file.secrets.directory;
        if let Some(directory) = directory.as_ref().map(|path| self.config.beside(path))
            && self.look == Look::ForSecrets
            && !Path::is_dir(&directory)
        {
            let what = format!("there is no folder `{}`", directory.display());
            self.add(&[&"secrets", &"directory"], what, "make it, readable only for the user that runs the program");
        }
    }
}
