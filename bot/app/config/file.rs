//! The shape of `firewarden.toml`, as people write it.
//!
//! No secret stands in this file: what is secret is named, by a variable of the environment or by a file. An unknown
//! setting is refused, for a misspelled one would otherwise be silently without effect.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use super::secrets::{SecretList, SecretRef};
use crate::{
    adapters::generic::GenericMapping,
    domain::{
        alerts, deployments, duration, freezes::Window, incidents, people::Capability, routes::Route,
        runbooks::plan::Mode, runs::budgets::Budget,
    },
};

use super::{clusters::ClusterSection, github::GithubSection, metrics::PrometheusSection};

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Where everything is kept.
    pub store: StoreSection,
    /// What is listened to.
    pub web: WebSection,
    /// Where the secrets of runbooks are.
    pub secrets: SecretsSection,
    /// Who is who, by the names that the bot uses for them.
    pub people: BTreeMap<String, PersonSection>,
    /// What each role allows.
    pub roles: BTreeMap<String, RoleSection>,
    /// What everybody may do who can reach the bot.
    pub everyone: Option<EveryoneSection>,
    /// Who sends alerts.
    pub sources: Vec<SourceSection>,
    /// How alerts are told apart, and when they are stale or flap.
    pub alerts: alerts::Settings,
    /// What alerts mean, in the order in which they are tried.
    pub routes: Vec<Route>,
    /// What an alert means that no route takes, and what routes leave out.
    pub default_route: Option<Route>,
    /// How incidents group, resolve and reopen.
    pub incidents: incidents::Settings,
    /// Where the catalog of services is.
    pub services: ServicesSection,
    /// When a deployment counts as good, and which changes are near an incident.
    pub deployments: deployments::Settings,
    /// Where the runbooks are.
    pub runbooks: RunbooksSection,
    /// Which servers of Prometheus runbooks may ask.
    pub prometheus: PrometheusSection,
    /// Windows in which nothing is changed.
    pub freezes: Vec<Window>,
    /// How many effects may be in flight to a system.
    pub limits: BTreeMap<String, u32>,
    /// How much of a service may be changed in an hour.
    pub budgets: BTreeMap<String, Budget>,
    /// What reviews look like.
    pub reviews: ReviewsSection,
    /// How long what is over is kept in the store.
    pub retention: RetentionSection,
    /// What holds for every chat.
    pub chat: ChatSection,
    /// Discord; without it the console is the only chat.
    pub discord: Option<DiscordSection>,
    /// The Kubernetes clusters that runbooks act on, by the names that they use.
    pub kubernetes: BTreeMap<String, ClusterSection>,
    /// GitHub; without it no step does anything there.
    pub github: Option<GithubSection>,
    /// Who is told when the bot itself is in trouble.
    pub emergency: Option<EmergencySection>,
    /// Who is told that the bot works.
    pub heartbeat: Option<HeartbeatSection>,
    /// Where traces go; without it there are none.
    pub traces: Option<TracesSection>,
    /// What is logged, and how.
    pub log: LogSection,
}

/// `[store]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// The database file.
    pub path: PathBuf,
    /// A database of PostgreSQL in place of the file, so that several processes can share it.
    pub url: Option<SecretRef>,
}

impl StoreSection {
    /// What the halt file is named after: the store's file, or the program where a server keeps the store.
    pub fn halted_as(&self) -> &Path {
        if self.url.is_some() { Path::new("firewarden") } else { &self.path }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { path: "firewarden.db".into(), url: None }
    }
}

/// `[web]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSection {
    /// Address and port.
    pub listen: String,
    /// The address under which people reach the page.
    pub public_url: Option<String>,
    /// The longest delivery of alerts, in bytes.
    pub body_limit: usize,
    /// Tokens that may read `/metrics`; without one everybody may who can reach it.
    pub metrics_token: Option<SecretList>,
}

impl Default for WebSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            public_url: None,
            body_limit: crate::adapters::web::BODY_LIMIT,
            metrics_token: None,
        }
    }
}

/// `[secrets]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsSection {
    /// A folder with one file for each secret.
    pub directory: Option<PathBuf>,
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, or a list of texts")]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Texts {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Texts::One(one) => std::slice::from_ref(one),
            Texts::Several(several) => several,
        }
    }
}

/// `[people.<name>]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersonSection {
    /// Their Discord user ids.
    pub discord: Option<Texts>,
    /// Their roles.
    pub roles: Vec<String>,
    /// Their personal token for the page and the command line.
    pub token: Option<SecretList>,
}

/// `[roles.<name>]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSection {
    /// What it allows; each holds those before it.
    pub may: Capability,
    /// The Discord role ids that stand for it.
    #[serde(default)]
    pub discord: Option<Texts>,
}

/// `[everyone]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryoneSection {
    /// What everybody may do.
    pub may: Capability,
}

/// `[[sources]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSection {
    /// Its name; a generic source posts to `/webhooks/generic/<name>`.
    pub name: String,
    /// What it speaks.
    pub kind: SourceKind,
    /// How it proves who it is.
    pub auth: Auth,
    /// What it may do beside sending, by Alertmanager's API: `view`, or `respond`, which silences too.
    #[serde(default)]
    pub may: Option<Capability>,
    /// The only services for which it may set off runbooks.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    /// The only runbooks that it may set off.
    #[serde(default)]
    pub runbooks: Option<Vec<String>>,
    /// Where the parts of an alert stand in its JSON.
    #[serde(default)]
    pub mapping: Option<GenericMapping>,
}

/// What a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Alertmanager's webhook.
    Alertmanager,
    /// Any JSON, by the mapping.
    Generic,
    /// Alertmanager's API, version 2, as Prometheus speaks it.
    Prometheus,
    /// GitHub's webhooks about deployments and changes.
    Github,
    /// Any deployer's word about a deployment.
    Deployments,
}

/// How a source proves who it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer`.
    Bearer(SecretList),
    /// `Authorization: Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretList,
    },
    /// A signature, HMAC-SHA256, over the time and the body.
    Hmac {
        /// The key.
        secret: SecretList,
        /// The header with the signature.
        #[serde(default)]
        header: Option<String>,
        /// The header with the time in Unix seconds.
        #[serde(default)]
        time_header: Option<String>,
        /// How far that time may be from the bot's.
        #[serde(default, with = "duration::option")]
        tolerance: Option<Duration>,
    },
}

impl Auth {
    /// The secrets that hold.
    pub fn secrets(&self) -> &SecretList {
        match self {
            Auth::Bearer(secrets) | Auth::Basic { password: secrets, .. } | Auth::Hmac { secret: secrets, .. } => {
                secrets
            }
        }
    }
}

/// `[services]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesSection {
    /// The file with the catalog of services, if there is one.
    pub file: Option<PathBuf>,
}

/// `[runbooks]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunbooksSection {
    /// The folder with their files. Only the usual one may be missing: then there are none.
    pub directory: PathBuf,
    /// The most freedom that any of them gets.
    pub mode: Mode,
}

impl Default for RunbooksSection {
    fn default() -> Self {
        Self { directory: "runbooks".into(), mode: Mode::Auto }
    }
}

/// `[reviews]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewsSection {
    /// A folder with templates that take the place of those that the program brings, by their names.
    pub templates: Option<PathBuf>,
}

/// `[retention]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// How long what is over stays in the store; without it, for ever.
    #[serde(with = "duration::option")]
    pub closed_after: Option<Duration>,
    /// The folder with the files of what left.
    pub archive: PathBuf,
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self { closed_after: None, archive: "archive".into() }
    }
}

/// `[chat]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatSection {
    /// The channel for what belongs to no route.
    pub channel: String,
}

impl Default for ChatSection {
    fn default() -> Self {
        Self { channel: "incidents".to_owned() }
    }
}

/// `[discord]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscordSection {
    /// The bot's token.
    pub token: SecretRef,
    /// The application's id.
    pub application: String,
    /// The server's id.
    pub guild: String,
    /// Which channel id each channel's name stands for.
    pub channels: BTreeMap<String, String>,
    /// Another address of Discord's API.
    #[serde(default)]
    pub api_url: Option<String>,
}

/// `[emergency]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencySection {
    /// What gets a plain POST.
    pub url: String,
    /// Sent along as `Authorization: Bearer`.
    #[serde(default)]
    pub token: Option<SecretRef>,
}

/// `[heartbeat]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSection {
    /// What is called while everything works.
    pub url: String,
    /// How often.
    #[serde(default = "minute", with = "duration")]
    pub every: Duration,
}

fn minute() -> Duration {
    Duration::from_mins(1)
}

/// `[traces]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesSection {
    /// Where a collector takes OTLP over HTTP.
    pub endpoint: String,
    /// Headers that it is sent, each with where its value is.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// The name under which the bot stands in the traces.
    #[serde(default = "firewarden")]
    pub service: String,
    /// Where people look at a trace, with `{trace}` in the place of its name.
    #[serde(default)]
    pub viewer: Option<String>,
}

fn firewarden() -> String {
    "firewarden".to_owned()
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// How a line looks.
    pub format: LogFormat,
    /// From which level on, perhaps by module: `info`, `info,firewarden::engine=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}
