//! What follows a failure and every end, what is worth retrying, and runs that people steer.

use std::time::Duration;

use super::bench::{Bench, Fate, Kill, rules};
use crate::domain::{
    runs::{Event, Pass, Reason, RunState, StepState},
    timeline::Chain,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Two deployments, with steps for a failure and for every end.
fn ends(more: &str) -> String {
    let deploy = |name: &str| {
        format!(
            r#"{{ name: {name}, action: http, with: {{ method: POST, url: "http://service/deployments", body: {{ version: {name} }} }}, timeout: 1m, irreversible: true }}"#
        )
    };
    let undoable = |name: &str| {
        deploy(name).replace(
            "irreversible: true",
            &format!(r#"undo: {{ action: http, with: {{ method: POST, url: "http://service/deployments", body: {{ version: undo-{name} }} }} }}, output: {name}"#),
        )
    };
    format!(
        r#"
name: ends
mode: auto
{more}
trigger: {{ alert: {{ match: ['alertname="Errors"'] }}, chat: {{}} }}
target: {{ service: checkout, environment: production }}
steps:
  - {}
  - {}
on_failure:
  before_mutation:
    - {{ name: nothing done, action: incident.update, with: {{ note: "could not: {{{{ failure.reason }}}}" }} }}
  after_mutation:
    - {{ name: bad news, action: incident.update, with: {{ severity: SEV1, summary: "half done", note: "{{{{ failure.detail }}}}" }} }}
finally:
  - {{ name: never made, action: announce, with: {{ text: "{{{{ two.json.id }}}}" }} }}
  - {}
  - {{ name: told, action: announce, with: {{ text: "over: {{{{ ending.state }}}}" }} }}
"#,
        undoable("one"),
        undoable("two"),
        deploy("last"),
    )
}

fn versions(bench: &Bench) -> Vec<String> {
    bench.world.service().effects.iter().map(|(_, version)| version.clone()).collect()
}

async fn told(bench: &Bench) -> Vec<String> {
    let entries = bench.entries(Chain::Incident(crate::domain::ids::IncidentId(1))).await;
    entries.into_iter().map(|entry| entry.draft.text).collect()
}

/// A run of the runbook whose second step was lost, did not happen, and is refused when it is made again.
async fn failed_at_the_second(more: &str) -> Bench {
    let mut bench = Bench::new(rules(&[&ends(more)])).await;
    bench.alert("Errors", true).await;
    bench.work_until(Some((Kill::BeforeActing, 1))).await;
    let mut bench = bench.restart().await;
    bench.work().await;
    bench.world.service().fates.push_back(Fate::Refused(422));
    bench.says("ana", "/runbook answer RUN-1 did-not-happen").await.unwrap();
    bench.work().await;
    bench
}

/// What belongs to every end is done at every end, and what belongs to a failure once at a failure.
#[tokio::test]
async fn a_failure_before_any_change_has_its_steps_and_ends() {
    let mut bench = Bench::new(rules(&[&ends("")])).await;
    bench.world.service().fates.push_back(Fate::Refused(403));
    bench.alert("Errors", true).await;
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(Reason::StepFailed)), "{:#?}", bench.journal(1).await);
    assert_eq!(versions(&bench), ["last"]);
    let told = told(&bench).await;
    assert!(told.contains(&"noted: could not: step_failed".to_owned()), "{told:#?}");
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("finally.1", Pass::Do).unwrap().state, StepState::Skipped, "what was never made");
    assert_eq!(journal.last("finally.3", Pass::Do).unwrap().with["text"], "over: failed");
}

/// After a change the run is held, with its steps for that; what belongs to the end waits for the end.
#[tokio::test]
async fn a_failure_after_a_change_has_its_steps_and_is_held() {
    let mut bench = Bench::new(rules(&[&ends("")])).await;
    bench.alert("Errors", true).await;
    assert_eq!(bench.work_until(Some((Kill::BeforeActing, 1))).await, Some(1));
    let mut bench = bench.restart().await;
    bench.work().await;
    bench.stands(RunState::InDoubt, Some(Reason::InDoubt)).await;
    bench.world.service().fates.push_back(Fate::Refused(422));
    bench.says("ana", "/runbook answer RUN-1 did-not-happen").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    assert_eq!(versions(&bench), ["one"]);
    assert_eq!(bench.incident().await.severity.to_string(), "SEV1");
    assert_eq!(bench.incident().await.summary, "half done");
    bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Undone, None).await;
    assert_eq!(versions(&bench), ["one", "undo-one", "last"]);
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("finally.3", Pass::Do).unwrap().with["text"], "over: undone");
}

/// `undo: auto` takes back by itself what was done, tells so, and still has its last steps.
#[tokio::test]
async fn what_is_to_be_undone_by_itself_is() {
    let bench = failed_at_the_second("undo: auto").await;
    bench.stands(RunState::Undone, None).await;
    assert_eq!(versions(&bench), ["one", "undo-one", "last"]);
    let told = told(&bench).await;
    assert!(told.iter().any(|text| text.contains("as `undone`") && text.contains("after `step_failed`")), "{told:#?}");
}

/// A failed last step does not keep the others, and people have to know before the target is let go.
#[tokio::test]
async fn a_last_step_that_fails_is_held_and_can_be_retried() {
    let mut bench = Bench::new(rules(&[&ends("")])).await;
    bench.alert("Errors", true).await;
    assert_eq!(bench.work_until(Some((Kill::BeforeWriting, 1))).await, Some(1));
    let mut bench = bench.restart().await;
    bench.work().await;
    bench.world.service().fates.push_back(Fate::Refused(422));
    bench.says("ana", r#"/runbook answer RUN-1 happened output:"{\"json\":{\"id\":2}}""#).await.unwrap();
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("finally.3", Pass::Do).unwrap().state, StepState::Done, "the others are done");
    bench.says("ana", "/run retry RUN-1").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["one", "two", "last"]);
}

/// A refusal is not tried again by itself; what may pass is.
#[tokio::test]
async fn only_what_may_pass_is_retried() {
    let text =
        ends("").replace("timeout: 1m, undo", "timeout: 1m, retry: { attempts: 3, backoff: { first: 1s } }, undo");
    for (status, attempts) in [(429, 2), (404, 1), (409, 1)] {
        let mut bench = Bench::new(rules(&[&text])).await;
        bench.world.service().fates.push_back(Fate::Refused(status));
        bench.alert("Errors", true).await;
        bench.pass(MINUTE).await;
        let journal = bench.journal(1).await;
        assert_eq!(journal.of("1", Pass::Do).count(), attempts, "{status}");
    }
}

/// The time of a run is over: what waits is broken off, and the usual rule says what follows.
#[tokio::test]
async fn a_run_that_takes_too_long_fails() {
    let text = ends("timeout: 5m").replace("steps:\n", "steps:\n  - { name: long, action: wait, with: { for: 1h } }\n");
    let mut bench = Bench::new(rules(&[&text])).await;
    bench.alert("Errors", true).await;
    bench.pass(4 * MINUTE).await;
    bench.stands(RunState::Waiting, None).await;
    bench.pass(2 * MINUTE).await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(Reason::TimedOut)));
    assert_eq!(versions(&bench), ["last"]);
    let journal = bench.journal(1).await;
    assert_eq!(journal.0.iter().find(|record| record.is_open()), None, "what is over waits for nothing");
}

/// Pausing lets what is in flight end and begins nothing; resuming goes on from there.
#[tokio::test]
async fn a_paused_run_begins_nothing_until_it_is_resumed() {
    let mut bench = Bench::new(rules(&[&ends("")])).await;
    bench.meanwhile = Some((0, "/run pause RUN-1"));
    bench.alert("Errors", true).await;
    bench.work().await;
    bench.stands(RunState::Paused, None).await;
    bench.pass(10 * MINUTE).await;
    assert_eq!(versions(&bench), ["one"]);
    let refused = bench.says("ana", "/run pause RUN-1").await.unwrap_err();
    assert!(refused.to_string().contains("it is paused"), "{refused}");
    let refused = bench.says("bo", "/runbook run ends").await.unwrap_err();
    assert!(refused.to_string().contains("RUN-1"), "the target stays its own: {refused}");
    bench.says("bo", "/run skip RUN-1 reason:\"no need\" step:two").await.unwrap_err();
    bench.says("bo", "/run skip RUN-1 reason:\"no need\" step:told").await.unwrap();
    let mut bench = bench.restart().await;
    bench.says("ana", "/run resume RUN-1").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["one", "two", "last"]);
    let journal = bench.journal(1).await;
    let skipped = journal.last("finally.3", Pass::Do).unwrap();
    assert_eq!((skipped.state, skipped.error.as_deref()), (StepState::Skipped, Some("by bo: no need")));
    let events = bench.events().await;
    assert!(events.iter().any(|event| matches!(event, Event::RunPaused { .. })), "{events:#?}");
}

/// The same before any worker has taken the run over: that its journal holds something then is known to the first one.
#[tokio::test]
async fn a_step_is_left_out_before_the_run_has_begun() {
    let mut bench = Bench::new(rules(&[&ends("")])).await;
    bench.alert("Errors", true).await;
    bench.says("bo", "/run skip RUN-1 reason:\"no need\" step:two").await.unwrap_err();
    bench.says("bo", "/run skip RUN-1 reason:\"no need\" step:last").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["one", "two"]);
}

/// A step that stopped the run is left out with the reason that somebody gave.
#[tokio::test]
async fn a_step_is_left_out_with_a_reason() {
    let mut bench = failed_at_the_second("").await;
    bench.says("ana", "/run skip RUN-1 reason:\"done by hand\"").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    let told = told(&bench).await;
    assert!(told.contains(&"skipped `two`: by ana: done by hand".to_owned()), "{told:#?}");
}
