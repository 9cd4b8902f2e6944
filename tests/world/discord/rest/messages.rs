//! Messages in channels and threads: posted, edited, deleted and read back.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Outcome, Reply, number};
use crate::world::discord::{
    limits::{self, items},
    multipart::Part,
    state::{Body, Effect, LOADING, Message, Snowflake, State, Upload, What},
    view::Shown,
};

/// How long a nonce is remembered: "the past few minutes".
/// <https://docs.discord.com/developers/resources/message#create-message>
const NONCE_MEMORY: Duration = Duration::from_mins(3);

/// The flags that a bot may set: suppress embeds, ephemeral, suppress notifications.
const SETTABLE_FLAGS: u64 = 1 << 2 | 1 << 6 | 1 << 12;

/// The channel that a call names, if the bot may use it.
pub(crate) fn open_channel(state: &State, channel: &str) -> Result<Snowflake, Reply> {
    let channel = state.channel(number(channel)?).ok_or_else(Reply::unknown_channel)?;
    if channel.forbidden {
        return Err(Reply::refused(403, 50001, "Missing Access"));
    }
    Ok(channel.id)
}

pub(crate) fn list(state: &State, channel: &str, query: &Value) -> Outcome {
    let channel = open_channel(state, channel)?;
    let asked = |name: &str| query[name].as_str().and_then(|text| text.parse::<u64>().ok());
    let limit = usize::try_from(asked("limit").unwrap_or(50).clamp(1, 100)).unwrap_or(50);
    let after = asked("after").unwrap_or(0);
    let before = asked("before").unwrap_or(u64::MAX);
    let found: Vec<Value> = state
        .messages
        .iter()
        .rev()
        .filter(|m| m.channel == channel && !m.deleted && m.only_for.is_none() && m.id > after && m.id < before)
        .take(limit)
        .map(|message| state.message_json(message))
        .collect();
    Ok(Reply::ok(json!(found)))
}

pub(crate) fn create(state: &mut State, channel: &str, call: &Call) -> Outcome {
    let channel = open_channel(state, channel)?;
    let body = call.json();
    if state.channel(channel).is_some_and(|channel| channel.locked) {
        return Err(archived());
    }
    limits::message(body, call.files.len(), "")?;
    // A message brings an archived thread back: https://docs.discord.com/developers/topics/threads#unarchiving-a-thread
    if let Some(thread) = state.channels.iter_mut().find(|known| known.id == channel) {
        thread.archived = false;
    }
    if body["enforce_nonce"] == true
        && let Some(twin) = same_nonce(state, channel, &body["nonce"])
    {
        state.note(&format!("a message with the nonce {} is there already", body["nonce"]));
        return Ok(Reply::ok(state.message_json(twin_of(state, twin)?)));
    }
    let message = draft(state, channel, body, &call.files)?;
    let posted = message.id;
    keep(state, message, What::Posted);
    Ok(Reply::ok(state.message_json(twin_of(state, posted)?)))
}

/// What an archived thread answers to whatever would change it.
fn archived() -> Reply {
    Reply::refused(400, 50083, "Thread is archived")
}

fn twin_of(state: &State, message: Snowflake) -> Result<&Message, Reply> {
    state.message(message).ok_or_else(Reply::unknown_message)
}

fn same_nonce(state: &State, channel: Snowflake, nonce: &Value) -> Option<Snowflake> {
    let twin = state.messages.iter().rev().find(|message| {
        message.channel == channel && message.nonce.as_ref() == Some(nonce) && state.age(message.created) < NONCE_MEMORY
    })?;
    Some(twin.id)
}

/// A message as its body asks for it, not yet kept.
pub(crate) fn draft(state: &mut State, channel: Snowflake, body: &Value, files: &[Part]) -> Result<Message, Reply> {
    let mut said = Body::default();
    fill(state, &mut said, body, files);
    if said.content.trim().is_empty() && said.embeds.is_empty() && said.components.is_empty() && said.files.is_empty() {
        return Err(Reply::refused(400, 50006, "Cannot send an empty message"));
    }
    let reference = body["message_reference"]["message_id"].as_str().and_then(|text| text.parse().ok());
    let mut message = Message {
        id: state.snowflake(),
        channel,
        flags: body["flags"].as_u64().unwrap_or(0) & SETTABLE_FLAGS,
        nonce: (!body["nonce"].is_null()).then(|| body["nonce"].clone()),
        created: state.clock.now(),
        edited: None,
        history: Vec::new(),
        pinged_people: Vec::new(),
        pinged_roles: Vec::new(),
        pinged_everyone: false,
        interaction: None,
        only_for: None,
        deleted: false,
        seen_versions: 0,
        reference,
        body: said,
    };
    ping(state, &mut message, &body["allowed_mentions"]);
    Ok(message)
}

/// Keeps a message and notes it as an effect.
pub(crate) fn keep(state: &mut State, message: Message, what: What) {
    let effect = Effect {
        what,
        place: state.place(message.channel),
        text: Shown::of(state, &message).text(),
        message: Some(message.id),
    };
    state.messages.push(message);
    state.effect(effect);
}

/// Puts what the request names into a body; what it does not name stays.
fn fill(state: &mut State, said: &mut Body, body: &Value, files: &[Part]) {
    if let Some(content) = body.get("content") {
        content.as_str().unwrap_or("").clone_into(&mut said.content);
    }
    if let Some(embeds) = body.get("embeds") {
        said.embeds = items(embeds).to_vec();
    }
    if let Some(components) = body.get("components") {
        said.components = items(components).to_vec();
    }
    if let Some(kept) = body.get("attachments") {
        let stays = |file: &Upload| items(kept).iter().any(|named| named["id"] == file.id.to_string().as_str());
        said.files.retain(stays);
    }
    for (number, part) in files.iter().enumerate() {
        let index = part.name.trim_start_matches("files[").trim_end_matches(']').to_owned();
        let about = items(&body["attachments"]).iter().find(|named| {
            named["id"] == index.as_str() || named["id"].as_u64().is_some_and(|n| n.to_string() == index)
        });
        let upload = Upload {
            id: state.snowflake(),
            name: part.filename.clone().unwrap_or_else(|| format!("file{number}")),
            description: about.and_then(|named| named["description"].as_str()).map(str::to_owned),
            content_type: part.content_type.clone(),
            bytes: part.bytes.clone(),
        };
        said.files.push(upload);
    }
}

/// Works out whom a message notifies: what its content mentions, as far as it allows.
/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
fn ping(state: &State, message: &mut Message, allowed: &Value) {
    let content = &message.body.content;
    let permits = |kind: &str, who: Option<u64>| {
        allowed.is_null()
            || items(&allowed["parse"]).iter().any(|parsed| parsed == kind)
            || who.is_some_and(|who| items(&allowed[kind]).iter().any(|id| *id == who.to_string().as_str()))
    };
    message.pinged_people = state
        .members
        .iter()
        .map(|member| member.id)
        .filter(|id| content.contains(&format!("<@{id}>")) || content.contains(&format!("<@!{id}>")))
        .filter(|id| permits("users", Some(*id)))
        .collect();
    message.pinged_roles = state
        .roles
        .iter()
        .map(|role| role.id)
        .filter(|id| content.contains(&format!("<@&{id}>")) && permits("roles", Some(*id)))
        .collect();
    let everyone = content.contains("@everyone") || content.contains("@here");
    message.pinged_everyone = everyone && permits("everyone", None);
}

pub(crate) fn read(state: &State, channel: &str, message: &str) -> Outcome {
    let found = visible(state, channel, message)?;
    Ok(Reply::ok(state.message_json(twin_of(state, found)?)))
}

fn visible(state: &State, channel: &str, message: &str) -> Result<Snowflake, Reply> {
    let channel = open_channel(state, channel)?;
    let found = state.message(number(message)?).filter(|m| m.channel == channel && m.only_for.is_none());
    found.map(|message| message.id).ok_or_else(Reply::unknown_message)
}

pub(crate) fn edit(state: &mut State, channel: &str, message: &str, call: &Call) -> Outcome {
    let found = visible(state, channel, message)?;
    let place = state.message(found).map(|message| message.channel);
    if place.and_then(|place| state.channel(place)).is_some_and(|thread| thread.archived) {
        return Err(archived());
    }
    limits::message(call.json(), call.files.len(), "")?;
    change(state, found, call.json(), &call.files)?;
    Ok(Reply::ok(state.message_json(twin_of(state, found)?)))
}

/// Changes what a message says, keeping what it said before.
pub(crate) fn change(state: &mut State, message: Snowflake, body: &Value, files: &[Part]) -> Result<(), Reply> {
    let mut said = twin_of(state, message)?.body.clone();
    fill(state, &mut said, body, files);
    if said.content.trim().is_empty() && said.embeds.is_empty() && said.components.is_empty() && said.files.is_empty() {
        return Err(Reply::refused(400, 50006, "Cannot send an empty message"));
    }
    let now = state.clock.now();
    let kept = state.message_mut(message).ok_or_else(Reply::unknown_message)?;
    let before = std::mem::replace(&mut kept.body, said);
    let was_loading = kept.is_loading();
    kept.flags &= !LOADING;
    if !was_loading {
        kept.history.push(before);
        kept.edited = Some(now);
    }
    let kept = kept.clone();
    let what = if was_loading { What::Answered } else { What::Edited };
    let text = Shown::of(state, &kept).text();
    let place = state.place(kept.channel);
    state.effect(Effect { what, place, text, message: Some(message) });
    Ok(())
}

pub(crate) fn delete(state: &mut State, channel: &str, message: &str) -> Outcome {
    let found = visible(state, channel, message)?;
    remove(state, found)
}

/// Removes a message.
pub(crate) fn remove(state: &mut State, message: Snowflake) -> Outcome {
    let text = Shown::of(state, twin_of(state, message)?).text();
    let kept = state.message_mut(message).ok_or_else(Reply::unknown_message)?;
    kept.deleted = true;
    let channel = kept.channel;
    let place = state.place(channel);
    state.effect(Effect { what: What::Deleted, place, text, message: Some(message) });
    Ok(Reply::no_content())
}
