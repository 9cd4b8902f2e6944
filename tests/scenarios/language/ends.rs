//! What follows a failure and every end.

use std::time::Duration;

use super::{MINUTE, opened};
use crate::world::{Config, Fault, Moment, Which, World, alert};

/// Deploys, looks whether it helped, and takes it back by itself if not.
const TRIAL: &str = r#"
name: trial
mode: auto
undo: auto
timeout: 30m
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: what is live
    action: http
    with: { url: "API/version", extract: { version: response.json.live } }
    output: live
  - name: deploy
    action: http
    with: { method: POST, url: "API/deployments", body: { version: v50, expect_live: "{{ live.version }}" }, expect: [200, 201] }
    timeout: 30s
    probe:
      action: http
      with: { url: "API/deployments", extract: { made: "response.json.deployments.filter(d, d.key == step.key)" } }
      settle: 10s
      found: "size(output.made) > 0"
    undo:
      action: http
      with: { method: POST, url: "API/deployments", body: { version: "{{ live.version }}", expect_live: v50 }, expect: [200, 201] }
  - name: errors are gone
    action: http
    with: { url: "API/health", extract: { errors: response.json.error_ratio } }
    until: "output.errors < 0.01"
    every: 5s
    timeout: 20s
on_failure:
  after_mutation:
    - name: say how bad it is
      action: incident.update
      with: { severity: SEV1, note: "the trial failed of {{ failure.reason }}" }
finally:
  - name: how it ended
    action: incident.update
    with: { note: "the trial is over as {{ ending.state }}" }
"#;

/// A bad release is taken back before anybody is awake, and everybody reads why.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_help_is_taken_back_by_itself_and_told() {
    let world = World::at_noon_with(Config::default().runbook(TRIAL)).await;
    world.service.checkout.release("v50", true);
    world.service.checkout.release("v49", false);
    world.alertmanager().fires(&alert("CheckoutLanes").service("checkout")).await;
    world.does("ana", "/runbook run runbook:trial incident:INC-1").await;
    world.run_comes_to("RUN-1", "undone", 2 * MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v49");
    let timeline = world.console("ana").sees("/incident timeline incident:INC-1").await;
    for part in ["the trial failed of step_failed", "the trial is over as undone", "from `SEV2` to `SEV1`"] {
        assert!(timeline.contains(part), "the timeline says `{part}`:\n{timeline}");
    }
    let world = world.finish().await;
    let pages = world.pages().await;
    assert!(pages.iter().any(|page| page.contains("has taken back what it did")), "{pages:#?}");
}

/// Killed while it takes back what it did, it is known whether that happened, or people are asked; never twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_it_is_taken_back_asks_people() {
    let world = World::at_noon_with(Config::default().runbook(TRIAL)).await;
    world.service.checkout.release("v50", true);
    world.service.checkout.release("v49", false);
    world.does("ana", "/runbook run runbook:trial").await;
    world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    let bot = world.bot.clone();
    let strike = std::sync::Arc::new(move || bot.kill());
    world.service.plan(Which::Next("POST", "/deployments"), Moment::After, Fault::Strike(strike));
    world.announce("");
    let is_dead = async || {
        world.clock().step(Duration::from_secs(10)).await;
        !world.bot.is_alive()
    };
    assert!(crate::world::until(20, is_dead).await, "the bot is killed");
    world.restart().await;
    world.run_comes_to("RUN-1", "in doubt, undoing", MINUTE).await;
    assert_eq!(world.service.checkout.live(), "v49");
    world.does("ben", "/runbook answer question:RUN-1 answer:happened").await;
    world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert_eq!(world.service.checkout.effects().len(), 2);
    let _ended = world.bot.stop().await;
}

/// Looks at what is not there before it changes anything.
const BLIND: &str = r#"
name: blind
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: look, action: http, with: { url: "http://127.0.0.1:1/" } }
  - { name: restart, action: http, with: { method: POST, url: "API/restart" }, timeout: 30s, irreversible: true }
on_failure:
  before_mutation:
    - { name: say so, action: incident.update, with: { note: "nothing was done: {{ failure.step }} {{ failure.reason }}" } }
  after_mutation:
    - { name: cry, action: incident.update, with: { severity: SEV1 } }
finally:
  - { name: the end, action: incident.update, with: { note: "over as {{ ending.state }}" } }
"#;

/// What failed before it changed anything wakes nobody, and says all the same that it failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_change_is_noted_and_over() {
    let world = opened(&[BLIND]).await;
    world.does("ana", "/runbook run runbook:blind incident:INC-1").await;
    world.run_comes_to("RUN-1", "failed", MINUTE).await;
    let timeline = world.console("ana").sees("/incident timeline incident:INC-1").await;
    for part in ["nothing was done: 1 step_failed", "over as failed"] {
        assert!(timeline.contains(part), "the timeline says `{part}`:\n{timeline}");
    }
    assert!(!timeline.contains("SEV1"), "nobody cries:\n{timeline}");
    assert!(world.service.checkout.effects().is_empty());
    world.finish().await;
}
