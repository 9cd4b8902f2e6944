//! What a payload must hold to become signals, and how much of it is taken in.
//!
//! What cannot be told apart or understood is refused with its place. What is merely too long is cut and marked: a
//! long text is no reason to lose a page.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};

use crate::domain::alerts::labels::Labels;

/// The most alerts in one delivery.
pub const ALERTS: usize = 10_000;
/// The most labels of one alert, and the most annotations.
pub const LABELS: usize = 128;
/// The most bytes in the name of a label or annotation.
pub const NAME: usize = 512;
/// The most bytes in the value of a label; the rest is replaced by its hash, so that it still tells alerts apart.
pub const VALUE: usize = 2_048;
/// The most bytes in the value of an annotation; the rest is cut.
pub const TEXT: usize = 8_192;

/// Why a payload is refused, and where in it the fault is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Malformed {
    /// The place, such as `alerts[3].startsAt`; empty for the body as a whole.
    pub json_path: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Malformed {
    /// A fault at this place. Texts from outside are cut short and lose their control characters.
    pub fn new(json_path: impl Into<String>, what: impl AsRef<str>) -> Self {
        let json_path: String = json_path.into();
        Self { json_path: legible(&json_path, 200), what: legible(what.as_ref(), 400), hint: None }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.json_path.is_empty() { "body" } else { &self.json_path };
        write!(f, "`{place}`: {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A body that serde could not read, with the place that it had come to.
pub fn unreadable(json_path: &str, error: &serde_json::Error) -> Malformed {
    let what = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let syntax = error.is_syntax() || error.is_eof();
    // Where the JSON itself is broken, line and column say more than a path.
    let what = if syntax { &what } else { what.strip_suffix(&place).unwrap_or(&what) };
    // `?` stands for a step that was never read, `.` for the whole.
    Malformed::new(json_path.trim_end_matches(['?', '.']), what)
}

/// Refuses a delivery of too many alerts.
pub fn alerts(json_path: &str, count: usize) -> Result<(), Malformed> {
    if count <= ALERTS {
        return Ok(());
    }
    let refused = Malformed::new(json_path, format!("`{count}` alerts in one delivery; at most {ALERTS} are taken"));
    Err(refused.hint("set `max_alerts` in the receiver, or group by more labels"))
}

/// The labels of an alert, checked and made fit to be stored; `json_path` is where they stand.
pub fn labels(json_path: &str, raw: BTreeMap<String, String>) -> Result<Labels, Malformed> {
    names(json_path, &raw)?;
    let labels: Labels = raw.into_iter().map(|(name, value)| (name, told_apart(value))).collect();
    if labels.is_empty() {
        let refused = Malformed::new(json_path, "there is no label, so nothing tells this alert from others");
        return Err(refused.hint("give it at least `alertname`"));
    }
    Ok(labels)
}

/// The annotations of an alert, checked and made fit to be stored; `json_path` is where they stand.
pub fn annotations(json_path: &str, raw: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Malformed> {
    names(json_path, &raw)?;
    Ok(raw.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// A text for people: no control characters but line breaks and tabs, and at most [`TEXT`] bytes.
pub fn text(value: String) -> String {
    let value = printable(value);
    if value.len() <= TEXT {
        return value;
    }
    let kept = head(&value, TEXT);
    format!("{kept}… (cut, {} more bytes)", value.len() - kept.len())
}

fn names(json_path: &str, raw: &BTreeMap<String, String>) -> Result<(), Malformed> {
    if raw.len() > LABELS {
        return Err(Malformed::new(json_path, format!("`{}` names, at most {LABELS} are taken", raw.len())));
    }
    for name in raw.keys() {
        if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
            let what = format!("`{name}` is no name: 1 to {NAME} bytes without control characters");
            let shown: String = name.chars().take(40).collect();
            return Err(Malformed::new(format!("{json_path}.{shown}"), what));
        }
    }
    Ok(())
}

/// Cuts a long value but keeps it different from every other: its hash stands for the rest.
fn told_apart(value: String) -> String {
    if value.len() <= VALUE {
        return printable(value);
    }
    let mut hash = hex::encode(Sha256::digest(value.as_bytes()));
    hash.truncate(16);
    printable(format!("{}…#{hash}", head(&value, VALUE)))
}

/// The longest beginning of at most this many bytes.
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Control characters become U+FFFD: stores refuse NUL, and terminals obey escapes.
fn printable(value: String) -> String {
    let bad = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if value.contains(bad) { value.replace(bad, "\u{fffd}") } else { value }
}

fn legible(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let mut kept: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: impl Into<String>) -> BTreeMap<String, String> {
        [(name.to_owned(), value.into())].into()
    }

    #[test]
    fn a_long_label_is_cut_and_still_tells_alerts_apart() {
        let long = "é".repeat(VALUE);
        let a = labels("l", one("pod", format!("{long}a"))).unwrap();
        let b = labels("l", one("pod", format!("{long}b"))).unwrap();
        assert_ne!(a, b);
        assert!(a.value("pod").len() < VALUE + 40);
    }

    #[test]
    fn a_long_annotation_is_cut_and_says_so() {
        let text = annotations("a", one("summary", "é".repeat(TEXT))).unwrap().remove("summary").unwrap();
        assert!(text.ends_with(&format!("… (cut, {TEXT} more bytes)")), "{text}");
    }

    #[test]
    fn control_characters_do_not_come_in() {
        let labels = labels("l", one("pod", "a\0b\u{1b}[31m\n")).unwrap();
        assert_eq!(labels.value("pod"), "a\u{fffd}b\u{fffd}[31m\n");
        assert!(super::labels("alerts[0].labels", one("a\0", "b")).is_err());
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused_with_its_place() {
        let refused = labels("alerts[3].labels", one("pod", "")).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`alerts[3].labels`: there is no label, so nothing tells this alert from others\n\
             hint: give it at least `alertname`"
        );
        assert!(alerts("alerts", ALERTS).is_ok() && alerts("alerts", ALERTS + 1).is_err());
    }
}
