//! The answers to interactions.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>

use serde_json::{Value, json};
use serenity::{
    http::{LightMethod, Route},
    model::id::InteractionId,
};

use super::{
    limits,
    render::{self, Drawn},
    rest::{Call, Rest},
};
use crate::engine::{
    chat::{Kind, Opt, Reply},
    ports::Undelivered,
    rules::People,
};

/// Only whom it is for sees the message.
const EPHEMERAL: u32 = 1 << 6;

/// The first answer to an interaction.
pub(super) enum Callback<'a> {
    /// A message.
    Say(Reply),
    /// A message will come.
    Defer,
    /// A form for what is missing.
    Ask(Asked<'a>),
    /// Names that fit, each with a description.
    Complete(Vec<(String, String)>),
}

/// A form.
pub(super) struct Asked<'a> {
    pub(super) title: &'a str,
    pub(super) custom_id: String,
    pub(super) options: Vec<&'a Opt>,
}

impl Callback<'_> {
    pub(super) async fn send(
        &self,
        rest: &Rest,
        people: &People,
        id: InteractionId,
        token: &str,
    ) -> Result<(), Undelivered> {
        let (kind, drawn) = match self {
            Callback::Say(reply) => (4, draw(reply, people)),
            Callback::Defer => (5, Drawn { body: json!({ "flags": EPHEMERAL }), files: Vec::new() }),
            Callback::Ask(asked) => (9, Drawn { body: form(asked), files: Vec::new() }),
            Callback::Complete(names) => (8, Drawn { body: choices(names), files: Vec::new() }),
        };
        let body = Some(json!({ "type": kind, "data": drawn.body }));
        let route = Route::InteractionResponse { interaction_id: id, token };
        rest.call(Call { method: LightMethod::Post, route, body, files: &drawn.files }).await?;
        Ok(())
    }
}

fn draw(reply: &Reply, people: &People) -> Drawn {
    let mut drawn = render::message(&reply.message, people);
    if reply.is_private {
        drawn.body["flags"] = json!(EPHEMERAL);
    }
    drawn
}

fn form(asked: &Asked<'_>) -> Value {
    let rows = asked.options.iter().take(limits::ROWS).map(|option| {
        let (style, most) = match option.kind {
            Kind::Text { max } => (2, max.min(limits::INPUT_VALUE)),
            Kind::Integer { .. } | Kind::Choice(_) | Kind::Name(_) | Kind::Person | Kind::Duration | Kind::Time => {
                (1, 100)
            }
        };
        let label = limits::cut(option.help, limits::INPUT_LABEL);
        let input = json!({
            "type": 4, "custom_id": option.name, "style": style, "label": label,
            "min_length": 1, "max_length": most, "required": true,
        });
        json!({ "type": 1, "components": [input] })
    });
    let rows: Vec<Value> = rows.collect();
    let title = limits::cut(asked.title, limits::MODAL_TITLE);
    json!({ "custom_id": limits::cut(&asked.custom_id, limits::CUSTOM_ID), "title": title, "components": rows })
}

fn choices(names: &[(String, String)]) -> Value {
    let fitting = names.iter().filter(|(name, _)| (1..=limits::CHOICE).contains(&name.chars().count()));
    let choices: Vec<Value> = fitting
        .take(limits::CHOICES)
        .map(|(name, about)| {
            let shown = if about.is_empty() { name.clone() } else { format!("{name} · {about}") };
            json!({ "name": limits::cut(&shown, limits::CHOICE), "value": name })
        })
        .collect();
    json!({ "choices": choices })
}
