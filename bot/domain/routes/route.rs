//! A route as the configuration holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::{Labels, Matcher},
    severity::Severity,
};

/// The name of the route that takes what no other takes.
pub const DEFAULT: &str = "default";

/// What alerts with certain labels mean. Everything that it leaves out comes from the default route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Its name; no two routes share one.
    pub name: String,
    /// All of these must hold for the alert's labels.
    #[serde(rename = "match")]
    pub matchers: Vec<Matcher>,
    /// Whether the routes after it are tried too. They add runbooks and pages, and what this one leaves open.
    #[serde(rename = "continue")]
    pub goes_on: bool,
    /// The service of the catalog that is affected.
    pub service: Option<Pick>,
    /// The environment that is affected.
    pub environment: Option<Pick>,
    /// How bad it is.
    pub severity: Option<Pick>,
    /// The chat channel for the incident.
    pub channel: Option<String>,
    /// The runbooks that may be run for it, by name.
    pub runbooks: Vec<String>,
    /// The labels whose values part alerts into incidents.
    pub group_by: Option<Vec<String>>,
    /// Who is paged: `role:on-call`, `person:ada`.
    pub page: Vec<String>,
}

/// A text, fixed or taken from a label.
///
/// `service = "checkout"`, or
/// `severity = { label = "severity", map = { critical = "SEV1" }, default = "SEV3" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a text, or `{ label = \"NAME\" }` with an optional `map` from values to texts and an optional `default`"
)]
pub enum Pick {
    /// Always this text.
    Fixed(String),
    /// The value of a label.
    FromLabel(FromLabel),
}

/// A text taken from a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromLabel {
    /// The label.
    pub label: String,
    /// What its values stand for. With a map, a value that is not in it gives the default, if there is one; else it
    /// stands for itself.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// The text if the alert has no such label, or a value that the map does not know.
    #[serde(default)]
    pub default: Option<String>,
}

impl Pick {
    /// The text for these labels and how it came about (``from label `severity` ``); none if the label is missing and
    /// there is no default.
    pub fn pick(&self, labels: &Labels) -> Option<(String, String)> {
        match self {
            Pick::Fixed(text) => Some((text.clone(), "fixed".to_owned())),
            Pick::FromLabel(FromLabel { label, map, default }) => match labels.find(label) {
                Some(value) => {
                    let unknown = !map.is_empty() && !map.contains_key(value);
                    match default {
                        Some(default) if unknown => {
                            Some((default.clone(), format!("label `{label}` is `{value}`, so the default")))
                        }
                        Some(_) | None => {
                            let text = map.get(value).map_or(value, String::as_str);
                            Some((text.to_owned(), format!("from label `{label}`")))
                        }
                    }
                }
                None => Some((default.clone()?, format!("no label `{label}`, so the default"))),
            },
        }
    }

    /// Every text that the configuration itself spells out.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Pick::Fixed(text) => vec![text],
            Pick::FromLabel(from) => from.map.values().chain(&from.default).map(String::as_str).collect(),
        }
    }
}

impl Route {
    /// The default route of a configuration that has none: service, environment and severity from the labels of those
    /// names, `SEV3` where the severity says nothing, one incident per service, environment and `alertname`.
    pub fn fallback() -> Self {
        let from =
            |label: &str| Some(Pick::FromLabel(FromLabel { label: label.into(), map: [].into(), default: None }));
        Self {
            name: DEFAULT.to_owned(),
            service: from("service"),
            environment: from("environment"),
            severity: from("severity"),
            group_by: Some(vec!["alertname".to_owned()]),
            ..Self::default()
        }
    }

    /// What is wrong with it, each a sentence for the person who wrote it; empty if nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() {
            problems.push("a route needs a `name`".to_owned());
        }
        for text in self.severity.iter().flat_map(Pick::texts) {
            problems.extend(text.parse::<Severity>().err().map(|why| format!("route `{}`: {why}", self.name)));
        }
        let mut seen = std::collections::BTreeSet::new();
        for label in self.group_by.iter().flatten().filter(|label| !seen.insert(*label)) {
            problems.push(format!("route `{}`: `group_by` names `{label}` twice", self.name));
        }
        problems
    }
}
