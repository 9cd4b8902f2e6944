//! Cards are desired state: which revision is wanted, which is shown, and as which message.

use std::collections::HashMap;

use super::{Bind, Reader, Result, Row, Tx, Wake};
use crate::domain::{ids::IncidentId, time::Time};

/// What is known of a card's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is about, as `engine::chat::Subject` writes it.
    pub subject: String,
    /// The channel's name in the configuration.
    pub channel: String,
    /// The incident in whose thread it belongs; an incident's own card stands in the channel and opens the thread.
    pub incident: Option<IncidentId>,
    /// Whether it goes ahead like a page.
    pub is_page: bool,
    /// The newest revision.
    pub wanted: i64,
    /// The revision that the chat shows.
    pub shown: i64,
    /// The chat's name for the message, once it is there: it is found by it wherever it stands.
    pub message: Option<String>,
    /// The chat's name for the thread that was opened from it.
    pub thread: Option<String>,
    /// Since when something else is wanted than what is shown.
    pub changed_at: Time,
    /// Sent along with the first message, so that a chat that knows nonces takes it once.
    pub nonce: String,
}

/// The nonce of a card's message: unique per store, subject and lost message, and at most 25 characters for a while.
macro_rules! nonce {
    () => {
        "substr(replace(instance.id, '-', ''), 21, 12) || '-' || subject || '-' || lost as nonce"
    };
}

/// A card's row with its nonce.
macro_rules! select {
    ($rest:literal) => {
        concat!("select cards.*, ", nonce!(), " from cards cross join instance ", $rest)
    };
}

/// The cards that are wanted and still to be written, by subject.
#[derive(Default)]
pub(super) struct Later(HashMap<String, Wish>);

/// A wish for a card.
pub(super) struct Wish {
    subject: String,
    channel: String,
    incident: Option<IncidentId>,
    is_page: bool,
    at: Time,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Wish> {
        self.0.drain().map(|(_, wish)| wish).collect()
    }
}

pub(super) const WANT: &str = "insert into cards (subject, channel, incident, lane, changed_at, wanted) \
     values ($1, $2, $3, $4, $5, $6) on conflict (subject) do update set wanted = cards.wanted + 1, \
     changed_at = case when cards.wanted > cards.shown then cards.changed_at else excluded.changed_at end";

impl Wish {
    pub(super) fn row(&self) -> [Bind<'_>; 6] {
        [
            (&self.subject).into(),
            (&self.channel).into(),
            self.incident.map(|id| id.0).into(),
            (!self.is_page).into(),
            self.at.into(),
            1.into(),
        ]
    }
}

/// Wants the card shown anew. Where it stands is decided when it is wanted first.
#[expect(clippy::unused_async, reason = "when the store writes what it is given is its own affair")]
pub async fn want(
    tx: &mut Tx,
    subject: &str,
    channel: &str,
    (incident, is_page): (Option<IncidentId>, bool),
    now: Time,
) -> Result<()> {
    tx.later().cards.0.entry(subject.to_owned()).or_insert_with(|| Wish {
        subject: subject.to_owned(),
        channel: channel.to_owned(),
        incident,
        is_page,
        at: now,
    });
    wake(tx);
    Ok(())
}

/// Cards of a lane that are to be shown: of each channel as many that nobody has seen yet, and as many that have changed,
/// those first that have waited longest.
pub async fn due(reader: &mut Reader, is_page: bool, of_each: usize) -> Result<Vec<Shown>> {
    let rows = reader
        .rows(
            concat!(
                "select cards.*, ",
                nonce!(),
                " from (select *, row_number() over (partition by channel, message is null order by changed_at, subject) \
                 as place from cards where wanted > shown and lane = $1) as cards cross join instance \
                 where place <= $2 order by changed_at, subject"
            ),
            &[(!is_page).into(), i64::try_from(of_each).unwrap_or(i64::MAX).into()],
        )
        .await?;
    rows.iter().map(card).collect()
}

/// Cards of a lane that are to be shown anew, of all channels, those first that have waited longest.
pub async fn next(reader: &mut Reader, is_page: bool, limit: i64) -> Result<Vec<Shown>> {
    let rows = reader
        .rows(
            select!("where wanted > shown and lane = $1 order by changed_at, subject limit $2"),
            &[(!is_page).into(), limit.into()],
        )
        .await?;
    rows.iter().map(card).collect()
}

/// The chat shows this revision, as this message.
pub async fn shown(tx: &mut Tx, subject: &str, revision: i64, message: &str) -> Result<()> {
    tx.execute(
        "update cards set shown = $2, message = $3, trouble = null where subject = $1",
        &[subject.into(), revision.into(), message.into()],
    )
    .await?;
    // Posts may wait for the card whose thread they belong in.
    tx.wake(Wake::Delivery);
    Ok(())
}

/// There is nothing to show at this revision.
pub async fn nothing(tx: &mut Tx, subject: &str, revision: i64) -> Result<()> {
    tx.execute("update cards set shown = $2 where subject = $1", &[subject.into(), revision.into()]).await?;
    tx.wake(Wake::Delivery);
    Ok(())
}

/// Since when the oldest card waits that goes ahead like a page and that nobody has seen.
pub async fn page_since(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader
        .row("select min(changed_at) as since from cards where wanted > shown and lane = 0 and message is null", &[])
        .await?;
    row.map_or(Ok(None), |row| row.opt_time("since"))
}

/// Cards that go ahead like pages and that nobody has seen, those first that have waited longest; with them those that
/// the chat does not take, until somebody was told of them another way.
pub async fn unseen_pages(reader: &mut Reader, since: Time, limit: i64) -> Result<Vec<Shown>> {
    let rows = reader
        .rows(
            select!(
                "where lane = 0 and message is null and changed_at <= $1 and told_at is null \
                 and (wanted > shown or trouble is not null) order by changed_at, subject limit $2"
            ),
            &[since.into(), limit.into()],
        )
        .await?;
    rows.iter().map(card).collect()
}

/// Somebody was told another way of a card that the chat does not take.
pub async fn told(tx: &mut Tx, subject: &str, now: Time) -> Result<()> {
    tx.execute(
        "update cards set told_at = $2 where subject = $1 and trouble is not null and wanted = shown",
        &[subject.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Cards that the chat did not take as they are, each with what it said, the newest first.
pub async fn in_trouble(reader: &mut Reader, limit: i64) -> Result<Vec<(Shown, String)>> {
    let rows = reader
        .rows(select!("where trouble is not null order by changed_at desc, subject limit $1"), &[limit.into()])
        .await?;
    rows.iter().map(|row| Ok((card(row)?, row.text("trouble")?))).collect()
}

/// The chat has opened this thread from the card.
pub async fn threaded(tx: &mut Tx, subject: &str, thread: &str) -> Result<()> {
    tx.execute("update cards set thread = $2 where subject = $1", &[subject.into(), thread.into()]).await?;
    wake(tx);
    Ok(())
}

/// The chat no longer has this thread.
pub async fn thread_gone(tx: &mut Tx, subject: &str, thread: &str) -> Result<()> {
    tx.execute("update cards set thread = null where subject = $1 and thread = $2", &[subject.into(), thread.into()])
        .await?;
    wake(tx);
    Ok(())
}

/// The chat no longer has the card's message: the next time it is sent anew.
pub async fn gone(tx: &mut Tx, subject: &str, now: Time) -> Result<()> {
    tx.execute(
        "update cards set message = null, lost = lost + 1, wanted = wanted + 1, changed_at = $2 where subject = $1",
        &[subject.into(), now.into()],
    )
    .await?;
    wake(tx);
    Ok(())
}

/// The chat does not take this revision, however often it is tried; a newer one will be tried again.
pub async fn refused(tx: &mut Tx, subject: &str, revision: i64, trouble: &str) -> Result<()> {
    tx.execute(
        "update cards set shown = $2, trouble = $3, told_at = null where subject = $1",
        &[subject.into(), revision.into(), trouble.into()],
    )
    .await?;
    // Posts may wait for the card, and are not to wait any more.
    tx.wake(Wake::Delivery);
    Ok(())
}

/// The card of this subject.
pub async fn about(reader: &mut Reader, subject: &str) -> Result<Option<Shown>> {
    let row = reader.row(select!("where subject = $1"), &[subject.into()]).await?;
    row.as_ref().map(card).transpose()
}

/// The subject of the card from which this thread was opened.
pub async fn of_thread(reader: &mut Reader, thread: &str) -> Result<Option<String>> {
    let row = reader.row("select subject from cards where thread = $1", &[thread.into()]).await?;
    row.map(|row| row.text("subject")).transpose()
}

/// The cards that changed last, newest first.
pub async fn newest(reader: &mut Reader, limit: i64) -> Result<Vec<Shown>> {
    let rows = reader.rows(select!("order by changed_at desc, subject limit $1"), &[limit.into()]).await?;
    rows.iter().map(card).collect()
}

/// A card may stand in either lane, and its thread is waited for in the other.
fn wake(tx: &mut Tx) {
    tx.wake(Wake::Delivery);
    tx.wake(Wake::Pages);
}

/// The cards of an incident: its own and those that belong in its thread, in the order of their subjects.
pub async fn of_incident(reader: &mut Reader, incident: IncidentId) -> Result<Vec<Shown>> {
    let rows = reader.rows(select!("where incident = $1 order by subject"), &[incident.0.into()]).await?;
    rows.iter().map(card).collect()
}

fn card(row: &Row) -> Result<Shown> {
    Ok(Shown {
        subject: row.text("subject")?,
        channel: row.text("channel")?,
        incident: row.opt_int("incident")?.map(IncidentId),
        is_page: row.int("lane")? == 0,
        wanted: row.int("wanted")?,
        shown: row.int("shown")?,
        message: row.opt_text("message")?,
        thread: row.opt_text("thread")?,
        changed_at: row.time("changed_at")?,
        nonce: row.text("nonce")?,
    })
}
