//! The folder that the demo plays in: a configuration, secrets made for this one time, and the shipped runbooks.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The people of the demo: whoever sits at the terminal, and somebody else on call.
pub(super) const PEOPLE: [&str; 2] = ["you", "sam"];
/// The shipped runbooks, with the names of their files.
const RUNBOOKS: [(&str, &str); 3] = [
    ("rollback-service.yaml", include_str!("../../../runbooks/rollback-service.yaml")),
    ("scale-service.yaml", include_str!("../../../runbooks/scale-service.yaml")),
    ("restart-service.yaml", include_str!("../../../runbooks/restart-service.yaml")),
];
/// Where they expect the service, and how often they look whether it is well.
const SHIPPED: [&str; 2] = ["http://127.0.0.1:9797", "every: 5s"];

/// The folder of one demo.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    /// The token of the prober.
    pub(super) prober: String,
    /// The personal tokens, in the order of [`PEOPLE`].
    pub(super) tokens: [String; 2],
}

impl Stage {
    /// Makes the folder and everything in it. It stays when the demo is over: the review is in it.
    pub(super) fn set(bot: SocketAddr, service: SocketAddr) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("firewarden-demo-{}", word(4)));
        let stage = Self { folder, prober: word(16), tokens: [word(16), word(16)] };
        stage.make(bot, service).with_context(|| format!("`{}` cannot be set up", stage.folder.display()))?;
        Ok(stage)
    }

    /// The configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("firewarden.toml")
    }

    fn make(&self, bot: SocketAddr, service: SocketAddr) -> std::io::Result<()> {
        fs::create_dir(&self.folder)?;
        keep_private(&self.folder)?;
        let write = |name: &str, text: &str| fs::write(self.folder.join(name), text);
        write("prober.token", &self.prober)?;
        for (person, token) in PEOPLE.iter().zip(&self.tokens) {
            write(&format!("{person}.token"), token)?;
        }
        write("firewarden.toml", &config(bot))?;
        fs::create_dir(self.folder.join("runbooks"))?;
        for (name, text) in RUNBOOKS {
            let text = text.replace(SHIPPED[0], &format!("http://{service}")).replace(SHIPPED[1], "every: 1s");
            write(&format!("runbooks/{name}"), &text)?;
        }
        Ok(())
    }
}

/// Lets nobody else look into the folder: there are tokens in it.
fn keep_private(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// A word of so many random bytes.
fn word(length: usize) -> String {
    let bytes: [u8; 32] = rand::random();
    hex::encode(&bytes[..length.min(bytes.len())])
}

fn config(bot: SocketAddr) -> String {
    let people: Vec<String> = PEOPLE
        .iter()
        .map(|person| format!("[people.{person}]\nroles = [\"on-call\"]\ntoken = {{ file = \"{person}.token\" }}\n\n"))
        .collect();
    let people = people.concat();
    format!(
        r#"# The configuration of one demo. The example to begin with is `firewarden.example.toml`.
[web]
listen = "{bot}"

{people}[roles.on-call]
may = "operate"

[[sources]]
name = "prober"
kind = "alertmanager"
auth = {{ bearer = {{ file = "prober.token" }} }}

[[routes]]
name = "checkout"
match = ['alertname=~"Checkout.+"', 'env="production"']
service = "checkout"
environment = {{ label = "env" }}
severity = {{ label = "severity", map = {{ page = "SEV2" }}, default = "SEV3" }}
runbooks = ["rollback-service", "scale-service", "restart-service"]

# Quiet is ten minutes where it is not shown to somebody who waits.
[incidents]
quiet = "5s"

[log]
level = "warn"
"#
    )
}
