//! The JSON Schema of runbook files, made from the lists that the check itself uses, so that editors complete and check.
//!
//! It knows the keys and the kinds of their values; what the values mean together is the check's.

use serde_json::{Map, Value, json};

use crate::domain::runbooks::{
    actions::{self, ActionSpec, Field, Kind},
    format::{APPROVAL_KEYS, INPUT_KEYS, KEYS, ON_FAILURE_KEYS},
    guarding::{BREAKER_KEYS, CONCURRENCY_KEYS, COOLDOWN_KEYS, GUARD_KEYS, MAX_RUNS_KEYS, STILL_FIRING_KEYS},
    plan::Operation,
    step_format::STEP_KEYS,
    trigger_format::{ALERT_KEYS, CHAT_KEYS, INCIDENT_KEYS, RUN_KEYS, SCHEDULE_KEYS, TRIGGER_KEYS},
};

/// The schema of a runbook file.
pub fn schema() -> Value {
    let mut schema = group(KEYS, &["name", "trigger", "target", "steps"], of_runbook);
    let own = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firewarden runbook",
        "$defs": { "steps": { "type": "array", "items": { "$ref": "#/$defs/step" } }, "step": step(), "call": call() },
    });
    if let (Some(schema), Value::Object(own)) = (schema.as_object_mut(), own) {
        schema.extend(own);
    }
    schema
}

/// Keys with values, and no others.
fn group(keys: &[&str], required: &[&str], of: fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn words(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn length() -> Value {
    json!({ "type": "string", "description": "A length of time such as `90s`, `15m` or `1h30m`, or a template" })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn truth() -> Value {
    json!({ "type": "boolean" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn expressions() -> Value {
    json!({ "type": "object", "additionalProperties": text() })
}

fn steps() -> Value {
    json!({ "$ref": "#/$defs/steps" })
}

fn switch(keys: &Value) -> Value {
    json!({ "anyOf": [truth(), { "type": "null" }, keys] })
}

/// What is known of the keys that hold anything.
fn anything() -> Value {
    json!({})
}

fn of_runbook(key: &str) -> Value {
    match key {
        "mode" => words(&["observe", "ask", "auto"]),
        "trigger" => group(TRIGGER_KEYS, &[], of_trigger),
        "inputs" => json!({ "type": "object", "additionalProperties": group(INPUT_KEYS, &["type"], of_input) }),
        "target" => group(&["service", "environment"], &["service", "environment"], |_| text()),
        "guards" => group(GUARD_KEYS, &[], of_guard),
        "approval" => group(APPROVAL_KEYS, &["before", "by"], of_approval),
        "timeout" => length(),
        "undo" => words(&["asked", "auto"]),
        "on_failure" => group(ON_FAILURE_KEYS, &[], |_| steps()),
        "steps" | "finally" => steps(),
        "outputs" => expressions(),
        _ => text(),
    }
}

fn of_guard(key: &str) -> Value {
    match key {
        "still_firing" => group(STILL_FIRING_KEYS, STILL_FIRING_KEYS, |_| words(&["first_mutation", "end"])),
        "cooldown" => group(COOLDOWN_KEYS, &["for"], |key| match key {
            "factor" => json!({ "type": "number" }),
            _ => length(),
        }),
        "max_runs" => group(MAX_RUNS_KEYS, MAX_RUNS_KEYS, |key| match key {
            "count" => whole(),
            _ => length(),
        }),
        "concurrency" => group(CONCURRENCY_KEYS, &["key", "when_busy"], |key| match key {
            "limit" => whole(),
            "when_busy" => words(&["attach", "queue", "skip"]),
            _ => text(),
        }),
        "breaker" => group(BREAKER_KEYS, &["after", "open_for"], |key| match key {
            "after" => whole(),
            "of" => words(&["failed", "failed_or_ineffective"]),
            _ => length(),
        }),
        _ => truth(),
    }
}

fn of_trigger(key: &str) -> Value {
    match key {
        "alert" => group(ALERT_KEYS, &["match"], |key| match key {
            "match" => texts(),
            "after" => group(&["count", "within"], &["count", "within"], |key| match key {
                "count" => whole(),
                _ => length(),
            }),
            _ => length(),
        }),
        "incident" => group(INCIDENT_KEYS, &[], |_| text()),
        "schedule" => group(SCHEDULE_KEYS, SCHEDULE_KEYS, |key| match key {
            "missed" => words(&["run", "skip"]),
            _ => text(),
        }),
        "run" => group(RUN_KEYS, RUN_KEYS, |key| match key {
            "ended" => words(&["done", "failed"]),
            _ => text(),
        }),
        "chat" => switch(&group(CHAT_KEYS, &[], |key| match key {
            "command" => words(&Operation::ALL.map(Operation::word)),
            _ => text(),
        })),
        _ => switch(&json!({ "type": "object", "additionalProperties": false })),
    }
}

fn of_input(key: &str) -> Value {
    match key {
        "type" => words(&["text", "integer", "service", "choice", "duration", "boolean"]),
        "choices" => texts(),
        "required" => truth(),
        "description" | "label" => text(),
        _ => anything(),
    }
}

fn of_approval(key: &str) -> Value {
    match key {
        "by" => approvers(),
        "binds" => texts(),
        "count" => whole(),
        "expires" => length(),
        _ => text(),
    }
}

fn approvers() -> Value {
    json!({ "type": "array", "items": { "type": "string", "pattern": "^(role|person):.+" } })
}

/// A step: what `with` holds follows from its action.
fn step() -> Value {
    let mut step = group(STEP_KEYS, &["name"], of_step);
    with_of_action(&mut step, |field| field.required);
    step
}

/// An undo by the action of its step takes from the step what it does not name itself.
fn call() -> Value {
    let mut call = group(&["action", "with"], &["action"], of_step);
    with_of_action(&mut call, |_| false);
    call
}

fn with_of_action(of: &mut Value, is_required: fn(&Field) -> bool) {
    let rules: Vec<Value> = actions::ALL
        .iter()
        .map(|spec| {
            let is_it = json!({ "properties": { "action": { "const": spec.name } }, "required": ["action"] });
            json!({ "if": is_it, "then": { "properties": { "with": with(spec, is_required) } } })
        })
        .collect();
    of["allOf"] = json!(rules);
}

fn of_step(key: &str) -> Value {
    match key {
        "action" => words(&actions::ALL.iter().map(|spec| spec.name).collect::<Vec<_>>()),
        "with" => anything(),
        "every" | "timeout" => length(),
        "retry" => json!({ "type": "object" }),
        "repeat" => words(&["safe"]),
        "reads_only" | "irreversible" => truth(),
        "undo" => json!({ "$ref": "#/$defs/call" }),
        "probe" => {
            let keys = ["action", "with", "settle", "found", "failed", "output"];
            group(&keys, &["action", "settle"], |key| match key {
                "settle" => length(),
                "output" => expressions(),
                key => of_step(key),
            })
        }
        "touches" => group(&["pods", "percent"], &[], |_| json!({ "anyOf": [whole(), text()] })),
        "marks" => words(&["mitigated"]),
        "parallel" => json!({ "type": "object", "additionalProperties": steps() }),
        "concurrency" => whole(),
        "steps" => steps(),
        _ => text(),
    }
}

/// The fields of an action.
fn with(spec: &ActionSpec, is_required: fn(&Field) -> bool) -> Value {
    let properties: Map<String, Value> = spec
        .fields
        .iter()
        .map(|field| {
            let mut held = of_kind(field.kind);
            held["description"] = Value::from(field.help);
            (field.name.to_owned(), held)
        })
        .collect();
    let required: Vec<&str> = spec.fields.iter().filter(|field| is_required(field)).map(|field| field.name).collect();
    let fields =
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    if spec.many { json!({ "type": "array", "items": fields }) } else { fields }
}

fn of_kind(kind: Kind) -> Value {
    let secret = json!({ "type": "object", "properties": { "secret": text() }, "required": ["secret"] });
    match kind {
        Kind::Text
        | Kind::Script
        | Kind::Condition
        | Kind::ConditionOver(_)
        | Kind::Query
        | Kind::Reason
        | Kind::Commit
        | Kind::Repository => text(),
        Kind::Word(known) => words(known),
        Kind::Duration | Kind::Length => length(),
        Kind::Traffic => group(&["query", "min"], &["query", "min"], |key| match key {
            "min" => json!({ "type": "number" }),
            _ => text(),
        }),
        Kind::Texts => json!({ "type": "array" }),
        Kind::Values => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [text(), { "type": "number" }, truth(), secret] },
        }),
        Kind::Integer | Kind::Number => json!({ "anyOf": [whole(), text()] }),
        Kind::Integers => json!({ "type": "array", "items": whole() }),
        Kind::Data => anything(),
        Kind::Extract(_) => expressions(),
        Kind::Approvers => approvers(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::runbooks::{self, yaml};

    /// Whether a value keeps to a schema, as far as this one uses the language of schemas.
    fn holds(root: &Value, schema: &Value, value: &Value) -> bool {
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        };
        let all = |key: &str| schema[key].as_array().cloned().unwrap_or_default();
        if let Some(reference) = schema["$ref"].as_str() {
            return holds(root, root.pointer(reference.trim_start_matches('#')).unwrap(), value);
        }
        let fields = value.as_object().cloned().unwrap_or_default();
        let known = schema["properties"].as_object().cloned().unwrap_or_default();
        schema["type"].as_str().is_none_or(is)
            && (schema["enum"].is_null() || all("enum").contains(value))
            && schema.get("const").is_none_or(|only| only == value)
            && all("required").iter().all(|name| fields.contains_key(name.as_str().unwrap()))
            && (schema["anyOf"].is_null() || all("anyOf").iter().any(|one| holds(root, one, value)))
            && all("allOf").iter().all(|one| holds(root, one, value))
            && (schema["if"].is_null() || !holds(root, &schema["if"], value) || holds(root, &schema["then"], value))
            && value
                .as_array()
                .into_iter()
                .flatten()
                .all(|item| schema["items"].is_null() || holds(root, &schema["items"], item))
            && fields.iter().all(|(name, field)| match (known.get(name), &schema["additionalProperties"]) {
                (Some(known), _) => holds(root, known, field),
                (None, Value::Bool(more)) => *more,
                (None, Value::Null) => true,
                (None, more) => holds(root, more, field),
            })
    }

    fn files() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = std::fs::read_dir(root.join("runbooks")).unwrap().map(|file| file.unwrap().path());
        shipped
            .filter(|file| runbooks::tested(file).is_none())
            .chain([root.join("tests/world/lanes.yaml")])
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect()
    }

    fn is_right(text: &str) -> bool {
        let schema = schema();
        holds(&schema, &schema, &yaml::read(Path::new("a.yaml"), text, "a runbook").unwrap().json())
    }

    /// What is shipped is right, and a slip of the fingers in any key is seen.
    #[test]
    fn the_schema_takes_what_the_check_takes_and_no_misspelled_key() {
        for text in files() {
            assert!(is_right(&text), "{text}");
            for key in [
                "name", "steps", "action", "with", "url", "trigger", "match", "by", "approval", "timeout", "repeat",
                "as", "cooldown", "factor", "count",
            ] {
                let misspelled = [' ', '\n'].iter().fold(text.clone(), |text, before| {
                    let text = text.replacen(&format!("{before}{key}: "), &format!("{before}{key}x: "), 1);
                    text.replacen(&format!("{before}{key}:\n"), &format!("{before}{key}x:\n"), 1)
                });
                assert!(misspelled == text || !is_right(&misspelled), "{key}x is taken");
            }
            assert!(!is_right(&text.replacen("action: ", "action: no-", 1)));
        }
    }
}
