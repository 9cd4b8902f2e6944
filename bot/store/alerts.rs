//! Alerts as they stand. However many a body holds, it is read and written by the same few statements.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Reader, Result, Row, Tx,
    row::{json, list},
};
use crate::domain::{
    alerts::{Alert, Settings},
    ids::AlertKey,
    time::Time,
};

/// The alerts among these that are known.
pub async fn known<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<BTreeMap<AlertKey, Arc<Alert>>> {
    let rows = reader
        .rows(
            "select record from alerts where key in (select value from json_each($1))",
            &[(&list(&keys.into_iter().collect::<Vec<_>>())?).into()],
        )
        .await?;
    rows.iter().map(|row| alert(row).map(|alert| (alert.key.clone(), alert))).collect()
}

/// Writes these alerts as they stand.
pub async fn put<'a>(tx: &mut Tx, alerts: impl IntoIterator<Item = &'a Arc<Alert>>, settings: &Settings) -> Result<()> {
    let rows: Vec<(&Arc<Alert>, Option<Time>, String)> =
        alerts.into_iter().map(|alert| Ok((alert, alert.due_at(settings), json(&**alert)?))).collect::<Result<_>>()?;
    tx.insert(
        "insert into alerts (key, state, due_at, last_seen, record) values ($1, $2, $3, $4, $5) \
         on conflict (key) do update set state = excluded.state, due_at = excluded.due_at, \
         last_seen = excluded.last_seen, record = excluded.record",
        rows.iter().map(|(alert, due_at, record)| {
            [(&alert.key.0).into(), alert.state.word().into(), (*due_at).into(), alert.last_seen.into(), record.into()]
        }),
    )
    .await
}

/// Up to `limit` alerts that the passing of time may have changed, those first that waited longest.
pub async fn due(reader: &mut Reader, now: Time, limit: i64) -> Result<Vec<Arc<Alert>>> {
    let rows = reader
        .rows("select record from alerts where due_at <= $1 order by due_at limit $2", &[now.into(), limit.into()])
        .await?;
    rows.iter().map(alert).collect()
}

/// When the passing of time may change an alert next.
pub async fn earliest_due(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader.row("select min(due_at) as due_at from alerts where due_at is not null", &[]).await?;
    row.map_or(Ok(None), |row| row.opt_time("due_at"))
}

/// A statement, or many alike, that was ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The alert that it was about.
    pub alert: AlertKey,
    /// The stable code of the reason.
    pub reason: String,
    /// The source that said it.
    pub source: String,
    /// When that happened first.
    pub first_at: Time,
    /// When that happened last.
    pub last_at: Time,
    /// How often.
    pub count: i64,
}

/// Remembers that statements were ignored: alert, reason and source of each.
pub async fn suppressed(tx: &mut Tx, ignored: &[(&AlertKey, &str, &str)], now: Time) -> Result<()> {
    if ignored.is_empty() {
        return Ok(());
    }
    tx.execute(
        "insert into suppressions (alert, reason, source, first_at, last_at, count) \
         select value ->> 0, value ->> 1, value ->> 2, $2, $2, count(*) from json_each($1) where true group by 1, 2, 3 \
         on conflict (alert, reason, source) do update set last_at = excluded.last_at, \
         count = suppressions.count + excluded.count",
        &[(&list(&ignored)?).into(), now.into()],
    )
    .await?;
    Ok(())
}

/// What was ignored of these alerts.
pub async fn suppressions<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<Vec<Suppression>> {
    let rows = reader
        .rows(
            "select * from suppressions where alert in (select value from json_each($1)) order by last_at, alert, reason",
            &[(&list(&keys.into_iter().collect::<Vec<_>>())?).into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Suppression {
                alert: AlertKey(row.text("alert")?),
                reason: row.text("reason")?,
                source: row.text("source")?,
                first_at: row.time("first_at")?,
                last_at: row.time("last_at")?,
                count: row.int("count")?,
            })
        })
        .collect()
}

fn alert(row: &Row) -> Result<Arc<Alert>> {
    row.json("record").map(Arc::new)
}
