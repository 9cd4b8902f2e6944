//! Scale bounds: a number that somebody typed with a zero too many goes no further than the step that writes it.

use super::{MINUTE, opened};

/// Scales the deployment of the story to as many as it is told.
const SCALES: &str = r#"
name: scales
mode: auto
trigger: { chat: {} }
inputs: { replicas: { type: integer } }
target: { service: checkout, environment: production }
steps:
  - name: scale
    action: kubernetes.scale
    with: { namespace: shop, name: checkout, replicas: "{{ replicas }}", max: 12, largest_step: 5 }
    timeout: 1m
    repeat: safe
    irreversible: true
"#;

/// Sixty replicas instead of six are the outage of everything that they connect to.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_goes_no_further_than_its_bounds() {
    let world = opened(&[SCALES], "").await;
    world.does("ana", "/runbook run runbook:scales incident:INC-1 inputs:\"replicas=60\"").await;
    world.run_comes_to("RUN-1", "refused", MINUTE).await;
    let why = world.sees("/why run:RUN-1", "scale_bounds").await;
    assert!(why.contains("60 replicas are more than `max` allows, 12"), "{why}");
    world.does("ana", "/runbook run runbook:scales incident:INC-1 inputs:\"replicas=6\"").await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    world.finish().await;
}
