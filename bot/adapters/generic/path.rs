//! A place in a sender's JSON, as the configuration writes it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place in JSON: `rule.name`, `items.0.id`, `$.group.name` from the body, or the pointer `/labels/app.name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path {
    text: String,
    from_body: bool,
    steps: Vec<String>,
}

/// The most steps in a path.
const STEPS: usize = 32;

impl Path {
    /// Whether it begins at the body rather than at the alert.
    pub fn from_body(&self) -> bool {
        self.from_body
    }

    /// What stands there, if anything does.
    pub fn find<'a>(&self, from: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(from, |value, step| match value {
            Value::Object(fields) => fields.get(step),
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    /// The place for people, within `inside`: `alerts[3].rule.name`.
    pub fn place(&self, inside: &str) -> String {
        let mut place = inside.to_owned();
        for step in &self.steps {
            if step.bytes().all(|byte| byte.is_ascii_digit()) && !step.is_empty() {
                place.push_str(&format!("[{step}]"));
            } else {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(step);
            }
        }
        place
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(80).collect();
        let wrong = |what: &str| format!("`{shown}` is not a path such as `rule.name`: {what}");
        let (from_body, rest) = match text.strip_prefix('$') {
            Some(rest) => (true, rest.strip_prefix('.').unwrap_or(rest)),
            None => (false, text),
        };
        let steps: Vec<String> = match rest.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
            None if rest.is_empty() && from_body => Vec::new(),
            None => rest.split('.').map(str::to_owned).collect(),
        };
        if steps.len() > STEPS {
            return Err(wrong("it has too many steps"));
        }
        if !rest.starts_with('/') && steps.iter().any(String::is_empty) {
            return Err(wrong("a step is empty"));
        }
        Ok(Self { text: text.to_owned(), from_body, steps })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.text
    }
}
