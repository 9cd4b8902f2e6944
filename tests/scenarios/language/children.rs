//! A runbook that starts another one: what it gives to that and gets from it, and what becomes of both.

use firewarden::app::demo::checkout::Change;

use super::{MINUTE, opened};
use crate::world::{Fault, Moment, Which, World, store::is_on_postgres, until};

/// Lets another runbook do the work, and tells what came of it.
const OUTER: &str = r#"
name: outer
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: let it be restarted
    action: runbook
    with: { name: inner, inputs: { why: the deploy } }
    irreversible: true
    output: inner
  - name: tell
    action: incident.update
    with: { note: "generation {{ inner.generation }} because of {{ inner.because }}" }
"#;

/// Does the work.
const INNER: &str = r#"
name: inner
mode: auto
trigger: { chat: {} }
inputs: { why: { type: text } }
target: { service: checkout, environment: production }
guards: { cooldown: { for: 30m } }
steps:
  - name: restart
    action: http
    with: { method: POST, url: "API/restart", body: {}, extract: { generation: response.json.generation } }
    timeout: 30s
    repeat: safe
    output: restarted
outputs: { generation: restarted.generation, because: why }
"#;

async fn timeline(world: &World) -> String {
    world.console("ana").sees("/incident timeline incident:INC-1").await
}

/// What three runbooks need is written once, and the timeline tells who started what.
#[tokio::test(flavor = "multi_thread")]
async fn it_hands_inputs_over_and_gets_outputs_back() {
    let world = opened(&[OUTER, INNER]).await;
    world.does("ana", "/runbook run runbook:outer incident:INC-1").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!((world.run_state("RUN-2").await.as_str(), world.service.checkout.effects().len()), ("done", 1));
    let Change::Restarted { generation } = world.service.checkout.effects()[0].change else {
        panic!("it is restarted")
    };
    let told = timeline(&world).await;
    for part in ["started RUN-2 for `let it be restarted`", &format!("generation {generation} because of the deploy")] {
        assert!(told.contains(part), "the timeline says `{part}`:\n{told}");
    }
    // The guards of the other runbook are its own.
    world.does("ben", "/runbook run runbook:outer incident:INC-1").await;
    world.run_comes_to("RUN-3", "failed", MINUTE).await;
    let told = timeline(&world).await;
    assert!(told.contains("the runbook is cooling down on this target"), "{told}");
    assert_eq!(world.service.checkout.effects().len(), 1);
    world.finish().await;
}

/// Killed while the other run is at work, it is that run that goes on, and nothing is started or done twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_starts_no_second_run_and_repeats_nothing() {
    let world = opened(&[OUTER, INNER]).await;
    world.service.plan(Which::Next("POST", "/restart"), Moment::After, Fault::Hang);
    world.does("ana", "/runbook run runbook:outer incident:INC-1").await;
    assert!(until(20, async || world.service.checkout.effects().len() == 1).await, "it is being restarted");
    world.kill();
    world.announce("");
    world.restart().await;
    if is_on_postgres() {
        // On a server nobody else knows whether the worker before is still at it.
        world.run_comes_to("RUN-2", "in doubt", MINUTE).await;
        let output = r#"{\"generation\":2}"#;
        world.does("ben", &format!("/runbook answer question:RUN-2 answer:happened output:\"{output}\"")).await;
    }
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!((world.run_state("RUN-2").await.as_str(), world.service.checkout.effects().len()), ("done", 1));
    assert_eq!(world.run_state("RUN-3").await, "", "no other run was started");
    let _ended = world.bot.stop().await;
}
