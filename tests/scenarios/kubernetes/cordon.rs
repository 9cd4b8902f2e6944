//! `kubernetes.cordon`: a node is taken out and brought back, and one that somebody else took out stays out.

use serde_json::json;

use super::{MINUTE, Shop};

const CORDON: &str = r#"
name: cordon
mode: auto
trigger: { chat: {} }
inputs: { node: { type: text } }
target: { service: checkout, environment: production }
steps:
  - name: cordon
    action: kubernetes.cordon
    with: { node: "{{ node }}" }
    timeout: 20s
    repeat: safe
    undo:
      action: kubernetes.cordon
      with: { node: "{{ node }}", to: "{{ cordoned.before }}" }
    output: cordoned
  - name: how it is
    action: kubernetes.read
    with: { kind: node, name: "{{ node }}" }
    output: seen
  - name: does it help
    action: assert
    with: [{ that: "seen.state == 'schedulable'", else: it_does_not_help }]
"#;

/// Undo brings back what was before, which is not always what one would guess.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_brought_back_to_what_it_was() {
    let shop = Shop::opens(&[CORDON]).await;
    // Nodes belong to no namespace.
    let name = format!("node-{}", shop.cluster.namespace());
    shop.cluster.has_node(&name).await;
    let path = format!("/api/v1/nodes/{name}");
    shop.runs(1, "cordon", &format!("node={name}"), "held").await;
    assert_eq!(shop.cluster.object(&path).await["spec"]["unschedulable"], true);
    shop.world.does("ben", "/runbook answer question:RUN-1 answer:undo").await;
    shop.world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert!(shop.cluster.object(&path).await["spec"].get("unschedulable").is_none());

    shop.cluster.patch(&path, json!({ "spec": { "unschedulable": true } })).await;
    shop.runs(2, "cordon", &format!("node={name}"), "held").await;
    shop.world.does("ben", "/runbook answer question:RUN-2 answer:undo").await;
    shop.world.run_comes_to("RUN-2", "undone", MINUTE).await;
    assert_eq!(shop.cluster.object(&path).await["spec"]["unschedulable"], true, "somebody else took it out before");
    shop.world.finish().await;
}
