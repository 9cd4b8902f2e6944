//! The worker itself, with its tasks: what becomes of a run when a task does not come to its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    bench::{Bench, Kill, rules},
    plans::TWICE,
};
use crate::{
    domain::{
        ids::IncidentId,
        runs::{Reason, Run, RunState, StepState},
        timeline::Chain,
    },
    engine::{
        ports::{Program, ProgramOutcome, Programs},
        runs::{Answer, Input, Ports, decide::LEASE, work::work},
    },
    store::timeline,
};

/// Starts a worker that is told by this whether the halt file is there; it works as long as the guard lives.
fn worker(bench: &Bench, is_halt_file_there: impl Fn() -> bool + Send + Sync + 'static) -> DropGuard {
    let ports = Ports {
        http: Arc::clone(&bench.ports.http),
        programs: Arc::clone(&bench.ports.programs),
        metrics: Arc::clone(&bench.ports.metrics),
        secrets: Arc::clone(&bench.ports.secrets),
        clusters: bench.ports.clusters.clone(),
        code_host: None,
        clock: Arc::clone(&bench.ports.clock),
        is_halt_file_there: Arc::new(is_halt_file_there),
    };
    let stop = CancellationToken::new();
    tokio::spawn(work(Arc::clone(&bench.trial.engine), Arc::new(ports), stop.clone()));
    stop.drop_guard()
}

/// A worker that hangs in the middle of an effect may still make it, whoever takes the run over and lets go of it again.
#[tokio::test]
async fn a_worker_that_may_still_be_at_work_is_not_forgotten() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.alert("Errors", true).await;
    // Two are done, and the third is begun by a worker that hangs.
    assert_eq!(bench.work_until(Some((Kill::BeforeActing, 2))).await, Some(2));
    bench.trial.clock.pass(LEASE + Duration::from_secs(1));
    let claim = |owner: &str| Input::Claim { owner: owner.to_owned(), begins: true, is_halt_file_there: false };
    let Answer::Taken(taken) = bench.submit(claim("hasty")).await else { panic!("a claim was not answered") };
    let left = taken.iter().map(|taken| (taken.run, taken.epoch)).collect();
    bench.submit(Input::LetGo { owner: "hasty".to_owned(), runs: left }).await;
    bench.pass(Duration::from_mins(1)).await;
    bench.stands(RunState::InDoubt, Some(Reason::InDoubt)).await;
    assert_eq!(bench.world.service().sent.len(), 2, "nobody sends it again beside the one that hangs");
    bench.says("ana", "/runbook answer RUN-1 did-not-happen").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
}

/// Waits until the run rests, and gives it.
async fn rests(bench: &Bench, id: i64) -> Run {
    comes(async || bench.run(id).await.state != RunState::Running).await;
    bench.run(id).await
}

/// A run whose task broke is still the worker's, by the store: nobody else takes it, so the worker itself must.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_task_broke_is_taken_up_again() {
    let bench = Bench::new(rules(&[TWICE])).await;
    let looks = AtomicUsize::new(0);
    let _worker = worker(&bench, move || {
        // It is looked for when the run is taken over, and by its task right before the effect.
        assert_ne!(looks.fetch_add(1, Ordering::SeqCst), 1, "the first task breaks");
        false
    });
    bench.alert("Errors", true).await;
    assert_eq!(rests(&bench, 1).await.state, RunState::InDoubt, "what was about to happen may have happened");
    bench.says("ana", "/runbook answer RUN-1 did-not-happen").await.unwrap();
    assert_eq!(rests(&bench, 1).await.state, RunState::Done);
    assert_eq!(bench.world.service().sent.len(), 3);
}

/// A program that does not end before it is let.
struct Lasting(Arc<Notify>);

#[async_trait]
impl Programs for Lasting {
    async fn run(&self, _: Program) -> ProgramOutcome {
        self.0.notified().await;
        ProgramOutcome::Exited { code: 0, stdout: String::new(), stderr: String::new() }
    }

    async fn end(&self, _: &str) {}
}

/// A bot with a worker, whose programs end one after the other, each when it is let.
async fn lasting(runbook: &str) -> (Bench, Arc<Notify>, DropGuard) {
    let mut bench = Bench::new(rules(&[runbook])).await;
    let ends = Arc::new(Notify::new());
    bench.ports.programs = Arc::new(Lasting(Arc::clone(&ends)));
    let worker = worker(&bench, || false);
    (bench, ends, worker)
}

/// Two lanes, one of which takes long, and one of which asks.
const ASKS_MEANWHILE: &str = r#"
name: asks-meanwhile
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: both
    parallel:
      long: [{ name: take long, action: shell, with: { argv: ["long"] }, timeout: 1m, repeat: safe }]
      short:
        - { name: are you sure, action: ask, with: { question: "Are you sure?", by: ["role:on-call"], expires: 10m } }
        - { name: note it, action: set, with: { values: { noted: "true" } } }
"#;

/// Who answers is not kept waiting by what takes long in another lane.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_heard_while_something_else_is_in_flight() {
    let (bench, ends, _worker) = lasting(ASKS_MEANWHILE).await;
    bench.says("ana", "/runbook run asks-meanwhile").await.unwrap();
    let is_asked = async || bench.says("ana", "/runbook answer APR-1 choose choice:yes").await.is_ok();
    comes(is_asked).await;
    let is_noted = async || bench.journal(1).await.0.iter().any(|it| it.action == "set" && it.state == StepState::Done);
    comes(is_noted).await;
    assert_eq!(bench.run(1).await.state, RunState::Running, "the other lane is at work");
    ends.notify_one();
    assert_eq!(rests(&bench, 1).await.state, RunState::Done);
}

/// A runbook whose only step takes long.
const LONG: &str = r#"
name: long
mode: auto
trigger: { alert: { match: ['alertname=~"Errors|Crashes"'] } }
target: { service: checkout, environment: production }
steps: [{ name: take long, action: shell, with: { argv: ["long"] }, timeout: 1m, repeat: safe }]
"#;

/// From the moment at which an alert is acknowledged, what it starts is somebody's, and its first intent stands.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_alert_starts_is_begun_by_the_same_commit() {
    let (bench, ends, _worker) = lasting(LONG).await;
    // By then it has looked for what is left from before.
    bench.alert("Errors", true).await;
    comes(async || bench.run(1).await.owner.is_some()).await;
    ends.notify_one();
    assert_eq!(rests(&bench, 1).await.state, RunState::Done);
    bench.alert("Crashes", true).await;
    let mut reader = bench.trial.engine.read().await.unwrap();
    let told = timeline::newest(&mut reader, Chain::Incident(IncidentId(1)), 2).await.unwrap();
    let kinds: Vec<&str> = told.iter().map(|entry| entry.draft.kind.as_str()).collect();
    assert_eq!(kinds, ["run_triggered", "step_intended"]);
    drop(reader);
    ends.notify_one();
    assert_eq!(rests(&bench, 2).await.state, RunState::Done);
}

/// Waits until it is so.
async fn comes(is_so: impl AsyncFn() -> bool) {
    let coming = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("it comes");
}

/// The file is the last resort: it counts also when it comes between the intent and the effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_file_that_comes_after_the_intent_holds_the_run() {
    let bench = Bench::new(rules(&[TWICE])).await;
    let looks = AtomicUsize::new(0);
    // It is not there when the intent is asked for, there right before the effect, and gone again after it.
    let _worker = worker(&bench, move || looks.fetch_add(1, Ordering::SeqCst) == 1);
    bench.alert("Errors", true).await;
    let run = rests(&bench, 1).await;
    assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (RunState::Held, Some(Reason::HaltFile)));
    assert!(bench.world.service().sent.is_empty());
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    assert_eq!((rests(&bench, 1).await.state, bench.world.service().sent.len()), (RunState::Done, 3));
}
