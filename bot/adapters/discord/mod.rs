//! Discord: the gateway brings what people do, REST carries what the bot says.
//!
//! Everything that Discord limits is kept within bounds before it is sent. What Discord does not take for the moment is
//! told to the outbox, which tries again; nothing waits in here.

mod callbacks;
mod gateway;
mod interactions;
pub mod limiter;
pub mod limits;
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

use self::rest::{Call, Rest};
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
            Undelivered::Refused(format!("the configuration has no `{}` under `[discord.channels]`", place.channel))
        })
    }
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
        let message = id_of(&sent)?;
        // Of a card that was sent before, Discord gives the earlier state: it is brought up to date.
        if message_differs(&drawn.body, &sent) {
            let route = Route::ChannelMessage { channel_id: channel.into(), message_id: number(&message)?.into() };
            let body = render::edit(&drawn.body);
            self.rest.call(Call { method: LightMethod::Patch, route, body: Some(body), files: &[] }).await?;
        }
        Ok(message)
    }

    async fn edit(&self, place: &Place, message: &str, card: &Card) -> Result<(), Undelivered> {
        let channel = self.channel(place)?;
        let rules = self.engine.rules();
        let drawn = render::message(&Message::card(card.clone()), &rules.people);
        let route = Route::ChannelMessage { channel_id: channel.into(), message_id: number(message)?.into() };
        let call = Call { method: LightMethod::Patch, route, body: Some(render::edit(&drawn.body)), files: &[] };
        self.rest.call(call).await.map(drop)
    }

    async fn open_thread(&self, place: &Place, message: &str, title: &str) -> Result<String, Undelivered> {
        let channel = self.channel(place)?;
        let number = number(message)?;
        let route = Route::ChannelMessageThreads { channel_id: channel.into(), message_id: number.into() };
        let name = limits::cut(title, limits::THREAD_NAME);
        let body = Some(json!({ "name": name, "auto_archive_duration": limits::ARCHIVE_AFTER_MINUTES }));
        match self.rest.call(Call { method: LightMethod::Post, route, body, files: &[] }).await {
            Ok(thread) => id_of(&thread),
            // A thread that was opened from a message has the message's number:
            // https://discord.com/developers/docs/topics/threads
            Err(Undelivered::Refused(why)) if why.contains(&limits::THREAD_EXISTS.to_string()) => {
                Ok(message.to_owned())
            }
            Err(trouble) => Err(trouble),
        }
    }
}

/// Whether the card in Discord's answer is another than the one that was sent.
fn message_differs(sent: &Value, answer: &Value) -> bool {
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
    said(sent) != said(answer)
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
