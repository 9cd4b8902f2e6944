//! Runs the bot: puts store, engine, chats, workers and the HTTP side together, and takes them down in order.
//!
//! Of several processes on one database, the one that leads connects to the chat, delivers and fires timers; the others take
//! alerts and commands and drive runs all the same. Everything that a test replaces is an argument. Whatever is killed here in the middle of something finds its way back
//! by what is committed, so stopping waits for nothing that could take long.

use std::{
    collections::BTreeMap,
    future::IntoFuture,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, Look, file::DiscordSection},
    halt, ports, reload,
    ruleset::Ruleset,
    traces,
};
use crate::{
    adapters::{
        archive::Folder,
        clock::SystemClock,
        console::Console,
        discord::{self, Discord},
        http::Outbound,
        programs::Processes,
        web::{self, Gate, Web},
    },
    engine::{
        self, Engine, Input,
        chat::delivery,
        operations,
        ports::{Chat, Clock, CodeHost, Http, Programs, Shelf},
        retention, runs, timers,
    },
    store::Store,
};

/// How long the workers may take to end what they are at.
const ENDING: Duration = Duration::from_secs(4);
/// How long the store may take to close after that.
const CLOSING: Duration = Duration::from_millis(800);

/// What the bot is given of the world.
pub struct Parts {
    /// Where requests come in.
    pub listener: TcpListener,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How requests go out.
    pub http: Arc<dyn Http>,
    /// How programs are run.
    pub programs: Arc<dyn Programs>,
    /// Cancelled when the bot is to stop.
    pub stop: CancellationToken,
    /// Is given the engine once the bot is at work, if anybody wants to watch it.
    pub at_work: Option<oneshot::Sender<Arc<Engine>>>,
}

impl Parts {
    /// The parts of this machine, listening where the configuration says.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn of_this_machine(config: &Config, stop: CancellationToken) -> anyhow::Result<Self> {
        let address = &config.file.web.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let hint = "stop what uses the address, or set another `web.listen`";
            anyhow::anyhow!("Cannot listen on `{address}`: {error}\nhint: {hint}")
        })?;
        Ok(Self {
            listener,
            clock: Arc::new(SystemClock),
            http: Arc::new(Outbound::new()),
            programs: Arc::new(Processes),
            stop,
            at_work: None,
        })
    }
}

/// Runs the bot until it is told to stop.
///
/// # Errors
/// When the store cannot be opened, or a part of the bot breaks: then everything is stopped, for half a bot looks well
/// and is not.
pub async fn run(config: Config, parts: Parts) -> anyhow::Result<()> {
    let Parts { listener, clock, http, programs, stop, at_work } = parts;
    let metrics = recorder();
    let store = Store::open(config.store()?).await?;
    let ruleset = Ruleset::load(&config, &Ruleset::default(), Look::ForSecrets);
    let traces = traces::start(&config, &store, &http).await?;
    let noted = traces.as_ref().map(|traces| traces.noted.clone());
    let (http, programs) = match &noted {
        Some(noted) => engine::traces::around(noted, &clock, (http, programs)),
        None => (http, programs),
    };
    let engine = Engine::seen(store.clone(), clock, ruleset.rules(&config), noted);
    engine.submit(Input::Opened).await?;
    engine.submit(Input::Started { leads: store.lead().is_ours() }).await?;
    reload::tell_start(&engine, &ruleset).await;
    let gate = Gate::new(config.keys());

    let mut tasks = Tasks { set: JoinSet::new(), stop: stop.clone() };
    let chat: Arc<dyn Chat> = match &config.file.discord {
        Some(section) => {
            let discord = Discord::new(discord(&config, section)?, &engine)?;
            let (listening, lead, stop) = (Arc::clone(&discord), store.lead().clone(), stop.clone());
            tasks.spawn("discord", async move {
                lead.while_ours(&stop, |turn| Arc::clone(&listening).work(turn)).await;
            });
            let (watched, lead) = (Arc::clone(&discord), store.lead().clone());
            let is_there = move || {
                let is_well = watched.is_connected() || !lead.is_ours();
                is_well.then_some(()).ok_or("Discord's gateway is not connected".to_owned())
            };
            engine.signs().watch("discord", Arc::new(is_there));
            discord
        }
        None => Arc::new(Console),
    };
    for is_page in [true, false] {
        let (engine, chat, stop) = (Arc::clone(&engine), Arc::clone(&chat), stop.clone());
        tasks.spawn(if is_page { "pages" } else { "messages" }, delivery::work(engine, chat, is_page, stop));
    }
    tasks.spawn("timers", timers::work(Arc::clone(&engine), stop.clone()));
    let watched = config.halt_file();
    let is_lifted = move || {
        let what = || format!("`{}` is there: nothing is changed until it is taken away", watched.display());
        if halt::is_ordered(&watched) { Err(what()) } else { Ok(()) }
    };
    engine.signs().watch(operations::HALT_FILE, Arc::new(is_lifted));
    let code_host = code_host(&config, &http, &engine)?;
    let world = ports::ports(&config, &http, programs, (engine.clock(), code_host));
    tasks.spawn("runs", runs::work::work(Arc::clone(&engine), Arc::new(world), stop.clone()));
    let outside = operations::work::Outside {
        http: Arc::clone(&http),
        emergency: config.file.emergency.as_ref().map(|emergency| {
            let token = emergency.token.as_ref().and_then(|token| config.secret(token).ok());
            (emergency.url.clone(), token)
        }),
        heartbeat: config.file.heartbeat.as_ref().map(|heartbeat| (heartbeat.url.clone(), heartbeat.every)),
    };
    retain(&config, &engine, &mut tasks);
    tasks.spawn("operations", operations::work::work(Arc::clone(&engine), outside, stop.clone()));

    if let Some(traces) = traces {
        tasks.spawn("traces", traces.work(Arc::clone(&engine), stop.clone()));
    }

    let web = Web {
        engine: Arc::clone(&engine),
        gate: Arc::clone(&gate),
        body_limit: config.file.web.body_limit,
        metrics: Some(metrics),
        is_behind_tls: config.file.web.public_url.as_ref().is_some_and(|url| url.starts_with("https:")),
        stop: stop.clone(),
    };
    let address = listener.local_addr()?;
    let served = axum::serve(listener, web::router(web)).with_graceful_shutdown(stop.clone().cancelled_owned());
    tasks.spawn("web", async {
        if let Err(error) = served.into_future().await {
            tracing::error!(%error, "the HTTP side broke");
        }
    });
    tasks.spawn("reload", reload::work(config, ruleset, (Arc::clone(&engine), gate), stop.clone()));
    tracing::info!(%address, store = %store.address(), "firewarden is at work");
    if let Some(at_work) = at_work {
        // Whoever wanted to watch may be gone by now.
        let _gone = at_work.send(Arc::clone(&engine));
    }

    let outcome = tasks.until_stopped().await;
    if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
        tracing::warn!("the store did not close in time; what was acknowledged is safe in it");
    }
    tracing::info!("firewarden has stopped");
    outcome
}

/// How Discord is reached. The configuration was checked, so its ids are numbers.
fn discord(config: &Config, section: &DiscordSection) -> anyhow::Result<discord::Settings> {
    let token = config.secret(&section.token).map_err(|why| anyhow::anyhow!("Discord's token is missing: {why}"))?;
    let mut channels = BTreeMap::new();
    for (name, id) in &section.channels {
        channels.insert(name.clone(), id.parse()?);
    }
    Ok(discord::Settings {
        token,
        application: section.application.parse()?,
        guild: section.guild.parse()?,
        api_url: section.api_url.clone(),
        channels,
    })
}

/// Where code is kept and released, if the configuration says so.
fn code_host(config: &Config, http: &Arc<dyn Http>, engine: &Engine) -> anyhow::Result<Option<Arc<dyn CodeHost>>> {
    let Some(github) = ports::github(config, http, engine.clock())? else { return Ok(None) };
    let watched = Arc::clone(&github);
    engine.signs().watch("github", Arc::new(move || watched.trouble().map_or(Ok(()), Err)));
    Ok(Some(github))
}

/// Lets what is long over leave the store, if the configuration says after which time.
fn retain(config: &Config, engine: &Arc<Engine>, tasks: &mut Tasks) {
    let Some(after) = config.file.retention.closed_after else { return };
    let shelf: Arc<dyn Shelf> = Arc::new(Folder::new(&config.path, &config.file.retention.archive));
    let (engine, lead, stop) = (Arc::clone(engine), engine.store().lead().clone(), tasks.stop.clone());
    tasks.spawn("retention", async move {
        lead.while_ours(&stop, |turn| retention::work::work(Arc::clone(&engine), (after, Arc::clone(&shelf)), turn))
            .await;
    });
}

struct Tasks {
    set: JoinSet<&'static str>,
    stop: CancellationToken,
}

impl Tasks {
    fn spawn(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async move {
            work.await;
            name
        });
    }

    /// Waits for the order to stop, or for a part that ends without it; then for all to end, but not for long.
    async fn until_stopped(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        tokio::select! {
            () = self.stop.cancelled() => {}
            ended = self.set.join_next() => {
                if !self.stop.is_cancelled() {
                    outcome = Err(match ended {
                        Some(Ok(name)) => anyhow::anyhow!("The part `{name}` of the bot has ended by itself"),
                        Some(Err(error)) => anyhow::anyhow!("A part of the bot broke: {error}"),
                        None => anyhow::anyhow!("Nothing of the bot is at work"),
                    });
                    self.stop.cancel();
                }
            }
        }
        let ending = async { while self.set.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, ending).await.is_err() {
            tracing::warn!(count = self.set.len(), "parts of the bot did not end in time");
            self.set.shutdown().await;
        }
        outcome
    }
}

/// The recorder of metrics. There is one in a process, however often the bot is run in it.
fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    /// From a commit to half an hour in an outbox, in seconds.
    const BUCKETS: [f64; 12] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0, 1800.0];
    let install = || {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS);
        let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("metrics are recorded elsewhere: `/metrics` shows none");
        }
        operations::metrics::describe();
        handle
    };
    RECORDER.get_or_init(install).clone()
}
