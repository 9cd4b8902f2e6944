//! `kubernetes.scale`: within its bounds, once, and taken back.

use serde_json::json;

use super::{MINUTE, Shop};
use crate::world::{Fault, Moment, Which, left_out};

/// Scales as it is told, then waits for what it asked for.
pub(super) const SCALE: &str = r#"
name: scale
mode: auto
trigger: { chat: {} }
inputs:
  to: { type: text, default: "" }
  by: { type: text, default: "" }
  deployment: { type: text, default: checkout }
target: { service: checkout, environment: production }
steps:
  - name: scale to
    when: "to != ''"
    action: kubernetes.scale
    with:
      namespace: NAMESPACE
      name: "{{ deployment }}"
      replicas: "{{ to }}"
      max: 12
      largest_step: 5
    timeout: 20s
    repeat: safe
    undo:
      action: kubernetes.scale
      with: { namespace: NAMESPACE, name: "{{ deployment }}", replicas: "{{ scaled.before }}", expect: "{{ scaled.replicas }}" }
    output: scaled
  - name: scale by
    when: "by != ''"
    action: kubernetes.scale
    with: { namespace: NAMESPACE, name: "{{ deployment }}", by: "{{ by }}" }
    timeout: 20s
    repeat: safe
    output: added
  - name: does it help
    action: assert
    with: [{ that: "deployment != 'hopeless'", else: it_does_not_help }]
"#;

/// An autoscaler's minimum is changed instead of what it decides.
const ADJUST: &str = r#"
name: adjust
mode: auto
trigger: { chat: {} }
inputs: { to: { type: integer } }
target: { service: checkout, environment: production }
steps:
  - name: raise the minimum
    action: kubernetes.scale
    with: { namespace: NAMESPACE, name: checkout, replicas: "{{ to }}", autoscaler: adjust_min }
    timeout: 20s
    repeat: safe
"#;

/// Everything that keeps a person from typing one digit too many keeps the bot from it.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_changed_within_bounds_and_a_refusal_says_which() {
    let shop = Shop::opens(&[SCALE]).await;
    shop.runs(1, "scale", "to=6", "done").await;
    assert_eq!(shop.cluster.replicas("checkout").await, 6);
    let object = shop.cluster.object(&shop.cluster.deployment("checkout")).await;
    let marks = &object["metadata"]["annotations"];
    assert!(marks["firewarden.dev/run"].as_str().unwrap().starts_with("RUN-1."), "{marks}");
    assert!(marks["firewarden.dev/step"].as_str().unwrap().starts_with("fw-"), "{marks}");
    assert_eq!(marks["firewarden.dev/epoch"], "1", "{marks}");

    for (run, inputs, ends, why) in [
        (2, "to=0", "refused", "fewer than `min` allows, 1"),
        (3, "to=13", "refused", "more than `max` allows, 12"),
        (4, "to=12", "refused", "a change by 6, more than `largest_step` allows, 5"),
        (5, "\"to=3 deployment=nothing\"", "failed", "404"),
    ] {
        let card = shop.runs(run, "scale", inputs, ends).await;
        assert!(card.contains(why), "{inputs} is refused for `{why}`:\n{card}");
    }
    assert_eq!(shop.cluster.replicas("checkout").await, 6);
    shop.world.finish().await;
}

/// Two that decide the same thing fight, and the one that looks last at the graph loses: the bot says who decides.
#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_is_not_fought_with() {
    let shop = Shop::opens(&[SCALE, ADJUST]).await;
    shop.cluster.autoscales("checkout", 2, 8).await;
    let card = shop.runs(1, "scale", "to=6", "failed").await;
    assert!(card.contains("the autoscaler `checkout` decides") && card.contains("adjust_min"), "{card}");

    shop.runs(2, "adjust", "to=5", "done").await;
    let autoscaler = shop.cluster.object(&shop.cluster.autoscaler("checkout")).await;
    assert_eq!(autoscaler["spec"]["minReplicas"], 5);
    assert_eq!(autoscaler["spec"]["maxReplicas"], 8);
    assert_eq!(shop.cluster.replicas("checkout").await, 3, "the autoscaler decides");
    let card = shop.runs(3, "adjust", "to=9", "refused").await;
    assert!(card.contains("more than the autoscaler `checkout` may choose, 8"), "{card}");
    shop.world.finish().await;
}

/// What was scaled is scaled back to what it was before, unless somebody has changed it since.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_scaled_back_to_what_it_was_and_never_over_somebody_else() {
    let shop = Shop::opens(&[SCALE]).await;
    shop.cluster.deploys("hopeless", "registry.example/hopeless:v1", 4).await;
    shop.runs(1, "scale", "\"to=7 deployment=hopeless\"", "held").await;
    assert_eq!(shop.cluster.replicas("hopeless").await, 7);
    shop.world.does("ben", "/runbook answer question:RUN-1 answer:undo").await;
    shop.world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert_eq!(shop.cluster.replicas("hopeless").await, 4);

    shop.runs(2, "scale", "\"to=7 deployment=hopeless\"", "held").await;
    shop.cluster.patch(&shop.cluster.deployment("hopeless"), json!({ "spec": { "replicas": 9 } })).await;
    shop.world.does("ben", "/runbook answer question:RUN-2 answer:undo").await;
    let card = shop.world.run_comes_to("RUN-2", "stuck, undoing", MINUTE).await;
    assert!(card.contains("there are 9 replicas and not 7"), "{card}");
    assert_eq!(shop.cluster.replicas("hopeless").await, 9, "the other one's change stays");
    shop.world.finish().await;
}

/// A busy API server asks for patience, and controllers write to the same object all the time: neither is a failure, and
/// neither makes the bot change anything twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_cluster_and_one_that_moves_on_are_decided_on_anew() {
    let shop = Shop::opens(&[SCALE]).await;
    let Some(api) = shop.cluster.api() else { return left_out("a cluster that is busy", "an emulated one") };
    let path: &str = shop.cluster.deployment("checkout").leak();
    api.plan(Which::Next("GET", path), Moment::Before, Fault::Status(429));
    api.plan(Which::Next("PATCH", path), Moment::Before, Fault::Status(429));
    shop.runs(1, "scale", "to=6", "done").await;
    assert_eq!((shop.cluster.replicas("checkout").await, api.written().len()), (6, 1));

    // A controller reports between the read and the write: the version differs, what was decided on does not.
    api.meanwhile(path, json!({ "metadata": { "annotations": { "seen": "just now" } } }));
    shop.runs(2, "scale", "by=2", "done").await;
    assert_eq!((shop.cluster.replicas("checkout").await, api.written().len()), (8, 2));

    // Somebody else scales between the read and the write: nobody knows which of the two is wanted.
    api.meanwhile(path, json!({ "spec": { "replicas": 5 } }));
    let card = shop.runs(3, "scale", "by=2", "failed").await;
    assert!(card.contains("somebody else changes it at the same time"), "{card}");
    assert_eq!((shop.cluster.replicas("checkout").await, api.written().len()), (5, 2));
    shop.world.finish().await;
}
