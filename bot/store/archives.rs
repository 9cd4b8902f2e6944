//! Incidents that left for a file, which of them may leave, and what else is too old to be kept.
//!
//! The newest row of each kind stays, whatever it belongs to: a number that was given once is never given again.

use super::{Reader, Result, Row, Tx, inputs, plans};
use crate::domain::{
    ids::IncidentId,
    incidents::{Incident, Phase},
    severity::Severity,
    time::Time,
};

/// An incident that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its name.
    pub incident: IncidentId,
    /// Its title.
    pub title: String,
    /// How bad it was.
    pub severity: Severity,
    /// How it ended.
    pub phase: Phase,
    /// What it was about.
    pub service: Option<String>,
    /// When it was opened.
    pub opened_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// When it left.
    pub archived_at: Time,
    /// The file, as people are told.
    pub file: String,
    /// The digest in the last line of the file.
    pub sha256: String,
    /// How many entries its timeline has.
    pub seq: i64,
    /// The hash of the last of them.
    pub hash: String,
}

impl Archived {
    /// What is known of the incident, its file, and the end of its timeline.
    pub fn new(incident: &Incident, (file, sha256): (String, String), (seq, hash): (i64, String), now: Time) -> Self {
        Self {
            incident: incident.id,
            title: incident.title.clone(),
            severity: incident.severity,
            phase: incident.phase,
            service: incident.service.clone(),
            opened_at: incident.opened_at,
            ended_at: incident.phase_since,
            archived_at: now,
            file,
            sha256,
            seq,
            hash,
        }
    }
}

/// Incidents that are over since before `$1`, none of which anything depends on that stays.
macro_rules! over {
    ($and:literal) => {
        concat!(
            "select i.id from incidents i where i.phase in ('resolved', 'closed', 'declined', 'merged') \
             and i.phase_since < $1 and ",
            $and,
            " and i.open_runs = 0 and i.firing = 0 and i.id < (select max(id) from incidents) \
             and not exists (select 1 from incidents o where o.merged_into = i.id) \
             and not exists (select 1 from incidents t where t.id = i.merged_into \
             and t.phase in ('triage', 'investigating', 'mitigating', 'monitoring')) \
             and not exists (select 1 from runs r where r.incident = i.id \
             and (r.ended_at is null or r.id = (select max(id) from runs))) \
             and not exists (select 1 from runs r join approvals a on a.run = r.id where r.incident = i.id \
             and a.id = (select max(id) from approvals)) \
             and not exists (select 1 from posts p where p.incident = i.id \
             and (p.state = 'waiting' or p.id = (select max(id) from posts))) \
             and not exists (select 1 from timeline e where e.chain = i.id and e.id = (select max(id) from timeline)) \
             order by i.phase_since, i.id limit $2"
        )
    };
}

pub(super) const DUE: &str = over!("i.id > 0");

/// Up to `limit` incidents that ended before this time and may leave, those first that ended first.
pub async fn due(reader: &mut Reader, before: Time, limit: i64) -> Result<Vec<IncidentId>> {
    let rows = reader.rows(DUE, &[before.into(), limit.into()]).await?;
    rows.iter().map(|row| Ok(IncidentId(row.int("id")?))).collect()
}

/// Whether this incident ended before this time and may leave.
pub async fn is_due(reader: &mut Reader, id: IncidentId, before: Time) -> Result<bool> {
    let row = reader.row(over!("i.id = $3"), &[before.into(), 1.into(), id.0.into()]).await?;
    Ok(row.is_some())
}

/// Writes down that an incident left.
pub async fn add(tx: &mut Tx, archived: &Archived) -> Result<()> {
    tx.execute(
        "insert into archives (incident, title, severity, phase, service, opened_at, ended_at, archived_at, file, sha256, \
         seq, hash) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            archived.incident.0.into(),
            (&archived.title).into(),
            archived.severity.number().into(),
            archived.phase.word().into(),
            archived.service.as_deref().into(),
            archived.opened_at.into(),
            archived.ended_at.into(),
            archived.archived_at.into(),
            (&archived.file).into(),
            (&archived.sha256).into(),
            archived.seq.into(),
            (&archived.hash).into(),
        ],
    )
    .await?;
    Ok(())
}

/// The incident, if it left.
pub async fn of(reader: &mut Reader, id: IncidentId) -> Result<Option<Archived>> {
    let row = reader.row("select * from archives where incident = $1", &[id.0.into()]).await?;
    row.as_ref().map(archived).transpose()
}

/// Every incident that left, in the order of their names.
pub async fn all(reader: &mut Reader) -> Result<Vec<Archived>> {
    let rows = reader.rows("select * from archives order by incident", &[]).await?;
    rows.iter().map(archived).collect()
}

/// Forgets the alerts of an incident that is about to leave, but for those that fire, were heard of since, or belong to
/// another one. Says how many.
pub async fn forget_alerts(tx: &mut Tx, id: IncidentId, before: Time) -> Result<u64> {
    tx.execute(
        "delete from alerts where state <> 'firing' and last_seen < $2 \
         and id in (select alert from incident_alerts where incident = $1) \
         and not exists (select 1 from incident_alerts m where m.alert = alerts.id and m.incident <> $1)",
        &[id.0.into(), before.into()],
    )
    .await
}

/// What goes without a file: up to `$2` rows of each kind that are older than `$1`.
pub(super) const PRUNED: [&str; 4] = [
    "delete from posts where id in (select id from (select id, created_at, state from posts \
     where incident is null order by id limit $2) as oldest where created_at < $1 and state <> 'waiting') \
     and id < (select max(id) from posts)",
    "delete from suppressions where (alert, reason, source) in \
     (select alert, reason, source from suppressions where last_at < $1 order by last_at limit $2)",
    "delete from silences where id in (select id from silences \
     where ends_at < $1 and told = 'expired' order by ends_at limit $2) and id < (select max(id) from silences)",
    "delete from changes where (external, service) in \
     (select external, service from changes where at < $1 order by at limit $2)",
];

/// Takes away up to `limit` of each kind of what is older than this and belongs to no incident: messages that were dealt
/// with, what was ignored of alerts, silences that ended, changes that are no deployments, inputs that nobody sends
/// again, and plans that no run follows. Says how many of them there were at the most.
pub async fn prune(tx: &mut Tx, before: Time, limit: i64, now: Time) -> Result<u64> {
    let binds = [before.into(), limit.into()];
    let mut most = 0;
    for sql in PRUNED {
        most = most.max(tx.execute(sql, &binds).await?);
    }
    tx.execute("delete from inputs where at < $1", &[(now - inputs::REMEMBERED).into()]).await?;
    plans::forget(tx).await?;
    Ok(most)
}

fn archived(row: &Row) -> Result<Archived> {
    let severity = row.int("severity")?;
    Ok(Archived {
        incident: IncidentId(row.int("incident")?),
        title: row.text("title")?,
        severity: Severity::numbered(severity)
            .ok_or_else(|| super::Fault::defect(format!("column `severity` is no severity: {severity}")))?,
        phase: row.parsed("phase")?,
        service: row.opt_text("service")?,
        opened_at: row.time("opened_at")?,
        ended_at: row.time("ended_at")?,
        archived_at: row.time("archived_at")?,
        file: row.text("file")?,
        sha256: row.text("sha256")?,
        seq: row.int("seq")?,
        hash: row.text("hash")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, trial::Home};

    /// What has to be walked through grows for ever, and what retention reads must not grow with it.
    #[tokio::test]
    async fn nothing_is_looked_for_by_walking_through_a_whole_table() {
        let home = Home::file();
        let store = Store::open(home.address()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        for sql in [DUE].into_iter().chain(PRUNED) {
            let plan = format!("explain query plan {sql}").leak();
            let rows = reader.rows(plan, &[0.into(), 1.into()]).await.unwrap();
            let steps: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
            // The few rows of a list that is bounded may be walked through.
            let walks = steps.iter().filter(|step| step.starts_with("SCAN") && !step.starts_with("SCAN oldest"));
            assert_eq!(walks.count(), 0, "{sql}\n{}", steps.join("\n"));
        }
    }
}
