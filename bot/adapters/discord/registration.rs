//! The commands as Discord wants them registered, made from the registry.

use serde_json::{Value, json};

use super::limits;
use crate::engine::chat::{Command, Kind, Opt};

/// All commands. Those of two words become subcommands of their first.
/// <https://discord.com/developers/docs/interactions/application-commands>
pub(super) fn registration(commands: impl Iterator<Item = &'static Command>) -> Value {
    let mut all: Vec<(&str, Vec<&'static Command>)> = Vec::new();
    for command in commands {
        let name = command.path[0];
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(command),
            None => all.push((name, vec![command])),
        }
    }
    all.iter().map(|(name, members)| top(name, members)).collect()
}

fn top(name: &str, members: &[&'static Command]) -> Value {
    // Installed in servers, used in servers: not in private messages, where nobody has a role.
    let mut registered = json!({ "name": name, "type": 1, "contexts": [0], "integration_types": [0] });
    match members {
        [command] if command.path.len() == 1 => {
            registered["description"] = json!(limits::cut(command.help, limits::DESCRIPTION));
            registered["options"] = options(command);
        }
        members => {
            let words: Vec<&str> = members.iter().filter_map(|command| command.path.get(1).copied()).collect();
            registered["description"] = json!(limits::cut(&words.join(", "), limits::DESCRIPTION));
            registered["options"] = members
                .iter()
                .filter_map(|command| {
                    let word = command.path.get(1)?;
                    let help = limits::cut(command.help, limits::DESCRIPTION);
                    Some(json!({ "type": 1, "name": word, "description": help, "options": options(command) }))
                })
                .collect();
        }
    }
    registered
}

fn options(command: &Command) -> Value {
    let (required, optional): (Vec<&Opt>, Vec<&Opt>) = command.options.iter().partition(|option| option.is_required);
    required.into_iter().chain(optional).map(option).collect()
}

fn option(option: &Opt) -> Value {
    let mut registered = json!({
        "name": option.name,
        "description": limits::cut(option.help, limits::DESCRIPTION),
        "required": option.is_required,
    });
    let (kind, more) = match option.kind {
        Kind::Text { max } => (3, json!({ "max_length": max.min(6_000) })),
        Kind::Duration | Kind::Time => (3, json!({ "max_length": 40 })),
        Kind::Integer { min, max } => {
            let within = |number: i64| number.clamp(-limits::INTEGER, limits::INTEGER);
            (4, json!({ "min_value": within(min), "max_value": within(max) }))
        }
        Kind::Choice(choices) => {
            let choices: Vec<Value> =
                choices.iter().take(limits::CHOICES).map(|word| json!({ "name": word, "value": word })).collect();
            (3, json!({ "choices": choices }))
        }
        Kind::Name(_) => (3, json!({ "autocomplete": true })),
        Kind::Person => (6, json!({})),
    };
    registered["type"] = json!(kind);
    if let (Some(registered), Value::Object(more)) = (registered.as_object_mut(), more) {
        registered.extend(more);
    }
    registered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::features;

    /// What Discord refuses as a whole is noticed here first: 100 commands, 25 options and subcommands, 8,000 characters.
    #[test]
    fn the_registration_is_within_the_limits() {
        let registered = registration(features::commands());
        let all = registered.as_array().unwrap();
        assert!(all.len() <= 100);
        for command in all {
            let options = command["options"].as_array().unwrap();
            assert!(options.len() <= 25, "{command}");
            let inside = options.iter().filter_map(|option| option["options"].as_array());
            assert!(inside.into_iter().all(|options| options.len() <= 25), "{command}");
            let integers =
                options.iter().chain(options.iter().filter_map(|option| option["options"].as_array()).flatten());
            let most = integers.filter_map(|option| option["max_value"].as_i64()).max();
            assert!(most.is_none_or(|most| most <= limits::INTEGER), "{command}");
            let mut texts = Vec::new();
            collect(command, &mut texts);
            let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
            assert!(characters <= 8_000, "{} has {characters} characters", command["name"]);
        }
    }

    fn collect(value: &Value, texts: &mut Vec<String>) {
        for key in ["name", "description", "value"] {
            texts.extend(value[key].as_str().map(str::to_owned));
        }
        for key in ["options", "choices"] {
            value[key].as_array().into_iter().flatten().for_each(|inner| collect(inner, texts));
        }
    }
}
