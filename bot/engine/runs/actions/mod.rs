//! What a step can do: one entry for each action of the runbook language.
//!
//! Some actions need nothing but the transaction and happen inside it, exactly once. The others reach the world after
//! their intent is committed, and tell what is known of them.

pub(super) mod announce;
pub(super) mod ask;
pub(super) mod assert;
mod clean;
pub(super) mod deployments;
mod github;
mod http;
pub(super) mod incident_update;
mod kubernetes;
pub(super) mod prometheus;
pub(super) mod set;
mod shell;
pub(super) mod wait;

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use self::deployments::Ask;
use super::{Outcome, Ports, Work};
use crate::domain::{
    duration,
    runbooks::{condition, plan, scope::Scope},
};

/// An action of the runbook language, as it is carried out.
pub struct Action {
    /// Its name there.
    pub name: &'static str,
    does: Does,
}

#[derive(Clone, Copy)]
enum Does {
    Inside(Inside),
    /// Reaches the world, and what comes of it is a deployment for the ledger.
    Deploys(for<'a> fn(&'a Ports, &'a Work) -> BoxFuture<'a, Outcome>),
    Outside(for<'a> fn(&'a Ports, &'a Work) -> BoxFuture<'a, Outcome>),
}

/// An action that happens inside the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Wait,
    Assert,
    Ask,
    Announce,
    Set,
    Runbook,
    IncidentUpdate,
    Ledger(deployments::Ask),
}

/// Every action there is.
pub static ACTIONS: &[Action] = &[
    Action { name: "shell", does: Does::Outside(shell::act) },
    Action { name: "http", does: Does::Outside(http::act) },
    Action { name: "wait", does: Does::Inside(Inside::Wait) },
    Action { name: "assert", does: Does::Inside(Inside::Assert) },
    Action { name: "ask", does: Does::Inside(Inside::Ask) },
    Action { name: "announce", does: Does::Inside(Inside::Announce) },
    Action { name: "set", does: Does::Inside(Inside::Set) },
    Action { name: "runbook", does: Does::Inside(Inside::Runbook) },
    Action { name: "incident.update", does: Does::Inside(Inside::IncidentUpdate) },
    Action { name: "kubernetes.read", does: Does::Outside(kubernetes::read::act) },
    Action { name: "kubernetes.scale", does: Does::Outside(kubernetes::scale::act) },
    Action { name: "kubernetes.rollout_undo", does: Does::Outside(kubernetes::rollout_undo::act) },
    Action { name: "kubernetes.rollout_restart", does: Does::Outside(kubernetes::rollout_restart::act) },
    Action { name: "kubernetes.wait_rollout", does: Does::Outside(kubernetes::wait_rollout::act) },
    Action { name: "kubernetes.cordon", does: Does::Outside(kubernetes::cordon::act) },
    Action { name: "kubernetes.drain", does: Does::Outside(kubernetes::drain::act) },
    Action { name: "prometheus.query", does: Does::Outside(prometheus::query::act) },
    Action { name: "prometheus.wait", does: Does::Outside(prometheus::wait::act) },
    Action { name: "deployments.live", does: Does::Inside(Inside::Ledger(Ask::Live)) },
    Action { name: "deployments.last_good", does: Does::Inside(Inside::Ledger(Ask::LastGood)) },
    Action { name: "deployments.ban", does: Does::Inside(Inside::Ledger(Ask::Ban)) },
    Action { name: "deployments.unban", does: Does::Inside(Inside::Ledger(Ask::Unban)) },
    Action { name: "github.deploy", does: Does::Deploys(github::deploy::act) },
    Action { name: "github.find_deployment", does: Does::Outside(github::find_deployment::act) },
    Action { name: "github.dispatch_workflow", does: Does::Outside(github::dispatch_workflow::act) },
    Action { name: "github.find_workflow_run", does: Does::Outside(github::find_workflow_run::act) },
    Action { name: "github.rerun_workflow", does: Does::Outside(github::rerun_workflow::act) },
    Action { name: "github.revert_pull_request", does: Does::Outside(github::revert_pull_request::act) },
    Action { name: "github.find_pull_request", does: Does::Outside(github::find_pull_request::act) },
    Action { name: "github.create_issue", does: Does::Outside(github::create_issue::act) },
    Action { name: "github.find_issue", does: Does::Outside(github::find_issue::act) },
    Action { name: "github.comment", does: Does::Outside(github::comment::act) },
    Action { name: "github.find_comment", does: Does::Outside(github::find_comment::act) },
    Action { name: "github.compare", does: Does::Outside(github::compare::act) },
];

/// The most bytes that are kept of what an action answers.
pub const LIMIT: usize = 64 * 1024;
/// How much longer than its own timeout an action is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The action with this name.
pub(super) fn named(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name)
}

impl Action {
    /// How it happens inside the transaction, if it does.
    pub(super) fn inside(&self) -> Option<Inside> {
        match self.does {
            Does::Inside(inside) => Some(inside),
            Does::Outside(_) | Does::Deploys(_) => None,
        }
    }

    /// Whether what comes of it is a deployment for the ledger.
    pub(super) fn deploys(&self) -> bool {
        matches!(self.does, Does::Deploys(_))
    }
}

/// Makes an effect, once, and tells what is known of it. What it answers is bounded and cleared of secrets.
pub(super) async fn act(ports: &Ports, work: &Work) -> Outcome {
    let does = named(&work.action).map(|action| action.does);
    let Some(Does::Outside(act) | Does::Deploys(act)) = does else {
        let why = format!("`{}` is not an action that reaches out", work.action);
        return Outcome::Failed { why, may_have_changed: false };
    };
    let outcome = match tokio::time::timeout(work.timeout + GRACE, act(ports, work)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Unknown("no answer came in time".to_owned()),
    };
    clean::outcome(outcome, &ports.secrets.known())
}

/// The same text without secrets.
pub(super) fn without_secrets(text: &str, secrets: &[SecretString]) -> String {
    clean::text(text, secrets)
}

/// The text of a field, if it has one.
fn text<'a>(with: &'a Value, field: &str) -> Option<&'a str> {
    with.get(field).and_then(Value::as_str)
}

/// The length of time in a field. Without one, or with a number that has no unit, the error says what to write.
pub(super) fn length(with: &Value, field: &str) -> Result<Duration, String> {
    match with.get(field) {
        Some(Value::String(text)) => duration::parse(text).map_err(|why| format!("`{field}`: {why}")),
        Some(Value::Number(number)) => {
            Err(format!("`{field}` is `{number}`, which has no unit: write `{number}s` or `{number}m`"))
        }
        Some(_) | None => Err(format!("`{field}` is not a length of time such as `90s`, `15m` or `1h30m`")),
    }
}

/// The texts of a list; numbers and truth values are written out.
fn texts(with: &Value, field: &str) -> Vec<String> {
    with.get(field).and_then(Value::as_array).map(|items| items.iter().map(written).collect()).unwrap_or_default()
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The whole numbers of a list.
fn numbers(with: &Value, field: &str) -> Option<Vec<i64>> {
    with.get(field).and_then(Value::as_array).map(|items| items.iter().filter_map(Value::as_i64).collect())
}

/// Names with their values; a secret is found by its name.
fn values(ports: &Ports, with: &Value, field: &str) -> Result<Vec<(String, SecretString)>, String> {
    let Some(fields) = with.get(field).and_then(Value::as_object) else { return Ok(Vec::new()) };
    fields
        .iter()
        .map(|(name, value)| {
            let value = match plan::secret(value) {
                Some(secret) => ports.secrets.find(secret)?,
                None => SecretString::from(written(value)),
            };
            Ok((name.clone(), value))
        })
        .collect()
}

/// A tree with its secrets in place.
fn with_secrets(ports: &Ports, tree: &Value) -> Result<Value, String> {
    if let Some(name) = plan::secret(tree) {
        return Ok(Value::from(ports.secrets.find(name)?.expose_secret()));
    }
    Ok(match tree {
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| with_secrets(ports, item)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), with_secrets(ports, value)?)))
                .collect::<Result<_, String>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => tree.clone(),
    })
}

/// What `extract` names, read from this scope; none if the step names nothing.
fn extracted(with: &Value, scope: &Scope) -> Option<Result<Value, String>> {
    Some(evaluated(with.get("extract")?.as_object()?, scope))
}

/// The values of names with expressions.
pub(super) fn evaluated(names: &Map<String, Value>, scope: &Scope) -> Result<Value, String> {
    let values: Result<Map<String, Value>, String> = names
        .iter()
        .map(|(name, text)| {
            let text = text.as_str().unwrap_or_default();
            let value = condition::evaluate(text, scope).map_err(|error| format!("`{name}`: {error}"))?;
            Ok((name.clone(), value))
        })
        .collect();
    values.map(Value::Object)
}

/// The outcome of an effect that happened: its output, or why its output is not what the runbook expects.
fn happened(with: &Value, scope: &Scope, changes: bool, otherwise: Value) -> Outcome {
    match extracted(with, scope) {
        None => Outcome::Done(otherwise),
        Some(Ok(output)) => Outcome::Done(output),
        Some(Err(why)) => Outcome::Failed { why, may_have_changed: changes },
    }
}

/// The last part of a text, for an error.
fn tail(text: &str) -> String {
    let text = text.trim();
    let start = text.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use crate::domain::runbooks::actions::ALL;

    #[test]
    fn every_action_of_the_language_is_carried_out_and_no_other() {
        let mut names: Vec<&str> = super::ACTIONS.iter().map(|action| action.name).collect();
        let mut declared: Vec<&str> = ALL.iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        declared.sort_unstable();
        assert_eq!(names, declared);
    }
}
