//! Incidents and which alerts belong to them.

mod alerts;

pub use self::alerts::{
    Membership, alert_in, alerts, counts, end_quiet, is_flapping, keep_quiet, last_clearing, move_alerts, names,
    of_alert, put_alert,
};
use super::{Bind, Fault, Reader, Result, Row, Tx, row::json};
use crate::domain::{
    ids::IncidentId,
    incidents::{Incident, Phase},
    severity::Severity,
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

/// Writes a new incident; its `id` is given by the store.
pub async fn open_new(tx: &mut Tx, incident: &Incident) -> Result<IncidentId> {
    let documents = Documents::of(incident)?;
    let mut binds = incident_binds(incident, &documents);
    binds.push(incident.opened_at.into());
    binds.push((&documents.origin).into());
    let row = tx
        .row(
            "insert into incidents (title, summary, severity, peak_severity, phase, phase_since, prior_phase, service, \
             environment, route, group_key, channel, runbooks, pages, last_fired_at, truncated, roles, milestones, \
             earlier, merged_into, asked_at, opened_at, origin) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
             $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) returning id",
            &binds,
        )
        .await?;
    let id = IncidentId(row.ok_or_else(|| Fault::defect("a new incident got no id"))?.int("id")?);
    if let Some(group) = &incident.group {
        add_group(tx, id, group).await?;
    }
    Ok(id)
}

/// Writes an incident as it stands, but for its open runs, which [`open_runs`] keeps.
pub async fn save(tx: &mut Tx, incident: &Incident) -> Result<()> {
    let documents = Documents::of(incident)?;
    let mut binds = incident_binds(incident, &documents);
    binds.push(incident.id.0.into());
    tx.execute(
        "update incidents set title = $1, summary = $2, severity = $3, peak_severity = $4, phase = $5, \
         phase_since = $6, prior_phase = $7, service = $8, environment = $9, route = $10, group_key = $11, \
         channel = $12, runbooks = $13, pages = $14, last_fired_at = $15, truncated = $16, roles = $17, \
         milestones = $18, earlier = $19, merged_into = $20, asked_at = $21 where id = $22",
        &binds,
    )
    .await?;
    Ok(())
}

/// The incident with this name.
pub async fn by_id(reader: &mut Reader, id: IncidentId) -> Result<Option<Incident>> {
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

/// The incidents with this group key, newest first.
pub async fn by_group(reader: &mut Reader, group: &str, limit: i64) -> Result<Vec<Incident>> {
    let rows = reader
        .rows(
            "select i.* from incident_groups g join incidents i on i.id = g.incident where g.group_key = $1 \
             order by g.incident desc limit $2",
            &[group.into(), limit.into()],
        )
        .await?;
    rows.iter().map(incident).collect()
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

/// Counts a run of the incident that began (`1`) or ended (`-1`), in the incident that it goes on in.
pub async fn open_runs(tx: &mut Tx, id: IncidentId, change: i64) -> Result<()> {
    let living = follow(tx, id).await?.map_or(id, |incident| incident.id);
    tx.execute(
        "update incidents set open_runs = case when open_runs + $2 < 0 then 0 else open_runs + $2 end where id = $1",
        &[living.0.into(), change.into()],
    )
    .await?;
    Ok(())
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

struct Documents {
    runbooks: String,
    pages: String,
    origin: String,
    roles: String,
    milestones: String,
    earlier: String,
}

impl Documents {
    fn of(incident: &Incident) -> Result<Self> {
        Ok(Self {
            runbooks: json(&incident.runbooks)?,
            pages: json(&incident.pages)?,
            origin: json(&incident.origin)?,
            roles: json(&incident.roles)?,
            milestones: json(&incident.milestones)?,
            earlier: json(&incident.earlier)?,
        })
    }
}

fn incident_binds<'a>(incident: &'a Incident, documents: &'a Documents) -> Vec<Bind<'a>> {
    let truncated = i64::try_from(incident.truncated).unwrap_or(i64::MAX);
    vec![
        (&incident.title).into(),
        (&incident.summary).into(),
        incident.severity.number().into(),
        incident.peak_severity.number().into(),
        incident.phase.word().into(),
        incident.phase_since.into(),
        incident.prior_phase.map(Phase::word).into(),
        incident.service.as_deref().into(),
        incident.environment.as_deref().into(),
        incident.route.as_deref().into(),
        incident.group.as_deref().into(),
        (&incident.channel).into(),
        (&documents.runbooks).into(),
        (&documents.pages).into(),
        incident.last_fired_at.into(),
        truncated.into(),
        (&documents.roles).into(),
        (&documents.milestones).into(),
        (&documents.earlier).into(),
        incident.merged_into.map(|id| id.0).into(),
        incident.asked_at.into(),
    ]
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
