//! The bot as a process of its own: the real program, or the test executable started again as the bot with a clock.
//!
//! It is killed for real and started again over the same folder. Its log is read at the end of the story.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use firewarden::app::{self, config::Look, serve::Parts};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{clock::Followed, http, until};

/// Tells the test executable that it is the bot: the address of its clock.
pub(crate) const CLOCK: &str = "FIREWARDEN_STORY_CLOCK";
/// Tells the test executable where its configuration is.
pub(crate) const CONFIG: &str = "FIREWARDEN_STORY_CONFIG";

/// Which program is the bot.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// The real one, by the real clock.
    Program,
    /// The test executable, by the clock at this address.
    Story(SocketAddr),
}

/// A bot that can be killed from anywhere in the story.
#[derive(Clone)]
pub(crate) struct Bot {
    child: Arc<Mutex<Option<Child>>>,
    folder: PathBuf,
    form: Form,
    url: String,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bot {
    /// A bot over the folder that holds its `firewarden.toml`; it is not started yet.
    pub(crate) fn new(folder: &Path, form: Form, address: SocketAddr) -> Self {
        Self { child: Arc::default(), folder: folder.to_owned(), form, url: format!("http://{address}") }
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its log, of all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("bot.log")).unwrap_or_default()
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(&self) {
        self.launch(&[]);
        self.ready().await;
    }

    /// Starts it under another program, such as strace, and does not wait.
    pub(crate) fn launch(&self, under: &[String]) {
        let mut words: Vec<String> = under.to_vec();
        match self.form {
            Form::Program => words.extend([env!("CARGO_BIN_EXE_firewarden").to_owned(), "serve".to_owned()]),
            Form::Story(_) => {
                let this = std::env::current_exe().unwrap().display().to_string();
                words.extend([this, "--exact".to_owned(), "bot".to_owned(), "--nocapture".to_owned()]);
            }
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.folder);
        if let Form::Story(clock) = self.form {
            command.env(CLOCK, clock.to_string()).env(CONFIG, self.folder.join("firewarden.toml"));
        }
        let child = command.stdin(Stdio::null()).stdout(self.append()).stderr(self.append()).spawn().unwrap();
        *held(&self.child) = Some(child);
    }

    /// Waits until it takes requests; whether it came that far before it ended.
    pub(crate) async fn came_up(&self) -> bool {
        let url = format!("{}/readyz", self.url);
        let mut is_up = false;
        let decided = until(20, async || {
            is_up = http().get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
            is_up || !self.is_alive()
        });
        decided.await;
        is_up
    }

    /// Whether the process runs.
    pub(crate) fn is_alive(&self) -> bool {
        held(&self.child).as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// The id of its process, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        held(&self.child).as_ref().map(Child::id)
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = held(&self.child).take() {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }

    /// Asks it to end and waits; how it ended, and how long that took. `None` if it did not within 15 seconds.
    pub(crate) async fn stop(&self) -> Option<(ExitStatus, Duration)> {
        let mut child = held(&self.child).take()?;
        let process = child.id().to_string();
        let begun = Instant::now();
        let _sent = Command::new("kill").args(["-TERM", &process]).status();
        // By a thread of its own: the story may be held up by others that are told at the same time.
        let mut ended = tokio::task::spawn_blocking(move || (child.wait(), begun.elapsed()));
        let Ok(ended) = tokio::time::timeout(Duration::from_secs(15), &mut ended).await else {
            let _sent = Command::new("kill").args(["-KILL", &process]).status();
            let _gone = ended.await;
            return None;
        };
        let (status, length) = ended.unwrap();
        Some((status.unwrap(), length))
    }

    async fn ready(&self) {
        assert!(self.came_up().await, "the bot does not get ready:\n{}", self.log());
    }

    fn append(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.folder.join("bot.log")).unwrap()
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        if Arc::strong_count(&self.child) == 1 {
            self.kill();
        }
    }
}

/// Is the bot, if this process was started as it; see [`Form::Story`].
pub(crate) fn become_bot() {
    let (Ok(clock), Ok(config)) = (std::env::var(CLOCK), std::env::var(CONFIG)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Followed::follow(clock.parse().unwrap(), runtime.handle().clone(), true);
    let ended = runtime.block_on(async {
        let config = app::config::Config::load(Path::new(&config), Look::ForSecrets).unwrap();
        app::log::start(&config.file.log);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let mut term = signal(SignalKind::terminate()).unwrap();
            term.recv().await;
            stopped.cancel();
        });
        let parts = Parts { clock, ..Parts::of_this_machine(&config, stop).await.unwrap() };
        app::serve::run(config, parts).await
    });
    // What a worker is at when it is told to stop is not waited for, as in the real program.
    runtime.shutdown_background();
    ended.unwrap();
}
