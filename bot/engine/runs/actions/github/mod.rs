//! What steps do at GitHub, through the port for code hosts.
//!
//! What is written carries the idempotency key of its effect, so that a later look finds it: a deployment in its payload, a
//! run in its title, whatever people read in a comment that they do not see.

pub(super) mod comment;
pub(super) mod compare;
pub(super) mod create_issue;
pub(super) mod deploy;
mod deployments;
pub(super) mod dispatch_workflow;
pub(super) mod find_comment;
pub(super) mod find_deployment;
pub(super) mod find_issue;
pub(super) mod find_pull_request;
pub(super) mod find_workflow_run;
pub(super) mod rerun_workflow;
pub(super) mod revert_pull_request;
mod workflow_runs;

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::text;
use crate::{
    domain::{
        runbooks::{
            actions::{is_commit, is_repository},
            plan,
        },
        time::Time,
    },
    engine::{
        ports::{Clock, CodeHost, Posting, Unwritten},
        runs::{Outcome, Ports, Work},
    },
};

/// The pause between two looks at something that takes its time.
const LOOK: Duration = Duration::from_secs(5);

/// What an action has at hand.
struct At<'a> {
    host: &'a dyn CodeHost,
    clock: &'a dyn Clock,
    /// When the step's time is over.
    until: Time,
    is_halt_file_there: &'a (dyn Fn() -> bool + Send + Sync),
    work: &'a Work,
    repo: &'a str,
}

impl<'a> At<'a> {
    fn github(ports: &'a Ports, work: &'a Work) -> Result<Self, Outcome> {
        let host = ports.code_host.as_deref();
        let host = host.ok_or_else(|| not_done("GitHub is not configured: add `[github]` to `firewarden.toml`"))?;
        let repo = text(&work.with, "repo").unwrap_or_default();
        if !is_repository(repo) {
            return Err(not_done(format!("`{repo}` is not a repository: `repo` is `owner/name`")));
        }
        let clock = &*ports.clock;
        let is_halt_file_there = &*ports.is_halt_file_there;
        Ok(Self { host, clock, until: clock.now() + work.timeout, is_halt_file_there, work, repo })
    }

    /// The idempotency key of the effect.
    fn key(&self) -> &'a str {
        &self.work.effect
    }

    /// A text that must be there.
    fn text(&self, field: &str) -> Result<&'a str, Outcome> {
        self.optional(field).ok_or_else(|| not_done(format!("`{field}` is empty or not text")))
    }

    fn optional(&self, field: &str) -> Option<&'a str> {
        text(&self.work.with, field).filter(|text| !text.trim().is_empty())
    }

    /// The whole id of a commit; `None` if the field is left out.
    fn commit(&self, field: &str) -> Result<Option<&'a str>, Outcome> {
        match self.work.with.get(field) {
            None => Ok(None),
            Some(Value::String(sha)) if is_commit(sha) => Ok(Some(sha)),
            Some(other) => Err(not_done(format!("`{field}` is `{}`, not the whole id of a commit", shown(other)))),
        }
    }

    /// A number from 1; `None` if the field is left out.
    fn number(&self, field: &str) -> Result<Option<u64>, Outcome> {
        let Some(value) = self.work.with.get(field) else { return Ok(None) };
        let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| *number > 0);
        number.map(Some).ok_or_else(|| not_done(format!("`{field}` is `{}`, not a whole number from 1", shown(value))))
    }

    /// A number that must be there.
    fn needed_number(&self, field: &str) -> Result<u64, Outcome> {
        self.number(field)?.ok_or_else(|| not_done(format!("there is no `{field}`")))
    }

    /// Names with values; no secret among them, for everybody could read it at GitHub.
    fn names(&self, field: &str) -> Result<serde_json::Map<String, Value>, Outcome> {
        match self.work.with.get(field) {
            None => Ok(serde_json::Map::new()),
            Some(value) if names_secret(value) => {
                Err(not_done(format!("`{field}` names a secret, and everybody who reads the repository could read it")))
            }
            Some(Value::Object(names)) => Ok(names.clone()),
            Some(_) => Err(not_done(format!("`{field}` is not names with values"))),
        }
    }

    /// A text for people with the key in a comment that they do not see.
    fn marked(&self, body: &str) -> String {
        let mark = marker(self.key());
        if body.is_empty() { mark } else { format!("{body}\n\n{mark}") }
    }

    /// Writes something, once: it is tried again only if it certainly did not happen.
    async fn write<'w, T>(
        &self,
        write: impl Fn() -> BoxFuture<'w, Result<T, Unwritten>> + Send + Sync,
    ) -> Result<T, Outcome> {
        loop {
            match write().await {
                Ok(written) => return Ok(written),
                Err(unwritten) => self.wait_to_write(unwritten).await?,
            }
        }
    }

    /// Waits until something may be tried again, if it may within the step's time and nobody has halted everything since.
    async fn wait_to_write(&self, unwritten: Unwritten) -> Result<(), Outcome> {
        match unwritten {
            Unwritten::Refused(why) => return Err(not_done(why)),
            Unwritten::Unknown(why) => return Err(Outcome::Unknown(why)),
            Unwritten::NotYet { at, why } if at >= self.until => {
                return Err(not_done(format!("{why}, and the step's time is over before it may be tried again")));
            }
            Unwritten::NotYet { at, .. } => self.clock.sleep_until(at).await,
        }
        if (self.is_halt_file_there)() { Err(Outcome::Halted) } else { Ok(()) }
    }

    /// Lets time pass until the next look, if there is one within the step's time.
    async fn look_again(&self) -> bool {
        let next = self.clock.now() + LOOK;
        if next >= self.until {
            return false;
        }
        self.clock.sleep_until(next).await;
        true
    }
}

fn marker(key: &str) -> String {
    format!("<!-- firewarden: {key} -->")
}

/// The one that bears the key.
fn marked<'p>(postings: &'p [Posting], key: &str) -> Option<&'p Posting> {
    let mark = marker(key);
    postings.iter().find(|posting| posting.body.contains(&mark))
}

/// What a look for something that people read gives.
fn sighted(found: Option<&Posting>, number: &str) -> Value {
    let (number_of, url) = (found.map(|it| it.number), found.map(|it| it.url.as_str()));
    json!({ "found": found.is_some(), number: number_of, "url": url })
}

fn names_secret(value: &Value) -> bool {
    plan::secret(value).is_some()
        || match value {
            Value::Array(items) => items.iter().any(names_secret),
            Value::Object(fields) => fields.values().any(names_secret),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).chars().take(60).collect()
}

/// It certainly did not happen.
fn not_done(why: impl Into<String>) -> Outcome {
    Outcome::Failed { why: why.into(), may_have_changed: false }
}

/// It happened, and what came of it is no success.
fn failed(why: impl Into<String>) -> Outcome {
    Outcome::Failed { why: why.into(), may_have_changed: true }
}

fn told(outcome: Result<Value, Outcome>) -> Outcome {
    outcome.map_or_else(|outcome| outcome, Outcome::Done)
}
