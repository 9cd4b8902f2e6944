//! `[github]`: how GitHub is reached, and who asks there.

use serde::{Deserialize, Serialize};

use super::{Config, check::Check, file::SecretRef};
use crate::adapters::github::{self, Credentials};

/// `[github]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubSection {
    /// A token.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// A GitHub App, in place of a token.
    #[serde(default)]
    pub app: Option<GithubApp>,
    /// Another address of the API: that of a GitHub Enterprise.
    #[serde(default)]
    pub api_url: Option<String>,
}

/// `[github.app]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubApp {
    /// The App's id.
    pub id: u64,
    /// The id of its installation.
    pub installation: u64,
    /// Its private key.
    pub key: SecretRef,
}

impl GithubSection {
    /// The secret that it names.
    pub(super) fn secret(&self) -> Option<&SecretRef> {
        self.token.as_ref().or(self.app.as_ref().map(|app| &app.key))
    }
}

impl Config {
    /// How GitHub is reached, if it is to be.
    ///
    /// # Errors
    /// When the secret is missing.
    pub fn github(&self) -> anyhow::Result<Option<github::Settings>> {
        let Some(section) = &self.file.github else { return Ok(None) };
        let find = |reference: &SecretRef| {
            self.secret(reference).map_err(|why| anyhow::anyhow!("The secret of `[github]` is missing: {why}"))
        };
        let credentials = match (&section.token, &section.app) {
            (Some(token), _) => Credentials::Token(find(token)?),
            (None, Some(app)) => Credentials::App { id: app.id, installation: app.installation, key: find(&app.key)? },
            (None, None) => anyhow::bail!("`[github]` names neither a token nor an App"),
        };
        let api_url = section.api_url.clone().unwrap_or_else(|| github::API.to_owned());
        Ok(Some(github::Settings { credentials, api_url }))
    }
}

impl Check<'_> {
    /// Who asks at GitHub, and where.
    pub(super) fn github(&mut self) {
        let Some(section) = &self.config.file.github else { return };
        match (&section.token, &section.app) {
            (None, None) => {
                let hint =
                    "add `token = { env = \"GITHUB_TOKEN\" }`, or `[github.app]` with `id`, `installation` and `key`";
                self.add(&[&"github"], "it does not say who asks at GitHub", hint);
            }
            (Some(_), Some(_)) => {
                let what = "it names both a token and an App";
                self.add(&[&"github", &"app"], what, "take one of them out");
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        if let Some(token) = &section.token {
            self.secret(&[&"github", &"token"], token);
        }
        if let Some(app) = &section.app {
            let path: [&dyn std::fmt::Display; 3] = [&"github", &"app", &"key"];
            if let Some(key) = self.secret(&path, &app.key)
                && let Err(why) = github::read_key(&key)
            {
                self.add(&path, why.to_string(), "make one on the App's page, under \"Private keys\"");
            }
        }
        if let Some(url) = &section.api_url {
            let path: [&dyn std::fmt::Display; 2] = [&"github", &"api_url"];
            self.url(&path, url);
            let is_web = url.trim_end_matches('/') == "https://github.com";
            if is_web {
                self.add(&path, "it is where people look, not the API", "take it out, or write `https://HOST/api/v3`");
            }
        }
    }
}
