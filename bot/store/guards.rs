//! What guards ask of runs: who is at work or waits, what is in flight, and how those before ended.

use super::{Reader, Result};
use crate::domain::{
    ids::{AlertKey, RunId},
    runbooks::plan::Target,
    runs::{Cause, breaker::Past},
    time::Time,
};

/// The runs that are at work for this key, whatever their runbooks are, oldest first: neither those that wait for them
/// nor those that only observe.
pub async fn at_work_for(reader: &mut Reader, concurrency: &str) -> Result<Vec<RunId>> {
    let rows = reader
        .rows(
            "select id from runs where ended_at is null and concurrency = $1 and state <> 'queued' \
             and mode <> 'observe' order by id",
            &[concurrency.into()],
        )
        .await?;
    rows.iter().map(|row| Ok(RunId(row.int("id")?))).collect()
}

/// The run that has waited longest for others with this key.
pub async fn first_queued(reader: &mut Reader, concurrency: &str) -> Result<Option<RunId>> {
    let row = reader
        .row(
            "select id from runs where ended_at is null and concurrency = $1 and state = 'queued' order by id limit 1",
            &[concurrency.into()],
        )
        .await?;
    row.map(|row| Ok(RunId(row.int("id")?))).transpose()
}

/// The runs that wait for people, each with the alert that started it.
pub async fn waiting_for_people(reader: &mut Reader) -> Result<Vec<(RunId, AlertKey)>> {
    let rows = reader
        .rows(
            "select id, cause from runs where id in (select run from approvals where state = 'open') \
             and ended_at is null and state in ('approval', 'running') and cause is not null order by id",
            &[],
        )
        .await?;
    rows.iter().map(|row| Ok((RunId(row.int("id")?), row.json::<Cause>("cause")?.key))).collect()
}

/// How many effects are in flight to this system.
pub async fn in_flight(reader: &mut Reader, system: &str) -> Result<i64> {
    let row = reader
        .row(
            "select count(*) as number from steps join runs on runs.id = steps.run \
             where steps.state = 'intent' and steps.system = $1 and steps.question is null and runs.ended_at is null",
            &[system.into()],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int("number"))
}

/// The runs of a runbook on a target that have ended, the newest first.
pub async fn past(reader: &mut Reader, runbook: &str, target: &Target, limit: i64) -> Result<Vec<Past>> {
    let rows = reader
        .rows(
            "select state, cause, mutated_at, started_at, ended_at from runs where runbook = $1 and service = $2 \
             and environment = $3 and ended_at is not null order by ended_at desc, id desc limit $4",
            &[runbook.into(), (&target.service).into(), (&target.environment).into(), limit.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let alert = row.opt_text("cause")?.map(|_| row.json::<Cause>("cause")).transpose()?.map(|cause| cause.key);
            Ok(Past {
                state: row.parsed("state")?,
                has_mutated: row.opt_time("mutated_at")?.is_some(),
                alert,
                started_at: row.time("started_at")?,
                ended_at: row.time("ended_at")?,
            })
        })
        .collect()
}

/// How many other runs of the runbook changed the target since then.
pub async fn mutations_since(reader: &mut Reader, run: Option<RunId>, of: (&str, &Target), since: Time) -> Result<i64> {
    let (runbook, target) = of;
    let row = reader
        .row(
            "select count(*) as number from runs where runbook = $1 and service = $2 and environment = $3 \
             and mutated_at > $4 and id <> $5",
            &[
                runbook.into(),
                (&target.service).into(),
                (&target.environment).into(),
                since.into(),
                run.map_or(0, |id| id.0).into(),
            ],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int("number"))
}
