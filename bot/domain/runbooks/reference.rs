//! The reference of the runbook language, written from the lists that the check itself uses.
//!
//! These texts stand between markers in the pages of `docs/`; a test holds page and list together.

use crate::domain::runbooks::{
    actions::{self, ActionSpec, Changes},
    condition, format, guarding,
    scope::ROOTS,
    step_format, template, trigger_format, words,
};

/// Every key, value and function there is, in Markdown.
pub fn language() -> String {
    let mut text = "## Keys\n\n".to_owned();
    for (of, keys) in [
        ("runbook", format::KEYS),
        ("trigger", trigger_format::TRIGGER_KEYS),
        ("trigger.chat", trigger_format::CHAT_KEYS),
        ("trigger.alert", trigger_format::ALERT_KEYS),
        ("trigger.incident", trigger_format::INCIDENT_KEYS),
        ("trigger.schedule", trigger_format::SCHEDULE_KEYS),
        ("trigger.run", trigger_format::RUN_KEYS),
        ("input", format::INPUT_KEYS),
        ("guards", guarding::GUARD_KEYS),
        ("approval", format::APPROVAL_KEYS),
        ("on_failure", format::ON_FAILURE_KEYS),
        ("step", step_format::STEP_KEYS),
    ] {
        text.push_str(&format!("- {of}: {}\n", words::listed(keys)));
    }
    text.push_str("\n## Values\n\nInputs and outputs by their names, and:\n\n");
    for root in ROOTS {
        text.push_str(&format!("- `{}`: {}", root.name, root.help));
        if !root.fields.is_empty() {
            text.push_str(&format!(" ({})", words::listed(root.fields)));
        }
        text.push('\n');
    }
    text.push_str(&format!("\n## Templates\n\nHandlebars with {}.\n", words::listed(&template::HELPERS)));
    text.push_str(&format!("\n## Conditions\n\nCEL with {}.\n", words::listed(&condition::FUNCTIONS)));
    text
}

/// What an action takes, gives and may change, in Markdown.
pub fn action(spec: &ActionSpec) -> String {
    let mut text = format!("{}.\n\n{}\n\n## Inputs\n\n", spec.summary, changes(spec));
    if spec.many {
        text.push_str("`with` is a list of:\n\n");
    }
    text.push_str("| | | holds | if left out | |\n|---|---|---|---|---|\n");
    for field in spec.fields {
        let required = if field.required { "required" } else { "" };
        let (meaning, default) = field.meaning();
        let (holds, default) = (field.kind.shown(), default.unwrap_or_default());
        text.push_str(&format!("| `{}` | {required} | {holds} | {default} | {meaning} |\n", field.name));
    }
    text.push_str(&format!("\n## Output\n\n{}.\n", capitalized(spec.outputs)));
    if let Some(care) = actions::care(spec.name) {
        text.push_str(&format!("\n## Changes\n\n- **May change**: {}.\n", care.touches));
        text.push_str(&format!("- **Undo**: {}.\n- **In doubt**: {}.\n", care.undo, care.doubt));
        if spec.changes == Changes::World && actions::is_fenced(spec.name) {
            let words = "the step says how many `pods` it touches where a budget limits them; the target itself refuses a \
                         worker that another has followed";
            text.push_str(&format!("- **Touches**: {words}.\n"));
        }
    }
    text
}

/// What a step with the action has to declare.
fn changes(spec: &ActionSpec) -> &'static str {
    match spec.changes {
        Changes::Nothing => "It changes nothing outside.",
        Changes::Record => {
            "It changes only what the bot itself writes down, in one transaction. The step says `repeat: safe`, `undo` or \
             `irreversible: true`, and needs no `timeout`."
        }
        Changes::World if spec.name == "runbook" => {
            "It changes something. The step says `undo`, `repeat: safe` or `irreversible: true`; the `timeout` is that of the \
             other runbook."
        }
        Changes::World => {
            "It changes something. The step says `timeout`, and at least one of `undo`, `probe`, `repeat: safe` and \
             `irreversible: true`."
        }
        Changes::Declared if spec.name == "http" => {
            "`GET` and `HEAD` read. With another method it changes something, unless the step says `reads_only: true`: it says \
             `timeout` then, and at least one of `undo`, `probe`, `repeat: safe` and `irreversible: true`."
        }
        Changes::Declared => {
            "The step says either `reads_only: true`, or `timeout` and at least one of `undo`, `probe`, `repeat: safe` and \
             `irreversible: true`, because it changes something."
        }
    }
}

/// Every action in one table, with links to pages that are named for them.
pub fn index() -> String {
    let mut text = "| action | changes | what it does |\n|---|---|---|\n".to_owned();
    for spec in actions::ALL {
        let changes = match spec.changes {
            Changes::Nothing => "nothing",
            Changes::Record => "the record",
            Changes::World => "something",
            Changes::Declared => "as declared",
        };
        let summary = spec.summary;
        text.push_str(&format!("| [`{0}`]({0}.md) | {changes} | {summary} |\n", spec.name));
    }
    text
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_says_what_a_careful_person_wants_to_know() {
        for spec in actions::ALL {
            let is_told = actions::care(spec.name).is_some();
            assert_eq!(is_told, spec.changes != Changes::Nothing, "{} is described in `care`", spec.name);
            for field in spec.fields {
                let (_, default) = field.meaning();
                assert!(!field.required || default.is_none(), "{}.{} cannot be left out", spec.name, field.name);
                assert!(default.is_some() || !field.help.contains("left out"), "{}.{}", spec.name, field.name);
            }
        }
    }
}
