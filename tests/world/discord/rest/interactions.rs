//! Answers to interactions: the callback within three seconds, then edits and additions for fifteen minutes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Outcome, Reply, messages, number, own_application};
use crate::world::discord::{
    limits,
    shapes::id,
    state::{Body, EPHEMERAL, Effect, Interaction, LOADING, Message, Snowflake, State, What},
};

/// The time for the first answer, and the life of the token after it.
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-callback>
const FIRST_ANSWER: Duration = Duration::from_secs(3);
const TOKEN_LIFE: Duration = Duration::from_mins(15);

pub(crate) fn callback(state: &mut State, interaction: &str, token: &str, call: &Call) -> Outcome {
    let unknown = || Reply::refused(404, 10062, "Unknown interaction");
    let asked = state.interaction(number(interaction)?).filter(|found| found.token == token).ok_or_else(unknown)?;
    if asked.answered.is_some() {
        return Err(Reply::refused(400, 40060, "Interaction has already been acknowledged."));
    }
    if state.age(asked.at) > FIRST_ANSWER {
        return Err(unknown());
    }
    let asked = asked.clone();
    let body = call.json();
    let kind = u8::try_from(body["type"].as_u64().unwrap_or(0)).unwrap_or(0);
    let fitting: &[u8] = match (asked.kind, asked.source) {
        (2, _) => &[4, 5, 9],
        (3, _) => &[4, 5, 6, 7, 9],
        (4, _) => &[8],
        (_, Some(_)) => &[4, 5, 6, 7],
        (_, None) => &[4, 5],
    };
    if !fitting.contains(&kind) {
        let said = format!("Value must be one of {fitting:?}.").replace('[', "{").replace(']', "}");
        return Err(Reply::invalid(
            &json!({ "type": { "_errors": [{ "code": "BASE_TYPE_CHOICES", "message": said }] } }),
        ));
    }
    let data = &body["data"];
    match kind {
        4 => {
            limits::message(data, call.files.len(), "data")?;
            let answer = messages::draft(state, asked.channel, data, &call.files)?;
            keep_answer(state, &asked, answer, data, What::Answered);
        }
        5 => defer(state, &asked, data),
        7 => {
            limits::message(data, call.files.len(), "data")?;
            let source = asked.source.ok_or_else(Reply::unknown_message)?;
            messages::change(state, source, data, &call.files)?;
        }
        8 => {
            limits::choices(data)?;
            let choices = limits::items(&data["choices"]).to_vec();
            with(state, asked.id, |found| found.choices = Some(choices));
        }
        9 => {
            limits::modal(data)?;
            with(state, asked.id, |found| found.modal = Some(data.clone()));
            let text = data["title"].as_str().unwrap_or("").to_owned();
            let place = state.name_of(asked.by);
            state.effect(Effect { what: What::Answered, place, text, message: None });
        }
        _ => {}
    }
    with(state, asked.id, |found| found.answered = Some(kind));
    if call.query["with_response"] == "true" {
        return Ok(Reply::ok(with_response(state, asked.id, kind)));
    }
    Ok(Reply::no_content())
}

fn with(state: &mut State, interaction: Snowflake, change: impl FnOnce(&mut Interaction)) {
    if let Some(found) = state.interaction_mut(interaction) {
        change(found);
    }
}

fn keep_answer(state: &mut State, asked: &Interaction, mut answer: Message, data: &Value, what: What) {
    answer.interaction = Some(asked.id);
    if data["flags"].as_u64().unwrap_or(0) & EPHEMERAL != 0 {
        answer.flags |= EPHEMERAL;
        answer.only_for = Some(asked.by);
    }
    let message = answer.id;
    messages::keep(state, answer, what);
    with(state, asked.id, |found| {
        if what == What::FollowedUp {
            found.followups.push(message);
        } else {
            found.answer_message = Some(message);
        }
    });
}

/// Keeps the message that says only that an answer will come.
fn defer(state: &mut State, asked: &Interaction, data: &Value) {
    let ephemeral = data["flags"].as_u64().unwrap_or(0) & EPHEMERAL != 0;
    let message = Message {
        id: state.snowflake(),
        channel: asked.channel,
        body: Body::default(),
        flags: LOADING | if ephemeral { EPHEMERAL } else { 0 },
        nonce: None,
        created: state.clock.now(),
        edited: None,
        history: Vec::new(),
        pinged_people: Vec::new(),
        pinged_roles: Vec::new(),
        pinged_everyone: false,
        interaction: Some(asked.id),
        only_for: ephemeral.then_some(asked.by),
        deleted: false,
        seen_versions: 0,
        reference: None,
    };
    let kept = message.id;
    state.messages.push(message);
    let line = format!("bot defers its answer to {}", state.name_of(asked.by));
    state.note(&line);
    with(state, asked.id, |found| found.answer_message = Some(kept));
}

fn with_response(state: &State, interaction: Snowflake, kind: u8) -> Value {
    let Some(asked) = state.interaction(interaction) else { return Value::Null };
    let message = match kind {
        6 | 7 => asked.source,
        _ => asked.answer_message,
    };
    let mut about = json!({ "id": id(asked.id), "type": asked.kind });
    let shown = message.and_then(|message| state.message(message));
    if let Some(message) = shown {
        about["response_message_id"] = id(message.id);
        about["response_message_loading"] = json!(message.is_loading());
        about["response_message_ephemeral"] = json!(message.only_for.is_some());
    }
    let mut json = json!({ "interaction": about });
    if let (4 | 7, Some(message)) = (kind, shown) {
        json["resource"] = json!({ "type": kind, "message": state.message_json(message) });
    }
    json
}

/// The interaction of a token that is still good for answers.
fn asked(state: &State, app: &str, token: &str) -> Result<Interaction, Reply> {
    own_application(state, app)?;
    let found = state.interaction_by_token(token).filter(|found| state.age(found.at) <= TOKEN_LIFE);
    let found = found.ok_or_else(|| Reply::refused(401, 50027, "Invalid Webhook Token"))?;
    if found.answered.is_none() {
        return Err(Reply::refused(404, 10015, "Unknown Webhook"));
    }
    Ok(found.clone())
}

/// Adds a message to an answer; the first one after a deferral takes the place of the loading message.
/// <https://docs.discord.com/developers/interactions/receiving-and-responding#create-followup-message>
pub(crate) fn follow_up(state: &mut State, app: &str, token: &str, call: &Call) -> Outcome {
    let asked = asked(state, app, token)?;
    let body = call.json();
    limits::message(body, call.files.len(), "")?;
    let loading = asked.answer_message.filter(|m| state.message(*m).is_some_and(Message::is_loading));
    let message = if let Some(loading) = loading {
        messages::change(state, loading, body, &call.files)?;
        loading
    } else {
        let answer = messages::draft(state, asked.channel, body, &call.files)?;
        let message = answer.id;
        keep_answer(state, &asked, answer, body, What::FollowedUp);
        message
    };
    let kept = state.message(message).ok_or_else(Reply::unknown_message)?;
    Ok(Reply::ok(state.message_json(kept)))
}

/// Reads, edits or removes an answer: `@original`, or a followup by its number.
pub(crate) fn answer_message(
    state: &mut State,
    app: &str,
    token: &str,
    message: &str,
    method: &str,
    call: &Call,
) -> Outcome {
    let asked = asked(state, app, token)?;
    let original = match asked.answered {
        Some(6 | 7) => asked.source,
        Some(_) | None => asked.answer_message,
    };
    let found = if message == "@original" {
        original
    } else {
        let number = number(message)?;
        (asked.followups.contains(&number) || original == Some(number)).then_some(number)
    };
    let found = found.filter(|found| state.message(*found).is_some()).ok_or_else(Reply::unknown_message)?;
    match method {
        "DELETE" => return messages::remove(state, found),
        "PATCH" => {
            limits::message(call.json(), call.files.len(), "")?;
            messages::change(state, found, call.json(), &call.files)?;
        }
        _ => {}
    }
    let kept = state.message(found).ok_or_else(Reply::unknown_message)?;
    Ok(Reply::ok(state.message_json(kept)))
}
