//! What the engine needs of the world, as narrow traits that the adapters fill.

mod code_host;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

pub use self::code_host::{
    CodeHost, Comparison, Deployment, DeploymentStatus, Dispatch, Job, NewDeployment, NewIssue, Posting, PullRequest,
    Unwritten, WorkflowRun,
};
pub use super::cluster::Cluster;
use crate::{
    domain::{time::Time, traces::Span},
    engine::chat::{Card, Message},
};

/// Time, as the bot knows it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Time;
    /// Completes once `now` is `at` or later.
    async fn sleep_until(&self, at: Time);
}

/// Where people read and answer.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Sends a message to a channel, or into the thread of one. The same nonce twice makes one message, if the chat can.
    /// The answer is the message's name, by which it is found wherever it stands.
    async fn send(&self, place: &Place, message: &Message, nonce: &str) -> Result<String, Undelivered>;
    /// Replaces a message's card, with its controls. Whom it called when it was sent is called no second time.
    async fn edit(&self, message: &str, card: &Card) -> Result<(), Undelivered>;
    /// Opens a thread under a message and gives its name; one that is open already is given again.
    async fn open_thread(&self, message: &str, title: &str) -> Result<String, Undelivered>;
    /// Whether the chat answers at all.
    async fn is_up(&self) -> bool;
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The channel's name in the configuration.
    pub channel: String,
    /// The chat's name of a thread in it.
    pub thread: Option<String>,
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// The chat asks to wait this long.
    Wait(Duration),
    /// The chat cannot be reached, or has a fault of its own: to be tried again.
    Unreachable(String),
    /// The bot may not do it there; somebody may allow it later.
    Forbidden(String),
    /// The message to edit, the thread or the channel is not there.
    Gone,
    /// The chat will never take it as it is.
    Refused(String),
}

/// Sends HTTP requests.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends one request, once, and tells what is known of it. Redirects are not followed.
    async fn send(&self, request: HttpRequest) -> HttpOutcome;
}

/// A request to be sent.
#[derive(Debug)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers; their values may be secret and are never logged.
    pub headers: Vec<(String, SecretString)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// The longest time from sending to the end of the answer.
    pub timeout: Duration,
    /// How many bytes of the answer's body are kept at most.
    pub limit: usize,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpOutcome {
    /// The other side answered.
    Answered(HttpAnswer),
    /// It certainly did not reach the other side.
    NotSent(String),
    /// It may have reached the other side.
    Unknown(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, up to the limit.
    pub body: Vec<u8>,
    /// Whether the body went on after the limit.
    pub is_cut: bool,
}

/// Measures, by queries.
#[async_trait]
pub trait Metrics: Send + Sync {
    /// The samples of a query at this moment, from the named server, or from the usual one. Nothing is changed.
    ///
    /// # Errors
    /// Says why there is no answer.
    async fn query(&self, server: Option<&str>, query: &str, timeout: Duration) -> Result<Vec<Sample>, String>;
}

/// A measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What it is of.
    pub labels: BTreeMap<String, String>,
    /// The value, which need not be a number.
    pub value: f64,
    /// When it was measured, by the other side's clock.
    pub at: Time,
}

/// Runs programs.
#[async_trait]
pub trait Programs: Send + Sync {
    /// Runs a program to its end, or kills it with everything it started when the time is over or the future is dropped.
    async fn run(&self, program: Program) -> ProgramOutcome;
    /// Ends what an earlier life of the bot started with this value in the variable [`KEY`] and left running, with
    /// everything in its process groups. Only Linux tells of a process what it was started with; elsewhere nothing is ended.
    async fn end(&self, key: &str);
}

/// The variable of its environment that tells a program the idempotency key of its effect.
pub const KEY: &str = "FIREWARDEN_KEY";

/// A program to be run. Its environment is what is named here and `PATH`, `HOME`, `LANG`, `TZ` of the bot.
#[derive(Debug)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment; values may be secret and are never logged.
    pub environment: Vec<(String, SecretString)>,
    /// Where it runs; the bot's own folder if none is named.
    pub directory: Option<String>,
    /// What it reads.
    pub stdin: Option<Vec<u8>>,
    /// The longest time it may take.
    pub timeout: Duration,
    /// How many bytes are kept of each of its outputs; the first and the last part if there is more.
    pub limit: usize,
}

/// What is known of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramOutcome {
    /// It ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// What it wrote, lossily as UTF-8.
        stdout: String,
        /// What it wrote as errors.
        stderr: String,
    },
    /// It was never started.
    NotStarted(String),
    /// It was killed, by the timeout or by something else.
    Killed {
        /// Why.
        why: String,
        /// What it wrote until then.
        stdout: String,
        /// What it wrote as errors until then.
        stderr: String,
    },
}

/// Keeps files outside of the store.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Puts a file there under this name, or one like it that is free, and reads it back; where it is, as people are told.
    ///
    /// # Errors
    /// Says why it is not there.
    async fn put(&self, name: &str, content: Vec<u8>) -> Result<String, String>;
    /// Takes away a file that was put there a moment ago and that nobody knows of.
    async fn take_back(&self, place: &str);
}

/// Takes the spans of traces.
#[async_trait]
pub trait Collector: Send + Sync {
    /// Sends spans; how many of them the collector refused.
    async fn take(&self, spans: &[Span]) -> Result<usize, Untaken>;
}

/// Why spans were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untaken {
    /// Why.
    pub why: String,
    /// After which pause they may be sent again; none if they never will be taken.
    pub again: Option<Duration>,
}

/// Finds secrets by their names, in the environment or in files.
pub trait Secrets: Send + Sync {
    /// The secret of this name.
    ///
    /// # Errors
    /// Says that it is missing and where it was looked for, never its value.
    fn find(&self, name: &str) -> Result<SecretString, String>;
    /// Every secret that was found so far, so that outputs can be cleared of them.
    fn known(&self) -> Vec<SecretString>;
}
