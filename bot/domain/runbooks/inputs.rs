//! Gives a run its inputs: constants first, then what a person gave, then the alert's labels, then defaults.
//!
//! A constant cannot be given, so neither a label nor a person can aim a runbook elsewhere.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::domain::{
    duration,
    runbooks::{
        plan::{Input, InputKind, InputSource, Plan},
        words,
    },
};

/// The most characters of a text, if the file sets no other limit.
pub const LONGEST_TEXT: usize = 1_000;

/// Why a runbook cannot start with what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Problem {
    /// What is wrong, without a period.
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Problem {
    /// The same for whoever says already what cannot be started.
    pub fn briefly(&self, plan: &Plan) -> String {
        let what = self.what.strip_prefix(&format!("Cannot start `{}`: ", plan.name)).unwrap_or(&self.what);
        self.hint.iter().fold(what.to_owned(), |what, hint| format!("{what}; {hint}"))
    }
}

/// The value of every input, typed.
///
/// `given` is what a person wrote; `labels` are those of the alert, empty if there is none.
///
/// # Errors
/// Something given is unknown, a constant, missing, or not of its type. Whether a service exists is not checked here.
pub fn resolve(
    plan: &Plan,
    given: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Problem> {
    for name in given.keys() {
        let Some(input) = plan.inputs.iter().find(|input| input.name == *name) else {
            return Err(unknown(plan, name));
        };
        if let InputSource::Const(value) = &input.source {
            return Err(Problem {
                what: format!("Cannot set `{name}` of `{}`: the runbook fixes it", plan.name),
                hint: Some(format!("leave it out; it is always {value}")),
            });
        }
    }
    plan.inputs.iter().map(|input| Ok((input.name.clone(), value_of(plan, input, given, labels)?))).collect()
}

/// Reads a text as a value of this kind; the error says what would be one.
pub fn read(kind: &InputKind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match kind {
        InputKind::Text { max } => line(text, *max),
        InputKind::Service => {
            if text.is_empty() {
                return Err("a service cannot be empty".to_owned());
            }
            line(text, 100)
        }
        InputKind::Integer { min, max } => {
            let number = text.parse::<i64>().ok().filter(|number| (min..=max).contains(&number));
            number.map(Value::from).ok_or_else(|| format!("give a whole number from {min} to {max}"))
        }
        InputKind::Choice { choices } => match choices.iter().find(|choice| *choice == text) {
            Some(choice) => Ok(Value::from(choice.as_str())),
            None => Err(match words::nearest(text, choices.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`? It is one of {}", words::listed(choices)),
                None => format!("give one of {}", words::listed(choices)),
            }),
        },
        InputKind::Duration { min, max } => match duration::parse(text) {
            Ok(length) if (*min..=*max).contains(&length) => Ok(Value::from(duration::compact(length))),
            Ok(_) | Err(_) => Err(format!(
                "give a length of time from {} to {}, such as `15m`",
                duration::compact(*min),
                duration::compact(*max)
            )),
        },
        InputKind::Boolean => match text {
            "true" | "yes" => Ok(Value::Bool(true)),
            "false" | "no" => Ok(Value::Bool(false)),
            _ => Err("give `true` or `false`".to_owned()),
        },
    }
}

/// The limits of a length of time, if the file sets no others.
pub const LENGTHS: (Duration, Duration) = (Duration::ZERO, duration::LONGEST);

fn line(text: &str, max: usize) -> Result<Value, String> {
    if text.chars().count() > max {
        return Err(format!("give at most {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("give one line without control characters".to_owned());
    }
    Ok(Value::from(text))
}

fn unknown(plan: &Plan, name: &str) -> Problem {
    let open = || plan.inputs.iter().filter(|input| matches!(input.source, InputSource::Given { .. }));
    let names: Vec<&str> = open().map(|input| input.name.as_str()).collect();
    let shown: String = name.chars().take(60).collect();
    Problem {
        what: format!("Cannot start `{}`: it has no input `{shown}`", plan.name),
        hint: Some(match words::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "it takes no inputs".to_owned(),
            None => format!("it takes {}", words::listed(&names)),
        }),
    }
}

fn value_of(
    plan: &Plan,
    input: &Input,
    given: &BTreeMap<String, String>,
    labels: &BTreeMap<String, String>,
) -> Result<Value, Problem> {
    let (label, default) = match &input.source {
        InputSource::Const(value) => return Ok(value.clone()),
        InputSource::Given { label, default } => (label.as_deref(), default),
    };
    let from_label = label.and_then(|label| Some((label, labels.get(label)?)));
    let (text, whence) = match (given.get(&input.name), from_label) {
        (Some(text), _) => (text, String::new()),
        (None, Some((label, text))) => (text, format!(" (label `{label}`)")),
        (None, None) => {
            return default.clone().ok_or_else(|| Problem {
                what: format!("Cannot start `{}`: `{}` is missing", plan.name, input.name),
                hint: Some(match (&input.description, label) {
                    (Some(description), _) => format!("give `{}`: {description}", input.name),
                    (None, Some(label)) => format!("give `{}`; the alert has no label `{label}`", input.name),
                    (None, None) => format!("give `{}`", input.name),
                }),
            });
        }
    };
    read(&input.kind, text).map_err(|hint| {
        let shown: String = text.chars().take(60).collect();
        Problem {
            what: format!("Cannot start `{}`: `{shown}` is not a value of `{}`{whence}", plan.name, input.name),
            hint: Some(hint),
        }
    })
}
