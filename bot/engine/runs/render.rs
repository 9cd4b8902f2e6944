//! Fills the fields of an action with values, and refuses what values from outside must not decide.

use serde_json::Value;

use super::actions;
use crate::domain::runbooks::{
    actions::{Kind, named},
    plan,
    scope::Scope,
    template,
};

/// Renders an action's fields. Its own expressions stay as they are: they are read when there is something to read from.
///
/// # Errors
/// A value is missing, or is none that the field can hold, or names a secret that the runbook does not name there.
pub(super) fn render(action: &str, with: &Value, scope: &Scope) -> Result<Value, String> {
    if action == "assert" {
        return Ok(with.clone());
    }
    let mut fields = with.clone();
    let extract = fields.as_object_mut().and_then(|fields| fields.remove("extract"));
    let mut rendered = template::render(&fields, scope).map_err(|error| error.to_string())?;
    if let Some(name) = plan::foreign_secret(action, &fields, &rendered) {
        return Err(format!("a value names the secret `{name}`: only the runbook itself may name one"));
    }
    let lengths = named(action).into_iter().flat_map(|spec| spec.fields).filter(|field| field.kind == Kind::Duration);
    for field in lengths.filter(|field| rendered.get(field.name).is_some()) {
        actions::length(&rendered, field.name)?;
    }
    if let (Some(extract), Some(fields)) = (extract, rendered.as_object_mut()) {
        fields.insert("extract".to_owned(), extract);
    }
    Ok(rendered)
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
    fn a_length_of_time_has_a_unit() {
        let refused = render("wait", &json!({ "for": "{{ pause }}" }), &scope()).unwrap_err();
        assert_eq!(refused, "`for` is `30`, which has no unit: write `30s` or `30m`");
        assert!(render("wait", &json!({ "for": "{{ alert.which }}" }), &scope()).unwrap_err().contains("`15m`"));
        assert_eq!(render("wait", &json!({ "for": "{{ pause }}s" }), &scope()).unwrap(), json!({ "for": "30s" }));
    }
}
