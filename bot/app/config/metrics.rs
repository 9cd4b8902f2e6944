//! `[prometheus]`: which servers runbooks may ask, what is wrong with it, and how they are asked.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Config, check::Check, file::SecretRef};
use crate::{
    adapters::prometheus::{Prometheus, Server},
    engine::ports::Http,
};

/// `[prometheus]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusSection {
    /// The address of the server that is asked if a step names none.
    pub url: Option<String>,
    /// Sent along as `Authorization: Bearer`.
    pub token: Option<SecretRef>,
    /// Others, by the names that steps use for them.
    pub servers: BTreeMap<String, ServerSection>,
}

/// `[prometheus.servers.<name>]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// Its address.
    pub url: String,
    /// Sent along as `Authorization: Bearer`.
    #[serde(default)]
    pub token: Option<SecretRef>,
}

impl PrometheusSection {
    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        self.token.iter().chain(self.servers.values().filter_map(|server| server.token.as_ref()))
    }
}

impl Config {
    /// The servers of Prometheus. The configuration was checked, so a token that is named is there.
    pub fn prometheus(&self, http: Arc<dyn Http>) -> Prometheus {
        let section = &self.file.prometheus;
        let server = |url: &str, token: &Option<SecretRef>| Server {
            url: url.to_owned(),
            token: token.as_ref().and_then(|token| self.secret(token).ok()),
        };
        let named = section.servers.iter().map(|(name, of)| (name.clone(), server(&of.url, &of.token)));
        let usual = section.url.as_ref().map(|url| server(url, &section.token));
        Prometheus::new(http, usual, named.collect())
    }
}

impl Check<'_> {
    pub(super) fn prometheus(&mut self) {
        let section = &self.config.file.prometheus;
        if let Some(url) = &section.url {
            self.url(&[&"prometheus", &"url"], url);
        } else if section.token.is_some() {
            self.add(&[&"prometheus", &"token"], "there is a `token` and no `url`", "add `url`, or take it out");
        }
        if let Some(token) = &section.token {
            self.secret(&[&"prometheus", &"token"], token);
        }
        for (name, server) in &section.servers {
            self.url(&[&"prometheus", &"servers", name, &"url"], &server.url);
            if let Some(token) = &server.token {
                self.secret(&[&"prometheus", &"servers", name, &"token"], token);
            }
        }
    }
}
