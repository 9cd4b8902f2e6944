//! A transaction as the layers above see it: rows, statements, and the work to wake after the commit.
//!
//! What is written again and again (alerts, runs and their steps, entries, wishes for cards, timers) waits until the commit,
//! until a statement names its table, or until there is much of it, and is then written with as few statements for each
//! table, whatever decided it. What is read again and again is kept likewise, until something is written that could change
//! it.

use std::ops::{Deref, DerefMut};

use futures::{TryStreamExt, stream::BoxStream};

use super::{
    Bind, Fault, Result, Row, Wake, ahead::Ahead, alerts, cards, connection::Connection, locks, runs, steps, timeline,
    timers,
};

/// How many rows a statement writes, if there are more than the last of these; else as many as there are. So few statements
/// have to be known, and none has too many values for either database.
const AT_ONCE: [usize; 4] = [MUCH, 64, 32, 16];
/// So many rows of a table are written without waiting for the commit.
pub(super) const MUCH: usize = 256;

/// Reads one consistent state.
pub struct Reader {
    connection: Connection,
    /// The first statement that failed. Nothing is committed then, whatever the decision made of it: a server has given the
    /// transaction up by itself, and would say nothing of that when it is committed.
    failed: Option<Fault>,
    ahead: Ahead,
    later: Later,
}

/// What is still to be written, by table. A transaction that only reads has nothing here.
#[derive(Default)]
pub(super) struct Later {
    pub(super) alerts: alerts::Later,
    pub(super) locks: locks::Later,
    pub(super) runs: runs::Later,
    pub(super) steps: steps::Later,
    pub(super) timeline: timeline::Later,
    pub(super) cards: cards::Later,
    pub(super) timers: timers::Later,
}

impl Later {
    /// Whether the statement has to come after what is still to be written.
    fn is_named_in(&self, sql: &str) -> bool {
        (!self.alerts.is_empty() && names(sql, "alerts"))
            || (!self.locks.is_empty() && names(sql, "locks"))
            || (!self.timeline.is_empty() && (names(sql, "timeline") || names(sql, "chains")))
            || (!self.cards.is_empty() && names(sql, "cards"))
            || (!self.timers.is_empty() && names(sql, "timers"))
            || (!self.runs.is_empty() && names(sql, "runs"))
            || (!self.steps.is_empty() && names(sql, "steps"))
    }
}

/// Whether the statement names this table.
pub(super) fn names(sql: &str, table: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = sql.as_bytes();
    sql.match_indices(table).any(|(at, _)| {
        !is_part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !is_part(bytes.get(at + table.len()))
    })
}

/// Reads and writes inside one transaction. Everything that a [`Reader`] can be asked, it can be asked too.
pub struct Tx {
    reader: Reader,
    wakes: Vec<Wake>,
}

impl Reader {
    pub(super) fn of(connection: Connection) -> Self {
        Self { connection, failed: None, ahead: Ahead::default(), later: Later::default() }
    }

    /// What was read and need not be read again.
    pub(super) fn ahead(&mut self) -> &mut Ahead {
        &mut self.ahead
    }

    /// What is still to be written.
    pub(super) fn later(&mut self) -> &mut Later {
        &mut self.later
    }

    /// Whether a server keeps the store.
    pub(super) fn is_of_server(&self) -> bool {
        self.connection.is_of_server()
    }

    /// Notes that a statement failed, if it did.
    fn noted<T>(&mut self, answer: Result<T>) -> Result<T> {
        if let Err(fault) = &answer {
            self.failed.get_or_insert_with(|| fault.clone());
        }
        answer
    }

    /// Writes what has waited, if the statement is about it, and forgets what it may change.
    async fn catch_up(&mut self, sql: &'static str) -> Result<()> {
        if !sql.starts_with("select") {
            self.ahead.forget(sql);
        }
        if self.later.is_named_in(sql) { self.write_later().await } else { Ok(()) }
    }

    /// Writes what has waited.
    async fn write_later(&mut self) -> Result<()> {
        self.write_much().await?;
        let Later { locks, runs, steps, timeline, cards, timers, .. } = &mut self.later;
        let (locks, runs, steps, ends) = (locks.take(), runs.take(), steps.take(), timeline.take_ends());
        let cards = cards.take();
        let (set, cleared) = timers.take()?;
        self.insert(locks::TAKE, locks.iter().map(locks::Taken::row)).await?;
        self.insert(runs::SAVE, runs.iter().map(runs::Saved::row)).await?;
        self.insert(steps::PUT, steps.iter().map(steps::Put::row)).await?;
        self.insert(timeline::END, ends.iter().map(timeline::End::row)).await?;
        self.insert(cards::WANT, cards.iter().map(cards::Wish::row)).await?;
        self.insert(timers::SET, set.iter().map(timers::Due::row)).await?;
        if let Some(cleared) = cleared {
            self.run(timers::CLEAR, &[(&cleared).into()]).await?;
        }
        Ok(())
    }

    /// Writes that of which there is much in a storm, alerts and entries, as far as it is decided.
    pub(super) async fn write_much(&mut self) -> Result<()> {
        let alerts = self.later.alerts.take();
        for alerts in alerts.chunks(MUCH) {
            let records = alerts.iter().map(alerts::Put::record).collect::<Result<Vec<_>>>()?;
            self.insert(alerts::PUT, alerts.iter().zip(&records).map(alerts::Put::row)).await?;
        }
        let entries = self.later.timeline.take_entries();
        self.insert(timeline::ADD, entries.iter().map(timeline::New::row)).await
    }

    /// Writes rows by a statement whose `values (…)` stand for one.
    async fn insert<'a, const N: usize>(
        &mut self,
        sql: &'static str,
        rows: impl Iterator<Item = [Bind<'a>; N]>,
    ) -> Result<()> {
        let rows: Vec<[Bind<'_>; N]> = rows.collect();
        let mut left = rows.as_slice();
        while !left.is_empty() {
            let count = AT_ONCE.into_iter().find(|count| *count <= left.len()).unwrap_or(left.len());
            let (rows, rest) = left.split_at(count);
            let written = self.connection.write(sql, count, rows.as_flattened()).await;
            self.noted(written)?;
            left = rest;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        let changed = self.connection.run(sql, binds).await;
        self.noted(changed)
    }

    /// All rows of a query.
    pub async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>> {
        self.catch_up(sql).await?;
        let rows = self.connection.rows(sql, binds).await;
        self.noted(rows)
    }

    /// The row of a query that has at most one.
    pub async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>> {
        self.catch_up(sql).await?;
        let row = self.connection.row(sql, binds).await;
        self.noted(row)
    }

    /// Shows the rows of a query one after the other, so that they are not all in memory at once.
    pub async fn each(
        &mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
        mut see: impl FnMut(&Row) -> Result<()> + Send,
    ) -> Result<()> {
        self.catch_up(sql).await?;
        let failed = match self.stream(sql, binds).await {
            Ok(mut rows) => loop {
                match rows.try_next().await {
                    Ok(Some(row)) => see(&row)?,
                    Ok(None) => return Ok(()),
                    Err(fault) => break fault,
                }
            },
            Err(fault) => fault,
        };
        self.noted(Err(failed))
    }

    /// The rows of a query one after the other, however many there are.
    pub(super) async fn stream<'r>(
        &'r mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<BoxStream<'r, Result<Row>>> {
        self.connection.stream(sql, binds).await
    }

    /// Lets the database read a statement without running it.
    #[cfg(test)]
    pub(crate) async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        self.connection.prepare(sql).await
    }
}

impl Tx {
    pub(super) fn over(connection: Connection) -> Self {
        Self { reader: Reader::of(connection), wakes: Vec::new() }
    }

    /// Runs a statement; the number is how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64> {
        self.reader.catch_up(sql).await?;
        self.reader.run(sql, binds).await
    }

    /// Writes rows by a statement whose `values (…)` stand for one.
    pub(super) async fn insert<'a, const N: usize>(
        &mut self,
        sql: &'static str,
        rows: impl Iterator<Item = [Bind<'a>; N]>,
    ) -> Result<()> {
        self.reader.catch_up(sql).await?;
        self.reader.insert(sql, rows).await
    }

    /// Begins a transaction, by these statements.
    pub(super) async fn begin(&mut self, sql: &str) -> Result<()> {
        self.forget();
        self.reader.connection.send(sql).await
    }

    /// Writes everything that was decided, and makes it durable by these statements.
    pub(super) async fn commit(&mut self, sql: &str) -> Result<()> {
        if let Some(fault) = self.reader.failed.take() {
            return Err(fault);
        }
        self.reader.write_later().await?;
        // What was read is forgotten while the database makes the rest durable: of a storm, that takes its time.
        let ahead = std::mem::take(&mut self.reader.ahead);
        futures::join!(self.reader.connection.send(sql), async { drop(ahead) }).0
    }

    /// Takes back everything since the beginning.
    pub(super) async fn roll_back(&mut self) -> Result<()> {
        self.wakes.clear();
        self.forget();
        self.reader.connection.settle().await;
        self.reader.connection.send("rollback").await
    }

    fn forget(&mut self) {
        self.reader.failed = None;
        self.reader.ahead = Ahead::default();
        self.reader.later = Later::default();
    }

    /// Wakes this kind of work after the commit.
    pub fn wake(&mut self, wake: Wake) {
        if !self.will_wake(wake) {
            self.wakes.push(wake);
        }
    }

    /// Whether this kind of work is woken after the commit.
    pub(super) fn will_wake(&self, wake: Wake) -> bool {
        self.wakes.contains(&wake)
    }

    /// Takes it back that this kind of work is woken.
    pub(super) fn let_sleep(&mut self, wake: Wake) {
        self.wakes.retain(|other| *other != wake);
    }

    pub(super) fn take_wakes(&mut self) -> Vec<Wake> {
        std::mem::take(&mut self.wakes)
    }

    pub(super) fn into_connection(self) -> Connection {
        self.reader.connection
    }
}

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}
