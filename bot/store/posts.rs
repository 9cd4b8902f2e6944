//! Messages that are sent once and in order: the outbox. A row is the promise that the message goes out.

use super::{Reader, Result, Row, Tx, Wake, row::json};
use crate::domain::{ids::IncidentId, time::Time};

/// A message that waits, or has been dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// Its place in the order.
    pub id: i64,
    /// The channel's name in the configuration.
    pub channel: String,
    /// Whether it is a page: it goes ahead of everything else.
    pub is_page: bool,
    /// The incident in whose thread it belongs.
    pub incident: Option<IncidentId>,
    /// The message, as the engine wrote it.
    pub body: serde_json::Value,
    /// Sent along, so that a chat that knows nonces takes it once.
    pub nonce: String,
    /// When it was committed.
    pub created_at: Time,
    /// Not to be sent after this.
    pub expires_at: Option<Time>,
    /// When a chat took it.
    pub sent_at: Option<Time>,
    /// What the chat said that does not take it.
    pub trouble: Option<String>,
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct NewPost<'a> {
    /// The channel's name in the configuration.
    pub channel: &'a str,
    /// Whether it is a page.
    pub is_page: bool,
    /// The incident in whose thread it belongs.
    pub incident: Option<IncidentId>,
    /// The message.
    pub body: &'a serde_json::Value,
    /// Not to be sent after this.
    pub expires_at: Option<Time>,
}

/// Puts a message into the outbox.
pub async fn add(tx: &mut Tx, post: &NewPost<'_>, now: Time) -> Result<i64> {
    let row = tx
        .row(
            "insert into posts (channel, lane, incident, body, nonce, created_at, expires_at, state) \
             values ($1, $2, $3, $4, '', $5, $6, 'waiting') returning id",
            &[
                post.channel.into(),
                (!post.is_page).into(),
                post.incident.map(|id| id.0).into(),
                (&json(post.body)?).into(),
                now.into(),
                post.expires_at.into(),
            ],
        )
        .await?;
    let id = row.map_or(Ok(0), |row| row.int("id"))?;
    // Unique per store and post, and at most 25 characters, which is what Discord takes.
    tx.execute(
        "update posts set nonce = (select substr(replace(id, '-', ''), 21, 12) from instance) || '-' || id where id = $1",
        &[id.into()],
    )
    .await?;
    tx.wake(if post.is_page { Wake::Pages } else { Wake::Delivery });
    Ok(id)
}

/// The next messages of each channel of a lane, in their order: as many of each.
pub async fn next(reader: &mut Reader, is_page: bool, of_each: usize) -> Result<Vec<Post>> {
    let rows = reader
        .rows(
            "select * from (select *, row_number() over (partition by channel order by id) as place from posts \
             where state = 'waiting' and lane = $1) as posts where place <= $2 order by id",
            &[(!is_page).into(), i64::try_from(of_each).unwrap_or(i64::MAX).into()],
        )
        .await?;
    rows.iter().map(post).collect()
}

/// Pages that have waited since this time or longer, those first that have waited longest; with them those that the chat
/// does not take, until somebody was told of them another way.
pub async fn pages_waiting(reader: &mut Reader, since: Time, limit: i64) -> Result<Vec<Post>> {
    let rows = reader
        .rows(
            "select * from posts where lane = 0 and created_at <= $1 and state in ('waiting', 'refused') \
             and (state = 'waiting' or (state = 'refused' and told_at is null)) order by id limit $2",
            &[since.into(), limit.into()],
        )
        .await?;
    rows.iter().map(post).collect()
}

/// Somebody was told another way of a message that the chat does not take.
pub async fn told(tx: &mut Tx, id: i64, now: Time) -> Result<()> {
    tx.execute("update posts set told_at = $2 where id = $1 and state = 'refused'", &[id.into(), now.into()]).await?;
    Ok(())
}

/// Messages that the chat did not take, the newest first.
pub async fn in_trouble(reader: &mut Reader, limit: i64) -> Result<Vec<Post>> {
    let rows =
        reader.rows("select * from posts where state = 'refused' order by id desc limit $1", &[limit.into()]).await?;
    rows.iter().map(post).collect()
}

/// Messages that wait, in the order in which they are sent.
pub async fn oldest_waiting(reader: &mut Reader, limit: i64) -> Result<Vec<Post>> {
    let rows =
        reader.rows("select * from posts where state = 'waiting' order by lane, id limit $1", &[limit.into()]).await?;
    rows.iter().map(post).collect()
}

/// A chat has taken the message, under this name.
pub async fn sent(tx: &mut Tx, id: i64, message: &str, now: Time) -> Result<()> {
    tx.execute(
        "update posts set state = 'sent', sent_at = $2, message = $3, trouble = null where id = $1",
        &[id.into(), now.into(), message.into()],
    )
    .await?;
    Ok(())
}

/// The message will never be sent: it came too late.
pub async fn expired(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute("update posts set state = 'expired' where id = $1 and state = 'waiting'", &[id.into()]).await?;
    Ok(())
}

/// The message will never be sent: the chat does not take it, however often it is tried.
pub async fn refused(tx: &mut Tx, id: i64, trouble: &str) -> Result<()> {
    tx.execute(
        "update posts set state = 'refused', trouble = $2 where id = $1 and state = 'waiting'",
        &[id.into(), trouble.into()],
    )
    .await?;
    Ok(())
}

/// The messages of an incident, in order.
pub async fn of_incident(reader: &mut Reader, incident: IncidentId) -> Result<Vec<Post>> {
    let rows = reader.rows("select * from posts where incident = $1 order by id", &[incident.0.into()]).await?;
    rows.iter().map(post).collect()
}

/// The newest messages of a channel, or of all, oldest of them first.
pub async fn newest(reader: &mut Reader, limit: i64) -> Result<Vec<Post>> {
    let rows = reader.rows("select * from posts order by id desc limit $1", &[limit.into()]).await?;
    rows.iter().rev().map(post).collect()
}

/// What waits: how many messages, and since when the oldest and the oldest page wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many messages wait.
    pub count: i64,
    /// Since when the oldest waits.
    pub since: Option<Time>,
    /// Since when the oldest page waits.
    pub page_since: Option<Time>,
}

/// What waits in the outbox.
pub async fn waiting(reader: &mut Reader) -> Result<Waiting> {
    let row = reader
        .row(
            "select count(*) as count, min(created_at) as since, \
             min(case when lane = 0 then created_at end) as page_since from posts where state = 'waiting'",
            &[],
        )
        .await?;
    match row {
        Some(row) => Ok(Waiting {
            count: row.int("count")?,
            since: row.opt_time("since")?,
            page_since: row.opt_time("page_since")?,
        }),
        None => Ok(Waiting::default()),
    }
}

fn post(row: &Row) -> Result<Post> {
    Ok(Post {
        id: row.int("id")?,
        channel: row.text("channel")?,
        is_page: row.int("lane")? == 0,
        incident: row.opt_int("incident")?.map(IncidentId),
        // What cannot be read is nothing: it is refused when its turn comes, and holds up no other.
        body: row.json("body").unwrap_or_default(),
        nonce: row.text("nonce")?,
        created_at: row.time("created_at")?,
        expires_at: row.opt_time("expires_at")?,
        sent_at: row.opt_time("sent_at")?,
        trouble: row.opt_text("trouble")?,
    })
}
