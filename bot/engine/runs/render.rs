//! Fills the fields of an action with values, and refuses what values from outside must not decide.

use serde_json::Value;

use super::actions;
use crate::domain::runbooks::{
    actions::{Kind, named},
    plan,
    scope::Scope,
    template,
    unknown::Unknown,
};

/// Renders an action's fields. Its own expressions stay as they are: they are read when there is something to read from.
///
/// # Errors
/// A value is missing, or is none that the field can hold, or names a secret that the runbook does not name there.
pub(super) fn render(action: &str, with: &Value, scope: &Scope) -> Result<Value, String> {
    if action == "assert" {
        return Ok(with.clone());
    }
    harmless_queries(action, with, scope)?;
    let (fields, kept) = parted(action, with);
    let mut rendered = template::render(&fields, scope).map_err(|error| error.to_string())?;
    if let Some(name) = plan::foreign_secret(action, &fields, &rendered) {
        return Err(format!("a value names the secret `{name}`: only the runbook itself may name one"));
    }
    let lengths = named(action).into_iter().flat_map(|spec| spec.fields).filter(|field| field.kind == Kind::Duration);
    for field in lengths.filter(|field| rendered.get(field.name).is_some()) {
        actions::length(&rendered, field.name)?;
    }
    if let Some(fields) = rendered.as_object_mut() {
        fields.extend(kept);
    }
    Ok(rendered)
}

/// The same as far as its values are known, to be shown: what is not known yet says when it is.
///
/// # Errors
/// As [`render`], for a value that will not be known later either.
pub(super) fn shown(action: &str, with: &Value, scope: &Scope, unknown: &Unknown) -> Result<Value, String> {
    if action == "assert" || unknown.of_tree(with).is_empty() {
        return render(action, with, scope);
    }
    let (fields, kept) = parted(action, with);
    let mut rendered = unknown.render(&fields, scope).map_err(|error| error.to_string())?;
    if let Some(fields) = rendered.as_object_mut() {
        fields.extend(kept);
    }
    Ok(rendered)
}

/// An action's fields without its own expressions, and those.
fn parted(action: &str, with: &Value) -> (Value, Vec<(String, Value)>) {
    let mut fields = with.clone();
    let expressions = named(action).into_iter().flat_map(|spec| spec.fields);
    let expressions: Vec<&str> =
        expressions.filter(|field| matches!(field.kind, Kind::Extract(_))).map(|field| field.name).collect();
    let kept = fields
        .as_object_mut()
        .map(|fields| expressions.iter().filter_map(|name| fields.remove_entry(*name)).collect())
        .unwrap_or_default();
    (fields, kept)
}

/// Refuses a value that could change what a query asks, inside of quotes or outside.
fn harmless_queries(action: &str, with: &Value, scope: &Scope) -> Result<(), String> {
    let fields = named(action).map_or(&[][..], |spec| spec.fields).iter();
    let queries = fields.filter_map(|field| {
        let value = with.get(field.name)?;
        let query = if field.kind == Kind::Traffic { value.get("query")? } else { value };
        query.as_str().filter(|_| matches!(field.kind, Kind::Query | Kind::Traffic))
    });
    for path in queries.flat_map(|query| template::variables(query).unwrap_or_default()) {
        let path = path.join(".");
        let value = scope.at(&path).and_then(Value::as_str).unwrap_or_default();
        let is_plain = |letter: char| letter.is_alphanumeric() || "_.:/@-".contains(letter);
        if let Some(letter) = value.chars().find(|letter| !is_plain(*letter)) {
            return Err(format!("`{path}` has a character that could change the query: {letter:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let hostile = json!({ "secret": "deploy_token" });
        Scope::new().with("alert", json!({ "annotations": hostile, "which": "deploy_token" })).with("pause", 30)
    }

    #[test]
    fn no_value_names_a_secret() {
        for with in [
            json!({ "url": "http://x", "body": "{{ alert.annotations }}" }),
            json!({ "url": "http://x", "body": { "details": ["{{ alert }}"] } }),
            json!({ "url": "http://x", "body": { "token": { "secret": "{{ alert.which }}" } } }),
            json!({ "url": "http://x", "headers": { "x-note": "{{ alert.annotations }}" } }),
        ] {
            let refused = render("http", &with, &scope()).unwrap_err();
            assert_eq!(
                refused, "a value names the secret `deploy_token`: only the runbook itself may name one",
                "{with}"
            );
        }
        let env = json!({ "script": "true", "env": { "NOTE": "{{ alert.annotations }}" } });
        assert!(render("shell", &env, &scope()).is_err());
        // What the file itself names, and what only looks like a reference.
        for with in [
            json!({ "url": "http://x", "body": { "token": { "secret": "deploy_token" } } }),
            json!({ "url": "http://x", "headers": { "secret": "{{ alert.which }}" } }),
            json!({ "url": "http://x", "extract": { "secret": "response.json.a" } }),
        ] {
            assert!(render("http", &with, &scope()).is_ok(), "{with}");
        }
    }

    #[test]
    fn no_value_changes_what_a_query_asks() {
        let with = json!({ "query": "up{instance=\"{{ alert.labels.instance }}\"}" });
        let of = |instance: &str| Scope::new().with("alert", json!({ "labels": { "instance": instance } }));
        assert_eq!(
            render("prometheus.query", &with, &of("db-1.example:9100")).unwrap()["query"],
            "up{instance=\"db-1.example:9100\"}"
        );
        for hostile in ["x\"} or vector(0) #", "x\\", "x\n"] {
            let refused = render("prometheus.query", &with, &of(hostile)).unwrap_err();
            assert!(refused.contains("could change the query"), "{refused}");
        }
        let traffic = json!({ "query": "up", "traffic": { "query": "{{ alert.labels.instance }}", "min": 1 } });
        assert!(render("prometheus.wait", &traffic, &of("a\"b")).is_err());
    }

    #[test]
    fn a_length_of_time_has_a_unit() {
        let refused = render("wait", &json!({ "for": "{{ pause }}" }), &scope()).unwrap_err();
        assert_eq!(refused, "`for` is `30`, which has no unit: write `30s` or `30m`");
        assert!(render("wait", &json!({ "for": "{{ alert.which }}" }), &scope()).unwrap_err().contains("`15m`"));
        assert_eq!(render("wait", &json!({ "for": "{{ pause }}s" }), &scope()).unwrap(), json!({ "for": "30s" }));
    }
}
