//! What steps do to Kubernetes clusters.
//!
//! A change is decided on what was read a moment ago and written only to that version. The object bears the run, its epoch
//! and the step's key then, so a change whose answer was lost is found, and a worker that another has followed is refused.

pub(super) mod cordon;
pub(super) mod drain;
pub(super) mod marks;
pub(super) mod read;
pub(super) mod rollout_restart;
pub(super) mod rollout_undo;
pub(super) mod scale;
pub(super) mod wait_rollout;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use self::marks::Marked;
use super::text;
use crate::engine::{
    cluster::{Change, Cluster, Kind, Name, Notes, Object, Trouble},
    runs::{Outcome, Ports, Work},
};

/// How long one read may take.
const READ: Duration = Duration::from_secs(10);
/// The pause after a read that had no answer; doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The pause before what has changed meanwhile is read again.
const MOVED_PAUSE: Duration = Duration::from_millis(20);

/// What was read, and what is to be done about it.
#[derive(Debug)]
struct Seen {
    /// What would be written to, and the version that was read.
    object: Object,
    version: String,
    /// The annotations of whatever an earlier attempt may have written to.
    notes: Vec<Notes>,
    /// What the decision was made on: if it differs when it is read again, somebody else is at work on it.
    basis: Value,
    /// What is to be done, or why nothing is. Whoever repeats a step that is done finds its marks before this counts.
    decided: Result<Decided, Outcome>,
}

/// What is to be done.
#[derive(Debug)]
struct Decided {
    /// What is to be changed, or nothing if it is so already.
    change: Option<Change>,
    /// What the step tells then.
    output: Value,
}

/// What a step is about: how it is seen, as often as that takes.
#[async_trait]
trait Subject<T>: Sync {
    /// Reads it.
    async fn see(&self, cluster: &dyn Cluster) -> Result<T, Trouble>;
}

/// The cluster that a step is about.
fn cluster<'p>(ports: &'p Ports, with: &Value) -> Result<&'p dyn Cluster, String> {
    let named = text(with, "cluster").filter(|name| !name.is_empty());
    let found = match named {
        Some(name) => ports.clusters.get(name),
        None if ports.clusters.len() == 1 => ports.clusters.values().next(),
        None => None,
    };
    let known: Vec<&str> = ports.clusters.keys().map(String::as_str).collect();
    found.map(AsRef::as_ref).ok_or_else(|| match named {
        _ if known.is_empty() => "no Kubernetes cluster is configured: add `[kubernetes.NAME]`".to_owned(),
        Some(name) => format!("there is no cluster `{name}`: there is `{}`", known.join("`, `")),
        None => format!("`cluster` has to say which: there is `{}`", known.join("`, `")),
    })
}

/// The workload that a step is about.
fn workload(with: &Value) -> Result<Name, String> {
    let kind = match text(with, "kind") {
        None | Some("deployment") => Kind::Deployment,
        Some("statefulset") => Kind::StatefulSet,
        Some(other) => return Err(format!("`kind` cannot be `{other}`")),
    };
    Ok(Name { kind, namespace: name(with, "namespace")?, name: name(with, "name")? })
}

/// A name of Kubernetes: a part of an address, so nothing else may stand in it.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
fn name(with: &Value, field: &str) -> Result<String, String> {
    let name = text(with, field).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_name = name.len() <= 253 && name.bytes().all(is_plain) && ends(name.bytes().next());
    if is_name && ends(name.bytes().last()) && !name.contains("..") {
        Ok(name.to_owned())
    } else {
        Err(format!("`{field}` cannot be `{}`", name.chars().take(60).collect::<String>()))
    }
}

/// The whole number in a field, be it a number or the text of one.
fn number(with: &Value, field: &str) -> Result<Option<i64>, String> {
    let number = match with.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(other) => other.as_i64(),
    };
    number.map(Some).ok_or_else(|| format!("`{field}` is not a whole number: {}", with[field]))
}

/// The images that a template of pods runs, in their order.
fn images(template: &Value) -> Vec<String> {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container.get("image")?.as_str());
    images.map(str::to_owned).collect()
}

/// Reads, again while there is no answer, as long as there is time.
async fn reading<T>(until: Instant, cluster: &dyn Cluster, subject: &impl Subject<T>) -> Result<T, Outcome> {
    let mut pause = FIRST_PAUSE;
    loop {
        let longest = READ.min(until.saturating_duration_since(Instant::now()));
        let answer = timeout(longest, subject.see(cluster)).await;
        let (why, rest) = match answer.unwrap_or_else(|_| Err(Trouble::Unknown("it does not answer".to_owned()))) {
            Ok(seen) => return Ok(seen),
            Err(Trouble::Missing(why) | Trouble::Refused(why)) => return Err(Outcome::Refused(why)),
            Err(Trouble::Wait(rest, why)) => (why, rest),
            Err(Trouble::Moved(why) | Trouble::Unreachable(why) | Trouble::Unknown(why)) => (why, pause),
        };
        pause = (pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + rest >= until {
            let why = format!("the cluster cannot be read: {why}");
            return Err(Outcome::Failed { why, may_have_changed: false });
        }
        tracing::warn!(why, seconds = rest.as_secs_f64(), "a cluster cannot be read; it is read again after a pause");
        sleep(rest).await;
    }
}

/// Looks, and tells what was seen.
async fn look(ports: &Ports, work: &Work, subject: &impl Subject<Outcome>) -> Outcome {
    match cluster(ports, &work.with) {
        Ok(cluster) => {
            let until = Instant::now() + work.timeout;
            reading(until, cluster, subject).await.unwrap_or_else(|outcome| outcome)
        }
        Err(why) => Outcome::Refused(why),
    }
}

/// Decides on what is there, writes it, and decides anew where that has changed in between.
async fn change(ports: &Ports, work: &Work, subject: &impl Subject<Seen>) -> Outcome {
    let cluster = match cluster(ports, &work.with) {
        Ok(cluster) => cluster,
        Err(why) => return Outcome::Refused(why),
    };
    let until = Instant::now() + work.timeout;
    let mut basis: Option<Value> = None;
    loop {
        let seen = match reading(until, cluster, subject).await {
            Ok(seen) => seen,
            Err(outcome) => return outcome,
        };
        match marks::of(work, &seen.notes) {
            Marked::Otherwise => {}
            Marked::Done(output) => return Outcome::Done(output),
            Marked::Followed(why) => return Outcome::Refused(why),
        }
        if let Some(before) = basis.replace(seen.basis.clone()).filter(|before| *before != seen.basis) {
            let why = format!("somebody else changes it at the same time: it was {before} and is {}", seen.basis);
            return Outcome::Refused(why);
        }
        let (change, output) = match seen.decided {
            Ok(Decided { change: Some(change), output }) => (change, output),
            Ok(Decided { change: None, output }) => return Outcome::Done(output),
            Err(outcome) => return outcome,
        };
        if (ports.is_halt_file_there)() {
            return Outcome::Halted;
        }
        let marks = marks::for_step(work, &output);
        let (pause, why) = match timeout_at(until, cluster.write(&seen.object, &seen.version, &change, &marks)).await {
            Ok(Ok(())) => return Outcome::Done(output),
            Ok(Err(Trouble::Unknown(why))) => return Outcome::Unknown(why),
            Ok(Err(Trouble::Missing(why) | Trouble::Refused(why))) => return Outcome::Refused(why),
            Ok(Err(Trouble::Moved(why))) => (MOVED_PAUSE, why),
            Ok(Err(Trouble::Wait(pause, why))) => (pause, why),
            Ok(Err(Trouble::Unreachable(why))) => (FIRST_PAUSE, why),
            Err(_) => return Outcome::Unknown("no answer came in time".to_owned()),
        };
        if Instant::now() + pause >= until {
            let why = format!("the cluster did not take it: {why}");
            return Outcome::Failed { why, may_have_changed: false };
        }
        tracing::info!(why, seconds = pause.as_secs_f64(), "a cluster did not take a change; it is decided on anew");
        sleep(pause).await;
    }
}
