//! `firewarden demo`: the main job on one machine, with nothing installed and no network.
//!
//! The bot is the one that `firewarden serve` runs, over a fresh file in a folder of its own, and everything reaches it
//! through its HTTP side. What is told of it is read from its timeline as it is written.

pub mod checkout;
mod prober;
mod stage;
mod story;
mod terminal;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use self::{
    checkout::{Checkout, Faultless},
    prober::Prober,
    stage::{PEOPLE, Stage},
    story::{Person, Story},
    terminal::Terminal,
};
use super::{
    config::{Config, Look},
    log,
    serve::{self, Parts},
};
use crate::{
    adapters::{clock::SystemClock, http::Outbound, programs::Processes},
    engine::ports::Clock,
};

/// Lets the whole story happen and tells it. With `yes` nobody is asked and it ends with the review; otherwise the page
/// stays open until it is interrupted.
///
/// # Errors
/// Says which part of the story failed.
pub async fn run(yes: bool) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let _stopped_at_the_end = stop.clone().drop_guard();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (bot, service) = (loopback().await?, loopback().await?);
    let (url, service_url) = (format!("http://{}", bot.local_addr()?), format!("http://{}", service.local_addr()?));
    let stage = Stage::set(bot.local_addr()?, service.local_addr()?)?;
    let terminal = Terminal::open(!yes);
    let page = format!("{url}/login");
    terminal.print(&format!(
        "Firewarden shows its main job, on this machine and with nothing else. Everything it keeps is in {}\n\n  \
         the page     {page}  (sign in with {})\n  the service  {service_url}/version\n\nTimes are UTC.\n",
        stage.folder.display(),
        stage.tokens[0],
    ))?;

    let checkout = Checkout::new(Arc::clone(&clock), Arc::new(Faultless), None);
    tokio::spawn(checkout.clone().serve(service, stop.child_token()));
    let (at_work, is_at_work) = oneshot::channel();
    let config = Config::load(&stage.config(), Look::ForSecrets).map_err(|problems| {
        anyhow::anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    log::start(&config.file.log);
    let parts = Parts {
        listener: bot,
        clock: Arc::clone(&clock),
        http: Arc::new(Outbound::new()),
        programs: Arc::new(Processes),
        stop: stop.child_token(),
        at_work: Some(at_work),
    };
    let mut bot = tokio::spawn(serve::run(config, parts));
    let engine = tokio::select! {
        engine = is_at_work => engine.context("the bot did not start")?,
        ended = &mut bot => return ended?.and_then(|()| anyhow::bail!("the bot ended at once")),
    };

    let (notices, news) = mpsc::unbounded_channel();
    let intake = format!("{url}/webhooks/alertmanager");
    let prober = Prober { clock, service: service_url, intake, token: stage.prober.clone(), notices };
    tokio::spawn(prober.work(stop.child_token()));
    let [you, second] = stage.tokens.clone();
    let mut story = Story {
        engine: &engine,
        checkout: &checkout,
        terminal,
        url: url.clone(),
        you: Person { name: PEOPLE[0], token: you },
        second: Person { name: PEOPLE[1], token: second },
        yes,
        notices: news,
    };
    let review = tokio::select! {
        happened = story.happen(&stage.folder) => happened?,
        ended = &mut bot => return ended?.and_then(|()| anyhow::bail!("the bot ended before the story did")),
    };
    let printed = format!("\nThe review is in {}\nThe incident is at {url}/incidents/INC-1", review.display());
    story.terminal.print(&printed)?;
    if !yes {
        story.terminal.print("The page stays open until you press Ctrl-C.")?;
        tokio::signal::ctrl_c().await?;
    }
    stop.cancel();
    bot.await?
}

/// A free port of this machine that nobody else reaches.
async fn loopback() -> anyhow::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await.context("no port of this machine is free")
}
