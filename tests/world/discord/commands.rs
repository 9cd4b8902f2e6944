//! Turns what a person types into what Discord's client would send, by the commands that the bot registered.

use serde_json::{Value, json};

use super::{
    limits::items,
    shapes::id,
    state::{Snowflake, State},
};

/// Reads `/incident declare title:checkout is broken severity:SEV2` into the `data` of an interaction.
///
/// A value goes on until the next option's name. Fails as the client would: unknown command, unknown or missing
/// option, a value that the option does not take. For an autocompletion the last option is the one being typed.
pub(crate) fn typed(state: &State, line: &str, completes: bool) -> Result<Value, String> {
    let line = line.trim();
    let text = line.strip_prefix('/').ok_or_else(|| format!("a command starts with /: {line}"))?;
    let (name, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    let command = state
        .commands
        .iter()
        .find(|command| command["name"] == name && command["type"] == 1)
        .ok_or_else(|| format!("no command /{name} is registered: {}", known(&state.commands)))?;
    let mut holder = command;
    let mut path = vec![command];
    while items(&holder["options"]).iter().any(is_subcommand) {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        holder = items(&holder["options"])
            .iter()
            .find(|option| option["name"] == word)
            .ok_or_else(|| format!("`{line}` is no command; there is {}", known(items(&holder["options"]))))?;
        path.push(holder);
        rest = after;
    }
    let mut resolved = json!({});
    let mut options = values(state, holder, rest, completes, &mut resolved)?;
    for step in path.iter().skip(1).rev() {
        options = json!([{ "name": step["name"], "type": step["type"], "options": options }]);
    }
    let mut data = json!({ "id": command["id"], "name": name, "type": 1, "options": options });
    if let Some(guild) = command.get("guild_id") {
        data["guild_id"] = guild.clone();
    }
    if resolved.as_object().is_some_and(|found| !found.is_empty()) {
        data["resolved"] = resolved;
    }
    Ok(data)
}

fn is_subcommand(option: &Value) -> bool {
    option["type"] == 1 || option["type"] == 2
}

fn known(of: &[Value]) -> String {
    let names: Vec<&str> = of.iter().filter_map(|one| one["name"].as_str()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// The options of a command with their values, in the order they were typed.
fn values(state: &State, holder: &Value, text: &str, completes: bool, resolved: &mut Value) -> Result<Value, String> {
    let options = items(&holder["options"]);
    let mut starts: Vec<(usize, &Value)> = Vec::new();
    for option in options {
        let name = format!("{}:", option["name"].as_str().unwrap_or(""));
        let found = text.match_indices(&name).find(|(at, _)| *at == 0 || text[..*at].ends_with(' '));
        if let Some((at, _)) = found {
            starts.push((at, option));
        }
    }
    starts.sort_by_key(|(at, _)| *at);
    let loose = text[..starts.first().map_or(text.len(), |(at, _)| *at)].trim();
    if !loose.is_empty() {
        return Err(format!("`{loose}` belongs to no option; there is {}", known(options)));
    }
    let mut sent = Vec::new();
    for (number, (at, option)) in starts.iter().enumerate() {
        let name = option["name"].as_str().unwrap_or("");
        let end = starts.get(number + 1).map_or(text.len(), |(next, _)| *next);
        let value = text[at + name.len() + 1..end].trim();
        let is_typed = completes && number + 1 == starts.len();
        if is_typed {
            if option["autocomplete"] != true {
                return Err(format!("option `{name}` is not completed"));
            }
            sent.push(json!({ "name": name, "type": option["type"], "value": value, "focused": true }));
        } else {
            let value = value_of(state, option, value, resolved)?;
            sent.push(json!({ "name": name, "type": option["type"], "value": value }));
        }
    }
    if !completes {
        for option in options.iter().filter(|option| option["required"] == true) {
            if !sent.iter().any(|given| given["name"] == option["name"]) {
                return Err(format!("option {} is required", option["name"]));
            }
        }
    }
    Ok(Value::Array(sent))
}

fn value_of(state: &State, option: &Value, text: &str, resolved: &mut Value) -> Result<Value, String> {
    let name = option["name"].as_str().unwrap_or("");
    let refused = |why: &str| Err(format!("option `{name}` does not take `{text}`: {why}"));
    let choices = items(&option["choices"]);
    if !choices.is_empty() {
        let chosen = choices.iter().find(|choice| choice["name"] == text || choice["value"] == text);
        return match chosen {
            Some(choice) => Ok(choice["value"].clone()),
            None => refused(&known(choices)),
        };
    }
    let number = |snowflake: Option<Snowflake>| snowflake.map(id).ok_or_else(|| format!("nobody is named {text}"));
    match option["type"].as_u64() {
        Some(3) => {
            let length = text.chars().count() as u64;
            let shortest = option["min_length"].as_u64().unwrap_or(1);
            let longest = option["max_length"].as_u64().unwrap_or(6_000);
            if length < shortest || length > longest { refused("its length") } else { Ok(json!(text)) }
        }
        Some(4) => match text.parse::<i64>() {
            Ok(value) if value < option["min_value"].as_i64().unwrap_or(i64::MIN) => refused("too small"),
            Ok(value) if value > option["max_value"].as_i64().unwrap_or(i64::MAX) => refused("too large"),
            Ok(value) => Ok(json!(value)),
            Err(_) => refused("not a whole number"),
        },
        Some(5) => match text {
            "true" | "True" => Ok(json!(true)),
            "false" | "False" => Ok(json!(false)),
            _ => refused("true or false"),
        },
        Some(6) => {
            let member = state.members.iter().find(|member| member.name == text.trim_start_matches('@'));
            let found = number(member.map(|member| member.id))?;
            if let (Some(member), Some(key)) = (member, found.as_str()) {
                resolved["users"][key] = State::user_json(member);
                let mut shown = State::acting_member_json(member);
                if let Some(shown) = shown.as_object_mut() {
                    for absent in ["user", "deaf", "mute"] {
                        shown.remove(absent);
                    }
                }
                resolved["members"][key] = shown;
            }
            Ok(found)
        }
        Some(7) => {
            let channel = state.channels.iter().find(|channel| channel.name == text.trim_start_matches('#'));
            let found = number(channel.map(|channel| channel.id))?;
            if let (Some(channel), Some(key)) = (channel, found.as_str()) {
                resolved["channels"][key] = state.place_json(channel);
            }
            Ok(found)
        }
        Some(8) => {
            let role = state.roles.iter().find(|role| role.name == text.trim_start_matches('@'));
            let found = number(role.map(|role| role.id))?;
            if let (Some(role), Some(key)) = (role, found.as_str()) {
                resolved["roles"][key] = State::role_json(role);
            }
            Ok(found)
        }
        Some(10) => text.parse::<f64>().map(|value| json!(value)).or_else(|_| refused("not a number")),
        Some(_) | None => refused("the emulator does not know this kind of option"),
    }
}
