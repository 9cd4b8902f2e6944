//! What deployers and code hosts deliver, read into reports: GitHub's webhooks, and JSON of any other deployer.
//!
//! What is not understood is refused with its place. What is of no use here is no report, which is no fault.

pub mod generic;
pub mod github;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::domain::{alerts::Malformed, time::Time};

/// The most characters of a name, and of a text for people.
const NAME: usize = 100;
const TEXT: usize = 200;
/// The most characters of an address.
const URL: usize = 500;

/// The text at this path of names, if there is one. `null` and an empty text are none.
fn text<'v>(body: &'v Value, path: &str) -> Result<Option<&'v str>, Malformed> {
    match at(body, path) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(Malformed::new(path, "it is not a text")),
    }
}

/// The text at this path, which must be there.
fn required<'v>(body: &'v Value, path: &str) -> Result<&'v str, Malformed> {
    text(body, path)?.ok_or_else(|| Malformed::new(path, "it is missing"))
}

/// A name that must be there, in one line and not too long to be shown.
fn name(body: &Value, path: &str) -> Result<String, Malformed> {
    let text = required(body, path)?;
    if text.chars().count() > NAME || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        let what = format!("it is not a name of at most {NAME} characters without spaces");
        return Err(Malformed::new(path, what));
    }
    Ok(text.to_owned())
}

/// A text for people, in one line and cut short.
fn line(body: &Value, path: &str) -> Result<Option<String>, Malformed> {
    Ok(text(body, path)?.map(|text| legible(text, TEXT)))
}

/// The moment at this path, if there is one.
fn time(body: &Value, path: &str) -> Result<Option<Time>, Malformed> {
    let read =
        |text: &str| text.parse().map_err(|_| Malformed::new(path, "it is not a time as `2026-11-23T02:50:00Z`"));
    text(body, path)?.map(read).transpose()
}

/// An address of the web at this path, if there is one; anything else is left out.
fn url(body: &Value, path: &str) -> Result<Option<String>, Malformed> {
    let is_web = |text: &&str| (text.starts_with("https://") || text.starts_with("http://")) && text.len() <= URL;
    let is_plain = |text: &&str| !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    Ok(text(body, path)?.filter(is_web).filter(is_plain).map(str::to_owned))
}

fn at<'v>(body: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(body, |value, name| value.get(name))
}

fn legible(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut kept: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        kept.push('…');
    }
    kept
}

fn json(body: &[u8]) -> Result<Value, Malformed> {
    let value: Value = serde_json::from_slice(body).map_err(|error| Malformed::new("", error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(Malformed::new("", "it is not a JSON object")) }
}
