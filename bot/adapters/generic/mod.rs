//! Any sender of JSON: the configuration says where in the body an alert's parts stand.
//!
//! A part that the configuration names and the body lacks is refused with its place, unless it is declared optional:
//! a mapping that silently found nothing would make every alert the same one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    alerts::{Batch, Malformed, Says, Signal, bounds},
    time::Time,
};

pub use path::Path;

mod path;

/// Where the parts of an alert stand in a sender's JSON.
///
/// Paths are dotted (`rule.name`, `items.0.id`) and begin at the alert; with `$.` in front they begin at the body.
/// Names that hold dots are reached as JSON pointers (`/labels/app.name`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenericMapping {
    /// The list of alerts; without it, the body is one alert.
    pub alerts: Option<Path>,
    /// An object whose texts, numbers and booleans all become labels.
    pub labels_from: Option<Path>,
    /// Single labels, by name; they win over those of `labels_from`.
    pub labels: BTreeMap<String, Part>,
    /// An object whose texts, numbers and booleans all become annotations.
    pub annotations_from: Option<Path>,
    /// Single annotations, by name; they win over those of `annotations_from`.
    pub annotations: BTreeMap<String, Part>,
    /// What tells firing from resolved; without it every delivery is a firing, and nothing ever resolves.
    pub status: Option<Path>,
    /// The values of `status` that mean firing.
    pub firing: Vec<String>,
    /// The values of `status` that mean resolved.
    pub resolved: Vec<String>,
    /// The values of `status` that mean neither: such alerts are passed over.
    pub ignored: Vec<String>,
    /// When it began; optional in the body.
    pub starts_at: Option<Path>,
    /// While it fires: until when the sender vouches for it; optional in the body.
    pub ends_at: Option<Path>,
    /// Once it is resolved: when it ended; optional in the body.
    pub resolved_at: Option<Path>,
    /// The annotation `summary`, in short; optional in the body.
    pub summary: Option<Path>,
    /// The sender's page about the alert; optional in the body.
    pub url: Option<Path>,
    /// How many alerts the sender left out; optional in the body. Begins at the body, as does `delivery`.
    pub truncated: Option<Path>,
    /// The sender's name for the delivery, the same when it is sent again; optional in the body.
    pub delivery: Option<Path>,
}

/// Where one label or annotation comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a path such as `rule.name`, `{ path = \"rule.name\", default = \"none\" }` or `{ const = \"text\" }`"
)]
pub enum Part {
    /// From this path, which must be there.
    At(Path),
    /// From this path, or else the default; an empty default leaves it out.
    Optional {
        /// Where it stands.
        path: Path,
        /// What it is if it does not.
        default: String,
    },
    /// Always this text.
    Constant {
        /// The text.
        #[serde(rename = "const")]
        text: String,
    },
}

impl GenericMapping {
    /// What is wrong with it, each a sentence for the person who wrote it; empty if nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.labels.is_empty() && self.labels_from.is_none() {
            problems.push("neither `labels` nor `labels_from` is given, so all alerts would be one".to_owned());
        }
        if self.status.is_some() && self.firing.is_empty() {
            problems.push("`status` needs `firing`, the values that mean it".to_owned());
        }
        if self.status.is_none() && !(self.firing.is_empty() && self.resolved.is_empty() && self.ignored.is_empty()) {
            problems.push("`firing`, `resolved` and `ignored` need `status`, where their values stand".to_owned());
        }
        for value in self.firing.iter().filter(|value| self.resolved.contains(value)) {
            problems.push(format!("`{value}` cannot mean both firing and resolved"));
        }
        problems
    }
}

/// Reads a delivery; `source` is the name under which the configuration knows the sender.
///
/// # Errors
/// Says where the body lacks what the mapping names. Nothing of a refused body is taken.
pub fn parse(body: &[u8], source: &str, mapping: &GenericMapping) -> Result<Batch, Malformed> {
    let body: Value = serde_json::from_slice(body).map_err(|error| bounds::unreadable("", &error))?;
    let root = Scope { body: &body, alert: &body, place: String::new() };
    let mut signals = Vec::new();
    match &mapping.alerts {
        None => signals.extend(signal(&root, source, mapping)?),
        Some(path) => {
            let (place, list) = root.required(path)?;
            let Value::Array(list) = list else {
                return Err(Malformed::new(place, format!("{} is not a list of alerts", kind(list))));
            };
            bounds::alerts(&place, list.len())?;
            for (index, alert) in list.iter().enumerate() {
                let scope = Scope { body: &body, alert, place: format!("{place}[{index}]") };
                signals.extend(signal(&scope, source, mapping)?);
            }
        }
    }
    let truncated = match root.optional(mapping.truncated.as_ref()) {
        None => 0,
        Some((place, value)) => {
            let number = value.as_u64();
            number.ok_or_else(|| Malformed::new(place, format!("{} is not a whole number", kind(value))))?
        }
    };
    // An empty name tells no two deliveries apart.
    let source_key = root.text(mapping.delivery.as_ref())?.filter(|name| !name.is_empty());
    Ok(Batch { source: source.to_owned(), signals, truncated, source_key })
}

fn signal(scope: &Scope<'_>, source: &str, mapping: &GenericMapping) -> Result<Option<Signal>, Malformed> {
    let Some(fires) = status(scope, mapping)? else { return Ok(None) };
    let says = if fires {
        Says::Firing { ends_at: scope.time(mapping.ends_at.as_ref())? }
    } else {
        Says::Resolved { at: scope.time(mapping.resolved_at.as_ref())? }
    };
    let labels = texts(scope, mapping.labels_from.as_ref(), &mapping.labels)?;
    let mut annotations = texts(scope, mapping.annotations_from.as_ref(), &mapping.annotations)?;
    if let Some(summary) = scope.text(mapping.summary.as_ref())? {
        annotations.insert("summary".to_owned(), summary);
    }
    Ok(Some(Signal {
        source: source.to_owned(),
        labels: bounds::labels(&scope.named("labels"), labels)?,
        annotations: bounds::annotations(&scope.named("annotations"), annotations)?,
        says,
        starts_at: scope.time(mapping.starts_at.as_ref())?,
        generator_url: scope.text(mapping.url.as_ref())?.filter(|url| !url.is_empty()).map(bounds::text),
    }))
}

/// Whether the alert fires; none if it is to be passed over.
fn status(scope: &Scope<'_>, mapping: &GenericMapping) -> Result<Option<bool>, Malformed> {
    let Some(path) = &mapping.status else { return Ok(Some(true)) };
    let (place, value) = scope.required(path)?;
    let said = plain(&place, value)?.unwrap_or_default();
    let among = |values: &[String]| values.iter().any(|value| value.eq_ignore_ascii_case(&said));
    if among(&mapping.firing) {
        return Ok(Some(true));
    }
    if among(&mapping.resolved) {
        return Ok(Some(false));
    }
    if among(&mapping.ignored) {
        return Ok(None);
    }
    let listed = |values: &[String]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    let said: String = said.chars().take(40).collect();
    let what = format!(
        "`{said}` is neither firing ({}) nor resolved ({})",
        listed(&mapping.firing),
        listed(&mapping.resolved)
    );
    Err(Malformed::new(place, what).hint("add the value to `firing`, `resolved` or `ignored` of this source"))
}

fn texts(
    scope: &Scope<'_>,
    all: Option<&Path>,
    single: &BTreeMap<String, Part>,
) -> Result<BTreeMap<String, String>, Malformed> {
    let mut texts = BTreeMap::new();
    if let Some(path) = all {
        let (place, value) = scope.required(path)?;
        let Value::Object(fields) = value else {
            return Err(Malformed::new(place, format!("{} is not an object of names and texts", kind(value))));
        };
        for (name, value) in fields {
            // Nested values are the sender's own affair: only what is plain text can be a label.
            if let Ok(Some(text)) = plain(&place, value) {
                texts.insert(name.clone(), text);
            }
        }
    }
    for (name, part) in single {
        let text = match part {
            Part::Constant { text } => Some(text.clone()),
            Part::Optional { path, default } => Some(scope.text(Some(path))?.unwrap_or_else(|| default.clone())),
            Part::At(path) => {
                let (place, value) = scope.required(path)?;
                plain(&place, value)?
            }
        };
        texts.extend(text.filter(|text| !text.is_empty()).map(|text| (name.clone(), text)));
    }
    Ok(texts)
}

/// What paths are looked up in: one alert and the body around it.
struct Scope<'a> {
    body: &'a Value,
    alert: &'a Value,
    place: String,
}

impl<'a> Scope<'a> {
    fn find(&self, path: &Path) -> (String, Option<&'a Value>) {
        let start = if path.from_body() { self.body } else { self.alert };
        let place = if path.from_body() { path.place("") } else { path.place(&self.place) };
        (place, path.find(start).filter(|value| !value.is_null()))
    }

    fn required(&self, path: &Path) -> Result<(String, &'a Value), Malformed> {
        let (place, value) = self.find(path);
        match value {
            Some(value) => Ok((place, value)),
            None => Err(Malformed::new(place, format!("it is missing; this source is mapped to `{path}`"))
                .hint("mend the source's mapping, or give the part a `default`")),
        }
    }

    fn optional(&self, path: Option<&Path>) -> Option<(String, &'a Value)> {
        let (place, value) = self.find(path?);
        Some((place, value?))
    }

    fn text(&self, path: Option<&Path>) -> Result<Option<String>, Malformed> {
        self.optional(path).map_or(Ok(None), |(place, value)| plain(&place, value))
    }

    fn time(&self, path: Option<&Path>) -> Result<Option<Time>, Malformed> {
        let Some((place, value)) = self.optional(path) else { return Ok(None) };
        moment(value).map_err(|what| Malformed::new(place, what))
    }

    fn named(&self, part: &str) -> String {
        if self.place.is_empty() { part.to_owned() } else { format!("{}.{part}", self.place) }
    }
}

/// A text, number or boolean as text; null is none.
fn plain(place: &str, value: &Value) -> Result<Option<String>, Malformed> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(Malformed::new(place, format!("{} is not a text", kind(value)))),
    }
}

/// RFC 3339, or seconds or milliseconds since 1970: numbers from 100,000,000,000 on are milliseconds (as seconds they
/// would lie after the year 5138). An empty text, zero and Go's zero time are no time.
fn moment(value: &Value) -> Result<Option<Time>, String> {
    match value {
        Value::String(text) if text.is_empty() || text.starts_with("0001-01-01T00:00:00") => Ok(None),
        Value::String(text) => text.parse().map(Some),
        Value::Number(number) => {
            let wrong = || format!("`{number}` is not a time in seconds or milliseconds since 1970");
            let number = number.as_f64().filter(|number| (0.0..1e14).contains(number)).ok_or_else(wrong)?;
            let millis = if number < 1e11 { number * 1_000.0 } else { number };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "bounded above, and a fraction of a millisecond is cut"
            )]
            Ok(Some(millis as i64).filter(|millis| *millis != 0).map(Time::from_millis))
        }
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(format!("{} is not a time", kind(value))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
