//! What a step can do: one entry for each action of the runbook language.
//!
//! Some actions need nothing but the transaction and happen inside it, exactly once. The others reach the world after
//! their intent is committed, and tell what is known of them.

pub(super) mod announce;
pub(super) mod ask;
pub(super) mod assert;
mod clean;
mod http;
mod shell;
pub(super) mod wait;

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

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
    Outside(for<'a> fn(&'a Ports, &'a Work) -> BoxFuture<'a, Outcome>),
}

/// An action that happens inside the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Wait,
    Assert,
    Ask,
    Announce,
}

/// Every action there is.
pub static ACTIONS: &[Action] = &[
    Action { name: "shell", does: Does::Outside(shell::act) },
    Action { name: "http", does: Does::Outside(http::act) },
    Action { name: "wait", does: Does::Inside(Inside::Wait) },
    Action { name: "assert", does: Does::Inside(Inside::Assert) },
    Action { name: "ask", does: Does::Inside(Inside::Ask) },
    Action { name: "announce", does: Does::Inside(Inside::Announce) },
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
            Does::Outside(_) => None,
        }
    }
}

/// Makes an effect, once, and tells what is known of it. What it answers is bounded and cleared of secrets.
pub(super) async fn act(ports: &Ports, work: &Work) -> Outcome {
    let does = named(&work.action).map(|action| action.does);
    let Some(Does::Outside(act)) = does else {
        let why = format!("`{}` is not an action that reaches out", work.action);
        return Outcome::Failed { why, may_have_changed: false };
    };
    let outcome = match tokio::time::timeout(work.timeout + GRACE, act(ports, work)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Unknown("no answer came in time".to_owned()),
    };
    clean::outcome(outcome, &ports.secrets.known())
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
    let names = with.get("extract")?.as_object()?;
    let values: Result<Map<String, Value>, String> = names
        .iter()
        .map(|(name, text)| {
            let text = text.as_str().unwrap_or_default();
            let value = condition::evaluate(text, scope).map_err(|error| format!("`{name}`: {error}"))?;
            Ok((name.clone(), value))
        })
        .collect();
    Some(values.map(Value::Object))
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
