//! Which alerts belong to which incident, and how they stand there.

use std::collections::{BTreeMap, BTreeSet};

use super::severity;
use crate::{
    domain::{
        alerts::AlertState,
        ids::{AlertKey, IncidentId},
        incidents::Counts,
        severity::Severity,
        time::Time,
        timeline::EntryRef,
    },
    store::{self, Fault, Reader, Result, Row, Tx, row::list},
};

/// An alert in an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The incident.
    pub incident: IncidentId,
    /// The alert.
    pub key: AlertKey,
    /// Its `alertname`.
    pub name: String,
    /// How bad its route makes it.
    pub severity: Severity,
    /// Its latest episode in this incident.
    pub episode: u32,
    /// How it stands.
    pub state: AlertState,
    /// Whether it changes too often for automation to act on it.
    pub is_flapping: bool,
    /// Whether it stays quiet until it resolves, because the incident was declined.
    pub is_quiet: bool,
    /// When it joined.
    pub joined_at: Time,
    /// When its latest episode began, as it was heard.
    pub fired_at: Time,
    /// When it ended, while it is resolved.
    pub cleared_at: Option<Time>,
    /// The entry that says so.
    pub cleared_in: Option<EntryRef>,
    /// Since when nothing was heard of it, while it is stale.
    pub silent_since: Option<Time>,
}

/// An alert of an incident as it is to stand, and how it stood before; none if it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// How it stood.
    pub before: Option<AlertState>,
    /// How it stands.
    pub member: Membership,
}

/// Writes how alerts stand in their incidents, and keeps the incidents' counts; when an alert joined is kept.
pub async fn put_alerts(tx: &mut Tx, changed: &[Changed]) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let ids = store::alerts::ids(tx, changed.iter().map(|changed| &changed.member.key)).await?;
    let cleared_in: Vec<Option<String>> =
        changed.iter().map(|changed| changed.member.cleared_in.map(|entry| entry.to_string())).collect();
    tx.insert(
        "insert into incident_alerts (incident, alert_key, name, severity, episode, state, is_flapping, is_quiet, \
         joined_at, fired_at, cleared_at, cleared_in, silent_since, alert) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         on conflict (incident, alert) do update set name = excluded.name, severity = excluded.severity, \
         episode = excluded.episode, state = excluded.state, is_flapping = excluded.is_flapping, \
         is_quiet = excluded.is_quiet, fired_at = excluded.fired_at, cleared_at = excluded.cleared_at, \
         cleared_in = excluded.cleared_in, silent_since = excluded.silent_since",
        changed.iter().zip(&ids).zip(&cleared_in).map(|((Changed { member, .. }, id), cleared_in)| {
            [
                member.incident.0.into(),
                (&member.key.0).into(),
                (&member.name).into(),
                member.severity.number().into(),
                i64::from(member.episode).into(),
                member.state.word().into(),
                member.is_flapping.into(),
                member.is_quiet.into(),
                member.joined_at.into(),
                member.fired_at.into(),
                member.cleared_at.into(),
                cleared_in.as_deref().into(),
                member.silent_since.into(),
                (*id).into(),
            ]
        }),
    )
    .await?;
    let mut counts: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
    for Changed { before, member } in changed.iter().filter(|changed| changed.before != Some(changed.member.state)) {
        let counts = counts.entry(member.incident.0).or_default();
        counts[column(member.state)] += 1;
        if let Some(before) = before {
            counts[column(*before)] -= 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let counts: Vec<_> = counts.into_iter().collect();
    tx.execute(
        "update incidents set firing = firing + cast(value -> 1 ->> 0 as bigint), \
         stale = stale + cast(value -> 1 ->> 1 as bigint), resolved = resolved + cast(value -> 1 ->> 2 as bigint) \
         from json_each($1) where incidents.id = cast(value ->> 0 as bigint)",
        &[(&list(&counts)?).into()],
    )
    .await?;
    Ok(())
}

/// The place of a state's count among the three.
fn column(state: AlertState) -> usize {
    match state {
        AlertState::Firing => 0,
        AlertState::Stale => 1,
        AlertState::Resolved => 2,
    }
}

/// Each of these alerts in the newest incident that it belongs to. Merging moves alerts, so that is never a merged one.
pub async fn of_alerts<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<Vec<Membership>> {
    let ids: Vec<i64> = store::alerts::ids(reader, keys).await?.into_iter().flatten().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = reader
        .rows(
            "select m.* from incident_alerts m where m.alert in (select cast(value as bigint) from json_each($1)) \
             and m.incident = (select max(incident) from incident_alerts where alert = m.alert)",
            &[(&list(&ids)?).into()],
        )
        .await?;
    rows.iter().map(membership).collect()
}

/// The alert in this incident.
pub async fn alert_in(reader: &mut Reader, id: IncidentId, key: &AlertKey) -> Result<Option<Membership>> {
    let Some(alert) = store::alerts::ids(reader, [key]).await?.into_iter().flatten().next() else { return Ok(None) };
    let row = reader
        .row("select * from incident_alerts where incident = $1 and alert = $2", &[id.0.into(), alert.into()])
        .await?;
    row.as_ref().map(membership).transpose()
}

/// Those of these alerts that stand in an open incident and are not over there.
pub async fn not_over<'a>(
    reader: &mut Reader,
    keys: impl IntoIterator<Item = &'a AlertKey>,
) -> Result<BTreeSet<AlertKey>> {
    let ids: Vec<i64> = store::alerts::ids(reader, keys).await?.into_iter().flatten().collect();
    let rows = reader
        .rows(
            "select distinct m.alert_key from incident_alerts m join incidents i on i.id = m.incident \
             where m.alert in (select cast(value as bigint) from json_each($1)) \
             and m.state <> 'resolved' and i.phase in ('triage', 'investigating', 'mitigating', 'monitoring')",
            &[(&list(&ids)?).into()],
        )
        .await?;
    rows.iter().map(|row| Ok(AlertKey(row.text("alert_key")?))).collect()
}

/// The alerts of an incident, those that fire first, at most `limit`.
pub async fn alerts(reader: &mut Reader, id: IncidentId, limit: i64) -> Result<Vec<Membership>> {
    let rows = reader
        .rows(
            "select * from incident_alerts where incident = $1 order by case state when 'firing' then 0 \
             when 'stale' then 1 else 2 end, severity, name, alert_key limit $2",
            &[id.0.into(), limit.into()],
        )
        .await?;
    rows.iter().map(membership).collect()
}

/// How the alerts of an incident stand.
pub async fn counts(reader: &mut Reader, id: IncidentId) -> Result<Counts> {
    let row = reader.row("select firing, stale, resolved from incidents where id = $1", &[id.0.into()]).await?;
    row.as_ref().map_or(Ok(Counts::default()), counted)
}

pub(super) fn counted(row: &Row) -> Result<Counts> {
    let count = |column| row.int(column).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(Counts { firing: count("firing")?, stale: count("stale")?, resolved: count("resolved")? })
}

/// Counts the alerts of these incidents anew, after they were moved between them.
async fn count_anew(tx: &mut Tx, ids: [IncidentId; 2]) -> Result<()> {
    for id in ids {
        tx.execute(
            "update incidents set \
             firing = (select count(*) from incident_alerts where incident = $1 and state = 'firing'), \
             stale = (select count(*) from incident_alerts where incident = $1 and state = 'stale'), \
             resolved = (select count(*) from incident_alerts where incident = $1 and state = 'resolved') where id = $1",
            &[id.0.into()],
        )
        .await?;
    }
    Ok(())
}

/// When the last alert of the incident ended, and which entry says so.
pub async fn last_clearing(reader: &mut Reader, id: IncidentId) -> Result<Option<(Time, Option<EntryRef>)>> {
    let row = reader
        .row(
            "select cleared_at, cleared_in from incident_alerts where incident = $1 and cleared_at is not null \
             order by cleared_at desc limit 1",
            &[id.0.into()],
        )
        .await?;
    row.map(|row| {
        let entry = row.opt_text("cleared_in")?.map(|text| text.parse()).transpose().map_err(Fault::defect)?;
        Ok((row.time("cleared_at")?, entry))
    })
    .transpose()
}

/// How often each alert name stands in each state, those that fire first.
pub async fn names(reader: &mut Reader, id: IncidentId, limit: i64) -> Result<Vec<(String, AlertState, i64)>> {
    let rows = reader
        .rows(
            "select name, state, count(*) as count from incident_alerts where incident = $1 group by name, state \
             order by case state when 'firing' then 0 when 'stale' then 1 else 2 end, count desc, name limit $2",
            &[id.0.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.text("name")?, state(row)?, row.int("count")?))).collect()
}

/// Whether an alert of the incident changes too often for automation to act on it.
pub async fn is_flapping(reader: &mut Reader, id: IncidentId) -> Result<bool> {
    let row = reader
        .row("select 1 as found from incident_alerts where incident = $1 and is_flapping = 1 limit 1", &[id.0.into()])
        .await?;
    Ok(row.is_some())
}

/// The alerts of the incident that have not resolved stay quiet until they do. Says how many.
pub async fn keep_quiet(tx: &mut Tx, id: IncidentId) -> Result<u64> {
    tx.execute("update incident_alerts set is_quiet = 1 where incident = $1 and state <> 'resolved'", &[id.0.into()])
        .await
}

/// The alerts of the incident are told of again.
pub async fn end_quiet(tx: &mut Tx, id: IncidentId) -> Result<()> {
    tx.execute("update incident_alerts set is_quiet = 0 where incident = $1", &[id.0.into()]).await?;
    Ok(())
}

/// Moves alerts and group keys from one incident to another, where they are not in it yet. Says how many alerts.
pub async fn move_alerts(tx: &mut Tx, from: IncidentId, into: IncidentId) -> Result<u64> {
    let moved = tx
        .execute(
            "insert into incident_alerts (incident, alert, alert_key, name, severity, episode, state, is_flapping, is_quiet, \
             joined_at, fired_at, cleared_at, cleared_in, silent_since) select $2, alert, alert_key, name, severity, episode, state, \
             is_flapping, 0, joined_at, fired_at, cleared_at, cleared_in, silent_since from incident_alerts where incident = $1 \
             on conflict (incident, alert) do update set episode = excluded.episode, state = excluded.state, \
             is_flapping = excluded.is_flapping, fired_at = excluded.fired_at, cleared_at = excluded.cleared_at, \
             cleared_in = excluded.cleared_in, silent_since = excluded.silent_since where excluded.episode >= incident_alerts.episode",
            &[from.0.into(), into.0.into()],
        )
        .await?;
    tx.execute("delete from incident_alerts where incident = $1", &[from.0.into()]).await?;
    count_anew(tx, [from, into]).await?;
    tx.execute(
        "insert into incident_groups (group_key, incident) select group_key, $2 from incident_groups \
         where incident = $1 on conflict do nothing",
        &[from.0.into(), into.0.into()],
    )
    .await?;
    tx.execute("delete from incident_groups where incident = $1", &[from.0.into()]).await?;
    Ok(moved)
}

fn state(row: &Row) -> Result<AlertState> {
    let word = row.text("state")?;
    AlertState::named(&word).ok_or_else(|| Fault::defect(format!("column `state` is no alert's state: {word}")))
}

fn membership(row: &Row) -> Result<Membership> {
    Ok(Membership {
        incident: IncidentId(row.int("incident")?),
        key: AlertKey(row.text("alert_key")?),
        name: row.text("name")?,
        severity: severity(row, "severity")?,
        episode: u32::try_from(row.int("episode")?).unwrap_or(u32::MAX),
        state: state(row)?,
        is_flapping: row.is("is_flapping")?,
        is_quiet: row.is("is_quiet")?,
        joined_at: row.time("joined_at")?,
        fired_at: row.time("fired_at")?,
        cleared_at: row.opt_time("cleared_at")?,
        cleared_in: row.opt_text("cleared_in")?.map(|text| text.parse()).transpose().map_err(Fault::defect)?,
        silent_since: row.opt_time("silent_since")?,
    })
}
