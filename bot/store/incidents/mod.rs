//! Incidents and which alerts belong to them.

mod alerts;

use serde_json::{Value, json};

pub use self::alerts::{
    Changed, Membership, alert_in, alerts, counts, end_quiet, is_flapping, keep_quiet, last_clearing, move_alerts,
    names, not_over, of_alerts, put_alerts,
};
use super::{Fault, Reader, Result, Row, Tx, row};
use crate::domain::{
    ids::IncidentId,
    incidents::{Counts, Incident, Phase},
    severity::Severity,
    time::Time,
};

/// Which incidents a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Only in this phase; without one, those that are open.
    pub phase: Option<Phase>,
    /// Whether those that are over are shown too.
    pub with_over: bool,
    /// Only of this service.
    pub service: Option<&'a str>,
    /// Only at least this bad.
    pub at_least: Option<Severity>,
}

/// Writes a new incident; its `id` is given by the store: the next one, for a number that is missing raises questions.
pub async fn open_new(tx: &mut Tx, incident: &Incident) -> Result<IncidentId> {
    let row = tx
        .row(
            "insert into incidents (id, title, summary, severity, peak_severity, phase, phase_since, prior_phase, \
             service, environment, route, group_key, channel, runbooks, pages, last_fired_at, truncated, roles, \
             milestones, earlier, merged_into, asked_at, opened_at, origin) \
             select (select coalesce(max(id), 0) + 1 from incidents), value ->> 'title', value ->> 'summary', \
             cast(value ->> 'severity' as bigint), cast(value ->> 'peak_severity' as bigint), value ->> 'phase', \
             cast(value ->> 'phase_since' as bigint), value ->> 'prior_phase', value ->> 'service', \
             value ->> 'environment', value ->> 'route', value ->> 'group_key', value ->> 'channel', \
             value ->> 'runbooks', value ->> 'pages', cast(value ->> 'last_fired_at' as bigint), \
             cast(value ->> 'truncated' as bigint), value ->> 'roles', value ->> 'milestones', value ->> 'earlier', \
             cast(value ->> 'merged_into' as bigint), cast(value ->> 'asked_at' as bigint), \
             cast(value ->> 'opened_at' as bigint), value ->> 'origin' \
             from json_each($1) where true returning id",
            &[(&row::list(&[columns(incident)?])?).into()],
        )
        .await?;
    let id = IncidentId(row.ok_or_else(|| Fault::defect("a new incident got no id"))?.int("id")?);
    if let Some(group) = &incident.group {
        add_group(tx, id, group).await?;
    }
    Ok(id)
}

/// Writes incidents as they stand, but for their open runs and the counts of their alerts, which [`open_runs`] and
/// [`put_alerts`] keep.
pub async fn save<'a>(tx: &mut Tx, incidents: impl IntoIterator<Item = &'a Incident>) -> Result<()> {
    let rows: Vec<Value> = incidents.into_iter().map(columns).collect::<Result<_>>()?;
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute(
        "update incidents set title = value ->> 'title', summary = value ->> 'summary', \
         severity = cast(value ->> 'severity' as bigint), peak_severity = cast(value ->> 'peak_severity' as bigint), \
         phase = value ->> 'phase', phase_since = cast(value ->> 'phase_since' as bigint), \
         prior_phase = value ->> 'prior_phase', service = value ->> 'service', environment = value ->> 'environment', \
         route = value ->> 'route', group_key = value ->> 'group_key', channel = value ->> 'channel', \
         runbooks = value ->> 'runbooks', pages = value ->> 'pages', \
         last_fired_at = cast(value ->> 'last_fired_at' as bigint), truncated = cast(value ->> 'truncated' as bigint), \
         roles = value ->> 'roles', milestones = value ->> 'milestones', earlier = value ->> 'earlier', \
         merged_into = cast(value ->> 'merged_into' as bigint), asked_at = cast(value ->> 'asked_at' as bigint) \
         from json_each($1) where incidents.id = cast(value ->> 'id' as bigint)",
        &[(&row::list(&rows)?).into()],
    )
    .await?;
    Ok(())
}

/// The incidents with these names, each with how its alerts stand.
pub async fn by_ids(reader: &mut Reader, ids: impl IntoIterator<Item = IncidentId>) -> Result<Vec<(Incident, Counts)>> {
    let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
    let rows = reader
        .rows(
            "select * from incidents where id in (select cast(value as bigint) from json_each($1))",
            &[(&row::list(&ids)?).into()],
        )
        .await?;
    rows.iter().map(|row| Ok((incident(row)?, alerts::counted(row)?))).collect()
}

/// The incident with this name.
pub async fn by_id(reader: &mut Reader, id: IncidentId) -> Result<Option<Incident>> {
    if let Some(incident) = reader.ahead().incident(id) {
        return Ok(Some(incident.clone()));
    }
    let row = reader.row("select * from incidents where id = $1", &[id.0.into()]).await?;
    row.as_ref().map(incident).transpose()
}

/// The incident with this name and those that it went on in, down to the one that goes on.
pub async fn follow(reader: &mut Reader, id: IncidentId) -> Result<Option<Incident>> {
    let row = reader
        .row(
            "with recursive chain (id, next, depth) as (select id, merged_into, 0 from incidents where id = $1 \
             union all select i.id, i.merged_into, depth + 1 from incidents i join chain c on i.id = c.next \
             where depth < 100) \
             select i.* from incidents i join chain c on i.id = c.id order by depth desc limit 1",
            &[id.0.into()],
        )
        .await?;
    row.as_ref().map(incident).transpose()
}

/// Every open incident, newest first.
pub async fn open(reader: &mut Reader) -> Result<Vec<Incident>> {
    list(reader, Filter::default(), i64::MAX).await
}

/// Incidents that the filter lets through, newest first.
pub async fn list(reader: &mut Reader, filter: Filter<'_>, limit: i64) -> Result<Vec<Incident>> {
    let binds = [
        filter.phase.map(Phase::word).into(),
        filter.service.into(),
        filter.at_least.map_or(4, Severity::number).into(),
        limit.into(),
    ];
    // What is over grows for ever; listing what is open must not walk through it.
    let sql = match (filter.phase, filter.with_over) {
        (Some(_), _) => {
            "select * from incidents where phase = $1 and (cast($2 as text) is null or service = $2) and severity <= $3 \
             order by id desc limit $4"
        }
        (None, true) => {
            "select * from incidents where cast($1 as text) is null and (cast($2 as text) is null or service = $2) and severity <= $3 \
             order by id desc limit $4"
        }
        (None, false) => {
            "select * from incidents where phase in ('triage', 'investigating', 'mitigating', 'monitoring') \
             and cast($1 as text) is null and (cast($2 as text) is null or service = $2) and severity <= $3 order by id desc limit $4"
        }
    };
    let rows = reader.rows(sql, &binds).await?;
    rows.iter().map(incident).collect()
}

/// Incidents whose name or title holds these words, open ones first and newest first.
pub async fn search(reader: &mut Reader, words: &str, limit: i64) -> Result<Vec<Incident>> {
    let rows = reader
        .rows(
            "select * from incidents where phase not in ('closed', 'merged') \
             and (instr(lower(title), lower($1)) > 0 or instr('inc-' || id, lower($1)) > 0) \
             order by phase in ('triage', 'investigating', 'mitigating', 'monitoring') desc, id desc limit $2",
            &[words.into(), limit.into()],
        )
        .await?;
    rows.iter().map(incident).collect()
}

/// Every service that an incident was about and whose name holds these letters.
pub async fn services(reader: &mut Reader, letters: &str, limit: i64) -> Result<Vec<String>> {
    let rows = reader
        .rows(
            "select distinct service from incidents where service is not null \
             and instr(lower(service), lower($1)) > 0 order by service limit $2",
            &[letters.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.text("service")).collect()
}

/// For each of these group keys, the incidents that have it: at most `limit`, the newest.
pub async fn by_groups<'a>(
    reader: &mut Reader,
    groups: impl IntoIterator<Item = &'a str>,
    limit: i64,
) -> Result<Vec<(String, IncidentId)>> {
    let groups: Vec<&str> = groups.into_iter().collect();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let rows = reader
        .rows(
            "select g.group_key, g.incident from (select value from json_each($1)) as asked \
             cross join incident_groups g where g.group_key = value and g.incident >= coalesce((select incident \
             from incident_groups where group_key = value order by incident desc limit 1 offset $2), 0) order by g.incident desc",
            &[(&row::list(&groups)?).into(), (limit - 1).into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.text("group_key")?, IncidentId(row.int("incident")?)))).collect()
}

/// Those that were merged into this one.
pub async fn merged_into(reader: &mut Reader, id: IncidentId) -> Result<Vec<IncidentId>> {
    let rows = reader.rows("select id from incidents where merged_into = $1 order by id", &[id.0.into()]).await?;
    rows.iter().map(|row| Ok(IncidentId(row.int("id")?))).collect()
}

/// How many incidents are in each phase.
pub async fn phases(reader: &mut Reader) -> Result<Vec<(Phase, i64)>> {
    let rows = reader.rows("select phase, count(*) as count from incidents group by phase", &[]).await?;
    rows.iter().map(|row| Ok((row.parsed("phase")?, row.int("count")?))).collect()
}

/// Counts a run of the incident that began (`1`) or ended (`-1`), in the incident that it goes on in, which is given.
pub async fn open_runs(tx: &mut Tx, id: IncidentId, change: i64) -> Result<Option<Incident>> {
    let row = tx
        .row(
            "with recursive chain (id, next, depth) as (select id, merged_into, 0 from incidents where id = $1 \
             union all select i.id, i.merged_into, depth + 1 from incidents i join chain c on i.id = c.next \
             where depth < 100) \
             update incidents set open_runs = case when open_runs + $2 < 0 then 0 else open_runs + $2 end \
             where id = (select id from chain order by depth desc limit 1) returning *",
            &[id.0.into(), change.into()],
        )
        .await?;
    row.as_ref().map(incident).transpose()
}

/// Moves the count of open runs from an incident to the one that it goes on in.
pub async fn move_runs(tx: &mut Tx, from: IncidentId, into: IncidentId) -> Result<()> {
    tx.execute(
        "update incidents set open_runs = open_runs + (select open_runs from incidents where id = $1) where id = $2",
        &[from.0.into(), into.0.into()],
    )
    .await?;
    tx.execute("update incidents set open_runs = 0 where id = $1", &[from.0.into()]).await?;
    Ok(())
}

/// Alerts with this group key belong to the incident from then on.
pub async fn add_group(tx: &mut Tx, id: IncidentId, group: &str) -> Result<()> {
    tx.execute(
        "insert into incident_groups (group_key, incident) values ($1, $2) on conflict do nothing",
        &[group.into(), id.0.into()],
    )
    .await?;
    Ok(())
}

/// An incident as it is written; documents are JSON as text.
fn columns(incident: &Incident) -> Result<Value> {
    Ok(json!({
        "id": incident.id.0,
        "title": incident.title,
        "summary": incident.summary,
        "severity": incident.severity.number(),
        "peak_severity": incident.peak_severity.number(),
        "phase": incident.phase.word(),
        "phase_since": incident.phase_since.millis(),
        "prior_phase": incident.prior_phase.map(Phase::word),
        "service": incident.service,
        "environment": incident.environment,
        "route": incident.route,
        "group_key": incident.group,
        "channel": incident.channel,
        "runbooks": row::json(&incident.runbooks)?,
        "pages": row::json(&incident.pages)?,
        "last_fired_at": incident.last_fired_at.map(Time::millis),
        "truncated": i64::try_from(incident.truncated).unwrap_or(i64::MAX),
        "roles": row::json(&incident.roles)?,
        "milestones": row::json(&incident.milestones)?,
        "earlier": row::json(&incident.earlier)?,
        "merged_into": incident.merged_into.map(|id| id.0),
        "asked_at": incident.asked_at.map(Time::millis),
        "opened_at": incident.opened_at.millis(),
        "origin": row::json(&incident.origin)?,
    }))
}

fn severity(row: &Row, column: &str) -> Result<Severity> {
    let number = row.int(column)?;
    Severity::numbered(number).ok_or_else(|| Fault::defect(format!("column `{column}` is no severity: {number}")))
}

fn incident(row: &Row) -> Result<Incident> {
    let prior = row.opt_text("prior_phase")?;
    Ok(Incident {
        id: IncidentId(row.int("id")?),
        title: row.text("title")?,
        summary: row.text("summary")?,
        severity: severity(row, "severity")?,
        peak_severity: severity(row, "peak_severity")?,
        phase: row.parsed("phase")?,
        phase_since: row.time("phase_since")?,
        prior_phase: prior.map(|word| word.parse()).transpose().map_err(Fault::defect)?,
        service: row.opt_text("service")?,
        environment: row.opt_text("environment")?,
        route: row.opt_text("route")?,
        group: row.opt_text("group_key")?,
        channel: row.text("channel")?,
        runbooks: row.json("runbooks")?,
        pages: row.json("pages")?,
        origin: row.json("origin")?,
        opened_at: row.time("opened_at")?,
        last_fired_at: row.opt_time("last_fired_at")?,
        truncated: u64::try_from(row.int("truncated")?).unwrap_or(0),
        roles: row.json("roles")?,
        milestones: row.json("milestones")?,
        earlier: row.json("earlier")?,
        merged_into: row.opt_int("merged_into")?.map(IncidentId),
        asked_at: row.opt_time("asked_at")?,
        open_runs: u64::try_from(row.int("open_runs")?).unwrap_or(0),
    })
}
