//! The configuration that stories start from: people, one source, one route, and the runbooks that are shipped.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use firewarden::store::{Address, Server};
use secrecy::SecretString;

use super::{ExampleService, discord};

/// The token of Alertmanager.
pub(crate) const SOURCE_TOKEN: &str = "alertmanager-token-of-the-story";
/// The people of every story, and their roles.
const PEOPLE: [(&str, &str); 3] = [("ana", "on-call"), ("ben", "on-call"), ("chris", "admin")];
/// Where the shipped runbooks expect the service.
pub(super) const SHIPPED_API: &str = "http://127.0.0.1:9797";

/// The personal token of somebody.
pub(crate) fn token_of(person: &str) -> String {
    format!("personal-token-of-{person}")
}

/// Whose names have one of these words act on a cluster.
const CLUSTER: [&str; 2] = ["kubernetes", "node"];

/// The folder with the runbooks that are shipped.
pub(crate) fn shipped_runbooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks")
}

/// What a story may change about the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    quiet: &'static str,
    extra: String,
    /// A server that keeps the store in place of a file.
    server: Option<String>,
    /// Whether a file keeps the store, whatever else is tried.
    pub(super) is_on_file: bool,
    /// Whether the story has its hand on the wire to a server.
    pub(super) is_wired: bool,
    /// Which of the shipped runbooks are there: reading them all takes a program that is not optimized a second.
    shipped: &'static [&'static str],
    /// Words of the shipped runbooks, and what stands in their place.
    edits: Vec<(&'static str, &'static str)>,
    /// Accounts at Discord of people, and Discord's numbers of roles.
    numbers: Vec<(&'static str, u64)>,
    /// More runbooks: their text, with `API` for where the service is.
    runbooks: Vec<&'static str>,
    /// Whether a GitHub is beside the bot; see [`World::code_host`](super::World).
    pub(super) has_github: bool,
    /// The cluster of Kubernetes, as the configuration tells the bot of it.
    cluster: Option<String>,
    /// More people who are on call, each with their tokens.
    people: Vec<(&'static str, &'static [&'static str])>,
    /// Another runbook that the route sets off.
    route: &'static str,
    /// The only runbooks that the source may start, if it is told.
    source_runbooks: Option<&'static [&'static str]>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            quiet: "10m",
            extra: String::new(),
            server: None,
            is_on_file: false,
            is_wired: false,
            shipped: &["rollback-service", "scale-service", "restart-service"],
            edits: Vec::new(),
            numbers: Vec::new(),
            runbooks: Vec::new(),
            has_github: false,
            cluster: None,
            people: Vec::new(),
            route: "",
            source_runbooks: None,
        }
    }
}

impl Config {
    /// With these lines of TOML at the end.
    pub(crate) fn with(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self
    }

    /// With this cluster of Kubernetes, unless the story has chosen another one.
    pub(crate) fn cluster(mut self, section: &str) -> Self {
        self.cluster.get_or_insert_with(|| section.to_owned());
        self
    }

    /// With a GitHub beside the bot, by the story's clock.
    pub(crate) fn on_github(mut self) -> Self {
        self.has_github = true;
        self
    }

    /// With the store in this database of PostgreSQL.
    pub(crate) fn server(mut self, url: &str) -> Self {
        self.server = Some(url.to_owned());
        self
    }

    /// With the store in a file, whatever else is tried: for a story of files.
    pub(crate) fn on_file(mut self) -> Self {
        self.is_on_file = true;
        self
    }

    /// With the story's hand on the wire to the server, if a server keeps the store; see [`World::wire`](super::World).
    pub(crate) fn wired(mut self) -> Self {
        self.is_wired = true;
        self
    }

    /// The URL of the server that keeps the store, if one does.
    pub(super) fn url(&self) -> Option<String> {
        self.server.clone()
    }

    /// Where the store of a bot in this folder is.
    pub(crate) fn store(&self, folder: &Path) -> Address {
        match &self.server {
            Some(url) => Address::Server(Server::read(&SecretString::from(url.clone())).unwrap()),
            None => Address::File(folder.join("firewarden.db")),
        }
    }

    /// With another time of quiet until an incident resolves.
    pub(crate) fn quiet(mut self, quiet: &'static str) -> Self {
        self.quiet = quiet;
        self
    }

    /// With these of the shipped runbooks, and no others.
    pub(crate) fn shipped(mut self, runbooks: &'static [&'static str]) -> Self {
        self.shipped = runbooks;
        self
    }

    /// With other words in the shipped runbooks.
    pub(crate) fn edit(mut self, from: &'static str, to: &'static str) -> Self {
        self.edits.push((from, to));
        self
    }

    /// With this number at Discord for a person or a role; a person may have several.
    pub(crate) fn number(mut self, of: &'static str, number: u64) -> Self {
        self.numbers.push((of, number));
        self
    }

    fn numbers_of(&self, name: &str) -> String {
        let numbers = self.numbers.iter().filter(|(of, _)| *of == name).map(|(_, number)| format!("\"{number}\""));
        let numbers: Vec<String> = numbers.collect();
        if numbers.is_empty() { String::new() } else { format!("discord = [{}]\n", numbers.join(", ")) }
    }

    /// With another runbook; `API` in it stands for where the service is.
    pub(crate) fn runbook(mut self, text: &'static str) -> Self {
        self.runbooks.push(text);
        self
    }

    /// With another runbook that the route of the service sets off.
    pub(crate) fn route(mut self, runbook: &'static str) -> Self {
        self.route = runbook;
        self
    }

    /// With a source that may start these runbooks and no others.
    pub(crate) fn source_runbooks(mut self, runbooks: &'static [&'static str]) -> Self {
        self.source_runbooks = Some(runbooks);
        self
    }

    /// With another person who is on call and comes in by each of these tokens; see [`token_of`].
    pub(crate) fn person(mut self, name: &'static str, tokens: &'static [&'static str]) -> Self {
        self.people.push((name, tokens));
        self
    }

    /// Writes `firewarden.toml`, the secrets and the runbooks into the folder.
    pub(crate) fn write(&self, folder: &Path, address: SocketAddr, service: &ExampleService) {
        let secrets = folder.join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("alertmanager"), SOURCE_TOKEN).unwrap();
        fs::write(secrets.join("discord"), discord::TOKEN).unwrap();
        let mut people = String::new();
        for (person, role) in PEOPLE {
            fs::write(secrets.join(person), token_of(person)).unwrap();
            people.push_str(&format!(
                "[people.{person}]\nroles = [\"{role}\"]\ntoken = {{ file = \"secrets/{person}\" }}\n{}\n",
                self.numbers_of(person)
            ));
        }
        for (person, tokens) in &self.people {
            let mut files = Vec::new();
            for token in *tokens {
                fs::write(secrets.join(token), token_of(token)).unwrap();
                files.push(format!("{{ file = \"secrets/{token}\" }}"));
            }
            let files = files.join(", ");
            people.push_str(&format!("[people.{person}]\nroles = [\"on-call\"]\ntoken = [{files}]\n\n"));
        }
        let quiet = self.quiet;
        let named = self.source_runbooks.map_or_else(String::new, |names| format!("runbooks = {names:?}\n"));
        let extra_runbook = (!self.route.is_empty()).then_some(self.route);
        let (of_cluster, others): (Vec<&str>, Vec<&str>) = self
            .shipped
            .iter()
            .copied()
            .chain(extra_runbook)
            .partition(|name| CLUSTER.iter().any(|word| name.contains(word)));
        let extra = &self.extra;
        let cluster = self.cluster.as_deref().unwrap_or_default();
        let mut store = "";
        if let Some(url) = &self.server {
            fs::write(secrets.join("store"), url).unwrap();
            store = "[store]\nurl = { file = \"secrets/store\" }\n";
        }
        let (on_call, admin) = (self.numbers_of("on-call"), self.numbers_of("admin"));
        let text = format!(
            r#"[web]
listen = "{address}"

{store}
{people}[roles.on-call]
may = "operate"
{on_call}
[roles.admin]
may = "administer"
{admin}

[[sources]]
name = "alertmanager"
kind = "alertmanager"
auth = {{ bearer = {{ file = "secrets/alertmanager" }} }}
{named}
[[routes]]
name = "checkout"
match = ['alertname=~"Checkout.+"']
service = "checkout"
environment = {{ label = "env" }}
severity = {{ label = "severity", map = {{ page = "SEV2", critical = "SEV1" }}, default = "SEV3" }}
runbooks = {others:?}

[[routes]]
name = "kubernetes"
match = ['alertname=~"Kubernetes.+"']
service = "checkout"
environment = {{ label = "env" }}
severity = {{ label = "severity", map = {{ page = "SEV2", critical = "SEV1" }}, default = "SEV3" }}
runbooks = {of_cluster:?}

[incidents]
quiet = "{quiet}"

{extra}
{cluster}"#
        );
        fs::write(folder.join("firewarden.toml"), text).unwrap();
        self.write_runbooks(folder, &service.url());
    }

    fn write_runbooks(&self, folder: &Path, api: &str) {
        let runbooks = folder.join("runbooks");
        fs::create_dir(&runbooks).unwrap();
        for name in self.shipped {
            let file = format!("{name}.yaml");
            let mut text = fs::read_to_string(shipped_runbooks().join(&file)).unwrap().replace(SHIPPED_API, api);
            for (from, to) in &self.edits {
                text = text.replace(from, to);
            }
            fs::write(runbooks.join(file), text).unwrap();
        }
        for (number, text) in self.runbooks.iter().enumerate() {
            fs::write(runbooks.join(format!("story-{number}.yaml")), text.replace("API", api)).unwrap();
        }
    }
}
