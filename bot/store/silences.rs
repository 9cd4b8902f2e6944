//! Silences, and the alerts that are held back. However many alerts a decision is about, the statements are as many.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use super::{
    Fault, Reader, Result, Row, Tx,
    alerts::Open,
    row::{json, list},
};
use crate::domain::{
    alerts::Matcher,
    ids::{AlertKey, SilenceId},
    silences::{Silence, silence::uuid},
    time::Time,
};

/// How many lists of matchers are kept ready.
const READY: usize = 4_096;

/// Writes a new silence; its `id` and `uuid` are given by the store.
pub async fn add(tx: &mut Tx, silence: &mut Silence) -> Result<()> {
    let row = tx
        .row(
            "insert into silences (matchers, starts_at, ends_at, author, comment, annotations, set_by, updated_at, told) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id, (select id from instance) as store",
            &[
                (&json(&silence.matchers.iter().map(ToString::to_string).collect::<Vec<_>>())?).into(),
                silence.starts_at.into(),
                silence.ends_at.into(),
                (&silence.author).into(),
                (&silence.comment).into(),
                (&json(&silence.annotations)?).into(),
                (&json(&silence.set_by)?).into(),
                silence.updated_at.into(),
                silence.told.word().into(),
            ],
        )
        .await?;
    let row = row.ok_or_else(|| Fault::defect("a new silence got no id"))?;
    silence.id = SilenceId(row.int("id")?);
    silence.uuid = uuid(row.str("store")?, silence.id);
    tx.execute("update silences set uuid = $2 where id = $1", &[silence.id.0.into(), (&silence.uuid).into()]).await?;
    Ok(())
}

/// Writes a silence as it stands; which alerts it is about never changes.
pub async fn save(tx: &mut Tx, silence: &Silence) -> Result<()> {
    tx.execute(
        "update silences set starts_at = $2, ends_at = $3, author = $4, comment = $5, annotations = $6, set_by = $7, \
         updated_at = $8, told = $9 where id = $1",
        &[
            silence.id.0.into(),
            silence.starts_at.into(),
            silence.ends_at.into(),
            (&silence.author).into(),
            (&silence.comment).into(),
            (&json(&silence.annotations)?).into(),
            (&json(&silence.set_by)?).into(),
            silence.updated_at.into(),
            silence.told.word().into(),
        ],
    )
    .await?;
    Ok(())
}

/// The silence with this name.
pub async fn by_id(reader: &mut Reader, id: SilenceId) -> Result<Option<Silence>> {
    let row = reader.row("select * from silences where id = $1", &[id.0.into()]).await?;
    row.as_ref().map(silence).transpose()
}

/// The silence with this name in Alertmanager's API.
pub async fn by_uuid(reader: &mut Reader, uuid: &str) -> Result<Option<Silence>> {
    let row = reader.row("select * from silences where uuid = $1", &[uuid.into()]).await?;
    row.as_ref().map(silence).transpose()
}

/// Those that hold alerts back at this moment.
pub async fn active(reader: &mut Reader, now: Time) -> Result<Vec<Silence>> {
    let rows = reader
        .rows(
            "select * from silences where told <> 'expired' and ends_at > $1 and starts_at <= $1 order by id",
            &[now.into()],
        )
        .await?;
    rows.iter().map(silence).collect()
}

/// Those that end after this moment, or have ended since, the earliest end first.
pub async fn ending_after(reader: &mut Reader, since: Time, limit: i64) -> Result<Vec<Silence>> {
    let rows = reader
        .rows(
            "select * from (select * from silences where ends_at > $1 order by ends_at desc limit $2) as silences \
             order by ends_at, id",
            &[since.into(), limit.into()],
        )
        .await?;
    rows.iter().map(silence).collect()
}

/// How many are not over at this moment.
pub async fn standing(reader: &mut Reader, now: Time) -> Result<i64> {
    let row = reader
        .row("select count(*) as count from silences where told <> 'expired' and ends_at > $1", &[now.into()])
        .await?;
    row.map_or(Ok(0), |row| row.int("count"))
}

/// What a decision about alerts has to know first, by one small statement: which silences are active, and whether any
/// alert is held back.
pub async fn in_force(reader: &mut Reader, now: Time) -> Result<(Vec<Arc<[Matcher]>>, bool)> {
    let rows = reader
        .rows(
            "select matchers from silences where told <> 'expired' and ends_at > $1 and starts_at <= $1 \
             union all select '' as matchers where exists (select 1 from silenced)",
            &[now.into()],
        )
        .await?;
    let mut active = Vec::new();
    let mut is_held = false;
    for row in rows {
        match row.str("matchers")? {
            "" => is_held = true,
            text => active.push(read(text)?),
        }
    }
    Ok((active, is_held))
}

/// Those of these alerts that are held back, each with since when.
pub async fn held<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<BTreeMap<AlertKey, Time>> {
    let keys: Vec<&AlertKey> = keys.into_iter().collect();
    let rows = reader
        .rows(
            "select alert, since from silenced where alert in (select value from json_each($1))",
            &[(&list(&keys)?).into()],
        )
        .await?;
    rows.iter().map(|row| Ok((AlertKey(row.text("alert")?), row.time("since")?))).collect()
}

/// Holds these alerts back from now on.
pub async fn hold(tx: &mut Tx, keys: &[&AlertKey], now: Time) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    tx.insert(
        "insert into silenced (alert, since) values ($1, $2) on conflict (alert) do nothing",
        keys.iter().map(|key| [(&key.0).into(), now.into()]),
    )
    .await
}

/// Holds these alerts back no more.
pub async fn let_go(tx: &mut Tx, keys: &[&AlertKey]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    tx.execute("delete from silenced where alert in (select value from json_each($1))", &[(&list(keys)?).into()])
        .await?;
    Ok(())
}

/// Forgets alerts that are held back although they are over, or are not known any more.
pub async fn forget_over(tx: &mut Tx) -> Result<()> {
    tx.execute(
        "delete from silenced where not exists \
         (select 1 from alerts where alerts.key = silenced.alert and alerts.state <> 'resolved')",
        &[],
    )
    .await?;
    Ok(())
}

/// Shows every alert that is held back and not over, one after the other.
pub async fn each_held(reader: &mut Reader, mut see: impl FnMut(&Open<'_>) -> Result<()> + Send) -> Result<()> {
    reader
        .each(
            "select alerts.record from silenced join alerts on alerts.key = silenced.alert \
             where alerts.state <> 'resolved' order by silenced.since, silenced.alert",
            &[],
            |row| see(&Open::read(row)?),
        )
        .await
}

fn silence(row: &Row) -> Result<Silence> {
    Ok(Silence {
        id: SilenceId(row.int("id")?),
        uuid: row.opt_text("uuid")?.unwrap_or_default(),
        matchers: read(row.str("matchers")?)?,
        starts_at: row.time("starts_at")?,
        ends_at: row.time("ends_at")?,
        author: row.text("author")?,
        comment: row.text("comment")?,
        annotations: row.json("annotations")?,
        set_by: row.json("set_by")?,
        updated_at: row.time("updated_at")?,
        told: row.parsed("told")?,
    })
}

/// The matchers that this text lists. Patterns cost time to read, so the same text is read once.
fn read(text: &str) -> Result<Arc<[Matcher]>> {
    static KNOWN: OnceLock<RwLock<HashMap<String, Arc<[Matcher]>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(RwLock::default);
    if let Some(matchers) = known.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return Ok(Arc::clone(matchers));
    }
    let matchers: Vec<Matcher> = serde_json::from_str(text)
        .map_err(|error| Fault::defect(format!("column `matchers` does not read back: {error}")))?;
    let matchers: Arc<[Matcher]> = matchers.into();
    let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= READY {
        known.clear();
    }
    known.insert(text.to_owned(), Arc::clone(&matchers));
    Ok(matchers)
}
