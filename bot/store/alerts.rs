//! Alerts as they stand. However many a body holds, it is read and written by the same few statements.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Bind, Fault, Reader, Result, Row, Tx,
    row::{json, list},
};
use crate::domain::{
    alerts::{Alert, AlertState, Labels, Settings},
    ids::AlertKey,
    time::Time,
};

/// The alerts among these that are known.
pub async fn known<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<BTreeMap<AlertKey, Arc<Alert>>> {
    let keys: Vec<&AlertKey> = keys.into_iter().collect();
    let at_hand: Option<BTreeMap<_, _>> =
        keys.iter().map(|key| Some(((*key).clone(), Arc::clone(reader.ahead().alert(key)?)))).collect();
    if let Some(alerts) = at_hand {
        return Ok(alerts);
    }
    let mut known: BTreeMap<AlertKey, Arc<Alert>> = BTreeMap::new();
    for those in [PRESENT, PAST] {
        let unknown: Vec<&AlertKey> = keys.iter().filter(|key| !known.contains_key(**key)).copied().collect();
        if unknown.is_empty() {
            break;
        }
        let Some(row) = reader.row(those, &[(&list(&unknown)?).into()]).await? else { continue };
        let Some(ids) = row.opt_text("ids")? else { continue };
        let (ids, alerts): (Vec<i64>, Vec<Alert>) = (serde_json::from_str(&ids)?, row.json("records")?);
        for (id, alert) in ids.into_iter().zip(alerts) {
            reader.ahead().keep_alert_id(alert.key.clone(), Some(id));
            known.insert(alert.key.clone(), Arc::new(alert));
        }
    }
    for key in keys.into_iter().filter(|key| !known.contains_key(*key)) {
        reader.ahead().keep_alert_id(key.clone(), None);
    }
    Ok(known)
}

/// Those of a list of keys that have not resolved, all in one row: a row costs more to hand over than to read.
const PRESENT: &str = "select '[' || string_agg(cast(id as text), ',') || ']' as ids, \
     '[' || string_agg(record, ',') || ']' as records \
     from alerts where state <> 'resolved' and key in (select value from json_each($1))";
/// Those of it that have.
const PAST: &str = "select '[' || string_agg(cast(id as text), ',') || ']' as ids, \
     '[' || string_agg(record, ',') || ']' as records \
     from alerts where state = 'resolved' and key in (select value from json_each($1))";

/// The store's own names for these alerts; none for those that are not known.
pub(super) async fn ids<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<Vec<Option<i64>>> {
    let keys: Vec<&AlertKey> = keys.into_iter().collect();
    let unread: Vec<&AlertKey> = keys.iter().filter(|key| !reader.ahead().has_alert_id(key)).copied().collect();
    if !unread.is_empty() {
        let rows = reader
            .rows(
                "select id, key from alerts where state = 'resolved' and key in (select value from json_each($1)) \
                 union all \
                 select id, key from alerts where state <> 'resolved' and key in (select value from json_each($1))",
                &[(&list(&unread)?).into()],
            )
            .await?;
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for row in rows {
            found.insert(row.text("key")?, row.int("id")?);
        }
        for key in unread {
            reader.ahead().keep_alert_id(key.clone(), found.remove(&key.0));
        }
    }
    Ok(keys.iter().map(|key| reader.ahead().alert_id(key)).collect())
}

/// Writes these alerts as they stand.
pub async fn put<'a>(tx: &mut Tx, alerts: impl IntoIterator<Item = &'a Arc<Alert>>, settings: &Settings) -> Result<()> {
    let alerts: Vec<&Arc<Alert>> = alerts.into_iter().collect();
    let ids = ids(tx, alerts.iter().map(|alert| &alert.key)).await?;
    let mut last = if ids.contains(&None) {
        let last = tx.row("select max(id) as id from alerts", &[]).await?;
        last.map_or(Ok(None), |row| row.opt_int("id"))?.unwrap_or(0)
    } else {
        0
    };
    for alert in alerts {
        let id = tx.ahead().alert_id(&alert.key).unwrap_or_else(|| {
            last += 1;
            last
        });
        tx.ahead().keep_alert_id(alert.key.clone(), Some(id));
        tx.ahead().keep_alert(Arc::clone(alert));
        let due_at = alert.due_at(settings);
        tx.later().alerts.0.insert(id, Put { id, alert: Arc::clone(alert), due_at });
    }
    Ok(())
}

/// The alerts that are still to be written, by the store's own names.
#[derive(Default)]
pub(super) struct Later(BTreeMap<i64, Put>);

/// An alert as it is written.
pub(super) struct Put {
    id: i64,
    alert: Arc<Alert>,
    due_at: Option<Time>,
}

pub(super) const PUT: &str = "insert into alerts (id, key, state, due_at, last_seen, record) \
     values ($1, $2, $3, $4, $5, $6) on conflict (id) do update set state = excluded.state, due_at = excluded.due_at, \
     last_seen = excluded.last_seen, record = excluded.record";

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Put> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

impl Put {
    /// All of it, as JSON.
    pub(super) fn record(&self) -> Result<String> {
        json(&*self.alert)
    }

    pub(super) fn row<'a>((put, record): (&'a Self, &'a String)) -> [Bind<'a>; 6] {
        let alert = &put.alert;
        [
            put.id.into(),
            (&alert.key.0).into(),
            alert.state.word().into(),
            put.due_at.into(),
            alert.last_seen.into(),
            record.into(),
        ]
    }
}

/// Up to `limit` alerts that the passing of time may have changed, those first that waited longest.
pub async fn due(reader: &mut Reader, now: Time, limit: i64) -> Result<Vec<Arc<Alert>>> {
    let rows = reader
        .rows("select id, record from alerts where due_at <= $1 order by due_at limit $2", &[now.into(), limit.into()])
        .await?;
    rows.iter()
        .map(|row| {
            let alert: Arc<Alert> = row.json("record").map(Arc::new)?;
            reader.ahead().keep_alert_id(alert.key.clone(), Some(row.int("id")?));
            Ok(alert)
        })
        .collect()
}

/// When the passing of time may change an alert next.
pub async fn earliest_due(reader: &mut Reader) -> Result<Option<Time>> {
    let row = reader.row("select min(due_at) as due_at from alerts where due_at is not null", &[]).await?;
    row.map_or(Ok(None), |row| row.opt_time("due_at"))
}

/// An alert that is not over, as lists show it: it borrows from its row, and nothing of it is copied unasked.
#[derive(Debug, Deserialize)]
pub struct Open<'a> {
    /// Its identity.
    pub key: &'a str,
    /// Whether it fires, or fell silent.
    pub state: AlertState,
    /// Its labels, as JSON.
    #[serde(borrow)]
    labels: &'a RawValue,
    /// The latest texts about it, as JSON.
    #[serde(borrow)]
    annotations: &'a RawValue,
    /// The source's page about it, as JSON.
    #[serde(borrow, default)]
    generator_url: Option<&'a RawValue>,
    /// When it began, if its source says so, as JSON.
    #[serde(borrow, default)]
    starts_at: Option<&'a RawValue>,
    /// When the statement came that began the episode, as JSON.
    #[serde(borrow)]
    fired_at: &'a RawValue,
    /// When the latest statement came that counted, as JSON.
    #[serde(borrow)]
    last_seen: &'a RawValue,
    #[serde(borrow)]
    voices: BTreeMap<Cow<'a, str>, Speaking<'a>>,
}

/// As much of a voice as says until when it vouches for the alert.
#[derive(Debug, Deserialize)]
struct Speaking<'a> {
    firing: bool,
    #[serde(borrow)]
    deadline: &'a RawValue,
}

impl<'a> Open<'a> {
    /// The alert whose record this row has.
    pub(super) fn read(row: &'a Row) -> Result<Self> {
        serde_json::from_str(row.str("record")?).map_err(unreadable)
    }

    /// Its labels.
    pub fn labels(&self) -> Result<Labels> {
        Ok(serde_json::from_str(self.labels.get())?)
    }

    /// Its labels, as a JSON object of texts.
    pub fn labels_json(&self) -> &'a str {
        self.labels.get()
    }

    /// The latest texts about it, as a JSON object of texts.
    pub fn annotations_json(&self) -> &'a str {
        self.annotations.get()
    }

    /// The source's page about it, as a JSON text.
    pub fn generator_url_json(&self) -> Option<&'a str> {
        self.generator_url.map(RawValue::get).filter(|text| *text != "null")
    }

    /// When it began by its source, or else when it was heard first, as a JSON text.
    pub fn since_json(&self) -> &'a str {
        self.starts_at.map(RawValue::get).filter(|text| *text != "null").unwrap_or(self.fired_at.get())
    }

    /// When the latest statement came that counted, as a JSON text.
    pub fn last_seen_json(&self) -> &'a str {
        self.last_seen.get()
    }

    /// Until when somebody vouches for it, as a JSON text; past if it fell silent.
    pub fn until_json(&self) -> Result<&'a str> {
        let mut firing = self.voices.values().filter(|voice| voice.firing).map(|voice| voice.deadline.get());
        let (first, second) = (firing.next(), firing.next());
        let (Some(first), Some(second)) = (first, second) else { return Ok(first.unwrap_or(self.last_seen.get())) };
        let mut latest: (Time, &str) = (serde_json::from_str(first)?, first);
        for text in std::iter::once(second).chain(firing) {
            latest = latest.max((serde_json::from_str(text)?, text));
        }
        Ok(latest.1)
    }
}

/// How many alerts a page has; two pages are all that is in memory at once.
const PAGE: i64 = 500;

/// Shows every alert that is not over, one after the other.
pub async fn open(reader: &mut Reader, mut see: impl FnMut(&Open<'_>) -> Result<()> + Send) -> Result<()> {
    for state in [AlertState::Firing, AlertState::Stale] {
        let mut page = page_after(reader, state, 0).await?;
        while let Some((last, row)) = page {
            // The database reads the next one meanwhile.
            let (next, shown) = futures::join!(page_after(reader, state, last), async {
                let alerts: Vec<Open<'_>> = serde_json::from_str(row.str("records")?).map_err(unreadable)?;
                alerts.iter().try_for_each(&mut see)
            });
            shown?;
            page = next?;
        }
    }
    Ok(())
}

/// A page of alerts, those after this one, and its last; none if there are no more.
async fn page_after(reader: &mut Reader, state: AlertState, after: i64) -> Result<Option<(i64, Row)>> {
    let row = reader
        .row(
            "select max(id) as last, '[' || string_agg(record, ',') || ']' as records from \
             (select id, record from alerts where state <> 'resolved' and state = $1 and id > $2 order by id limit $3) \
             as page",
            &[state.word().into(), after.into(), PAGE.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(row.opt_int("last")?.map(|last| (last, row)))
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
    rows.iter().map(suppression).collect()
}

/// What was ignored of the alerts with this `alertname`: the newest, in order.
pub async fn suppressions_of(reader: &mut Reader, alertname: &str, limit: i64) -> Result<Vec<Suppression>> {
    // As it stands in a record.
    let label = format!("\"alertname\":{}", json(&alertname)?);
    let rows = reader
        .rows(
            "select s.* from suppressions s where exists (select 1 from alerts a where a.state <> 'resolved' \
             and a.key = s.alert and instr(a.record, $1) > 0) or exists (select 1 from alerts a \
             where a.state = 'resolved' and a.key = s.alert and instr(a.record, $1) > 0) \
             order by s.last_at desc, s.alert, s.reason limit $2",
            &[(&label).into(), limit.into()],
        )
        .await?;
    rows.iter().rev().map(suppression).collect()
}

fn suppression(row: &Row) -> Result<Suppression> {
    Ok(Suppression {
        alert: AlertKey(row.text("alert")?),
        reason: row.text("reason")?,
        source: row.text("source")?,
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
        count: row.int("count")?,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over an error")]
fn unreadable(error: serde_json::Error) -> Fault {
    Fault::defect(format!("column `record` does not read back: {error}"))
}
