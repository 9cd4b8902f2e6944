//! The configuration that stories start from: three people, one source, one service, the runbooks that are shipped.

use std::{fs, net::SocketAddr, path::Path};

use super::ExampleService;

/// The token of Alertmanager.
pub(crate) const SOURCE_TOKEN: &str = "alertmanager-token-of-the-story";

/// The personal token of somebody.
pub(crate) fn token_of(person: &str) -> String {
    format!("personal-token-of-{person}")
}

/// What a story may change about the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    extra: String,
}

impl Config {
    /// With these lines of TOML at the end.
    pub(crate) fn with(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self
    }

    /// Secrets, as the bot finds them.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        vec![("ALERTMANAGER_TOKEN".to_owned(), SOURCE_TOKEN.to_owned())]
    }

    /// Writes `firewarden.toml` into the folder.
    pub(crate) fn write(&self, folder: &Path, address: SocketAddr, service: &ExampleService) {
        let text = format!("# {address} {}\n{}", service.url(), self.extra);
        fs::write(folder.join("firewarden.toml"), text).unwrap();
    }
}
