//! What a transaction has read before it is asked for, or is asked for again: what many decisions need is read once, and
//! what each of many needs is read together. Whatever writes to a table forgets what was read of it. Alerts that are still
//! to be written are known here, too.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    FaultKind, Reader, Result, Row, Tx, alerts, incidents,
    locks::{self, Standing},
    row::list,
    steps, timeline,
    tx::names,
};
use crate::domain::{
    alerts::Alert,
    ids::{AlertKey, IncidentId, RunId},
    incidents::Incident,
    runbooks::plan::Target,
    runs::{Cause, Journal},
    timeline::Chain,
};

/// What was read.
#[derive(Default)]
pub(super) struct Ahead {
    tables: Vec<(&'static str, &'static str, Arc<[Row]>)>,
    runs: HashMap<RunId, Row>,
    journals: HashMap<RunId, Result<Journal>>,
    plans: HashSet<String>,
    standings: HashMap<(String, Target), Standing>,
    alerts: HashMap<AlertKey, Arc<Alert>>,
    alert_ids: HashMap<AlertKey, Option<i64>>,
    incidents: HashMap<IncidentId, Incident>,
}

impl Ahead {
    /// Forgets what this statement may change.
    pub(super) fn forget(&mut self, sql: &str) {
        self.tables.retain(|(table, ..)| !names(sql, table));
        // A run's row bears the identity of the store.
        if names(sql, "runs") || names(sql, "instance") {
            self.runs.clear();
        }
        if names(sql, "steps") {
            self.journals.clear();
        }
        if names(sql, "plans") {
            self.plans.clear();
        }
        if names(sql, "alerts") {
            self.alerts.clear();
            if sql.starts_with("delete from alerts") {
                self.alert_ids.clear();
            }
        }
        if names(sql, "incidents") {
            self.incidents.clear();
        }
        // A charge forgets its own target: it is made in the middle of decisions about many.
        if names(sql, "locks") {
            self.standings.clear();
        }
    }

    /// Forgets a run that is about to be written.
    pub(super) fn forget_run(&mut self, id: RunId) {
        self.runs.remove(&id);
    }

    /// Forgets the journal of a run that is about to be written.
    pub(super) fn forget_journal(&mut self, id: RunId) {
        self.journals.remove(&id);
    }

    /// Forgets what keeps runbooks from a target that is about to be taken or left alone.
    pub(super) fn forget_target(&mut self, target: &Target) {
        self.standings.retain(|(_, known), _| known != target);
    }

    /// The alert, if it was read or is still to be written.
    pub(super) fn alert(&self, key: &AlertKey) -> Option<&Arc<Alert>> {
        self.alerts.get(key)
    }

    /// Keeps an alert as it stands.
    pub(super) fn keep_alert(&mut self, alert: Arc<Alert>) {
        self.alerts.insert(alert.key.clone(), alert);
    }

    /// Whether the store's own name for an alert was looked for.
    pub(super) fn has_alert_id(&self, key: &AlertKey) -> bool {
        self.alert_ids.contains_key(key)
    }

    /// The store's own name for an alert; none if it is not known, or was not looked for.
    pub(super) fn alert_id(&self, key: &AlertKey) -> Option<i64> {
        self.alert_ids.get(key).copied().flatten()
    }

    /// Keeps the store's own name for an alert, which never changes; none if it is not known.
    pub(super) fn keep_alert_id(&mut self, key: AlertKey, id: Option<i64>) {
        self.alert_ids.insert(key, id);
    }

    /// The incident, if it was read.
    pub(super) fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id)
    }

    /// What keeps a runbook from a target, if it was read.
    pub(super) fn standing(&self, runbook: &str, target: &Target) -> Option<&Standing> {
        self.standings.get(&(runbook.to_owned(), target.clone()))
    }

    /// Whether the plan with this hash is certainly there.
    pub(super) fn has_plan(&self, hash: &str) -> bool {
        self.plans.contains(hash)
    }

    /// The plan with this hash is there.
    pub(super) fn keep_plan(&mut self, hash: String) {
        self.plans.insert(hash);
    }

    /// The run's row, if it was read; once.
    pub(super) fn take_run(&mut self, id: RunId) -> Option<Row> {
        self.runs.remove(&id)
    }

    /// The run's journal, if it was read; once.
    pub(super) fn take_journal(&mut self, id: RunId) -> Option<Result<Journal>> {
        self.journals.remove(&id)
    }
}

/// A run's row as a worker sees it, with the identity of the store.
pub(super) const RUN: &str = "select runs.*, (select id from instance) as instance from runs where id = $1";

/// The same of several, each with what keeps its runbook from its target.
const RUNS: &str = "select r.*, (select id from instance) as instance, l.run as holder, \
     c.level as charge_level, c.at as charged_at, c.until as charged_until, c.alert as charged_for \
     from runs r left join locks l on l.service = r.service and l.environment = r.environment \
     left join cooldowns c on c.runbook = r.runbook and c.service = r.service and c.environment = r.environment \
     where r.id in (select cast(value as bigint) from json_each($1)) order by r.id";

/// Reads these runs and their journals, for decisions that are about to take them on.
pub(super) async fn read(tx: &mut Tx, ids: &[RunId]) -> Result<()> {
    if ids.len() < 2 {
        return Ok(());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let list = list(&ids)?;
    let rows = runs(tx, &list).await?;
    let journals = steps::journals(tx, &list).await?;
    let ahead = tx.ahead();
    for row in rows {
        ahead.runs.insert(RunId(row.int("id")?), row);
    }
    ahead.journals.extend(ids.into_iter().map(|id| (RunId(id), Ok(Journal::default()))));
    ahead.journals.extend(journals);
    Ok(())
}

/// The rows of these runs, a JSON list of numbers, oldest first. Reads what they stand in, too: their targets, incidents and alerts.
pub(super) async fn runs(tx: &mut Tx, list: &str) -> Result<Vec<Row>> {
    let rows = tx.rows(RUNS, &[list.into()]).await?;
    let (mut chains, mut ids, mut keys) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut standings = Vec::new();
    for row in &rows {
        let target = Target { service: row.text("service")?, environment: row.text("environment")? };
        standings.push(((row.text("runbook")?, target), locks::stands(row)?));
        let incident = row.opt_int("incident")?.map(IncidentId);
        chains.push(incident.map_or(Chain::System, Chain::Incident));
        ids.extend(incident);
        // What cannot be read is the run's own trouble.
        let cause = row.opt_text("cause")?.and_then(|_| row.json::<Cause>("cause").ok());
        keys.extend(cause.map(|cause| cause.key));
    }
    timeline::open(tx, chains).await?;
    let incidents = if ids.is_empty() { Vec::new() } else { readable(incidents::by_ids(tx, ids).await)? };
    let alerts = readable(alerts::known(tx, &keys).await)?;
    let ahead = tx.ahead();
    ahead.standings.extend(standings);
    ahead.incidents.extend(incidents.into_iter().map(|(incident, _)| (incident.id, incident)));
    ahead.alerts.extend(alerts);
    Ok(rows)
}

/// Nothing in place of rows of which one does not read back: whoever needs that one meets the fault.
fn readable<T: Default>(read: Result<T>) -> Result<T> {
    match read {
        Err(fault) if fault.kind == FaultKind::Defect => Ok(T::default()),
        read => read,
    }
}

/// All rows of a table that has few, by a statement without values.
pub(super) async fn table(reader: &mut Reader, table: &'static str, sql: &'static str) -> Result<Arc<[Row]>> {
    if let Some((.., rows)) = reader.ahead().tables.iter().find(|(_, by, _)| *by == sql) {
        return Ok(Arc::clone(rows));
    }
    let rows: Arc<[Row]> = reader.rows(sql, &[]).await?.into();
    reader.ahead().tables.push((table, sql, Arc::clone(&rows)));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::{
        domain::{
            people::{Actor, PersonId},
            runbooks::{self, plan::Mode},
            runs::{Run, RunState},
            time::Time,
        },
        store::{
            Decision, Store,
            runs::{self, NewRun},
            trial::Home,
        },
    };

    const RUNBOOK: &str = "name: tried\nmode: auto\ntrigger: { chat: {} }\n\
        target: { service: shop, environment: production }\nsteps: [ { name: rest, action: wait, with: { for: 1m } } ]\n";

    /// Starts a run that a worker drives.
    struct Start;

    impl Decision for Start {
        type Answer = RunId;

        async fn decide(&self, tx: &mut Tx) -> Result<RunId> {
            let plan = runbooks::read(Path::new("tried.yaml"), RUNBOOK.as_bytes()).unwrap();
            let new = NewRun {
                plan: &plan,
                plan_hash: &plan.hash(),
                trigger_key: &uuid::Uuid::now_v7().to_string(),
                target: &Target { service: "shop".to_owned(), environment: "production".to_owned() },
                incident: None,
                cause: None,
                requested_by: &Actor::Bot,
                mode: Mode::Auto,
                inputs: &BTreeMap::new(),
                concurrency: None,
                parent: None,
            };
            let id = runs::add(tx, &new, Time::EPOCH).await?;
            runs::claim(tx, "worker", (Time::EPOCH, Time::from_millis(1)), 16).await?;
            Ok(id)
        }
    }

    /// Takes a run on and writes it: how it was found.
    struct Change(RunId);

    impl Decision for Change {
        type Answer = Option<Run>;

        fn takes_on(&self) -> Option<RunId> {
            Some(self.0)
        }

        async fn decide(&self, tx: &mut Tx) -> Result<Option<Run>> {
            let Some(found) = runs::fence(tx, self.0, 1, "worker").await? else { return Ok(None) };
            let cancelled_by = Some(PersonId("ana".to_owned()));
            runs::save(tx, &Run { cancelled_by, revision: found.run.revision + 1, ..found.run.clone() }).await?;
            Ok(Some(found.run))
        }
    }

    /// Takes every run from its worker.
    struct Orphan;

    impl Decision for Orphan {
        type Answer = u64;

        async fn decide(&self, tx: &mut Tx) -> Result<u64> {
            runs::orphan(tx).await
        }
    }

    /// What decisions share a read of is read anew once one of them has changed it.
    #[tokio::test]
    async fn a_decision_sees_what_the_one_before_it_wrote() {
        let home = Home::new().await;
        let store = Store::open(home.address()).await.unwrap();
        let (first, second) = (store.decide(Start).await.unwrap(), store.decide(Start).await.unwrap());
        let (one, other, again, orphaned, late) = tokio::join!(
            store.decide(Change(first)),
            store.decide(Change(second)),
            store.decide(Change(first)),
            store.decide(Orphan),
            store.decide(Change(second)),
        );
        let (one, other, again) = (one.unwrap().unwrap(), other.unwrap().unwrap(), again.unwrap().unwrap());
        assert_eq!((one.cancelled_by, other.cancelled_by), (None, None), "both as they were");
        assert_eq!((again.cancelled_by.is_some(), again.revision), (true, one.revision + 1));
        assert_eq!(orphaned.unwrap(), 2);
        assert_eq!(late.unwrap(), None, "nobody drives it any more");
        let read = runs::by_id(&mut store.read().await.unwrap(), first).await.unwrap().unwrap();
        assert_eq!((read.revision, read.state, read.owner), (one.revision + 2, RunState::Running, None));
        assert_eq!(read.plan.name, "tried");
    }

    #[test]
    fn a_table_is_named_by_its_whole_name() {
        assert!(names("update runs set id = 1", "runs") && names("select runs.id from runs", "runs"));
        assert!(!names("update incidents set open_runs = 1", "runs") && !names("select run from steps", "runs"));
    }
}
