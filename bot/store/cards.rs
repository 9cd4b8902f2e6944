//! Cards are desired state: which revision is wanted, which is shown, and as which message.

use super::{Reader, Result, Row, Tx, Wake};
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
    /// The chat's name for the message, once it is there.
    pub message: Option<String>,
    /// The chat's name for the thread that was opened from it.
    pub thread: Option<String>,
    /// Since when something else is wanted than what is shown.
    pub changed_at: Time,
    /// How often showing the wanted revision was tried.
    pub attempts: i64,
}

/// Wants the card shown anew. Where it stands is decided when it is wanted first.
pub async fn want(
    tx: &mut Tx,
    subject: &str,
    channel: &str,
    (incident, is_page): (Option<IncidentId>, bool),
    now: Time,
) -> Result<()> {
    tx.execute(
        "insert into cards (subject, channel, incident, lane, wanted, changed_at, due_at) values ($1, $2, $3, $4, 1, $5, $5) \
         on conflict (subject) do update set wanted = wanted + 1, \
         changed_at = case when wanted > shown then changed_at else excluded.changed_at end, \
         due_at = case when wanted > shown then due_at else excluded.due_at end",
        &[subject.into(), channel.into(), incident.map(|id| id.0).into(), (!is_page).into(), now.into()],
    )
    .await?;
    tx.wake(Wake::Delivery);
    Ok(())
}

/// Cards that are to be shown anew and may be tried, those that go ahead first.
pub async fn next(reader: &mut Reader, now: Time, limit: i64) -> Result<Vec<Shown>> {
    let rows = reader
        .rows(
            "select * from cards where wanted > shown and due_at <= $1 order by lane, changed_at, subject limit $2",
            &[now.into(), limit.into()],
        )
        .await?;
    rows.iter().map(card).collect()
}

/// When the earliest card that was put off may be tried again.
pub async fn earliest(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader.row("select min(due_at) as due_at from cards where wanted > shown", &[]).await?;
    row.map_or(Ok(None), |row| row.opt_time("due_at"))
}

/// The chat shows this revision, as this message.
pub async fn shown(tx: &mut Tx, subject: &str, revision: i64, message: &str) -> Result<()> {
    tx.execute(
        "update cards set shown = $2, message = $3, attempts = 0, trouble = null where subject = $1",
        &[subject.into(), revision.into(), message.into()],
    )
    .await?;
    Ok(())
}

/// The chat has opened this thread from the card.
pub async fn threaded(tx: &mut Tx, subject: &str, thread: &str) -> Result<()> {
    tx.execute("update cards set thread = $2 where subject = $1", &[subject.into(), thread.into()]).await?;
    tx.wake(Wake::Delivery);
    Ok(())
}

/// The chat no longer has the card's message: the next time it is sent anew.
pub async fn gone(tx: &mut Tx, subject: &str, now: Time) -> Result<()> {
    tx.execute(
        "update cards set message = null, wanted = wanted + 1, due_at = $2 where subject = $1",
        &[subject.into(), now.into()],
    )
    .await?;
    tx.wake(Wake::Delivery);
    Ok(())
}

/// Showing the card is to be tried again at `due_at`.
pub async fn put_off(tx: &mut Tx, subject: &str, due_at: Time, trouble: &str) -> Result<()> {
    tx.execute(
        "update cards set due_at = $2, attempts = attempts + 1, trouble = $3 where subject = $1",
        &[subject.into(), due_at.into(), trouble.into()],
    )
    .await?;
    Ok(())
}

/// The chat does not take this revision, however often it is tried; a newer one will be tried again.
pub async fn refused(tx: &mut Tx, subject: &str, revision: i64, trouble: &str) -> Result<()> {
    tx.execute(
        "update cards set shown = $2, attempts = 0, trouble = $3 where subject = $1",
        &[subject.into(), revision.into(), trouble.into()],
    )
    .await?;
    Ok(())
}

/// The card of this subject.
pub async fn about(reader: &mut Reader, subject: &str) -> Result<Option<Shown>> {
    let row = reader.row("select * from cards where subject = $1", &[subject.into()]).await?;
    row.as_ref().map(card).transpose()
}

/// The cards that changed last, newest first.
pub async fn newest(reader: &mut Reader, limit: i64) -> Result<Vec<Shown>> {
    let rows = reader.rows("select * from cards order by changed_at desc, subject limit $1", &[limit.into()]).await?;
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
        attempts: row.int("attempts")?,
    })
}
