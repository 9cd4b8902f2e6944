//! Which of several processes leads, and the word among them that work has become due.
//!
//! What one process does for all — holding the connection to the chat, delivering, firing timers — is done by the one whose
//! connection holds a lock that all of them know. Being elected saves work and proves nothing: whatever the leader does
//! is safe also while a former one, which hung and has not noticed yet, does it too. That one stops by its own clock
//! before the server lets another lead.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{Fault, FaultKind, Result, Wake, Wakes};

/// How often a process shows that it lives, and asks whether it leads.
const TURN: Duration = Duration::from_secs(1);
/// How long a process leads after it last asked. The server ends the session of one that is silent for 10 s, counted from
/// later than this, and only then can another lead.
const LEAD: Duration = Duration::from_secs(8);
/// How many milliseconds clocks may differ before somebody is told.
const CLOCKS_APART: u64 = 2_000;
/// Ends the session of a process that shows no sign of life; PostgreSQL 14 is the first that knows it.
/// <https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT>
const SILENT: [(&str, &str); 1] = [("idle_session_timeout", "10s")];
/// The lock of the process that leads: any number that nobody else uses in this database.
const LOCK: i64 = 4_622_945_017_495_814_145;
/// Where the word goes round.
pub(super) const CHANNEL: &str = "firewarden";

/// Whether this process leads: of several on one database, one does what needs to be done by one only.
#[derive(Debug, Clone)]
pub struct Lead(Option<watch::Receiver<Option<Instant>>>);

impl Lead {
    /// The lead of a process that has the store for itself.
    pub(super) fn alone() -> Self {
        Self(None)
    }

    /// Whether this process leads at this moment, as far as it can prove it.
    pub fn is_ours(&self) -> bool {
        self.0.as_ref().is_none_or(|until| until.borrow().is_some_and(|until| Instant::now() < until))
    }

    /// Does the work whenever this process leads, until it is told to stop or the work ends by itself. The token that the
    /// work is given is cancelled once it is to end.
    pub async fn while_ours<F>(&self, stop: &CancellationToken, work: impl Fn(CancellationToken) -> F)
    where
        F: Future<Output = ()>,
    {
        loop {
            tokio::select! {
                () = self.won() => {}
                () = stop.cancelled() => return,
            }
            let turn = stop.child_token();
            let mut working = pin!(work(turn.clone()));
            tokio::select! {
                () = &mut working => return,
                () = self.lost() => turn.cancel(),
            }
            working.await;
        }
    }

    /// Waits until this process leads.
    async fn won(&self) {
        if let Some(mut until) = self.0.clone() {
            while !self.is_ours() {
                if until.changed().await.is_err() {
                    // The store is closed: nobody leads any more.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Waits until this process does not lead any more.
    async fn lost(&self) {
        let Some(mut until) = self.0.clone() else { return std::future::pending().await };
        loop {
            let Some(deadline) = *until.borrow_and_update() else { return };
            tokio::select! {
                changed = until.changed() => if changed.is_err() { return },
                () = sleep_until(deadline) => if !self.is_ours() { return },
            }
        }
    }
}

/// This process's part in the election, until it is dropped.
pub(super) struct Election {
    lead: Lead,
    /// Dropped to leave; the task tells when it has left.
    stay: oneshot::Sender<oneshot::Sender<()>>,
}

impl Election {
    /// Joins the processes on this database; who leads is known when this returns.
    pub(super) async fn join(options: PgConnectOptions, voice: Voice, wakes: Arc<Wakes>) -> Result<Self> {
        let (until, lead) = watch::channel(None);
        let seat = Seat { options: options.options(SILENT), voice, wakes, until };
        let session = seat.sit_down().await?;
        let (stay, leaving) = oneshot::channel();
        tokio::spawn(seat.keep(session, leaving));
        Ok(Self { lead: Lead(Some(lead)), stay })
    }

    pub(super) fn lead(&self) -> &Lead {
        &self.lead
    }

    /// Lets another process lead at once.
    pub(super) async fn leave(self) {
        let (left, leaving) = oneshot::channel();
        if self.stay.send(left).is_ok() {
            let _ended_by_itself = leaving.await;
        }
    }
}

/// How this process is told apart from the others, which all hear what it says.
#[derive(Debug, Clone)]
pub(super) struct Voice(String);

impl Voice {
    pub(super) fn new() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string())
    }

    /// What is said of work that has become due.
    pub(super) fn says(&self, wakes: &[Wake]) -> String {
        let words: Vec<&str> = wakes.iter().map(|wake| wake.word()).collect();
        format!("{} {}", self.0, words.join(" "))
    }

    /// What others say has become due.
    fn hears(&self, said: &str) -> Vec<Wake> {
        let mut words = said.split(' ');
        if words.next() == Some(self.0.as_str()) {
            return Vec::new();
        }
        // A newer version may know words that this one does not.
        words.filter_map(|word| Wake::ALL.into_iter().find(|wake| wake.word() == word)).collect()
    }
}

struct Seat {
    options: PgConnectOptions,
    voice: Voice,
    wakes: Arc<Wakes>,
    until: watch::Sender<Option<Instant>>,
}

/// A connection that listens, and that may hold the lead.
struct Session {
    listener: PgListener,
    pool: PgPool,
}

impl Seat {
    /// Connects, begins to listen and asks for the lead.
    async fn sit_down(&self) -> Result<Session> {
        let connecting = async {
            let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
            let pool = pool.connect_lazy_with(self.options.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(Session { listener, pool })
        };
        let unanswered = || Fault::new(FaultKind::Unreachable, format!("no answer within {} s", LEAD.as_secs()));
        let mut session = timeout(LEAD, connecting).await.map_err(|_| unanswered())??;
        // Whatever was said before was not heard.
        self.wakes.all();
        self.ask(&mut session).await?;
        self.compare_clocks(&mut session).await?;
        Ok(session)
    }

    /// Warns of a clock that differs from the server's: leases are told by the clocks of the processes that hold them.
    async fn compare_clocks(&self, session: &mut Session) -> Result<()> {
        let asking = sqlx::query_scalar("select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)");
        let unanswered = || Fault::new(FaultKind::Unreachable, "no answer");
        let theirs: i64 = timeout(LEAD, asking.fetch_one(&mut session.listener)).await.map_err(|_| unanswered())??;
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let apart = i64::try_from(ours).unwrap_or(i64::MAX).saturating_sub(theirs);
        if apart.unsigned_abs() > CLOCKS_APART {
            tracing::warn!(milliseconds = apart, "this machine's clock is not the server's: keep both in step");
        }
        Ok(())
    }

    /// Asks for the lead, which also shows that this process lives. Whoever has it gets it again.
    async fn ask(&self, session: &mut Session) -> Result<Instant> {
        let asked = Instant::now();
        let asking = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut session.listener);
        // Until the moment at which another may lead, if this process did until now.
        let deadline = self.until.borrow().unwrap_or(asked + LEAD);
        let unanswered = || Fault::new(FaultKind::Unreachable, "no answer while leading");
        let is_ours: bool = timeout_at(deadline, asking).await.map_err(|_| unanswered())??;
        let before = self.until.send_replace(is_ours.then_some(asked + LEAD));
        if is_ours && before.is_none() {
            tracing::info!("this process leads");
            self.wakes.all();
        }
        Ok(asked)
    }

    /// Wakes what others say has become due, until it is time to ask again.
    async fn listen(&self, session: &mut Session, asked: Instant) -> Result<()> {
        let hearing = async {
            while let Some(heard) = session.listener.try_recv().await? {
                for wake in self.voice.hears(heard.payload()) {
                    self.wakes.wake(wake);
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        match timeout_at(asked + TURN, hearing).await {
            Ok(Ok(())) => Err(Fault::new(FaultKind::Unreachable, "the connection ended")),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Ok(()),
        }
    }

    /// Asks and listens until the connection is of no use any more.
    async fn attend(&self, session: &mut Session) -> Fault {
        loop {
            let turn = async {
                let asked = self.ask(session).await?;
                self.listen(session, asked).await
            };
            if let Err(fault) = turn.await {
                return fault;
            }
        }
    }

    /// Keeps the seat until nobody wants it any more; after trouble, on a new connection.
    async fn keep(self, session: Session, mut leaving: oneshot::Receiver<oneshot::Sender<()>>) {
        let mut session = Some(session);
        loop {
            if let Some(mut current) = session.take() {
                let left = tokio::select! {
                    fault = self.attend(&mut current) => {
                        let led = self.until.send_replace(None).is_some();
                        if led {
                            tracing::warn!(%fault, "this process does not lead any more");
                        } else {
                            tracing::debug!(%fault, "the other processes are not heard");
                        }
                        None
                    }
                    left = &mut leaving => {
                        self.until.send_replace(None);
                        Some(left)
                    }
                };
                current.end().await;
                if let Some(left) = left {
                    drop(left);
                    return;
                }
            }
            let again = async {
                sleep(TURN).await;
                self.sit_down().await
            };
            tokio::select! {
                again = again => match again {
                    Ok(again) => session = Some(again),
                    Err(fault) => tracing::debug!(%fault, "the other processes cannot be heard"),
                },
                _left = &mut leaving => return,
            }
        }
    }
}

impl Session {
    /// Ends it, so that the server lets go of its lock; one that does not answer is left alone.
    async fn end(self) {
        let Session { listener, pool } = self;
        drop(listener);
        if timeout(TURN, pool.close()).await.is_err() {
            tracing::debug!("a connection did not end in order");
        }
    }
}
