//! Values that nobody knows yet: what a text or a condition says all the same, and when the rest of it is known.
//!
//! Nothing is guessed. What is not known yet stands in its place as `<scaled.before: known after "add replicas">`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    condition::Condition,
    scope::Scope,
    template::{self, RenderError},
};

/// Paths that have no value yet, each with when it has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown(BTreeMap<String, String>);

impl Unknown {
    /// Says that there is no value at this path yet, and when there is: `known after "add replicas"`.
    pub fn add(&mut self, path: impl Into<String>, when: impl Into<String>) {
        self.0.insert(path.into(), when.into());
    }

    /// Says that there is a value at this path.
    pub fn remove(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// Which of these paths have no value yet, each with when it has one.
    pub fn of<'p>(&self, paths: impl IntoIterator<Item = &'p Vec<String>>) -> BTreeMap<String, String> {
        let missing = |path: &Vec<String>| {
            let path = path.join(".");
            let is_in = |whole: &str, part: &str| {
                part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let found = self.0.iter().find(|(unknown, _)| is_in(unknown, &path) || is_in(&path, unknown));
            found.map(|(_, when)| (path, when.clone()))
        };
        paths.into_iter().filter_map(missing).collect()
    }

    /// What of a condition has no value yet. One that cannot be read misses nothing: it fails when it is evaluated.
    pub fn of_condition(&self, text: &str) -> BTreeMap<String, String> {
        Condition::compile(text).map(|condition| self.of(&condition.variables())).unwrap_or_default()
    }

    /// What of a tree's templates has no value yet.
    pub fn of_tree(&self, tree: &Value) -> BTreeMap<String, String> {
        match tree {
            Value::String(text) => template::variables(text).map(|paths| self.of(&paths)).unwrap_or_default(),
            Value::Array(items) => items.iter().flat_map(|item| self.of_tree(item)).collect(),
            Value::Object(fields) => fields.values().flat_map(|field| self.of_tree(field)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => BTreeMap::new(),
        }
    }

    /// Renders every text of a tree as far as its values are known.
    ///
    /// # Errors
    /// As [`template::render`], for values that are neither known nor to be known later.
    pub fn render(&self, tree: &Value, scope: &Scope) -> Result<Value, RenderError> {
        Ok(match tree {
            Value::String(text) => self.text(text, scope)?,
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.render(item, scope)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, field)| Ok((name.clone(), self.render(field, scope)?))).collect::<Result<
                    _,
                    RenderError,
                >>(
                )?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => tree.clone(),
        })
    }

    /// The value at this path, or when it is known.
    pub fn value(&self, path: &str, scope: &Scope) -> Value {
        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        match self.of([&parts]).into_iter().next() {
            Some((path, when)) => Value::from(told(&path, &when)),
            None => scope.at(path).cloned().unwrap_or(Value::Null),
        }
    }

    fn text(&self, text: &str, scope: &Scope) -> Result<Value, RenderError> {
        let missing = self.of(&template::variables(text)?);
        if missing.is_empty() {
            return template::render(&Value::from(text), scope);
        }
        if !template::is_plain(text)? {
            // What it would make of a value cannot be told from the value's absence.
            let told: Vec<String> = missing.iter().map(|(path, when)| told(path, when)).collect();
            return Ok(Value::from(format!("{text} {}", told.join(" "))));
        }
        let mut shown = scope.clone();
        for (path, when) in &missing {
            let mut parts = path.split('.');
            let root = parts.next().unwrap_or_default();
            let rest: Vec<&str> = parts.collect();
            let mut value = shown.values().get(root).cloned().unwrap_or_default();
            put(&mut value, &rest, Value::from(told(path, when)));
            shown.set(root, value);
        }
        template::render(&Value::from(text), &shown)
    }
}

/// What stands in the place of a value that is not known yet.
fn told(path: &str, when: &str) -> String {
    format!("<{path}: {when}>")
}

fn put(value: &mut Value, path: &[&str], leaf: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = leaf;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Some(fields) = value.as_object_mut() {
        put(fields.entry((*first).to_owned()).or_insert(Value::Null), rest, leaf);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_shown_and_the_rest_says_when() {
        let mut unknown = Unknown::default();
        unknown.add("scaled", "known after \"scale\"");
        unknown.add("run.id", "known once it runs");
        let scope = Scope::new().with("name", "checkout").with("run", json!({ "runbook": "a" }));
        let tree = json!({
            "one": "{{ scaled.before }}", "mixed": "{{ name }}: {{ scaled.replicas }} by {{ run.id }} of {{ run.runbook }}",
            "list": ["{{ name }}", 7], "whole": "{{ scaled }}", "block": "{{#if scaled.up}}up{{/if}}",
        });
        assert_eq!(
            unknown.render(&tree, &scope).unwrap(),
            json!({
                "one": "<scaled.before: known after \"scale\">",
                "mixed": "checkout: <scaled.replicas: known after \"scale\"> by <run.id: known once it runs> of a",
                "list": ["checkout", 7], "whole": "<scaled: known after \"scale\">",
                "block": "{{#if scaled.up}}up{{/if}} <scaled.up: known after \"scale\">",
            })
        );
        assert_eq!(unknown.of_tree(&tree).len(), 5);
        assert!(unknown.render(&json!("{{ nothing.there }}"), &scope).is_err(), "what nobody will know is an error");
        assert_eq!(unknown.value("name", &scope), "checkout");
        assert_eq!(unknown.value("scaled.replicas", &scope), "<scaled.replicas: known after \"scale\">");
    }

    #[test]
    fn a_condition_is_open_only_if_it_reads_what_is_open() {
        let mut unknown = Unknown::default();
        unknown.add("scaled", "later");
        assert!(unknown.of_condition("live.replicas > 3").is_empty());
        assert!(unknown.of_condition("scaledup > 3").is_empty());
        assert_eq!(unknown.of_condition("live.replicas > scaled.before").len(), 1);
    }
}
