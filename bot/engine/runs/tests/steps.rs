//! Steps: intents, outcomes, doubt, failure, undo, time.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    bench::{Bench, Fate, Kill, rules},
    people::a_rollback_that_was_lost,
    plans::{ROLLBACK, TWICE},
};
use crate::{
    domain::{
        catalog,
        incidents::Milestone,
        runbooks::scope::ROOTS,
        runs::{Event, Pass, Reason, RunState, StepState},
        timeline::{Chain, verify},
    },
    engine::{Rules, runs::cards},
};

const MINUTE: Duration = Duration::from_mins(1);

/// An alert, an approval and a rollback: the whole way, with everything in the timeline.
#[tokio::test]
async fn an_alert_rolls_back_what_people_approve() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.mode.word()), (RunState::Approval, "ask"));
    assert_eq!(bench.incident().await.open_runs, 1);
    assert!(bench.world.service().sent.is_empty());

    assert_eq!(bench.says("ana", "/runbook answer APR-1 approve").await.unwrap(), "Approved RUN-1");
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!(run.state, RunState::Done, "{:?}", bench.journal(1).await);
    assert_eq!(bench.world.service().live, "good");
    let incident = bench.incident().await;
    assert_eq!(incident.open_runs, 0);
    assert!(incident.milestones.mark(Milestone::Mitigated).is_some(), "{:?}", incident.milestones);
    let entries = bench.entries(Chain::Incident(crate::domain::ids::IncidentId(1))).await;
    verify(&entries).unwrap();
    let done = bench.events().await.into_iter().filter(|event| matches!(event, Event::StepDone { .. })).count();
    // Three reads before the approval, two of them again after it, and the two last steps.
    assert_eq!(done, 7);
}

/// What happened is not done again: the answer was lost, and the look finds the deployment when it is listed at last.
#[tokio::test]
async fn a_lost_answer_is_looked_for_and_never_sent_again() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    {
        let mut service = bench.world.service();
        service.fates.push_back(Fate::AnswerLost);
        service.hides = true;
    }
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Waiting);
    bench.pass(Duration::from_secs(40)).await;
    bench.world.service().hides = false;
    bench.pass(Duration::from_secs(30)).await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
    assert_eq!(bench.world.service().sent.len(), 1);
}

/// Two looks, apart by the time that the runbook gives, prove that it did not happen; then it is sent again.
#[tokio::test]
async fn a_lost_request_is_sent_again_under_the_same_key() {
    let mut bench = a_rollback_that_was_lost().await;
    bench.pass(Duration::from_secs(55)).await;
    assert_eq!(bench.world.service().sent.len(), 1, "one look is not enough");
    bench.pass(Duration::from_secs(10)).await;
    assert_eq!(bench.run(1).await.state, RunState::Done, "{:?}", bench.journal(1).await);
    let sent = bench.world.service().sent.clone();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].0, sent[1].0);
}

/// Without a probe and without `repeat: safe`, only people can say whether it happened.
#[tokio::test]
async fn what_nobody_can_look_for_is_put_before_people() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.world.service().fates.push_back(Fate::AnswerLost);
    bench.alert("Errors", true).await;
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!(run.state, RunState::InDoubt);
    bench.pass(MINUTE * 60).await;
    assert_eq!(bench.run(1).await.state, RunState::InDoubt, "doubt does not expire");
    assert_eq!(bench.world.service().sent.len(), 1);
    let refused = bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap_err();
    assert!(refused.to_string().contains("`happened`, `did-not-happen`, `abort`"), "{refused}");
    bench.says("ana", r#"/runbook answer RUN-1 happened output:"{\"id\":7}""#).await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
    assert_eq!(bench.world.service().sent.len(), 3);
}

/// A step that may be repeated is sent again with the same key, until people are asked.
#[tokio::test]
async fn a_repeatable_step_is_repeated_with_the_same_key() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.alert("Errors", true).await;
    assert_eq!(bench.work_until(Some((Kill::BeforeWriting, 2))).await, Some(2));
    let mut bench = bench.restart().await;
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Waiting);
    bench.pass(MINUTE).await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
    let sent = bench.world.service().sent.clone();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[2], sent[3]);
}

/// After something was changed a failure holds: nothing is undone by itself, and Undo goes back in reverse.
#[tokio::test]
async fn a_failure_after_a_change_holds_and_undo_goes_back_in_reverse() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.alert("Errors", true).await;
    bench.work_until(Some((Kill::BeforeActing, 2))).await;
    bench.world.service().fates.extend([Fate::Refused(422)]);
    let mut bench = bench.restart().await;
    bench.pass(MINUTE).await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (RunState::Held, Some(Reason::StepFailed)));
    bench.pass(MINUTE * 30).await;
    assert_eq!(bench.world.service().effects.len(), 2, "nothing is undone by itself");
    bench.says("bo", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Undone);
    let versions: Vec<String> = bench.world.service().effects.iter().map(|(_, version)| version.clone()).collect();
    assert_eq!(versions, ["one", "two", "undo-two", "undo-one"]);
}

/// A failure before anything was changed ends the run, and the target is free.
#[tokio::test]
async fn a_failure_before_any_change_stops() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.world.service().fates.push_back(Fate::Refused(403));
    bench.alert("Errors", true).await;
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(Reason::StepFailed)));
    assert_eq!(bench.incident().await.open_runs, 0);
}

/// Undo refuses when the target has moved since, and the run is stuck until somebody looks.
#[tokio::test]
async fn undo_refuses_when_the_target_has_moved() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.world.service().errors = 0.5;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.says("ana", "/runbook answer APR-1 approve").await.unwrap();
    bench.work().await;
    bench.pass(MINUTE + MINUTE).await;
    assert_eq!(bench.run(1).await.state, RunState::Held);
    "hotfix".clone_into(&mut bench.world.service().live);
    bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.pass), (RunState::Stuck, Pass::Undo));
    assert_eq!(bench.world.service().live, "hotfix");
    bench.says("ana", "/runbook answer RUN-1 release").await.unwrap();
    assert_eq!(bench.run(1).await.state, RunState::Released);
}

/// A read that the restart cut off is simply read anew; a wait goes on to count.
#[tokio::test]
async fn a_restart_reads_anew() {
    let mut bench = Bench::new(rules(&[ROLLBACK])).await;
    bench.alert("Errors", true).await;
    assert!(bench.work_until(Some((Kill::BeforeActing, 1))).await.is_some());
    let mut bench = bench.restart().await;
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Approval);
    let journal = bench.journal(1).await;
    assert!(journal.0.iter().all(|record| record.state != StepState::Intent), "{journal:?}");
}

/// The file halts without the store, in the middle, and nothing goes on by itself after it.
#[tokio::test]
async fn a_halt_stops_in_the_middle_and_lifting_it_resumes_nothing() {
    let mut bench = Bench::new(rules(&[TWICE])).await;
    bench.alert("Errors", true).await;
    assert!(bench.work_until(Some((Kill::BeforeWriting, 0))).await.is_some());
    bench.says("ana", "/halt \"everything is on fire\"").await.unwrap();
    let mut bench = bench.restart().await;
    bench.pass(MINUTE).await;
    assert_eq!(bench.run(1).await.state, RunState::InDoubt);
    let refused = bench.says("ana", "/halt lift:fixed").await.unwrap_err();
    assert!(refused.to_string().contains("administer"), "{refused}");
    bench.says("ana", "/runbook answer RUN-1 happened").await.unwrap();
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.hold.map(|hold| hold.reason)), (RunState::Held, Some(Reason::Halted)));
    bench.says("chief", "/halt lift:fixed").await.unwrap();
    let told = bench.entries(Chain::System).await;
    assert!(told.iter().any(|entry| entry.draft.text == "lifted the halt of everything: fixed"), "{told:?}");
    bench.pass(MINUTE).await;
    assert_eq!(bench.world.service().sent.len(), 1);
    bench.world.halt_file.store(true, std::sync::atomic::Ordering::SeqCst);
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.hold.map(|hold| hold.reason), Some(Reason::HaltFile));
    bench.world.halt_file.store(false, std::sync::atomic::Ordering::SeqCst);
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    bench.work().await;
    assert_eq!(bench.run(1).await.state, RunState::Done);
}

/// Whatever the check says that a runbook can read is there when it is read.
#[tokio::test]
async fn every_declared_root_is_there() {
    let paths: Vec<String> = ROOTS
        .iter()
        .flat_map(|root| match root.fields {
            [] => vec![root.name.to_owned()],
            fields => fields.iter().map(|field| format!("{}.{field}", root.name)).collect(),
        })
        .collect();
    let body: Vec<String> = paths.iter().enumerate().map(|(at, path)| format!("v{at}: \"{{{{ {path} }}}}\"")).collect();
    let text = TWICE.replace("body: { version: one }", &format!("body: {{ version: one, {} }}", body.join(", ")));
    let catalog = "services: { checkout: { description: d, owner: role:on-call, repository: a/b, dependencies: [], checks: {}, \
                   environments: { production: { workload: deployment/c, namespace: n, cluster: c } } } }";
    let catalog = catalog::read(Path::new("services.yaml"), catalog.as_bytes(), |_| Ok(())).unwrap();
    let mut bench = Bench::new(Rules { catalog: Arc::new(catalog), ..rules(&[&text]) }).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    let with = bench.journal(1).await.0[0].with["body"].clone();
    let at = |path: &str| with[format!("v{}", paths.iter().position(|known| known == path).unwrap())].clone();
    assert_eq!(at("alert.summary"), "there are errors");
    assert!(at("alert.key").is_string() && at("run.id") == "RUN-1", "{with}");
}

/// "Undone" that leaves something standing is a lie that is found out in the next incident.
#[tokio::test]
async fn what_stands_after_an_undo_is_named() {
    let undo = "undo: { action: http, with: { method: POST, url: \"http://service/deployments\", body: { version: undo-one } } }";
    let text = TWICE
        .replace(undo, "irreversible: true")
        .replace("body: { version: three }", "body: { version: three, expect_live: another }");
    let mut bench = Bench::new(rules(&[&text])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Undone, None).await;
    let entries = bench.entries(Chain::Incident(crate::domain::ids::IncidentId(1))).await;
    let ended = entries.iter().find(|entry| entry.draft.text.contains("as `undone`")).unwrap();
    assert!(ended.draft.text.contains("what stands all the same: first"), "{}", ended.draft.text);
    let card = cards::of_run(&bench.run(1).await, &bench.journal(1).await, bench.trial.engine.now());
    assert!(format!("{card:?}").contains("Still stands"), "{card:?}");
}

/// Whoever wants it to go on has overruled whoever wanted it to stop.
#[tokio::test]
async fn an_old_wish_to_stop_does_not_eat_an_answer() {
    let text = TWICE.replace("body: { version: three }", "body: { version: three, expect_live: another }");
    let mut bench = Bench::new(rules(&[&text])).await;
    bench.meanwhile = Some((2, "/runbook cancel RUN-1"));
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    "another".clone_into(&mut bench.world.service().live);
    bench.says("ana", "/runbook answer RUN-1 retry").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
}

/// A halt has to work on the worst day: one row that cannot be read does not take it away.
#[tokio::test]
async fn a_halt_stands_beside_a_run_that_cannot_be_read() {
    let other = TWICE.replace("name: twice", "name: other").replace("service: checkout", "service: cart");
    let bench = Bench::new(rules(&[TWICE, &other])).await;
    bench.says("ana", "/runbook run twice").await.unwrap();
    bench.says("ana", "/runbook run other").await.unwrap();
    bench.spoil(1).await;
    bench.says("ana", "/halt \"everything is on fire\"").await.unwrap();
    assert_eq!(bench.run(2).await.state, RunState::Held);
    let refused = bench.says("bo", "/runbook run twice").await.unwrap_err();
    assert!(refused.to_string().contains("RUN-1"), "what cannot be read still holds its place: {refused}");
}
