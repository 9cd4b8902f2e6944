//! What is so old that it may leave for a file, or go without one.
//!
//! The newest row of each kind stays, whatever it belongs to: a number that was given once is never given again.

use super::Part;
use crate::{
    domain::{
        ids::{IncidentId, RunId},
        runs::breaker,
        time::Time,
        timeline::{Chain, Entry},
    },
    store::{Bind, Reader, Result, Tx, deployments, inputs, plans, row::list, timeline},
};

/// How many runs and how many entries go into one file at the most.
const RUNS: i64 = 20;
const ENTRIES: i64 = 1_000;

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

/// Runs of no incident that ended before `$2`, and on which nothing depends that stays: no run of their family that has not
/// ended, none that they started (a circle of runs is known by those before), no alert that may start them again, no
/// message that waits, none of the `$4` newest deployments of a place, and no breaker, which looks at the `$5` newest runs of
/// a runbook on a target, up to the last that surely helped.
macro_rules! runs_over {
    ($and:literal) => {
        concat!(
            "select r.id from runs r where r.incident is null and r.ended_at < $2 and ",
            $and,
            " \
             and r.id <> (select max(id) from runs) \
             and not exists (select 1 from approvals a where a.run = r.id and a.id = (select max(id) from approvals)) \
             and not exists (select 1 from runs open where open.ended_at is null \
             and coalesce(open.root, open.id) = coalesce(r.root, r.id)) \
             and not exists (select 1 from runs s where s.requested_by like '{\"run\"%' \
             and s.requested_by = '{\"run\":\"RUN-' || r.id || '\"}') \
             and (r.cause is null or not exists (select 1 from alerts a where a.state in ('firing', 'stale') \
             and a.state <> 'resolved' and instr(r.cause, a.key) > 0)) \
             and not exists (select 1 from cards c where c.subject = 'RUN-' || r.id and c.wanted > c.shown) \
             and not exists (select 1 from approvals a join cards c on c.subject = 'APR-' || a.id where a.run = r.id \
             and c.wanted > c.shown) \
             and not exists (select 1 from deployments d where d.run = r.id and not exists (select 1 from deployments n \
             where n.service = d.service and n.environment = d.environment and n.id > d.id limit 1 offset $4 - 1)) \
             and (exists (select 1 from runs n where n.runbook = r.runbook and n.service = r.service \
             and n.environment = r.environment and (n.ended_at, n.id) > (r.ended_at, r.id) and n.state = 'done' \
             and (n.cause is null or n.mutated_at is null)) \
             or exists (select 1 from runs n where n.runbook = r.runbook and n.service = r.service \
             and n.environment = r.environment and (n.ended_at, n.id) > (r.ended_at, r.id) limit 1 offset $5 - 1)) \
             order by r.ended_at, r.id limit $3"
        )
    };
}

/// Those after `$1`, which are not looked for by their numbers: those that are long over come first.
pub(super) const DUE_RUNS: &str = runs_over!("+r.id > $1");
/// Those of a list, which is no longer than a file takes.
pub(super) const LISTED_RUNS: &str = runs_over!("r.id in (select cast(value as bigint) from json_each($1))");

/// Runs of no incident, as many as go into one file, that ended before this time and may leave, in the order of their names.
pub async fn due_runs(reader: &mut Reader, before: Time) -> Result<Vec<RunId>> {
    let rows = reader.rows(DUE_RUNS, &run_binds(0.into(), before)).await?;
    let mut runs = rows.iter().map(|row| Ok(RunId(row.int("id")?))).collect::<Result<Vec<_>>>()?;
    runs.sort_unstable();
    Ok(runs)
}

/// What these two are given, with what says which runs.
fn run_binds(which: Bind<'_>, before: Time) -> [Bind<'_>; 5] {
    [which, before.into(), RUNS.into(), deployments::LOOKED_AT.into(), breaker::LOOKED_AT.into()]
}

/// The entries, as many as go into one file, with which the system's timeline begins in the store and that are older than
/// this time. The newest is never among them.
pub async fn due_entries(reader: &mut Reader, before: Time) -> Result<Vec<Entry>> {
    let Some((newest, _)) = timeline::head(reader, Chain::System).await? else { return Ok(Vec::new()) };
    let mut oldest = timeline::range(reader, Chain::System, (1, newest - 1), ENTRIES).await?;
    let due = oldest.iter().take_while(|entry| entry.at < before).count();
    oldest.truncate(due);
    Ok(oldest)
}

/// Whether this may leave, all of it, as what is older than this time.
pub async fn is_due(reader: &mut Reader, part: &Part, before: Time) -> Result<bool> {
    Ok(match part {
        Part::Incident(id) => reader.row(over!("i.id = $3"), &[before.into(), 1.into(), id.0.into()]).await?.is_some(),
        Part::Runs(runs) => {
            let list = list(&runs.iter().map(|run| run.0).collect::<Vec<_>>())?;
            let due = reader.rows(LISTED_RUNS, &run_binds((&list).into(), before)).await?;
            due.len() == runs.len()
        }
        Part::Entries(seq) => due_entries(reader, before).await?.iter().any(|entry| entry.reference.seq == *seq),
    })
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
