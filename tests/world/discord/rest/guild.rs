//! The guild around the messages: commands, roles, members, channels and threads.

use serde_json::{Value, json};

use super::{Outcome, Reply, messages::open_channel, number, own_application};
use crate::world::discord::{
    limits::{self, items},
    shapes::id,
    state::{Channel, Effect, Snowflake, State, What},
};

/// Fails unless the path names the one guild.
pub(crate) fn only(state: &State, guild: &str) -> Result<(), Reply> {
    if id(state.guild) == guild { Ok(()) } else { Err(Reply::refused(404, 10004, "Unknown Guild")) }
}

pub(crate) fn list_commands(state: &State, app: &str, guild: Option<&str>) -> Outcome {
    own_application(state, app)?;
    let found: Vec<&Value> = state.commands.iter().filter(|command| command["guild_id"].as_str() == guild).collect();
    Ok(Reply::ok(json!(found)))
}

/// Replaces all commands of the application, or of the application in a guild.
pub(crate) fn register(state: &mut State, app: &str, guild: Option<&str>, wanted: &Value) -> Outcome {
    own_application(state, app)?;
    if let Some(guild) = guild {
        only(state, guild)?;
    }
    limits::commands(wanted)?;
    state.commands.retain(|command| command["guild_id"].as_str() != guild);
    let mut names = Vec::new();
    for command in items(wanted) {
        let mut kept = json!({
            "id": id(state.snowflake()), "application_id": id(state.application), "version": id(state.snowflake()),
            "default_member_permissions": null, "type": 1, "description": "", "nsfw": false,
        });
        if let (Some(kept), Some(command)) = (kept.as_object_mut(), command.as_object()) {
            kept.extend(command.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
        }
        if let Some(guild) = guild {
            kept["guild_id"] = json!(guild);
        }
        names.push(format!("/{}", kept["name"].as_str().unwrap_or("")));
        state.commands.push(kept);
    }
    let place = guild.map_or_else(|| "everywhere".to_owned(), |_| "acme".to_owned());
    state.effect(Effect { what: What::RegisteredCommands, place, text: names.join(" "), message: None });
    list_commands(state, app, guild)
}

pub(crate) fn channels(state: &State, guild: &str) -> Outcome {
    only(state, guild)?;
    let found: Vec<Value> =
        state.channels.iter().filter(|channel| channel.kind == 0).map(|channel| state.channel_json(channel)).collect();
    Ok(Reply::ok(json!(found)))
}

pub(crate) fn member(state: &State, guild: &str, person: &str) -> Outcome {
    only(state, guild)?;
    let found = state.member(number(person)?).ok_or_else(|| Reply::refused(404, 10007, "Unknown Member"))?;
    Ok(Reply::ok(State::member_json(found)))
}

pub(crate) fn channel(state: &State, channel: &str) -> Outcome {
    let found = state.channel(open_channel(state, channel)?).ok_or_else(Reply::unknown_channel)?;
    Ok(Reply::ok(state.channel_json(found)))
}

/// Renames a channel or thread, archives it or locks it.
pub(crate) fn change_channel(state: &mut State, channel: &str, wanted: &Value) -> Outcome {
    let number = open_channel(state, channel)?;
    if !wanted["name"].is_null() {
        limits::thread(wanted)?;
    }
    let found = state.channels.iter_mut().find(|channel| channel.id == number).ok_or_else(Reply::unknown_channel)?;
    if let Some(name) = wanted["name"].as_str() {
        name.clone_into(&mut found.name);
    }
    found.archived = wanted["archived"].as_bool().unwrap_or(found.archived);
    found.locked = wanted["locked"].as_bool().unwrap_or(found.locked);
    let place = state.place(number);
    state.effect(Effect { what: What::ChangedChannel, place, text: wanted.to_string(), message: None });
    self::channel(state, channel)
}

/// Opens a thread; one that starts from a message has the message's number.
pub(crate) fn open_thread(state: &mut State, channel: &str, from: Option<&str>, wanted: &Value) -> Outcome {
    let parent = open_channel(state, channel)?;
    limits::thread(wanted)?;
    if state.channel(parent).is_some_and(|channel| channel.kind != 0) {
        return Err(Reply::refused(400, 50024, "Cannot execute action on this channel type"));
    }
    let number: Snowflake = match from {
        Some(message) => {
            let message = number(message)?;
            let known = state.message(message).is_some_and(|m| m.channel == parent && m.only_for.is_none());
            if !known {
                return Err(Reply::unknown_message());
            }
            if state.channel(message).is_some() {
                return Err(Reply::refused(400, 160_004, "A thread has already been created for this message"));
            }
            message
        }
        None => state.snowflake(),
    };
    let kind = match (from, wanted["type"].as_u64()) {
        (Some(_), _) | (None, Some(11)) => 11,
        (None, _) => 12,
    };
    let thread = Channel {
        id: number,
        name: wanted["name"].as_str().unwrap_or("").to_owned(),
        parent: Some(parent),
        kind,
        created: state.clock.now(),
        archived: false,
        locked: false,
        auto_archive_minutes: wanted["auto_archive_duration"].as_u64().unwrap_or(1440),
        members: Vec::new(),
        forbidden: false,
    };
    let json = state.channel_json(&thread);
    let (place, text) = (state.place(parent), thread.name.clone());
    state.channels.push(thread);
    state.effect(Effect { what: What::OpenedThread, place, text, message: from.map(|_| number) });
    Ok(Reply::created(json))
}

pub(crate) fn add_to_thread(state: &mut State, channel: &str, person: &str) -> Outcome {
    let number = open_channel(state, channel)?;
    let person = if person == "@me" { state.application } else { super::number(person)? };
    if person != state.application && state.member(person).is_none() {
        return Err(Reply::refused(404, 10013, "Unknown User"));
    }
    let thread = state.channels.iter_mut().find(|channel| channel.id == number && channel.kind != 0);
    let thread = thread.ok_or_else(|| Reply::refused(400, 50024, "Cannot execute action on this channel type"))?;
    if !thread.members.contains(&person) {
        thread.members.push(person);
        let (place, text) = (state.place(number), state.name_of(person));
        state.effect(Effect { what: What::AddedToThread, place, text, message: None });
    }
    Ok(Reply::no_content())
}
