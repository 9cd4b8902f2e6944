//! Discord: the gateway brings what people do, REST carries what the bot says.
//!
//! Everything that Discord limits is kept within bounds before it is sent. What Discord does not take for the moment is
//! told to the outbox, which tries again; nothing waits in here.

mod callbacks;
mod deferred;
mod gateway;
mod interactions;
pub mod limiter;
pub mod limits;
mod mentions;
mod registration;
mod render;
mod rest;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use serenity::http::{LightMethod, Route};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::rest::{Call, Rest, Trouble};
use crate::engine::{
    Engine,
    chat::{Card, Message},
    ports::{Chat, Clock, Place, Undelivered},
};

/// How to reach Discord, from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bot's token.
    pub token: SecretString,
    /// The application.
    pub application: u64,
    /// The server that the bot serves.
    pub guild: u64,
    /// Another address than `https://discord.com`.
    pub api_url: Option<String>,
    /// Discord's number of each channel, by its name in the configuration.
    pub channels: BTreeMap<String, u64>,
}

/// The connection to Discord.
pub struct Discord {
    settings: Settings,
    rest: Rest,
    connected: watch::Sender<bool>,
    engine: Arc<Engine>,
}

impl Discord {
    /// A connection for this engine, not yet made.
    ///
    /// # Errors
    /// When no HTTP client can be made of the settings.
    pub fn new(settings: Settings, engine: &Arc<Engine>) -> anyhow::Result<Arc<Self>> {
        let clock: Arc<dyn Clock> = Arc::clone(engine.clock());
        let rest = Rest::new(&settings.token, settings.api_url.clone(), clock)?;
        Ok(Arc::new(Self { settings, rest, connected: watch::Sender::new(false), engine: Arc::clone(engine) }))
    }

    /// Whether the gateway is connected, so that commands and buttons arrive.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Registers the commands and keeps the gateway connected until it is told to stop.
    pub async fn work(self: Arc<Self>, stop: CancellationToken) {
        gateway::work(self, stop).await;
    }

    fn channel(&self, place: &Place) -> Result<u64, Undelivered> {
        if let Some(thread) = &place.thread {
            return number(thread);
        }
        self.settings.channels.get(&place.channel).copied().ok_or_else(|| {
            tracing::warn!(channel = place.channel, "the configuration has no such channel under `[discord.channels]`");
            Undelivered::Gone
        })
    }

    /// Changes a message; one in an archived thread is brought back for that, as a new message in it would do by itself.
    /// <https://discord.com/developers/docs/topics/threads#unarchiving-a-thread>
    async fn change(&self, (channel, message): (u64, u64), body: Value) -> Result<(), Trouble> {
        let change = || {
            let route = Route::ChannelMessage { channel_id: channel.into(), message_id: message.into() };
            self.rest.call(Call { method: LightMethod::Patch, route, body: Some(body.clone()), files: &[] })
        };
        match change().await {
            Err(trouble) if trouble.code == limits::THREAD_IS_ARCHIVED => {
                let route = Route::Channel { channel_id: channel.into() };
                let body = Some(json!({ "archived": false }));
                self.rest.call(Call { method: LightMethod::Patch, route, body, files: &[] }).await?;
                change().await.map(drop)
            }
            changed => changed.map(drop),
        }
    }
}

/// The name of a message: its channel or thread, and its number there.
fn name(channel: u64, message: u64) -> String {
    format!("{channel}/{message}")
}

/// Where the message of this name is, and its number there.
fn place_of(name: &str) -> Result<(u64, u64), Undelivered> {
    let (channel, message) = name.split_once('/').ok_or(Undelivered::Gone)?;
    Ok((number(channel)?, number(message)?))
}

#[async_trait]
impl Chat for Discord {
    async fn send(&self, place: &Place, message: &Message, nonce: &str) -> Result<String, Undelivered> {
        let channel = self.channel(place)?;
        let rules = self.engine.rules();
        let mut drawn = render::message(message, &rules.people);
        // Discord then gives the first message again for a nonce of the last minutes:
        // https://discord.com/developers/docs/resources/message#create-message
        drawn.body["nonce"] = json!(nonce);
        drawn.body["enforce_nonce"] = json!(true);
        let route = Route::ChannelMessages { channel_id: channel.into() };
        let call = Call { method: LightMethod::Post, route, body: Some(drawn.body.clone()), files: &drawn.files };
        let sent = self.rest.call(call).await?;
        let message = number(&id_of(&sent)?)?;
        // Of a card that was sent before, Discord gives the earlier state: it is brought up to date.
        if message_differs(&drawn.body, &sent) {
            self.change((channel, message), render::edit(&drawn.body)).await?;
        }
        Ok(name(channel, message))
    }

    async fn edit(&self, message: &str, card: &Card) -> Result<(), Undelivered> {
        let place = place_of(message)?;
        let rules = self.engine.rules();
        let drawn = render::message(&Message::card(card.clone()), &rules.people);
        Ok(self.change(place, render::edit(&drawn.body)).await?)
    }

    async fn open_thread(&self, message: &str, title: &str) -> Result<String, Undelivered> {
        let (channel, number) = place_of(message)?;
        let route = Route::ChannelMessageThreads { channel_id: channel.into(), message_id: number.into() };
        let name = limits::cut(title, limits::THREAD_NAME);
        let body = Some(json!({ "name": name, "auto_archive_duration": limits::ARCHIVE_AFTER_MINUTES }));
        match self.rest.call(Call { method: LightMethod::Post, route, body, files: &[] }).await {
            Ok(thread) => id_of(&thread),
            // A thread that was opened from a message has the message's number:
            // https://discord.com/developers/docs/topics/threads
            Err(trouble) if trouble.code == limits::THREAD_EXISTS => Ok(number.to_string()),
            Err(trouble) => Err(trouble.into()),
        }
    }

    async fn is_up(&self) -> bool {
        let route = Route::UserMe;
        self.rest.call(Call { method: LightMethod::Get, route, body: None, files: &[] }).await.is_ok()
    }
}

/// Whether the card in Discord's answer is another than the one that was sent.
fn message_differs(sent: &Value, answer: &Value) -> bool {
    let buttons = |message: &Value| -> Vec<String> {
        let rows = message["components"].as_array().into_iter().flatten();
        let buttons = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
        buttons.filter_map(|button| button["custom_id"].as_str().map(str::to_owned)).collect()
    };
    let said = |message: &Value| -> Vec<String> {
        let embed = &message["embeds"][0];
        let fields = embed["fields"].as_array().into_iter().flatten();
        let fields = fields.flat_map(|field| [field["name"].as_str(), field["value"].as_str()]);
        [embed["title"].as_str(), embed["description"].as_str()]
            .into_iter()
            .chain(fields)
            .map(|text| text.unwrap_or_default().trim().to_owned())
            .collect()
    };
    said(sent) != said(answer) || buttons(sent) != buttons(answer)
}

fn id_of(answer: &Value) -> Result<String, Undelivered> {
    answer["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Undelivered::Unreachable("Discord answered without the number of what it made".to_owned()))
}

fn number(text: &str) -> Result<u64, Undelivered> {
    match text.parse::<u64>() {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) | Err(_) => Err(Undelivered::Gone),
    }
}

#[cfg(test)]
mod tests;
