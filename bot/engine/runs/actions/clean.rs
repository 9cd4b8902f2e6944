//! Clears what an action answered of secrets, and keeps it within bounds, before anything is written.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::LIMIT;
use crate::engine::runs::Outcome;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";
/// Shorter values are not looked for: they would redact ordinary words.
const SHORTEST: usize = 4;
/// The most characters of an error.
const LONGEST_ERROR: usize = 2_000;

/// The same outcome without secrets and within bounds.
pub(super) fn outcome(outcome: Outcome, secrets: &[SecretString]) -> Outcome {
    let error = |why: String| text(&why, secrets).chars().take(LONGEST_ERROR).collect();
    match outcome {
        Outcome::Done(output) => Outcome::Done(bounded(tree(&output, secrets))),
        Outcome::Failed { why, may_have_changed } => Outcome::Failed { why: error(why), may_have_changed },
        Outcome::Unsuccessful { why, made } => {
            Outcome::Unsuccessful { why: error(why), made: bounded(tree(&made, secrets)) }
        }
        Outcome::Refused(why) => Outcome::Refused(error(why)),
        Outcome::OutOfBounds(why) => Outcome::OutOfBounds(error(why)),
        Outcome::Unknown(why) => Outcome::Unknown(error(why)),
        Outcome::Halted => Outcome::Halted,
    }
}

/// The same text without secrets, also where they stand as JSON writes them. To be used before a text is shortened: half
/// a secret is not found any more.
pub(super) fn text(text: &str, secrets: &[SecretString]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= SHORTEST) {
        let quoted = Value::from(secret).to_string();
        for form in [secret, quoted.get(1..quoted.len() - 1).unwrap_or_default()] {
            if clean.contains(form) {
                clean = clean.replace(form, REDACTED);
            }
        }
    }
    clean
}

fn tree(value: &Value, secrets: &[SecretString]) -> Value {
    match value {
        Value::String(words) => Value::from(text(words, secrets)),
        Value::Array(items) => Value::Array(items.iter().map(|item| tree(item, secrets)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (text(name, secrets), tree(value, secrets))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A value whose JSON is longer than the limit is kept as the beginning of that JSON, and says so.
fn bounded(value: Value) -> Value {
    let written = value.to_string();
    if written.len() <= LIMIT {
        return value;
    }
    let mut end = LIMIT / 2;
    while !written.is_char_boundary(end) {
        end -= 1;
    }
    json!({ "cut": written.get(..end).unwrap_or_default(), "bytes": written.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cleared_wherever_they_stand() {
        let quoting = [SecretString::from("a\"b\\c\"d")];
        assert_eq!(text(r#"{"token":"a\"b\\c\"d"}"#, &quoting), r#"{"token":"[redacted]"}"#);
        let secrets = [SecretString::from("hunter22")];
        let output = json!({ "a": ["x hunter22 y"], "hunter22": 1 });
        let cleared = outcome(Outcome::Done(output), &secrets);
        assert_eq!(cleared, Outcome::Done(json!({ "a": ["x [redacted] y"], "[redacted]": 1 })));
        let failed = Outcome::Failed { why: "no hunter22".to_owned(), may_have_changed: true };
        let Outcome::Failed { why, .. } = outcome(failed, &secrets) else { panic!("it failed") };
        assert_eq!(why, "no [redacted]");
    }

    #[test]
    fn a_long_output_is_cut_and_says_so() {
        let Outcome::Done(output) = outcome(Outcome::Done(Value::from("ä".repeat(LIMIT))), &[]) else {
            panic!("it is done")
        };
        assert!(output.to_string().len() <= LIMIT, "{}", output.to_string().len());
        assert_eq!(output["bytes"], json!(LIMIT * 2 + 2));
    }
}
