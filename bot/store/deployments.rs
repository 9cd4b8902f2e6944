//! Deployments, versions that shall not be deployed, and changes of services.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Fault, Reader, Result, Row, Tx,
    row::{json, list},
};
use crate::domain::{
    deployments::{Ban, Change, Deployment, Ledger, State},
    ids::{DeploymentId, IncidentId, RunId},
    time::Time,
};

/// How far back a ledger is looked at: more deployments of one service in one place than anybody goes back.
pub const LOOKED_AT: i64 = 200;

/// Writes a new deployment; its `id` is given by the store.
pub async fn add(tx: &mut Tx, deployment: &mut Deployment) -> Result<()> {
    let row = tx
        .row(
            "insert into deployments (service, environment, repository, sha, version, deployer, source, external, url, \
             run, state, began_at, ended_at, bake, migration, incident, rolled_back_by, recorded_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) returning id",
            &[
                (&deployment.service).into(),
                (&deployment.environment).into(),
                deployment.repository.as_deref().into(),
                (&deployment.sha).into(),
                deployment.version.as_deref().into(),
                deployment.by.as_deref().into(),
                (&json(&deployment.source)?).into(),
                deployment.external.as_deref().into(),
                deployment.url.as_deref().into(),
                deployment.run.map(|run| run.0).into(),
                deployment.state.word().into(),
                deployment.began_at.into(),
                deployment.ended_at.into(),
                i64::try_from(deployment.bake.as_millis()).unwrap_or(i64::MAX).into(),
                deployment.migration.map(i64::from).into(),
                deployment.incident.map(|incident| incident.0).into(),
                deployment.rolled_back_by.map(|by| by.0).into(),
                deployment.recorded_at.into(),
            ],
        )
        .await?;
    deployment.id = DeploymentId(row.ok_or_else(|| Fault::defect("a new deployment got no id"))?.int("id")?);
    Ok(())
}

/// Writes what can become of a deployment. What it is of never changes.
pub async fn save(tx: &mut Tx, deployment: &Deployment) -> Result<()> {
    tx.execute(
        "update deployments set version = $2, deployer = $3, external = $4, url = $5, run = $6, state = $7, \
         began_at = $8, ended_at = $9, migration = $10, incident = $11, rolled_back_by = $12 where id = $1",
        &[
            deployment.id.0.into(),
            deployment.version.as_deref().into(),
            deployment.by.as_deref().into(),
            deployment.external.as_deref().into(),
            deployment.url.as_deref().into(),
            deployment.run.map(|run| run.0).into(),
            deployment.state.word().into(),
            deployment.began_at.into(),
            deployment.ended_at.into(),
            deployment.migration.map(i64::from).into(),
            deployment.incident.map(|incident| incident.0).into(),
            deployment.rolled_back_by.map(|by| by.0).into(),
        ],
    )
    .await?;
    Ok(())
}

/// The deployment of this service that its source calls so.
pub async fn by_external(reader: &mut Reader, external: &str, service: &str) -> Result<Option<Deployment>> {
    let row = reader
        .row(
            "select d.*, i.phase as incident_phase from deployments d left join incidents i on i.id = d.incident \
             where d.external = $1 and d.service = $2",
            &[external.into(), service.into()],
        )
        .await?;
    row.as_ref().map(deployment).transpose()
}

/// What is known of the deployments of a service in a place.
pub async fn ledger(reader: &mut Reader, service: &str, environment: &str) -> Result<Ledger> {
    let rows = reader
        .rows(
            "select d.*, i.phase as incident_phase from deployments d left join incidents i on i.id = d.incident \
             where d.service = $1 and d.environment = $2 order by d.id desc limit $3",
            &[service.into(), environment.into(), LOOKED_AT.into()],
        )
        .await?;
    let deployments = rows.iter().map(deployment).collect::<Result<_>>()?;
    Ok(Ledger::new(deployments, bans(reader, service, environment).await?))
}

/// Where this service was deployed, as far as is known.
pub async fn environments(reader: &mut Reader, service: &str) -> Result<Vec<String>> {
    let rows = reader
        .rows("select distinct environment from deployments where service = $1 order by environment", &[service.into()])
        .await?;
    rows.iter().map(|row| row.text("environment")).collect()
}

/// The versions of a service that shall not be deployed to a place, the newest order first.
pub async fn bans(reader: &mut Reader, service: &str, environment: &str) -> Result<Vec<Ban>> {
    let rows = reader
        .rows(
            "select * from bans where service = $1 and environment = $2 order by at desc, sha",
            &[service.into(), environment.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Ban {
                service: row.text("service")?,
                environment: row.text("environment")?,
                sha: row.text("sha")?,
                reason: row.text("reason")?,
                by: row.json("actor")?,
                at: row.time("at")?,
            })
        })
        .collect()
}

/// Writes that a version shall not be deployed; an order that stands is replaced.
pub async fn ban(tx: &mut Tx, ban: &Ban) -> Result<()> {
    tx.execute(
        "insert into bans (service, environment, sha, reason, actor, at) values ($1, $2, $3, $4, $5, $6) \
         on conflict (service, environment, sha) do update set reason = excluded.reason, actor = excluded.actor, \
         at = excluded.at",
        &[
            (&ban.service).into(),
            (&ban.environment).into(),
            (&ban.sha).into(),
            (&ban.reason).into(),
            (&json(&ban.by)?).into(),
            ban.at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Takes such an order back.
pub async fn unban(tx: &mut Tx, ban: &Ban) -> Result<()> {
    tx.execute(
        "delete from bans where service = $1 and environment = $2 and sha = $3",
        &[(&ban.service).into(), (&ban.environment).into(), (&ban.sha).into()],
    )
    .await?;
    Ok(())
}

/// Writes a change; whether it is new.
pub async fn add_change(tx: &mut Tx, change: &Change) -> Result<bool> {
    let written = tx
        .execute(
            "insert into changes (external, service, environment, kind, what, at, person, url, run) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (external, service) do nothing",
            &[
                (&change.external).into(),
                (&change.service).into(),
                change.environment.as_deref().into(),
                change.kind.word().into(),
                (&change.what).into(),
                change.at.into(),
                change.by.as_deref().into(),
                change.url.as_deref().into(),
                change.run.map(|run| run.0).into(),
            ],
        )
        .await?;
    Ok(written > 0)
}

/// The newest changes of a service between these moments, the oldest of them first.
pub async fn changes(
    reader: &mut Reader,
    service: &str,
    (since, until): (Time, Time),
    limit: i64,
) -> Result<Vec<Change>> {
    let rows = reader
        .rows(
            "select * from changes where service = $1 and at between $2 and $3 order by at desc, external desc limit $4",
            &[service.into(), since.into(), until.into(), limit.into()],
        )
        .await?;
    rows.iter().rev().map(change).collect()
}

/// Those of these services of which a change was ever reported.
pub async fn reported<'a>(
    reader: &mut Reader,
    services: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<String>> {
    let services: Vec<&str> = services.into_iter().collect();
    let rows = reader
        .rows(
            "select asked.value as service from (select value from json_each($1)) as asked \
             where exists (select 1 from changes where changes.service = asked.value)",
            &[(&list(&services)?).into()],
        )
        .await?;
    rows.iter().map(|row| row.text("service")).collect()
}

/// The run that has not ended and whose effect has this idempotency key.
pub async fn run_of(reader: &mut Reader, effect: &str) -> Result<Option<RunId>> {
    let row = reader
        .row(
            "select run from steps where run in (select id from runs where ended_at is null) and effect = $1 limit 1",
            &[effect.into()],
        )
        .await?;
    row.map(|row| Ok(RunId(row.int("run")?))).transpose()
}

fn deployment(row: &Row) -> Result<Deployment> {
    Ok(Deployment {
        id: DeploymentId(row.int("id")?),
        service: row.text("service")?,
        environment: row.text("environment")?,
        repository: row.opt_text("repository")?,
        sha: row.text("sha")?,
        version: row.opt_text("version")?,
        by: row.opt_text("deployer")?,
        source: row.json("source")?,
        external: row.opt_text("external")?,
        url: row.opt_text("url")?,
        run: row.opt_int("run")?.map(RunId),
        state: row.parsed::<State>("state")?,
        began_at: row.opt_time("began_at")?,
        ended_at: row.opt_time("ended_at")?,
        bake: Duration::from_millis(u64::try_from(row.int("bake")?).unwrap_or(0)),
        migration: row.opt_int("migration")?.map(|migration| migration != 0),
        incident: row.opt_int("incident")?.map(IncidentId),
        is_incident_declined: row.opt_text("incident_phase")?.as_deref() == Some("declined"),
        rolled_back_by: row.opt_int("rolled_back_by")?.map(DeploymentId),
        recorded_at: row.time("recorded_at")?,
    })
}

fn change(row: &Row) -> Result<Change> {
    Ok(Change {
        service: row.text("service")?,
        environment: row.opt_text("environment")?,
        kind: row.parsed("kind")?,
        what: row.text("what")?,
        at: row.time("at")?,
        by: row.opt_text("person")?,
        url: row.opt_text("url")?,
        external: row.text("external")?,
        run: row.opt_int("run")?.map(RunId),
    })
}
