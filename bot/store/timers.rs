//! What is due when. A timer is a row, so a restart forgets none and a passed one is found at once.

use std::collections::HashMap;

use super::{Bind, Reader, Result, Row, Tx, Wake, row::list};
use crate::domain::time::Time;

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What kind of timer it is; the feature that set it knows the word.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// When it is due.
    pub at: Time,
}

/// The timers that were set or taken back and are still to be written: when each is due, if at all.
#[derive(Default)]
pub(super) struct Later(HashMap<(String, String), Option<Time>>);

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those to be set, and those to be taken back as JSON, if there are any.
    pub(super) fn take(&mut self) -> Result<(Vec<Due>, Option<String>)> {
        let (mut set, mut cleared) = (Vec::new(), Vec::new());
        for ((kind, subject), at) in self.0.drain() {
            match at {
                Some(at) => set.push(Due { kind, subject, at }),
                None => cleared.push((kind, subject)),
            }
        }
        let cleared = if cleared.is_empty() { None } else { Some(list(&cleared)?) };
        Ok((set, cleared))
    }
}

pub(super) const SET: &str = "insert into timers (kind, subject, due_at) values ($1, $2, $3) \
     on conflict (kind, subject) do update set due_at = excluded.due_at";
pub(super) const CLEAR: &str =
    "delete from timers where (kind, subject) in (select value ->> 0, value ->> 1 from json_each($1))";

impl Due {
    pub(super) fn row(&self) -> [Bind<'_>; 3] {
        [(&self.kind).into(), (&self.subject).into(), self.at.into()]
    }
}

/// Sets the timer, or moves it: there is one per kind and subject.
#[expect(clippy::unused_async, reason = "when the store writes what it is given is its own affair")]
pub async fn set(tx: &mut Tx, kind: &str, subject: &str, at: Time) -> Result<()> {
    tx.later().timers.0.insert((kind.to_owned(), subject.to_owned()), Some(at));
    tx.wake(Wake::Timers);
    Ok(())
}

/// Takes the timer back, if it was set.
#[expect(clippy::unused_async, reason = "when the store writes what it is given is its own affair")]
pub async fn clear(tx: &mut Tx, kind: &str, subject: &str) -> Result<()> {
    tx.later().timers.0.insert((kind.to_owned(), subject.to_owned()), None);
    Ok(())
}

/// Takes a timer that is due, so that it fires once. Says no if it was taken, cleared or moved meanwhile.
pub async fn take(tx: &mut Tx, due: &Due) -> Result<bool> {
    let taken = tx
        .execute(
            "delete from timers where kind = $1 and subject = $2 and due_at = $3",
            &[(&due.kind).into(), (&due.subject).into(), due.at.into()],
        )
        .await?;
    Ok(taken > 0)
}

/// When the earliest timer is due.
pub async fn earliest(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader.row("select min(due_at) as due_at from timers", &[]).await?;
    row.map_or(Ok(None), |row| row.opt_time("due_at"))
}

/// Every timer of this kind, earliest first.
pub async fn of_kind(reader: &mut Reader, kind: &str) -> Result<Vec<Due>> {
    let rows = reader
        .rows("select kind, subject, due_at from timers where kind = $1 order by due_at, subject", &[kind.into()])
        .await?;
    rows.iter().map(timer).collect()
}

/// Up to `limit` timers that are due, earliest first.
pub async fn due(reader: &mut Reader, now: Time, limit: i64) -> Result<Vec<Due>> {
    let rows = reader
        .rows(
            "select kind, subject, due_at from timers where due_at <= $1 order by due_at limit $2",
            &[now.into(), limit.into()],
        )
        .await?;
    rows.iter().map(timer).collect()
}

fn timer(row: &Row) -> Result<Due> {
    Ok(Due { kind: row.text("kind")?, subject: row.text("subject")?, at: row.time("due_at")? })
}
