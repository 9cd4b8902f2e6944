//! What takes too long: a step that changes something is in doubt then, a run fails.

use super::{MINUTE, opened};
use crate::world::{Fault, Moment, Which};

/// Restarts the service, for which it has a second.
const HASTY: &str = r#"
name: hasty
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: {} }
    timeout: 1s
    irreversible: true
"#;

/// Waits for longer than it may take.
const SLOW: &str = r#"
name: slow
mode: auto
timeout: 10m
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: a while, action: wait, with: { for: 1h } }
on_failure:
  before_mutation:
    - { name: note it, action: incident.update, with: { note: "given up: {{ failure.reason }}" } }
"#;

/// No answer in time is no failure: it may have happened, and only a person can look.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_does_not_answer_in_time_is_in_doubt() {
    let world = opened(&[HASTY]).await;
    world.service.plan(Which::Next("POST", "/restart"), Moment::After, Fault::Hang);
    world.does("ana", "/runbook run runbook:hasty incident:INC-1").await;
    world.run_comes_to("RUN-1", "in doubt", MINUTE).await;
    world.sees("/why run:RUN-1", "in_doubt").await;
    world.passes(5 * MINUTE).await;
    assert_eq!((world.run_state("RUN-1").await.as_str(), world.service.checkout.effects().len()), ("in doubt", 1));
    world.does("ben", "/runbook answer question:RUN-1 answer:happened").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(world.service.checkout.effects().len(), 1, "it is not sent again");
    world.finish().await;
}

/// A run that nobody waits for any more lets go, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_fails() {
    let world = opened(&[SLOW]).await;
    world.does("ana", "/runbook run runbook:slow incident:INC-1").await;
    world.passes(9 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "waiting");
    world.restart().await;
    world.passes(2 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "failed");
    world.sees("/why run:RUN-1", "timed_out").await;
    world.sees("/incident timeline incident:INC-1", "given up: timed_out").await;
    world.finish().await;
}
