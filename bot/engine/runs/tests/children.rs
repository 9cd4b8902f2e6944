//! Runs that start others and wait for their end.

use super::bench::{Bench, Fate, Kill, rules};
use crate::domain::{
    ids::RunId,
    runs::{Event, Pass, Reason, RunState, StepState},
};

pub(super) const OUTER: &str = r#"
name: outer
mode: auto
trigger: { alert: { match: ['alertname="Errors"'] }, chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: first
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: first } }
    timeout: 1m
    undo: { action: http, with: { method: POST, url: "http://service/deployments", body: { version: undo-first } } }
  - name: by another
    action: runbook
    with: { name: inner, inputs: { version: two } }
    undo: { action: runbook, with: { name: inner, inputs: { version: undo-two } } }
    output: inner
  - { name: told, action: announce, with: { text: "{{ inner.made }} by {{ inner.who }}" } }
"#;

pub(super) const INNER: &str = r#"
name: inner
mode: auto
trigger: { chat: {} }
inputs: { version: { type: text } }
target: { service: checkout, environment: production }
approval: { before: deploy, when: "version == 'asked'", by: ["role:on-call"] }
steps:
  - name: deploy
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: "{{ version }}" } }
    timeout: 1m
    probe:
      action: http
      with: { url: "http://service/deployments", extract: { made: "response.json.deployments.filter(d, has(d.key) && d.key == step.key)" } }
      settle: 10s
      found: "size(output.made) > 0"
    undo: { action: http, with: { method: POST, url: "http://service/deployments", body: { version: back } } }
outputs: { made: version, who: run.requested_by }
"#;

fn versions(bench: &Bench) -> Vec<String> {
    bench.world.service().effects.iter().map(|(_, version)| version.clone()).collect()
}

/// The other run has its own journal, uses the same lock, and hands back what it declares.
#[tokio::test]
async fn a_run_waits_for_the_run_that_it_started() {
    let mut bench = Bench::new(rules(&[OUTER, INNER])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["first", "two"]);
    let inner = bench.run(2).await;
    assert_eq!((inner.state, inner.root, inner.parent.unwrap().run), (RunState::Done, Some(RunId(1)), RunId(1)));
    assert_eq!(inner.incident, bench.run(1).await.incident);
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("3", Pass::Do).unwrap().with["text"], "two by source prometheus");
    let events = bench.events().await;
    assert!(events.iter().any(|event| matches!(event, Event::ChildStarted { child: RunId(2), .. })), "{events:#?}");
    // The lock is free again.
    bench.says("ana", "/runbook run outer").await.unwrap();
}

/// Killed anywhere, the other run is started once, and what it does is done once.
#[tokio::test]
async fn a_kill_starts_no_second_run() {
    for kind in [Kill::BeforeActing, Kill::BeforeWriting] {
        let mut bench = Bench::new(rules(&[OUTER, INNER])).await;
        bench.alert("Errors", true).await;
        assert_eq!(bench.work_until(Some((kind, 1))).await, Some(1));
        let mut bench = bench.restart().await;
        bench.pass(std::time::Duration::from_mins(1)).await;
        bench.stands(RunState::Done, None).await;
        assert_eq!(versions(&bench), ["first", "two"], "{kind:?}");
        assert_eq!(bench.runs().await.len(), 2);
    }
}

/// When the other run is held the first waits, and its failure is the first one's; Undo starts the other way round.
#[tokio::test]
async fn what_becomes_of_the_other_run_decides() {
    let mut bench = Bench::new(rules(&[OUTER, INNER])).await;
    bench.meanwhile = Some((0, "/why incident:INC-1"));
    bench.alert("Errors", true).await;
    assert_eq!(bench.work_until(Some((Kill::BeforeActing, 1))).await, Some(1));
    bench.world.service().fates.push_back(Fate::Refused(422));
    let mut bench = bench.restart().await;
    bench.pass(std::time::Duration::from_mins(1)).await;
    assert_eq!(bench.run(2).await.state, RunState::Failed, "{:#?}", bench.journal(2).await);
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["first", "two"]);
    assert_eq!(bench.runs().await.len(), 3, "another try is another run");
}

/// Taking back what another run did is the work of another run.
#[tokio::test]
async fn undo_may_be_another_run_too() {
    let text = OUTER.replace("{{ inner.made }} by {{ inner.who }}\" }", "x\" }, when: \"inner.gone == 1\"");
    let mut bench = Bench::new(rules(&[&text, INNER])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::NoValue)).await;
    bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Undone, None).await;
    assert_eq!(versions(&bench), ["first", "two", "undo-two", "undo-first"]);
}

/// The other run asks for itself, and whoever asked for the first does not count there either.
#[tokio::test]
async fn the_requester_of_the_first_run_does_not_approve_the_second() {
    let text = OUTER.replace("inputs: { version: two }", "inputs: { version: asked }");
    let mut bench = Bench::new(rules(&[&text, INNER])).await;
    bench.says("ana", "/runbook run outer").await.unwrap();
    bench.work().await;
    assert_eq!((bench.run(1).await.state, bench.run(2).await.state), (RunState::Waiting, RunState::Approval));
    let refused = bench.says("ana", "/runbook answer APR-1 approve").await.unwrap_err();
    assert!(refused.to_string().contains("does not count"), "{refused}");
    bench.says("bo", "/runbook answer APR-1 reject").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("2", Pass::Do).unwrap().state, StepState::Failed);
    assert_eq!(versions(&bench), ["first"]);
}
