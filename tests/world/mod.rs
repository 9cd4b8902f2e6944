//! A world for the bot to live in: its neighbors, its people, its time, and everything that was said and done.
//!
//! A story ends with [`World::finish`], which fails on whatever the story did not ask for: an error in the log that it
//! did not announce, a message or a card that was not delivered or was refused, a route that a neighbor does not have, a
//! slow shutdown. A story that fails prints its transcript and the end of the bot's log.

pub(crate) mod alerts;
pub(crate) mod api_v2;
pub(crate) mod bot;
pub(crate) mod checkout;
pub(crate) mod clock;
pub(crate) mod collector;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod deployers;
pub(crate) mod discord;
pub(crate) mod effects;
pub(crate) mod github;
pub(crate) mod kubernetes;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod outside;
pub(crate) mod postgres;
pub(crate) mod prometheus;
pub(crate) mod replicas;
mod runbooks;
mod runs;
pub(crate) mod shell;
pub(crate) mod store;
pub(crate) mod wire;

use std::{
    fs::{self, File},
    io::Write,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use firewarden::{adapters::clock::SystemClock, domain::time::Time, engine::ports::Clock, store::Address};
use tempfile::TempDir;

use self::{alerts::Alertmanager, console::Console, github::GitHub, kubernetes::Cluster, wire::Wire};
pub(crate) use self::{
    alerts::alert,
    bot::{Bot, Form},
    checkout::{ExampleService, Fault, Moment, Which},
    clock::Hand,
    config::Config,
    runbooks::Shipped,
};

/// How many seconds an effect is waited for.
const PATIENCE: u64 = 60;
/// How many seconds a story waits at its end for what is on its way to the chat, where it may stay on its way.
const LEAVING: u64 = 20;
/// Ports that are below those which the kernel gives away. <https://docs.kernel.org/networking/ip-sysctl.html>
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How long the bot may take to end.
const SHUTDOWN: Duration = Duration::from_secs(5);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address on loopback that is free, and stays so for whoever asked until the tests end.
///
/// The port is one of those that the kernel gives to nobody by itself, and each is claimed by a locked file, so that
/// neither another connection nor another run of the tests takes it before the program that is to listen there.
pub(crate) fn free_address() -> SocketAddr {
    static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let claims = std::env::temp_dir().join("firewarden-test-ports");
    fs::create_dir_all(&claims).unwrap();
    let first = usize::try_from(std::process::id()).unwrap().wrapping_mul(61);
    for offset in 0..PORTS.len() {
        let port = PORTS.start + u16::try_from((first + offset) % PORTS.len()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let claim = File::create(claims.join(port.to_string())).unwrap();
        if claim.try_lock().is_ok() && TcpListener::bind(address).is_ok() {
            held(&CLAIMS).push(claim);
            return address;
        }
    }
    panic!("no port is free")
}

/// Looks again and again until it is so, for so many seconds at the most; whether it became so.
pub(crate) async fn until(seconds: u64, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !is_so().await {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await; // bounded: by the deadline
    }
    true
}

/// A client for HTTP. It keeps no connections: each story has a runtime of its own, which ends with it.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let make = || {
        // One that was installed before serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap()
    };
    CLIENT.get_or_init(make).clone()
}

/// Says that a story was left out, and for want of what. Unlike what a story prints, it is seen although nothing failed.
pub(crate) fn left_out(what: &str, missing: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "left out: {what}, for want of {missing}");
}

/// Whether a program is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A bot with its neighbors.
pub(crate) struct World {
    /// The bot's process.
    pub(crate) bot: Bot,
    /// The example service.
    pub(crate) service: ExampleService,
    /// An emulated cluster of Kubernetes, with what the shipped runbooks are about.
    pub(crate) cluster: Cluster,
    /// GitHub, in a story that asked for it; see [`Config::on_github`].
    pub(crate) code_host: Option<GitHub>,
    folder: TempDir,
    address: Address,
    /// The URL of the server that keeps the store, if one does.
    server: Option<String>,
    wire: Option<Wire>,
    hand: Option<Hand>,
    begun: Time,
    transcript: Mutex<Vec<String>>,
    announced: Mutex<Vec<&'static str>>,
    /// Dropped at last, when nothing of the story uses it any more.
    _database: Option<postgres::Database>,
}

impl World {
    /// The real program by the real clock, with another configuration.
    pub(crate) async fn start_with(config: Config) -> Self {
        let world = Self::prepare(None, config).await;
        world.bot.start().await;
        world
    }

    /// A bot whose clock the story turns. It begins at noon of a Monday.
    pub(crate) async fn at_noon() -> Self {
        Self::at_noon_with(Config::default()).await
    }

    /// A bot whose clock the story turns, with another configuration.
    pub(crate) async fn at_noon_with(config: Config) -> Self {
        let world = Self::prepare_at_noon(config).await;
        world.bot.start().await;
        world
    }

    /// Everything but the bot, which is not started yet.
    pub(crate) async fn prepare_at_noon(config: Config) -> Self {
        let noon = "2026-11-23T12:00:00Z".parse().unwrap();
        Self::prepare(Some(Hand::at(noon)), config).await
    }

    /// Everything but the bot, by the real clock.
    pub(crate) async fn prepare(hand: Option<Hand>, config: Config) -> Self {
        let database = if config.is_on_file || config.url().is_some() { None } else { store::database().await };
        let direct = match &database {
            Some(database) => config.server(database),
            None => config,
        };
        if let (Some(hand), Some(url)) = (&hand, direct.url()) {
            hand.heeds(store::Server::new(url));
        }
        let wire = match direct.url().filter(|_| direct.is_wired) {
            Some(url) => Some(Wire::to(&url).await),
            None => None,
        };
        let config = wire.as_ref().map_or_else(|| direct.clone(), |wire| direct.clone().server(wire.url()));
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = hand.clone().map_or_else(|| Arc::new(SystemClock) as _, |hand| Arc::new(hand) as _);
        let begun = clock.now();
        let service = ExampleService::start(clock).await;
        let cluster = Cluster::emulated().await;
        cluster.seed();
        let config = config.cluster(&cluster.config());
        let listens = free_address();
        let code_host = match &hand {
            Some(hand) if config.has_github => Some(GitHub::start(hand.clone()).await),
            Some(_) | None => None,
        };
        let config = code_host.iter().fold(config, |config, github| config.with(&github.config()));
        config.write(folder.path(), listens, &service);
        if code_host.is_some() {
            GitHub::keep_token(folder.path());
        }
        let form = hand.as_ref().map_or(Form::Program, |hand| Form::Story(hand.address()));
        let bot = Bot::new(folder.path(), form, listens);
        let address = direct.store(folder.path());
        Self {
            bot,
            service,
            cluster,
            code_host,
            folder,
            address,
            server: direct.url(),
            wire,
            hand,
            begun,
            transcript: Mutex::default(),
            announced: Mutex::default(),
            _database: database,
        }
    }

    /// Where the bot is reached.
    pub(crate) fn url(&self) -> &str {
        self.bot.url()
    }

    /// The bot's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        self.hand.as_ref().map_or_else(|| SystemClock.now(), Clock::now)
    }

    /// When the story began.
    pub(crate) fn begun(&self) -> Time {
        self.begun
    }

    /// The clock of a story that has one.
    pub(crate) fn clock(&self) -> &Hand {
        self.hand.as_ref().unwrap()
    }

    /// The wire to the server, in a story that asked for it; see [`Config::wired`].
    pub(crate) fn wire(&self) -> &Wire {
        self.wire.as_ref().unwrap()
    }

    /// Lets time pass, from deadline to deadline.
    pub(crate) async fn passes(&self, time: Duration) {
        self.note(&format!("{} s pass", time.as_secs()));
        self.clock().advance(time).await;
    }

    /// Alertmanager.
    pub(crate) fn alertmanager(&self) -> Alertmanager<'_> {
        Alertmanager(self)
    }

    /// A person at the console.
    pub(crate) fn console(&self, person: &'static str) -> Console<'_> {
        Console { world: self, person }
    }

    /// Runs the real program as a person at a shell; whether it succeeded, and what it wrote.
    pub(crate) async fn program(&self, person: &'static str, arguments: &[&str]) -> (bool, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_firewarden"));
        command.args(arguments).current_dir(self.folder()).stdin(std::process::Stdio::null());
        command.env("FIREWARDEN_URL", self.url()).env("FIREWARDEN_TOKEN", config::token_of(person));
        let output = command.output().await.unwrap();
        let written = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let shown = written.lines().take(6).collect::<Vec<_>>().join("\n    ");
        self.note(&format!("{person} runs firewarden {}\n    {}: {shown}", arguments.join(" "), output.status));
        (output.status.success(), written)
    }

    /// Kills the bot where it stands.
    pub(crate) fn kill(&self) {
        self.note("the bot is killed");
        self.bot.kill();
    }

    /// Kills the bot if it runs, and starts it again over the same folder, when it may take up what it was at.
    pub(crate) async fn restart(&self) {
        self.bot.kill();
        self.leases_pass().await;
        self.note("the bot starts again");
        self.bot.start().await;
    }

    /// Says that a line of the log with this text and the level ERROR is part of the story.
    pub(crate) fn announce(&self, error: &'static str) {
        held(&self.announced).push(error);
    }

    /// Adds a line to the transcript.
    pub(crate) fn note(&self, line: &str) {
        held(&self.transcript).push(format!("{} {line}", self.now().clock()));
    }

    /// Waits until a person sees this text in the reply to the line, and gives the reply.
    ///
    /// In a story with a clock, time stands still meanwhile.
    pub(crate) async fn sees(&self, line: &str, text: &str) -> String {
        let mut seen = String::new();
        let found = until(PATIENCE, async || {
            seen = self.console("ana").sees(line).await;
            seen.contains(text)
        });
        assert!(found.await, "`{line}` does not show `{text}` but\n{seen}");
        self.note(&format!("{line} shows {text}"));
        seen
    }

    /// Ends the bot, and the story with it. See the head of this file for what it fails on.
    ///
    /// The world that is left can be read: its store, its timelines, its service.
    pub(crate) async fn finish(self) -> Self {
        // What was committed a moment ago is on its way to the chat.
        until(LEAVING, async || self.console("ana").sees("/bot outbox").await.contains("Nothing waits")).await;
        let (status, length) = self.bot.stop().await.unwrap_or_else(|| panic!("the bot does not end"));
        assert!(status.success(), "the bot ended with {status}");
        assert!(length <= SHUTDOWN, "the bot took {length:?} to end");
        self.errors_were_announced();
        let store = self.store().await;
        let mut reader = store.read().await.unwrap();
        let waiting = firewarden::store::posts::waiting(&mut reader).await.unwrap();
        assert!(waiting.since.is_none() && waiting.page_since.is_none(), "messages wait to be delivered: {waiting:?}");
        for is_page in [true, false] {
            let stale = firewarden::store::cards::next(&mut reader, is_page, 100).await.unwrap();
            assert!(stale.is_empty(), "cards wait to be shown as they are: {stale:?}");
        }
        for refused in [
            "select 'message ' || id as what, coalesce(trouble, '') as trouble from posts where state = 'refused'",
            "select 'card ' || subject as what, trouble from cards where trouble is not null",
        ] {
            let rows = reader.rows(refused, &[]).await.unwrap();
            let rows: Vec<_> =
                rows.iter().map(|row| [row.text("what").unwrap(), row.text("trouble").unwrap()]).collect();
            assert!(rows.is_empty(), "the chat has refused: {rows:?}");
        }
        drop(reader);
        store.close().await;
        let unknown = self.service.checkout.unknown_routes();
        assert!(unknown.is_empty(), "the service was asked for what it does not have: {unknown:?}");
        let unknown = self.cluster.api().map(kubernetes::Api::unknown_routes).unwrap_or_default();
        assert!(unknown.is_empty(), "the cluster was asked for what it does not have: {unknown:?}");
        if let Some(github) = &self.code_host {
            github.finish().await;
        }
        self
    }

    /// Fails on a line of the level ERROR that no [`World::announce`] expects.
    pub(crate) fn errors_were_announced(&self) {
        let announced = held(&self.announced).clone();
        let log = self.bot.log();
        let is_error = |line: &&str| line.contains("ERROR") || line.contains("panicked at");
        let unseen: Vec<&str> =
            log.lines().filter(is_error).filter(|line| !announced.iter().any(|text| line.contains(text))).collect();
        assert!(unseen.is_empty(), "the log has errors that the story did not announce:\n{}", unseen.join("\n"));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the story so far");
            let transcript = held(&self.transcript);
            transcript.iter().skip(transcript.len().saturating_sub(60)).for_each(|line| println!("{line}"));
            println!("--- the end of the bot's log");
            let log = self.bot.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("a command was given")).collect();
            lines.iter().skip(lines.len().saturating_sub(60)).for_each(|line| println!("{line}"));
        }
    }
}
