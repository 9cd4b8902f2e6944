//! Triggers, guards, and what people answer.

use std::time::Duration;

use super::{
    bench::{Bench, Fate, rules},
    plans::{ROLLBACK, TWICE},
};
use crate::domain::{
    routes::{Pick, Route},
    runbooks::plan::Mode,
    runs::{Event, Reason, RunState},
};

const MINUTE: Duration = Duration::from_mins(1);

/// The requester never counts, one person counts once, and others than those asked do not count.
#[tokio::test]
async fn only_other_people_than_the_requester_approve() {
    let mut bench = Bench::new(rules(&[ROLLBACK.replace("by: [", "count: 2, by: [").as_str()])).await;
    bench.says("ana", "/runbook run rollback").await.unwrap();
    bench.work().await;
    let refused = bench.says("ana", "/runbook answer APR-1 approve").await.unwrap_err();
    assert!(refused.to_string().contains("whoever started the run does not count"), "{refused}");
    bench.says("bo", "/runbook answer APR-1 approve").await.unwrap();
    let refused = bench.says("bo", "/runbook answer APR-1 approve").await.unwrap_err();
    assert!(refused.to_string().contains("answered already"), "{refused}");
    assert!(bench.world.service().sent.is_empty());
    let stale = bench.says("chief", "/runbook answer APR-1 approve revision:1").await.unwrap_err();
    assert!(stale.to_string().contains("changed meanwhile"), "{stale}");
    bench.says("chief", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
}

/// What was approved is read anew before it is acted on: a difference voids the approval and is shown.
#[tokio::test]
async fn drift_voids_an_approval_and_asks_again() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    "worse".clone_into(&mut bench.world.service().live);
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Approval);
    assert!(bench.world.service().sent.is_empty());
    let events = bench.events().await;
    let voided = events.iter().find_map(|event| {
        if let Event::ApprovalVoided { difference, .. } = event { Some(difference.clone()) } else { None }
    });
    let paths: Vec<String> = voided.unwrap().into_iter().map(|it| it.path).collect();
    assert!(paths.contains(&"live.version".to_owned()), "{paths:?}");
    bench.says("ana", "/runbook answer APR-2 approve").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
}

/// An approval that nobody gives pages and holds; it does not lapse into a yes.
#[tokio::test]
async fn an_expired_approval_holds() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.pass(MINUTE * 16).await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (RunState::Held, Some(Reason::ApprovalExpired)));
    let refused = bench.says("ana", "/runbook answer APR-1 approve").await.unwrap_err();
    assert!(refused.to_string().contains("it is expired"), "{refused}");
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    bench.work().await;
    bench.says("ana", "/runbook answer APR-2 approve").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
}

/// A rejected run ends before anything was changed.
#[tokio::test]
async fn a_rejected_run_ends() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 reject").await.unwrap();
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Cancelled, Some(Reason::Rejected)));
}

/// The alert is over before anybody approves: nothing is changed any more.
#[tokio::test]
async fn what_is_over_is_not_mended() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.alert("Errors", false).await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Refused, Some(Reason::StillFiring)));
    assert!(bench.world.service().sent.is_empty());
}

/// A second fault in the cooldown is refused, with its reason where `/why` finds it.
#[tokio::test]
async fn the_cooldown_refuses_and_says_so() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    bench.alert("Errors", false).await;
    bench.pass(MINUTE * 16).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    assert_eq!(bench.runs().await.len(), 1);
    let why = bench.says("ana", "/why incident:INC-1").await.unwrap();
    assert!(why.contains("`cooldown`"), "{why}");
}

/// Observe tells what it would have done and changes nothing.
#[tokio::test]
async fn observe_changes_nothing() {
    let mut rules = rules(&[ROLLBACK]);
    rules.runs.mode = Mode::Observe;
    let mut bench = Bench::new(rules).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Observed);
    assert!(bench.world.service().sent.is_empty());
    let events = bench.events().await;
    let would = events.iter().find_map(|event| {
        if let Event::StepObserved { with, .. } = event { Some(with["body"]["version"].clone()) } else { None }
    });
    assert_eq!(would, Some("good".into()));
}

/// One target has one run at a time, whatever the runbook.
#[tokio::test]
async fn a_target_has_one_run_at_a_time() {
    let mut bench = Bench::new(rules(&[ROLLBACK, TWICE])).await;
    bench.world.service().errors = 0.5;
    bench.says("ana", "/runbook run rollback").await.unwrap();
    bench.work().await;
    bench.says("bo", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    let refused = bench.says("bo", "/runbook run twice").await.unwrap_err();
    assert!(refused.to_string().contains("`target_locked`"), "{refused}");
    let refused = bench.says("bo", "/runbook run rollback").await.unwrap_err();
    assert!(refused.to_string().contains("`RUN-1` is at work"), "{refused}");
    bench.says("bo", "/runbook cancel RUN-1").await.unwrap();
    let run = bench.run(1).await;
    assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (RunState::Held, Some(Reason::Cancelled)));
    bench.says("bo", "/runbook answer RUN-1 release").await.unwrap();
    bench.says("bo", "/runbook run twice").await.unwrap();
}

/// An `ask` step waits for one of its choices, and later steps read it.
#[tokio::test]
async fn a_question_has_choices() {
    let ask = r#"
name: ask
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: which
    action: ask
    with: { question: "Which?", choices: [left, right], by: ["role:on-call"], expires: 10m }
    output: way
  - name: pause
    action: wait
    with: { for: 2m }
  - name: deploy
    when: "way.answer == 'right'"
    action: http
    with: { method: POST, url: "http://service/deployments", body: { version: "{{ way.answer }}" } }
    timeout: 1m
    irreversible: true
  - name: tell
    action: shell
    with: { argv: [echo, "{{ way.answer }}; rm -rf /"], env: { T: { secret: token } } }
    reads_only: true
"#;
    let mut bench = Bench::new(rules(&[ask])).await;
    bench.says("ana", "/runbook run ask").await.unwrap();
    bench.work().await;
    let refused = bench.says("ana", "/runbook answer APR-1 choose middle").await.unwrap_err();
    assert!(refused.to_string().contains("`left`, `right`"), "{refused}");
    bench.says("ana", "/runbook answer APR-1 choose right").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Waiting);
    let mut bench = bench.restart().await;
    bench.pass(MINUTE).await;
    assert!(bench.world.service().sent.is_empty(), "the wait is not shortened by a restart");
    bench.pass(MINUTE).await;
    assert_eq!(bench.run(1).await.state, RunState::Done, "{:?}", bench.journal(1).await);
    let journal = bench.journal(1).await;
    let told = journal.0.last().map(|record| record.output.to_string()).unwrap_or_default();
    assert!(told.contains("right; rm -rf /"), "{told}");
    assert!(told.contains("[redacted]") && !told.contains("s3cr3t"), "{told}");
}

/// A rollback that was approved, and of which the request never arrived.
pub(super) async fn a_rollback_that_was_lost() -> Bench {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.world.service().fates.push_back(Fate::RequestLost);
    bench.work().await;
    bench.stands(RunState::Waiting, None).await;
    bench
}

/// An attempt that did not happen uses up neither the agreement nor what it was given for.
#[tokio::test]
async fn what_was_approved_is_read_anew_after_an_attempt_that_did_not_happen() {
    let mut bench = a_rollback_that_was_lost().await;
    "worse".clone_into(&mut bench.world.service().live);
    bench.pass(MINUTE + MINUTE).await;
    bench.stands(RunState::Approval, None).await;
    assert_eq!(bench.world.service().sent.len(), 1, "it is not sent again before people agreed to what is so now");
    bench.says("ana", "/runbook answer APR-2 approve").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
}

/// The same for the guards: what is over by now is not mended by a second attempt.
#[tokio::test]
async fn what_is_over_is_not_mended_by_a_second_attempt() {
    let mut bench = a_rollback_that_was_lost().await;
    bench.alert("Errors", false).await;
    bench.pass(MINUTE + MINUTE).await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Refused, Some(Reason::StillFiring)));
    assert_eq!(bench.world.service().sent.len(), 1);
}

/// What the run itself was charged for is not held against its own second attempt.
#[tokio::test]
async fn a_second_attempt_is_not_refused_by_its_own_cooldown() {
    let mut bench = a_rollback_that_was_lost().await;
    bench.pass(MINUTE + MINUTE).await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(bench.world.service().sent.len(), 2);
}

/// Observe tells what would have happened, and leaves out what would not.
#[tokio::test]
async fn observe_heeds_conditions() {
    let text = TWICE
        .replace("- name: first", "- name: first\n    when: \"target.service == 'cart'\"")
        .replace("- name: second", "- name: second\n    when: \"incident.phase == 'triage'\"")
        .replace("- name: third", "- name: third\n    when: \"run.gone == 'x'\"")
        .replace("run.gone", "alert.labels.gone");
    let mut rules = rules(&[&text]);
    rules.runs.mode = Mode::Observe;
    let mut bench = Bench::new(rules).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Observed, None).await;
    let told: Vec<(String, bool)> = bench
        .events()
        .await
        .into_iter()
        .filter_map(|event| {
            if let Event::StepObserved { name, with, .. } = event {
                Some((name, with.get("unknown").is_some()))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(told, [("second".to_owned(), false), ("third".to_owned(), true)]);
}

/// Whoever can write a label must not be able to choose what is changed.
#[tokio::test]
async fn a_label_cannot_aim_a_run_at_a_service_that_nobody_named() {
    let aimed = |kind: &str| {
        let inputs = format!("inputs: {{ service: {{ type: {kind}, label: alertname }} }}\n");
        TWICE.replace("target: { service: checkout", &format!("{inputs}target: {{ service: \"{{{{ service }}}}\""))
    };
    for kind in ["service", "text"] {
        for (named, is_started) in [(None, true), (Some("checkout"), false), (Some("Errors"), true)] {
            let mut rules = rules(&[&aimed(kind)]);
            rules.routes.extend(named.map(|name| Route {
                name: "other".to_owned(),
                matchers: vec!["alertname=other".parse().unwrap()],
                service: Some(Pick::Fixed(name.to_owned())),
                ..Route::default()
            }));
            let mut bench = Bench::new(rules).await;
            bench.alert("Errors", true).await;
            bench.work().await;
            assert_eq!(bench.runs().await.len(), usize::from(is_started), "{kind} {named:?}");
            let why = bench.says("ana", "/why incident:INC-1").await.unwrap();
            assert_eq!(why.contains("`Errors` is not a service of the configuration"), !is_started, "{why}");
        }
    }
}
