//! The wire between a bot and its server of PostgreSQL. It can be cut or fall silent, and something can happen around a
//! commit: before the server is asked for it, so that it is not made, or once it is made and before the bot is told.
//!
//! It reads as much of the protocol as that takes. <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{Moment, free_address, held};

/// The first words of a client that asks for a wire which nobody can read along.
const SECRETS: [i32; 2] = [80_877_103, 80_877_104];

/// What happens at a commit; the conversation ends with it.
type Strike = Arc<dyn Fn() + Send + Sync>;

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Condition {
    /// What is said arrives.
    #[default]
    Whole,
    /// Nobody is connected, and nobody can connect.
    Cut,
    /// Nothing that is said arrives, and nobody learns of it.
    Silent,
}

/// A wire to a server.
#[derive(Clone)]
pub(crate) struct Wire {
    url: String,
    plan: Arc<Plan>,
}

/// When something happens.
#[derive(Default)]
struct Plan {
    condition: watch::Sender<Condition>,
    strike: Mutex<Option<(usize, Moment, Strike)>>,
    asked: AtomicUsize,
    made: AtomicUsize,
}

impl Plan {
    /// Waits until the wire is not so.
    async fn ends(&self, condition: Condition) {
        // The sender is held by `self`, so that waiting cannot fail.
        drop(self.condition.subscribe().wait_for(|now| *now != condition).await);
    }

    /// Waits until the wire is so.
    async fn becomes(&self, condition: Condition) {
        drop(self.condition.subscribe().wait_for(|now| *now == condition).await);
    }

    /// Strikes if this commit is the one; whether it did.
    async fn strikes(&self, moment: Moment) -> bool {
        let count = match moment {
            Moment::Before => &self.asked,
            Moment::After => &self.made,
        };
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        let strike = held(&self.strike).take_if(|(at, when, _)| (*at, *when) == (number, moment));
        let Some((_, _, strike)) = strike else { return false };
        // It waits for a process to end, which is nothing for the thread that others run on.
        tokio::task::spawn_blocking(move || strike()).await.is_ok()
    }
}

impl Wire {
    /// A wire to the server of this URL.
    pub(crate) async fn to(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap();
        let (user, server) = authority.rsplit_once('@').map_or(("", authority), |(user, server)| (user, server));
        let server = if server.contains(':') { server.to_owned() } else { format!("{server}:5432") };
        let here = free_address();
        let listener = TcpListener::bind(here).await.unwrap();
        let at = if user.is_empty() { String::new() } else { format!("{user}@") };
        let plan = Arc::<Plan>::default();
        tokio::spawn(carry(listener, here, server, Arc::clone(&plan)));
        Self { url: format!("{scheme}://{at}{here}/{path}"), plan }
    }

    /// The server's URL by this wire.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From here on it is so.
    pub(crate) fn is(&self, condition: Condition) {
        self.plan.condition.send_replace(condition);
    }

    /// Lets something happen at the commit with this number, counted from 1 over all connections.
    pub(crate) fn at_commit(&self, number: usize, moment: Moment, strike: Strike) {
        *held(&self.plan.strike) = Some((number, moment, strike));
    }
}

async fn carry(mut listener: TcpListener, here: SocketAddr, server: String, plan: Arc<Plan>) {
    loop {
        let bot = tokio::select! {
            accepted = listener.accept() => accepted.map(|(bot, _)| bot),
            () = plan.becomes(Condition::Cut) => {
                drop(listener);
                plan.ends(Condition::Cut).await;
                listener = TcpListener::bind(here).await.unwrap();
                continue;
            }
        };
        let Ok(bot) = bot else { return };
        let (server, plan) = (server.clone(), Arc::clone(&plan));
        tokio::spawn(async move {
            // Either side may leave at any time: then the other is left, too.
            tokio::select! {
                () = plan.becomes(Condition::Cut) => {}
                _ended = converse(bot, &server, &plan) => {}
            }
        });
    }
}

async fn converse(bot: TcpStream, server: &str, plan: &Plan) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    bot.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_bot, mut to_bot) = bot.into_split();
    let (from_server, to_server) = server.into_split();
    let (mut from_bot, mut from_server) = (BufReader::new(from_bot), BufReader::new(from_server));
    let mut to_server = BufWriter::new(to_server);
    plan.ends(Condition::Silent).await;
    // The first message has no kind: whether the wire is to be secret, then who it is.
    loop {
        let words = read(&mut from_bot).await?;
        if !SECRETS.iter().any(|secret| words.starts_with(&secret.to_be_bytes())) {
            write(&mut to_server, None, &words).await?;
            to_server.flush().await?;
            break;
        }
        to_bot.write_all(b"N").await?;
    }
    tokio::select! {
        ended = asks(&mut from_bot, &mut to_server, plan) => ended,
        ended = answers(&mut from_server, BufWriter::new(to_bot), plan) => ended,
    }
}

/// What the bot says to the server.
async fn asks(
    bot: &mut BufReader<impl AsyncRead + Unpin>,
    server: &mut BufWriter<impl AsyncWrite + Unpin>,
    plan: &Plan,
) -> io::Result<()> {
    let mut commits = HashSet::new();
    loop {
        let kind = bot.read_u8().await?;
        let words = read(bot).await?;
        let mut parts = words.split(|byte| *byte == 0);
        let mut next = || parts.next().unwrap_or_default();
        let is_commit = match kind {
            // What else is told with it stands before it.
            b'Q' => next().to_ascii_lowercase().ends_with(b"commit"),
            // A statement gets its name,
            b'P' => {
                let name = next().to_vec();
                if next().eq_ignore_ascii_case(b"commit") {
                    commits.insert(name);
                } else {
                    commits.remove(&name);
                }
                false
            }
            // and is carried out by it.
            b'B' => {
                next();
                commits.contains(next())
            }
            _ => false,
        };
        if is_commit && plan.strikes(Moment::Before).await {
            return Ok(());
        }
        plan.ends(Condition::Silent).await;
        write(server, Some(kind), &words).await?;
        if bot.buffer().is_empty() {
            server.flush().await?;
        }
    }
}

/// What the server says to the bot.
async fn answers(
    server: &mut BufReader<impl AsyncRead + Unpin>,
    mut bot: BufWriter<impl AsyncWrite + Unpin>,
    plan: &Plan,
) -> io::Result<()> {
    loop {
        let kind = server.read_u8().await?;
        let words = read(server).await?;
        if kind == b'C' && words == b"COMMIT\0" && plan.strikes(Moment::After).await {
            return Ok(());
        }
        plan.ends(Condition::Silent).await;
        write(&mut bot, Some(kind), &words).await?;
        if server.buffer().is_empty() {
            bot.flush().await?;
        }
    }
}

/// What stands in a message behind its length.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_i32().await?).map_err(io::Error::other)?;
    let mut words = vec![0; length.checked_sub(4).ok_or_else(|| io::Error::other("a message without a length"))?];
    from.read_exact(&mut words).await?;
    Ok(words)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), kind: Option<u8>, words: &[u8]) -> io::Result<()> {
    if let Some(kind) = kind {
        to.write_u8(kind).await?;
    }
    to.write_i32(i32::try_from(words.len() + 4).map_err(io::Error::other)?).await?;
    to.write_all(words).await
}
