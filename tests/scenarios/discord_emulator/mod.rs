//! The emulated Discord, driven by the library that the bot uses: what it refuses, repeats, loses and replays.
//!
//! A story about the bot is worth as much as the Discord it is told in.

mod faults;
mod messages;
mod people;

use serde_json::{Value, json};
use serenity::{
    Client,
    all::{ChannelId, EventHandler, GatewayIntents, GuildId, Http, HttpBuilder, Interaction, InteractionId, Ready},
    async_trait,
    client::{ClientBuilder, Context},
};

use crate::world::discord::{Discord, TOKEN};

/// A guild with one channel and two people.
fn acme() -> Discord {
    let discord = Discord::start();
    discord.add_channel("incidents");
    discord.add_role("on-call");
    discord.add_member("ana", &["on-call"]);
    discord.add_member("ben", &[]);
    discord
}

/// A bot of a few lines: it answers each kind of interaction in one way.
struct Responder(GuildId);

#[async_trait]
impl EventHandler for Responder {
    async fn ready(&self, context: Context, _ready: Ready) {
        let commands = json!([{ "name": "incident", "description": "Incidents", "options": [
            { "type": 1, "name": "list", "description": "Shows them" },
            { "type": 1, "name": "declare", "description": "Opens one", "options": [
                { "type": 3, "name": "title", "description": "What is wrong", "required": true },
                { "type": 3, "name": "severity", "description": "How bad", "choices": [{ "name": "SEV2", "value": "2" }] },
                { "type": 6, "name": "lead", "description": "Who leads" },
            ]},
            { "type": 1, "name": "show", "description": "Shows one", "options": [
                { "type": 3, "name": "incident", "description": "Which", "autocomplete": true },
            ]},
        ]}]);
        context.http.create_guild_commands(self.0, &commands).await.unwrap();
    }

    async fn interaction_create(&self, context: Context, interaction: Interaction) {
        let Some((id, token, answer, later)) = answer_to(&interaction) else { return };
        // A story may have taken Discord down meanwhile.
        drop(context.http.create_interaction_response(id, &token, &answer, Vec::new()).await);
        if let Some(later) = later {
            drop(context.http.edit_original_interaction_response(&token, &later, Vec::new()).await);
            let more = json!({ "content": "and more", "flags": 64 });
            drop(context.http.create_followup_message(&token, &more, Vec::new()).await);
        }
    }
}

/// Whom to answer, the answer, and what takes its place later.
fn answer_to(interaction: &Interaction) -> Option<(InteractionId, String, Value, Option<Value>)> {
    let row = |held: Value| json!([{ "type": 1, "components": held }]);
    let card = |title: &str, phase: &str| json!([{ "title": format!("INC-1 {title}"), "fields": [{ "name": "Phase", "value": phase }] }]);
    if let Some(asked) = interaction.as_command() {
        let given = serde_json::to_value(&asked.data.options).ok()?;
        if given[0]["name"] == "list" {
            let deferred = json!({ "type": 5, "data": { "flags": 64 } });
            let later = json!({ "content": "No open incidents" });
            return Some((asked.id, asked.token.clone(), deferred, Some(later)));
        }
        let buttons = json!([
            { "type": 2, "style": 1, "label": "Note", "custom_id": "1.note.1" },
            { "type": 2, "style": 3, "label": "Acknowledge", "custom_id": "1.acknowledge.1" },
            { "type": 2, "style": 4, "label": "Resolve", "custom_id": "1.resolve.1", "disabled": true },
        ]);
        let embeds = card(given[0]["options"][0]["value"].as_str()?, "triage");
        let data = json!({ "embeds": embeds, "components": row(buttons) });
        return Some((asked.id, asked.token.clone(), json!({ "type": 4, "data": data }), None));
    }
    if let Some(asked) = interaction.as_message_component() {
        let answer = if asked.data.custom_id == "1.note.1" {
            let input = json!([{ "type": 4, "custom_id": "text", "label": "What happened", "style": 2 }]);
            json!({ "type": 9, "data": { "custom_id": "1.note.1", "title": "Note", "components": row(input) } })
        } else {
            json!({ "type": 7, "data": { "embeds": card("checkout is slow", "investigating") } })
        };
        return Some((asked.id, asked.token.clone(), answer, None));
    }
    if let Some(asked) = interaction.as_modal_submit() {
        let given = serde_json::to_value(&asked.data.components).ok()?;
        let noted = format!("Noted: {}", given[0]["components"][0]["value"].as_str()?);
        let answer = json!({ "type": 4, "data": { "content": noted, "flags": 64 } });
        return Some((asked.id, asked.token.clone(), answer, None));
    }
    let asked = interaction.as_autocomplete()?;
    let choices = json!([{ "name": "INC-1 checkout is slow", "value": "INC-1" }]);
    Some((asked.id, asked.token.clone(), json!({ "type": 8, "data": { "choices": choices } }), None))
}

/// The library's HTTP, pointed at the emulator.
fn http(discord: &Discord) -> Http {
    HttpBuilder::new(TOKEN)
        .proxy(discord.url())
        .ratelimiter_disabled(true)
        .application_id(discord.application().into())
        .build()
}

/// A connected bot, which ends with the test.
struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn bot(discord: &Discord) -> Running {
    let mut client: Client = ClientBuilder::new_with_http(http(discord), GatewayIntents::GUILDS)
        .event_handler(Responder(discord.guild().into()))
        .await
        .unwrap();
    assert!(client.ws_url.lock().await.starts_with("ws://127.0.0.1:"), "the library dials another gateway");
    let running = Running(tokio::spawn(async move { client.start().await.unwrap() }));
    discord.awaits_bot().await;
    running
}

fn incidents(discord: &Discord) -> ChannelId {
    ChannelId::new(discord.guild() + 1_000)
}

/// An answer as it came over the wire: the library hides its headers.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

async fn send(discord: &Discord, method: &str, path: &str, body: &Value) -> Answer {
    let request = crate::world::http()
        .request(method.parse().unwrap(), format!("{}/api/v10{path}", discord.url()))
        .header("authorization", format!("Bot {TOKEN}"))
        .json(body);
    let answer = request.send().await.unwrap();
    let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let headers = answer.headers().iter().map(header).collect();
    Answer { status: answer.status().as_u16(), headers, body: answer.json().await.unwrap_or(Value::Null) }
}

async fn post(discord: &Discord, body: &Value) -> Answer {
    send(discord, "POST", &format!("/channels/{}/messages", incidents(discord)), body).await
}
