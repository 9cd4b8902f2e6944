//! Runs. What a worker asks for starts with [`fence`]; nothing it knows is trusted without.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

pub use super::run_counts::{Count, counts};
use super::{
    Bind, FaultKind, Reader, Result, Row, Tx, Wake, ahead, plans,
    row::{json, list},
};
use crate::domain::{
    ids::{IncidentId, RunId},
    people::{Actor, PersonId},
    runbooks::plan::{Mode, Plan, Target},
    runs::{Cause, Parent, Reason, Run, RunState},
    time::Time,
};

/// A run that is about to be started.
#[derive(Debug, Clone)]
pub struct NewRun<'a> {
    /// What it follows.
    pub plan: &'a Plan,
    /// The plan's hash.
    pub plan_hash: &'a str,
    /// What makes it this run and no other.
    pub trigger_key: &'a str,
    /// What it mutates.
    pub target: &'a Target,
    /// The incident it works on.
    pub incident: Option<IncidentId>,
    /// The alert that starts it.
    pub cause: Option<&'a Cause>,
    /// Who or what starts it.
    pub requested_by: &'a Actor,
    /// How far it goes by itself.
    pub mode: Mode,
    /// The values of its inputs.
    pub inputs: &'a BTreeMap<String, Value>,
    /// What it shares with other runs of which only so many may be at work, and whether it waits for them.
    pub concurrency: Option<(&'a str, bool)>,
    /// What starts it and waits for it, and the first of the runs that started each other.
    pub parent: Option<(&'a Parent, RunId)>,
}

/// Adds a run that a worker will take, unless it waits for others.
pub async fn add(tx: &mut Tx, new: &NewRun<'_>, now: Time) -> Result<RunId> {
    let cause = new.cause.map(json).transpose()?;
    let is_queued = new.concurrency.is_some_and(|(_, is_queued)| is_queued);
    let state = if is_queued { RunState::Queued } else { RunState::Running };
    let parent = new.parent.map(|(parent, _)| json(parent)).transpose()?;
    plans::put(tx, new.plan, new.plan_hash).await?;
    let row = tx
        .row(
            "insert into runs (id, runbook, plan_hash, trigger_key, service, environment, incident, cause, \
             requested_by, mode, state, pass, inputs, revision, epoch, may_overlap, needs_approval, started_at, \
             concurrency, deadline, parent, root) \
             values ((select coalesce(max(id), 0) + 1 from runs), $1, $2, $3, $4, $5, $6, $7, $8, $9, $12, \
             'do', $10, (select revisions_from from instance), 0, 0, 0, $11, $13, $14, $15, $16) returning id",
            &[
                (&new.plan.name).into(),
                new.plan_hash.into(),
                new.trigger_key.into(),
                (&new.target.service).into(),
                (&new.target.environment).into(),
                new.incident.map(|id| id.0).into(),
                cause.as_deref().into(),
                (&json(new.requested_by)?).into(),
                new.mode.word().into(),
                (&json(new.inputs)?).into(),
                now.into(),
                state.word().into(),
                new.concurrency.map(|(key, _)| key).into(),
                new.plan.timeout.filter(|_| !is_queued).map(|timeout| now + timeout).into(),
                parent.as_deref().into(),
                new.parent.map(|(_, root)| root.0).into(),
            ],
        )
        .await?;
    tx.wake(Wake::Runs);
    Ok(RunId(row.map_or(Ok(0), |row| row.int("id"))?))
}

/// The runs that are still to be written, each as it stands.
#[derive(Default)]
pub(super) struct Later(HashMap<RunId, Saved>);

/// A run as it is written.
pub(super) struct Saved {
    run: Run,
    hold: Option<String>,
    failure: Option<String>,
    ending: Option<String>,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Saved> {
        self.0.drain().map(|(_, saved)| saved).collect()
    }
}

/// Both databases call the columns of a list of values like this; where nobody says so, the values of one are texts.
pub(super) const SAVE: &str = "update runs set state = v.column2, pass = v.column3, hold = v.column4, reason = v.column5, \
     revision = v.column6, epoch = v.column7, owner = v.column8, lease_until = v.column9, may_overlap = v.column10, \
     wake_at = v.column11, cancelled_by = v.column12, needs_approval = v.column13, mutated_at = v.column14, \
     ended_at = v.column15, incident = v.column16, paused_by = v.column17, deadline = v.column18, \
     failure = v.column19, ending = v.column20 from (values (cast($1 as bigint), $2, $3, $4, $5, \
     cast($6 as bigint), cast($7 as bigint), $8, cast($9 as bigint), cast($10 as bigint), cast($11 as bigint), $12, \
     cast($13 as bigint), cast($14 as bigint), cast($15 as bigint), cast($16 as bigint), $17, cast($18 as bigint), \
     $19, $20)) as v where id = v.column1";

impl Saved {
    pub(super) fn row(&self) -> [Bind<'_>; 20] {
        let run = &self.run;
        [
            run.id.0.into(),
            run.state.word().into(),
            run.pass.word().into(),
            self.hold.as_deref().into(),
            run.reason.map(Reason::code).into(),
            run.revision.into(),
            run.epoch.into(),
            run.owner.as_deref().into(),
            run.lease_until.into(),
            run.may_overlap.into(),
            run.wake_at.into(),
            run.cancelled_by.as_ref().map(|person| person.0.as_str()).into(),
            run.needs_approval.into(),
            run.mutated_at.into(),
            run.ended_at.into(),
            run.incident.map(|id| id.0).into(),
            run.paused_by.as_ref().map(|person| person.0.as_str()).into(),
            run.deadline.into(),
            self.failure.as_deref().into(),
            self.ending.as_deref().into(),
        ]
    }
}

/// Writes everything about a run that can change.
#[expect(clippy::unused_async, reason = "when the store writes what it is given is its own affair")]
pub async fn save(tx: &mut Tx, run: &Run) -> Result<()> {
    let hold = run.hold.as_ref().map(json).transpose()?;
    let failure = run.failure.as_ref().map(json).transpose()?;
    let ending = run.ending.as_ref().map(json).transpose()?;
    tx.ahead().forget_run(run.id);
    tx.later().runs.0.insert(run.id, Saved { run: run.clone(), hold, failure, ending });
    if run.state == RunState::Running && run.owner.is_none() {
        tx.wake(Wake::Runs);
    }
    Ok(())
}

/// A run that a worker drives, with the identity of the store, which idempotency keys are made from.
#[derive(Debug)]
pub struct Driven {
    /// The run.
    pub run: Run,
    /// The identity of the store.
    pub instance: String,
}

/// The run, if this worker may write about it: none if it is no longer the one that drives it.
pub async fn fence(tx: &mut Tx, id: RunId, epoch: i64, owner: &str) -> Result<Option<Driven>> {
    let row = match tx.ahead().take_run(id) {
        Some(row) => Some(row),
        None => tx.row(ahead::RUN, &[id.0.into()]).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let is_driven = row.int("epoch")? == epoch
        && row.opt_text("owner")?.as_deref() == Some(owner)
        && row.parsed::<RunState>("state")? == RunState::Running;
    if is_driven { driven(tx, &row).await.map(Some) } else { Ok(None) }
}

/// Whether there is a run that this worker could take over.
pub async fn is_any_free(reader: &mut Reader, owner: &str, now: Time) -> Result<bool> {
    let free = reader
        .row(
            "select id from runs where owner is null and state = 'running' and ended_at is null \
             union all select id from runs where owner is not null and state = 'running' and ended_at is null \
             and lease_until < $2 and owner <> $1 limit 1",
            &[owner.into(), now.into()],
        )
        .await?;
    Ok(free.is_some())
}

/// A run that was taken over.
#[derive(Debug)]
pub struct Claimed {
    /// The run.
    pub id: RunId,
    /// Its new epoch.
    pub epoch: i64,
    /// Whether its journal holds something: also of a run that nobody drove, a step may be left out.
    pub has_journal: bool,
    /// All of it; or why it cannot be read, which is the run's own trouble.
    pub driven: Result<Driven>,
}

/// Takes over runs that nobody drives, or whose worker did not renew in time; each gets a new epoch.
///
/// That a worker before may still be at work holds until the run has come to rest, also if whoever took it over then has
/// let go of it without a look.
pub async fn claim(tx: &mut Tx, owner: &str, (now, until): (Time, Time), limit: i64) -> Result<Vec<Claimed>> {
    let rows = tx
        .rows(
            "update runs set epoch = epoch + 1, may_overlap = case when owner is null then may_overlap else 1 end, owner = $1, lease_until = $3 \
             where id in (select id from runs where owner is null and state = 'running' and ended_at is null \
             union all select id from runs where owner is not null and state = 'running' and ended_at is null \
             and lease_until < $2 and owner <> $1 order by id limit $4) \
             returning id, (select count(*) from steps where steps.run = runs.id) as attempts",
            &[owner.into(), now.into(), until.into(), limit.into()],
        )
        .await?;
    let attempts: BTreeMap<i64, i64> =
        rows.iter().map(|row| Ok((row.int("id")?, row.int("attempts")?))).collect::<Result<_>>()?;
    if attempts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = ahead::runs(tx, &list(&attempts.keys().collect::<Vec<_>>())?).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, epoch) = (row.int("id")?, row.int("epoch")?);
        let has_journal = attempts.get(&id).is_some_and(|attempts| *attempts > 0);
        claimed.push(Claimed { id: RunId(id), epoch, has_journal, driven: driven(tx, row).await });
    }
    Ok(claimed)
}

/// Renews this worker's leases and says which runs it still drives, each in its epoch.
pub async fn renew(tx: &mut Tx, owner: &str, until: Time) -> Result<Vec<(RunId, i64)>> {
    let rows = tx
        .rows(
            "update runs set lease_until = $2 where owner = $1 and state = 'running' and ended_at is null \
             returning id, epoch",
            &[owner.into(), until.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((RunId(row.int("id")?), row.int("epoch")?))).collect()
}

/// Takes every run from this worker.
pub async fn leave(tx: &mut Tx, owner: &str) -> Result<()> {
    let left = tx
        .execute(
            "update runs set owner = null, lease_until = null where owner = $1 and state = 'running' and ended_at is null",
            &[owner.into()],
        )
        .await?;
    if left > 0 {
        tx.wake(Wake::Runs);
    }
    Ok(())
}

/// Takes a run from this worker, unless it is another's by now, or in another epoch.
pub async fn let_go(tx: &mut Tx, id: RunId, epoch: i64, owner: &str) -> Result<()> {
    tx.execute(
        "update runs set owner = null, lease_until = null where id = $1 and epoch = $2 and owner = $3",
        &[id.0.into(), epoch.into(), owner.into()],
    )
    .await?;
    tx.wake(Wake::Runs);
    Ok(())
}

/// Takes every run from its worker. Only for a process that knows that no other one lives, as the file's lock proves.
pub async fn orphan(tx: &mut Tx) -> Result<u64> {
    tx.wake(Wake::Runs);
    tx.execute(
        "update runs set owner = null, lease_until = null, may_overlap = 0 \
         where (owner is not null or may_overlap = 1) and ended_at is null",
        &[],
    )
    .await
}

/// The run of this name.
pub async fn by_id(reader: &mut Reader, id: RunId) -> Result<Option<Run>> {
    let row = reader.row("select * from runs where id = $1", &[id.0.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    run(reader, &row).await.map(Some)
}

/// The incident that a run works on, if there is one.
pub async fn incident_of(reader: &mut Reader, id: RunId) -> Result<Option<IncidentId>> {
    let row = reader.row("select incident from runs where id = $1", &[id.0.into()]).await?;
    row.map_or(Ok(None), |row| Ok(row.opt_int("incident")?.map(IncidentId)))
}

/// The run that was started under this key, and where it stands.
pub async fn by_trigger(reader: &mut Reader, trigger_key: &str) -> Result<Option<(RunId, RunState)>> {
    let row = reader.row("select id, state from runs where trigger_key = $1", &[trigger_key.into()]).await?;
    row.map(|row| Ok((RunId(row.int("id")?), row.parsed("state")?))).transpose()
}

/// The run that was started under this key, else the one of this runbook that is at work on the target, and where it
/// stands.
pub async fn same(reader: &mut Reader, key: &str, of: (&str, &Target)) -> Result<Option<(RunId, RunState)>> {
    let (runbook, target) = of;
    let row = reader
        .row(
            "select id, state from (select id, state, 0 as rank from runs where trigger_key = $1 union all \
             select id, state, 1 as rank from runs where ended_at is null and runbook = $2 and service = $3 \
             and environment = $4 and mode <> 'observe') as found order by rank, id limit 1",
            &[key.into(), runbook.into(), (&target.service).into(), (&target.environment).into()],
        )
        .await?;
    row.map(|row| Ok((RunId(row.int("id")?), row.parsed("state")?))).transpose()
}

/// Every run that has not ended, oldest first. One that cannot be read is left out and logged: it must not keep people
/// from halting or listing the others.
pub async fn open(reader: &mut Reader) -> Result<Vec<Run>> {
    let rows = reader.rows("select * from runs where ended_at is null order by id", &[]).await?;
    let mut open = Vec::new();
    for row in &rows {
        match run(reader, row).await {
            Ok(run) => open.push(run),
            Err(fault) if fault.kind == FaultKind::Defect => {
                tracing::error!(%fault, run = row.int("id").ok(), "a run cannot be read");
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(open)
}

/// The runs of an incident, oldest first.
pub async fn of_incident(reader: &mut Reader, incident: IncidentId) -> Result<Vec<Run>> {
    let rows = reader.rows("select * from runs where incident = $1 order by id", &[incident.0.into()]).await?;
    all(reader, &rows).await
}

/// The newest runs, newest first.
pub async fn newest(reader: &mut Reader, limit: i64) -> Result<Vec<Run>> {
    let rows = reader.rows("select * from runs order by id desc limit $1", &[limit.into()]).await?;
    all(reader, &rows).await
}

/// The identity of this store, which idempotency keys are made from.
pub async fn instance(reader: &mut Reader) -> Result<String> {
    let row = reader.row("select id from instance", &[]).await?;
    row.map_or(Ok(String::new()), |row| row.text("id"))
}

async fn driven(reader: &mut Reader, row: &Row) -> Result<Driven> {
    Ok(Driven { run: run(reader, row).await?, instance: row.text("instance")? })
}

async fn all(reader: &mut Reader, rows: &[Row]) -> Result<Vec<Run>> {
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        runs.push(run(reader, row).await?);
    }
    Ok(runs)
}

async fn run(reader: &mut Reader, row: &Row) -> Result<Run> {
    let cause = row.opt_text("cause")?.map(|_| row.json::<Cause>("cause")).transpose()?;
    let hold = row.opt_text("hold")?.map(|_| row.json("hold")).transpose()?;
    let failure = row.opt_text("failure")?.map(|_| row.json("failure")).transpose()?;
    let ending = row.opt_text("ending")?.map(|_| row.json("ending")).transpose()?;
    let parent = row.opt_text("parent")?.map(|_| row.json("parent")).transpose()?;
    let reason = row.opt_text("reason")?.map(|_| row.parsed("reason")).transpose()?;
    let mode = match row.text("mode")?.as_str() {
        "observe" => Mode::Observe,
        "auto" => Mode::Auto,
        _ => Mode::Ask,
    };
    Ok(Run {
        id: RunId(row.int("id")?),
        plan: plans::by_hash(reader, row.str("plan_hash")?).await?,
        target: Target { service: row.text("service")?, environment: row.text("environment")? },
        incident: row.opt_int("incident")?.map(IncidentId),
        cause,
        trigger_key: row.text("trigger_key")?,
        requested_by: row.json("requested_by")?,
        mode,
        state: row.parsed("state")?,
        pass: row.parsed("pass")?,
        inputs: row.json("inputs")?,
        concurrency: row.opt_text("concurrency")?,
        hold,
        reason,
        revision: row.int("revision")?,
        epoch: row.int("epoch")?,
        owner: row.opt_text("owner")?,
        lease_until: row.opt_time("lease_until")?,
        may_overlap: row.is("may_overlap")?,
        wake_at: row.opt_time("wake_at")?,
        cancelled_by: row.opt_text("cancelled_by")?.map(PersonId),
        paused_by: row.opt_text("paused_by")?.map(PersonId),
        deadline: row.opt_time("deadline")?,
        failure,
        ending,
        parent,
        root: row.opt_int("root")?.map(RunId),
        needs_approval: row.is("needs_approval")?,
        mutated_at: row.opt_time("mutated_at")?,
        started_at: row.time("started_at")?,
        ended_at: row.opt_time("ended_at")?,
    })
}
