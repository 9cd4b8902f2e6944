//! A YAML text as a tree in which every value knows its place.
//!
//! A tree instead of derived types, so that one look at a file finds all of its problems. Size, depth, aliases and
//! duplicate keys are bounded or refused by the reader before the tree grows.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, Options, Spanned};

use crate::domain::diagnostic::{Diagnostic, Place};

/// The largest file, in bytes.
pub(super) const LARGEST: usize = 256 * 1024;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Option<Place>,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a value in a map.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Option<Place>,
    pub(crate) name: String,
}

/// Reads one YAML document, which is to be `a runbook`, say.
pub(crate) fn read(file: &Path, text: &str, of: &str) -> Result<Node, Diagnostic> {
    if text.len() > LARGEST {
        return Err(Diagnostic::new(file, format!("the file is larger than {} KiB", LARGEST / 1024)));
    }
    if text.trim().is_empty() {
        return Err(Diagnostic::new(file, "the file is empty"));
    }
    let tree: Result<Spanned<Data>, _> = serde_saphyr::from_str_with_options(text, options());
    match tree {
        Ok(root) => Ok(root.into()),
        Err(error) => {
            let place = error.location().and_then(|location| placed(&location));
            let said = error.without_snippet().to_string();
            let said = said.lines().next().unwrap_or_default();
            let said = said.split_once(": ").filter(|(head, _)| head.contains("line")).map_or(said, |(_, rest)| rest);
            let said = said.split(" at line ").next().unwrap_or(said).trim_end_matches('.');
            let said: String = said.chars().take(200).collect();
            let problem = Diagnostic::new(file, format!("this is not the YAML of {of}: {said}"));
            let problem = problem.hint("quote texts that begin with `{`, `[`, `*`, `&`, `!` or `%`, or that hold `: `");
            Err(match place {
                Some(place) => problem.at(place.line, place.column),
                None => problem,
            })
        }
    }
}

impl Node {
    /// What sort of value it is, for a sentence.
    pub(crate) fn sort(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Boolean(_) => "true or false",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a group of keys",
        }
    }

    /// The value as JSON, without its places.
    pub(crate) fn json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Boolean(truth) => Value::Bool(*truth),
            Data::Integer(number) => Value::from(*number),
            Data::Float(number) => Value::from(*number),
            Data::Text(text) => Value::from(text.as_str()),
            Data::List(items) => Value::Array(items.iter().map(Node::json).collect()),
            Data::Map(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.name.clone(), value.json())).collect())
            }
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The field of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(fields) => fields.iter().find(|(key, _)| key.name == name).map(|(_, value)| value),
            Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::List(_) => None,
        }
    }
}

impl From<Spanned<Data>> for Node {
    fn from(spanned: Spanned<Data>) -> Self {
        Self { place: placed(&spanned.referenced), data: spanned.value }
    }
}

fn placed(location: &Location) -> Option<Place> {
    let line = usize::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some(Place { line, column: usize::try_from(location.column()).ok()?.max(1) })
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 40_000,
            max_nodes: 20_000,
            max_depth: 24,
            flow_nesting_limit: 24,
            max_aliases: 100,
            max_anchors: 100,
            max_recorded_anchor_events: 20_000,
            max_recorded_anchor_bytes: 1 << 20,
            max_documents: 1,
            max_merge_keys: 100,
            max_total_scalar_bytes: LARGEST,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or keys with values")
    }

    fn visit_unit<E: Error>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data, D::Error> {
        Data::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Data, E> {
        Ok(Data::Boolean(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Data, E> {
        Ok(Data::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Data, E> {
        i64::try_from(number).map(Data::Integer).map_err(|_| E::custom(format!("`{number}` is too large a number")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Data, E> {
        if number.is_finite() { Ok(Data::Float(number)) } else { Err(E::custom("a number must be finite")) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Data, E> {
        Ok(Data::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Data>>()? {
            list.push(item.into());
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Data, A::Error> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Data>>()? {
            map.push((Key { place: placed(&key.referenced), name: key.value }, value.into()));
        }
        Ok(Data::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let root = read(Path::new("a.yaml"), "a: 1\nb:\n  - {c: \"{{ x }}\"}\n", "a runbook").unwrap();
        let list = root.field("b").unwrap();
        let Data::List(items) = &list.data else { panic!("{list:?}") };
        let text = items[0].field("c").unwrap();
        assert_eq!(text.text(), Some("{{ x }}"));
        assert_eq!(text.place, Some(Place { line: 3, column: 9 }));
    }

    #[test]
    fn duplicates_and_bombs_are_refused_quickly() {
        let twice = read(Path::new("a.yaml"), "a: 1\nb: 2\na: 3\n", "a runbook").unwrap_err();
        assert_eq!(twice.place.map(|place| place.line), Some(3), "{twice}");
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let started = Instant::now();
        assert!(read(Path::new("a.yaml"), &bomb, "a runbook").is_err());
        assert!(read(Path::new("a.yaml"), &"[".repeat(100_000), "a runbook").is_err());
        assert!(read(Path::new("a.yaml"), &"a: ".repeat(LARGEST), "a runbook").is_err());
        assert!(started.elapsed().as_secs() < 5);
    }
}
