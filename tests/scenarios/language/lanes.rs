//! Branches and lists: several effects at once, each of which is accounted for.

use super::MINUTE;
use crate::world::{Config, Fault, Moment, Which, World, until};

/// Restarts the service for each of three reasons, two at a time.
const RESTARTS: &str = r#"
name: restarts
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: each reason
    for_each: "['one', 'two', 'three']"
    as: reason
    concurrency: 2
    steps:
      - name: restart it
        action: http
        with: { method: POST, url: "API/restart", extract: { generation: response.json.generation } }
        timeout: 30s
        repeat: safe
"#;

/// A fleet is restarted in a minute and not in an hour, and a kill in the middle of two restarts repeats neither.
#[tokio::test(flavor = "multi_thread")]
async fn two_effects_are_in_flight_at_once_and_survive_a_kill() {
    let world = World::at_noon_with(Config::default().runbook(RESTARTS)).await;
    for _ in 0..2 {
        world.service.plan(Which::Next("POST", "/restart"), Moment::After, Fault::Hang);
    }
    world.does("ana", "/runbook run runbook:restarts").await;
    let effects = || world.service.checkout.effects().len();
    assert!(until(20, async || effects() == 2).await, "two are restarted at the same time");
    let card = world.sees("/runbook show name:RUN-1", "3 items, 0 steps done, 2 at work").await;
    assert!(card.contains("1[one].1.") && card.contains("1[two].1.") && !card.contains("1[three].1."), "{card}");
    world.kill();
    world.announce("");
    world.restart().await;
    let mut state = String::new();
    for _ in 0..4 {
        state = world.run_state("RUN-1").await;
        if state == "in doubt" {
            // On a server nobody else knows whether the worker before is still at it.
            world.does("ben", "/runbook answer question:RUN-1 answer:happened").await;
        }
        world.passes(MINUTE).await;
    }
    assert_eq!((state.as_str(), effects()), ("done", 3), "each is restarted once");
    let _ended = world.bot.stop().await;
}
