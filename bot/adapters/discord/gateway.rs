//! Keeps the gateway connected: registers the commands, listens, and comes back after whatever ended the connection.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serenity::{
    client::{Client, ClientBuilder, Context, EventHandler},
    gateway::ShardStageUpdateEvent,
    http::{HttpBuilder, LightMethod, Route},
    model::{
        application::Interaction,
        gateway::{GatewayIntents, Ready},
    },
};
use tokio_util::sync::CancellationToken;

use super::{Discord, interactions, registration::registration, rest::Call};
use crate::engine::{features, ports::Undelivered};

/// The first and the longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// How long a connection may take to end in order.
const FAREWELL: Duration = Duration::from_secs(2);

/// Listens until it is told to stop.
pub(super) async fn work(discord: Arc<Discord>, stop: CancellationToken) {
    let mut pause = PAUSES.0;
    while !stop.is_cancelled() {
        let ended = listen(&discord, &stop).await;
        let was_connected = discord.connected.send_replace(false);
        if stop.is_cancelled() {
            return;
        }
        pause = if was_connected { PAUSES.0 } else { pause.saturating_mul(2).min(PAUSES.1) };
        match ended {
            Ok(()) => tracing::warn!(?pause, "the connection to Discord ended and is made anew"),
            Err(error) => tracing::warn!(?pause, "no connection to Discord: {error:#}"),
        }
        let until = discord.engine.now() + pause;
        tokio::select! {
            () = discord.engine.clock().sleep_until(until) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Listens until the connection ends, or is to end: then it is ended in order, for another process may take it up.
async fn listen(discord: &Arc<Discord>, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut client = tokio::select! {
        client = client(discord, stop) => client?,
        () = stop.cancelled() => return Ok(()),
    };
    let shards = Arc::clone(&client.shard_manager);
    tokio::select! {
        ended = client.start() => ended?,
        () = stop.cancelled() => {
            if tokio::time::timeout(FAREWELL, shards.shutdown_all()).await.is_err() {
                tracing::debug!("the connection to Discord did not end in order");
            }
        }
    }
    Ok(())
}

/// Registers the commands and prepares to listen.
async fn client(discord: &Arc<Discord>, stop: &CancellationToken) -> anyhow::Result<Client> {
    let commands = registration(features::commands());
    let route = Route::GuildCommands {
        application_id: discord.settings.application.into(),
        guild_id: discord.settings.guild.into(),
    };
    ask(discord, Call { method: LightMethod::Put, route, body: Some(commands), files: &[] }).await?;
    let answer = ask(discord, Call { method: LightMethod::Get, route: Route::Gateway, body: None, files: &[] }).await?;
    let address = answer["url"].as_str().ok_or_else(|| anyhow::anyhow!("Discord did not say where its gateway is"))?;

    let token = discord.settings.token.expose_secret();
    let http = HttpBuilder::new(token)
        .application_id(discord.settings.application.into())
        .proxy(discord.rest.base())
        .ratelimiter_disabled(true)
        .build();
    let listener = Listener { discord: Arc::clone(discord), stop: stop.clone() };
    let client = ClientBuilder::new_with_http(http, GatewayIntents::GUILDS).event_handler(listener).await?;
    // Serenity dials Discord's public gateway when it could not ask; it is told where to go instead.
    address.clone_into(&mut *client.ws_url.lock().await);
    Ok(client)
}

async fn ask(discord: &Discord, call: Call<'_>) -> anyhow::Result<serde_json::Value> {
    discord.rest.call(call).await.map_err(|trouble| match trouble.what {
        Undelivered::Wait(pause) => anyhow::anyhow!("Discord asks to wait {pause:?}"),
        Undelivered::Unreachable(why) | Undelivered::Forbidden(why) | Undelivered::Refused(why) => anyhow::anyhow!(why),
        Undelivered::Gone => anyhow::anyhow!("Discord does not know the application or the server"),
    })
}

struct Listener {
    discord: Arc<Discord>,
    stop: CancellationToken,
}

#[async_trait]
impl EventHandler for Listener {
    async fn ready(&self, _: Context, ready: Ready) {
        tracing::info!(bot = ready.user.name, "connected to Discord");
        self.discord.connected.send_replace(true);
    }

    async fn resume(&self, _: Context, _: serenity::model::event::ResumedEvent) {
        tracing::info!("connected to Discord again");
        self.discord.connected.send_replace(true);
    }

    async fn shard_stage_update(&self, _: Context, update: ShardStageUpdateEvent) {
        let is_connected = update.new == serenity::gateway::ConnectionStage::Connected;
        self.discord.connected.send_replace(is_connected);
    }

    async fn interaction_create(&self, _: Context, interaction: Interaction) {
        if self.stop.is_cancelled() {
            return;
        }
        interactions::answer(Arc::clone(&self.discord), interaction).await;
    }
}
