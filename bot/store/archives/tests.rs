//! What may leave, what stays, and what it costs to know.

use std::{collections::BTreeMap, path::Path};

use super::{
    due::{DUE, DUE_RUNS, LISTED_RUNS, PRUNED},
    *,
};
use crate::{
    domain::{
        ids::AlertKey,
        people::Actor,
        runbooks::{
            self,
            plan::{Mode, Target},
        },
        runs::{Cause, Parent, Pass, StepKey, breaker},
    },
    store::{Bind, Decision, Store, runs, trial::Home},
};

/// What has to be walked through grows for ever, and what retention reads must not grow with it.
#[tokio::test]
async fn nothing_is_looked_for_by_walking_through_a_whole_table() {
    let home = Home::file();
    let store = Store::open(home.address()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let found_by = [
        (DUE_RUNS, "SEARCH r USING INDEX runs_over (ended_at<?)"),
        (LISTED_RUNS, "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)"),
    ];
    for sql in [DUE, DUE_RUNS, LISTED_RUNS].into_iter().chain(PRUNED) {
        let plan = format!("explain query plan {sql}").leak();
        let found_by = found_by.iter().find(|(of, _)| *of == sql).map(|(_, step)| *step);
        let binds = [0.into(), 1.into(), 200.into(), 50.into(), 50.into()];
        let rows = reader.rows(plan, &binds[..if found_by.is_some() { 5 } else { 2 }]).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        assert!(found_by.is_none_or(|step| steps.iter().any(|it| it == step)), "{sql}\n{}", steps.join("\n"));
        // The few rows of a list that is bounded may be walked through, and runs that have not ended are few.
        let is_short = |step: &str| {
            ["SCAN oldest", "SCAN open USING INDEX", "SCAN json_each"].iter().any(|it| step.starts_with(it))
        };
        let walks = steps.iter().filter(|step| step.starts_with("SCAN") && !is_short(step));
        assert_eq!(walks.count(), 0, "{sql}\n{}", steps.join("\n"));
    }
}

/// A run that ended as done in the second of its number, by another run or in the name of one.
#[derive(Clone, Default)]
struct Ran {
    runbook: &'static str,
    by: Option<i64>,
    root: Option<i64>,
    alert: Option<&'static str>,
}

impl Decision for Ran {
    type Answer = RunId;

    async fn decide(&self, tx: &mut Tx) -> Result<RunId> {
        let text = format!(
            "{{name: {}, owner: team, trigger: {{chat: {{}}}}, inputs: {{service: {{type: service, const: checkout}}}}, \
             target: {{service: \"{{{{ service }}}}\", environment: production}}, \
             steps: [{{name: tell, action: announce, with: {{text: x}}}}]}}",
            self.runbook
        );
        let plan = runbooks::read(Path::new("test.yaml"), text.as_bytes()).unwrap();
        let key = AlertKey(self.alert.unwrap_or_default().to_owned());
        let cause = Cause {
            key,
            episode: 1,
            name: "A".to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            starts_at: None,
        };
        let parent = Parent { run: RunId(1), step: StepKey { path: "1".to_owned(), pass: Pass::Do, attempt: 1 } };
        let number = tx.row("select count(*) as number from runs", &[]).await?.unwrap().int("number")? + 1;
        let new = runs::NewRun {
            plan: &plan,
            plan_hash: &plan.hash(),
            trigger_key: &number.to_string(),
            target: &Target { service: "checkout".to_owned(), environment: "production".to_owned() },
            incident: None,
            cause: self.alert.map(|_| &cause),
            requested_by: &self.by.map_or(Actor::Bot, |run| Actor::Run(RunId(run))),
            mode: Mode::Auto,
            inputs: &BTreeMap::new(),
            concurrency: None,
            parent: self.root.map(|root| (&parent, RunId(root))),
        };
        let id = runs::add(tx, &new, second(number)).await?;
        let ended = "update runs set state = 'done', ended_at = $2 where id = $1";
        tx.execute(ended, &[id.0.into(), second(id.0).into()]).await?;
        Ok(id)
    }
}

fn second(number: i64) -> Time {
    Time::from_millis(number * 1_000)
}

/// Changes something with a statement.
struct Change(&'static str);

impl Decision for Change {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> Result<()> {
        tx.execute(self.0, &[] as &[Bind<'_>]).await.map(drop)
    }
}

async fn ran(store: &Store, run: Ran) -> RunId {
    store.decide(run).await.unwrap()
}

async fn due_now(store: &Store) -> Vec<i64> {
    let runs = due_runs(&mut store.read().await.unwrap(), second(1_000_000)).await.unwrap();
    runs.iter().map(|run| run.0).collect()
}

/// Runs `RUN-1` and on, of which the last two keep their place: the newest, and the last that helped.
async fn some(runs: &[Ran]) -> (Home, Store) {
    let home = Home::new().await;
    let store = Store::open(home.address()).await.unwrap();
    for run in runs {
        ran(&store, run.clone()).await;
    }
    (home, store)
}

const A: Ran = Ran { runbook: "a", by: None, root: None, alert: None };

/// What has ended leaves, the oldest first, and no number is given twice.
#[tokio::test]
async fn runs_that_have_ended_leave_but_for_the_newest() {
    let (_home, store) = some(&[A, A, A]).await;
    assert_eq!(due_now(&store).await, [1, 2]);
    let early = due_runs(&mut store.read().await.unwrap(), second(2)).await.unwrap();
    assert_eq!(early, [RunId(1)], "the other is too young");
    store.decide(Change("update runs set incident = 1 where id = 1")).await.unwrap();
    assert_eq!(due_now(&store).await, [2], "that one leaves with its incident");
}

/// A family leaves once all of it has ended: its root holds the target, its parents wait.
#[tokio::test]
async fn a_run_stays_while_one_of_its_family_has_not_ended() {
    let child = Ran { root: Some(1), ..A };
    let (_home, store) = some(&[A, child.clone(), child, A, A]).await;
    for open in [
        "update runs set ended_at = null where id = 1",
        "update runs set ended_at = null where id = 2",
        "update runs set ended_at = null where id = 3",
    ] {
        store.decide(Change(open)).await.unwrap();
        assert_eq!(due_now(&store).await, [4], "{open}");
        store.decide(Change("update runs set ended_at = id * 1000")).await.unwrap();
    }
    assert_eq!(due_now(&store).await, [1, 2, 3, 4]);
}

/// A circle of runs that start each other is known by those before, however long ago they ended.
#[tokio::test]
async fn a_run_stays_while_one_that_it_started_is_there() {
    let by = |run| Ran { by: Some(run), ..A };
    let (_home, store) = some(&[A, by(1), by(2), A, A]).await;
    store.decide(Change("update runs set ended_at = null where id = 3")).await.unwrap();
    assert_eq!(due_now(&store).await, [4]);
    store.decide(Change("update runs set ended_at = 3000 where id = 3")).await.unwrap();
    assert_eq!(due_now(&store).await, [3, 4], "those that were started leave first");
    store.decide(Change("delete from runs where id = 3")).await.unwrap();
    assert_eq!(due_now(&store).await, [2, 4]);
}

/// A breaker closes by a run that helped, and by nothing else: not by the failures before it being forgotten.
#[tokio::test]
async fn what_a_breaker_looks_at_stays() {
    let b = Ran { runbook: "b", ..A };
    let (_home, store) = some(&[b.clone(), b.clone(), b.clone(), A]).await;
    assert_eq!(due_now(&store).await, [1, 2], "the third helped, and nothing after it has");
    store.decide(Change("update runs set state = 'failed' where id > 1")).await.unwrap();
    assert_eq!(due_now(&store).await, [0; 0]);
    store.decide(Change("update runs set state = 'done' where id = 3")).await.unwrap();
    let mutated = "update runs set mutated_at = 3000, cause = 'the alert may have come back' where id = 3";
    store.decide(Change(mutated)).await.unwrap();
    assert_eq!(due_now(&store).await, [0; 0], "whether it helped is not certain");
    for _ in 0..breaker::LOOKED_AT {
        store.decide(Change("update runs set state = 'failed'")).await.unwrap();
        ran(&store, b.clone()).await;
    }
    store.decide(Change("update runs set state = 'failed'")).await.unwrap();
    assert_eq!(due_now(&store).await, [1, 2, 3], "so many are looked at, and no more");
}

/// What names a run still has it when somebody looks, and what starts runs knows the one that it started.
#[tokio::test]
async fn a_run_stays_while_something_depends_on_it() {
    let (_home, store) = some(&[Ran { alert: Some("abc"), ..A }, A, A, A]).await;
    let all = due_now(&store).await;
    assert_eq!(all, [1, 2, 3]);
    for (depends, rest, no_more) in [
        (
            "insert into alerts (key, state, last_seen, record) values ('abc', 'firing', 0, '')",
            [2, 3].as_slice(),
            "update alerts set state = 'resolved'",
        ),
        (
            "insert into approvals (id, run, asks, path, revision, epoch, question, approvers, people, bound, state, \
             answers, asked_at, expires_at) values (7, 2, '', '', 0, 0, '', '', 1, '', 'given', '', 0, 0)",
            &[1, 3],
            "update approvals set id = 8, run = 4",
        ),
        (
            "insert into approvals (id, run, asks, path, revision, epoch, question, approvers, people, bound, state, \
             answers, asked_at, expires_at) values (7, 3, '', '', 0, 0, '', '', 1, '', 'given', '', 0, 0)",
            &[1, 2, 3],
            "insert into cards (subject, channel, lane, wanted, shown, changed_at) values ('APR-7', 'a', 1, 2, 1, 0)",
        ),
        ("update cards set lane = 0", &[1, 2], "update cards set subject = 'RUN-2'"),
        ("update cards set lane = 1", &[1, 3], "update cards set shown = 2"),
        (
            "insert into deployments (service, environment, sha, source, run, state, bake, recorded_at) \
             values ('checkout', 'production', 'a', '', 2, 'succeeded', 0, 0)",
            &[1, 3],
            "insert into deployments (service, environment, sha, source, state, bake, recorded_at) \
             select 'checkout', 'production', 'b', '', 'succeeded', 0, n.n \
             from (select a.id * 100 + b.id * 10 + c.id as n from runs a, runs b, runs c) as n",
        ),
    ] {
        store.decide(Change(depends)).await.unwrap();
        assert_eq!(due_now(&store).await, rest, "{depends}");
        store.decide(Change(no_more)).await.unwrap();
    }
    assert_eq!(due_now(&store).await, [1, 3], "64 deployments later the ledger still names it");
    store
        .decide(Change(
            "insert into deployments (service, environment, sha, source, state, bake, recorded_at) \
             select 'checkout', 'production', 'c', '', 'succeeded', 0, 0 from runs a, runs b, runs c, runs d",
        ))
        .await
        .unwrap();
    assert_eq!(due_now(&store).await, all);
}
