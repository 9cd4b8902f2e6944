//! What can be wrong with those who send alerts or tell of deployments.

use std::{collections::BTreeSet, fmt::Display};

use super::Check;
use crate::{
    app::config::file::{Auth, SourceKind},
    domain::people::Capability,
};

impl Check<'_> {
    pub(super) fn sources(&mut self) {
        let mut names = BTreeSet::new();
        let mut proofs: Vec<(String, &str)> = Vec::new();
        for (index, source) in self.config.file.sources.iter().enumerate() {
            let name = &source.name;
            let at: [&dyn Display; 3] = [&"sources", &index, &"name"];
            if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)) {
                let what = format!("`{name}` cannot be a source's name");
                self.add(&at, what, "it is a part of an address: letters, digits, `-` and `_`");
            }
            if !names.insert(name) {
                self.add(&at, format!("there are two sources `{name}`"), "give each a name of its own");
            }
            let path: [&dyn Display; 3] = [&"sources", &index, &"auth"];
            for secret in self.secrets(&path, source.auth.secrets()) {
                let user = if let Auth::Basic { user, .. } = &source.auth { user } else { "" };
                let text = format!("{user}:{}", secrecy::ExposeSecret::expose_secret(&secret));
                match proofs.iter().find(|(known, other)| *known == text && *other != name) {
                    Some((_, other)) => {
                        let what = format!("it is the secret of the source `{other}` too");
                        self.add(&path, what, "a secret says which source is calling: give each its own");
                    }
                    None => proofs.push((text, name)),
                }
            }
            match (source.kind, &source.mapping) {
                (SourceKind::Generic, None) => {
                    self.add(&at, "a generic source needs a `mapping`", "add `[sources.mapping]` below it");
                }
                (
                    SourceKind::Alertmanager | SourceKind::Prometheus | SourceKind::Github | SourceKind::Deployments,
                    Some(_),
                ) => {
                    let what = "the alerts of this kind of source need no mapping";
                    self.add(&[&"sources", &index, &"mapping"], what, "take it out, or make it `kind = \"generic\"`");
                }
                (SourceKind::Generic, Some(mapping)) => {
                    for what in mapping.problems() {
                        self.add(&[&"sources", &index, &"mapping"], what, "see `firewarden.example.toml`");
                    }
                }
                (
                    SourceKind::Alertmanager | SourceKind::Prometheus | SourceKind::Github | SourceKind::Deployments,
                    None,
                ) => {}
            }
            if source.kind == SourceKind::Github && !is_signed_by_github(&source.auth) {
                let what = "GitHub signs what it sends, in a way of its own";
                self.add(
                    &path,
                    what,
                    "give it `{ hmac = { secret = … } }` and nothing more: the secret of the webhook",
                );
            }
            if source.kind == SourceKind::Prometheus && matches!(source.auth, Auth::Hmac { .. }) {
                self.add(&path, "Prometheus does not sign what it sends", "give it a `bearer` token, or `basic`");
            }
            let at: [&dyn Display; 3] = [&"sources", &index, &"may"];
            match source.may {
                Some(_) if source.kind != SourceKind::Prometheus => {
                    self.add(&at, "this kind of source only sends", "take it out, or make it `kind = \"prometheus\"`");
                }
                None | Some(Capability::View | Capability::Respond) => {}
                Some(may @ (Capability::Operate | Capability::Administer)) => {
                    let what = format!("a source may not `{may}`");
                    self.add(&at, what, "`view` lets it read alerts, `respond` lets it silence them too");
                }
            }
        }
        for name in self.config.file.alerts.silent_after_of.keys() {
            if !names.contains(name) {
                let what = format!("there is no source `{name}`");
                self.add(&[&"alerts", &"silent_after_of", name], what, "name one of `[[sources]]`");
            }
        }
    }
}

/// Whether this is how GitHub proves itself: by a secret, with headers that are always the same.
fn is_signed_by_github(auth: &Auth) -> bool {
    matches!(auth, Auth::Hmac { header: None, time_header: None, tolerance: None, .. })
}
