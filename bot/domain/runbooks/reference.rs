//! The reference of the runbook language, written from the lists that the check itself uses.

use crate::domain::runbooks::{
    actions::{self, Changes},
    condition, format,
    scope::ROOTS,
    template, words,
};

/// Markdown that names every key, action, value and function there is.
pub fn reference() -> String {
    let mut text = "# Runbooks\n\n## Keys\n\n".to_owned();
    for (of, keys) in [
        ("runbook", format::KEYS),
        ("input", format::INPUT_KEYS),
        ("approval", format::APPROVAL_KEYS),
        ("step", format::STEP_KEYS),
    ] {
        text.push_str(&format!("- {of}: {}\n", words::listed(keys)));
    }
    text.push_str("\n## Actions\n");
    for spec in actions::ALL {
        let changes = match spec.changes {
            Changes::Nothing => "changes nothing",
            Changes::World => "changes something",
            Changes::Declared if spec.name == "http" => {
                "`GET` and `HEAD` read; other methods change something unless the step says `reads_only: true`"
            }
            Changes::Declared => "changes something unless the step says `reads_only: true`",
        };
        text.push_str(&format!("\n### {}\n\n{} ({changes}).\n\n", spec.name, spec.summary));
        if spec.many {
            text.push_str("`with` is a list of:\n\n");
        }
        text.push_str("| field | | holds | meaning |\n|---|---|---|---|\n");
        for field in spec.fields {
            let required = if field.required { "required" } else { "" };
            text.push_str(&format!("| `{}` | {required} | {} | {} |\n", field.name, field.kind.word(), field.help));
        }
        text.push_str(&format!("\nOutput: {}.\n", spec.outputs));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_and_field_is_in_the_reference() {
        let text = reference();
        for spec in actions::ALL {
            assert!(text.contains(&format!("### {}", spec.name)));
            assert!(spec.fields.iter().all(|field| text.contains(&format!("| `{}` |", field.name))));
        }
    }
}
