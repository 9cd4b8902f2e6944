//! `kubernetes.rollout_undo`, `kubernetes.rollout_restart` and `kubernetes.wait_rollout`: kubectl's semantics, without kubectl.

use serde_json::json;

use super::{MINUTE, Shop};
use crate::world::kubernetes::Controller;

const BACK: &str = r#"
name: back
mode: auto
trigger: { chat: {} }
inputs:
  to: { type: integer, default: 0 }
target: { service: checkout, environment: production }
steps:
  - name: what is in force
    action: kubernetes.read
    with: { namespace: NAMESPACE, name: checkout }
    output: live
  - name: roll back
    action: kubernetes.rollout_undo
    with: { namespace: NAMESPACE, name: checkout, to: "{{ to }}", expect: "{{ live.revision }}" }
    timeout: 20s
    repeat: safe
    undo:
      action: kubernetes.rollout_undo
      with: { namespace: NAMESPACE, name: checkout, to: "{{ back.before }}" }
    output: back
  - name: it is rolled out
    action: kubernetes.wait_rollout
    with: { namespace: NAMESPACE, name: checkout }
    timeout: 10m
"#;

const RESTART: &str = r#"
name: restart
mode: auto
trigger: { chat: {} }
inputs:
  kind: { type: text, default: deployment }
target: { service: checkout, environment: production }
steps:
  - name: restart the deployment
    when: "kind == 'deployment'"
    action: kubernetes.rollout_restart
    with: { namespace: NAMESPACE, name: checkout }
    timeout: 20s
    repeat: safe
  - name: restart the stateful set
    when: "kind == 'statefulset'"
    action: kubernetes.rollout_restart
    with: { kind: statefulset, namespace: NAMESPACE, name: ledger }
    timeout: 20s
    repeat: safe
  - name: the stateful set is rolled out
    when: "kind == 'statefulset'"
    action: kubernetes.wait_rollout
    with: { kind: statefulset, namespace: NAMESPACE, name: ledger }
    timeout: 10m
"#;

/// The rollback goes where kubectl's would, shows how far it is, and goes forward again when it is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_to_the_revision_before_and_is_watched_to_its_end() {
    let shop = Shop::opens(&[BACK]).await;
    shop.world.does("ana", "/runbook run runbook:back").await;
    shop.world.sees("/runbook show name:RUN-1", "it is rolled out").await;
    shop.world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    assert_eq!(shop.cluster.image("checkout").await, "registry.example/checkout:v41");
    shop.world.sees("/runbook show name:RUN-1", "not yet: the newest change has not been seen yet").await;

    shop.cluster.moves("checkout", Controller::Replaces(1)).await;
    shop.world.passes(MINUTE / 6).await;
    shop.world.sees("/runbook show name:RUN-1", "not yet: 1 of 3 are new").await;
    shop.cluster.moves("checkout", Controller::Finishes).await;
    shop.world.run_comes_to("RUN-1", "done", MINUTE).await;
    let object = shop.cluster.object(&shop.cluster.deployment("checkout")).await;
    assert_eq!(object["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3", "as kubectl numbers it");
    assert!(object["spec"]["template"]["metadata"]["labels"].get("pod-template-hash").is_none(), "{object}");
    shop.world.finish().await;
}

/// A deadline that the cluster says is over is a failure at once, not after ten minutes of hope; and the way back is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_the_cluster_gave_up_on_is_a_failure_at_once() {
    let shop = Shop::opens(&[BACK]).await;
    shop.world.does("ana", "/runbook run runbook:back").await;
    shop.world.run_comes_to("RUN-1", "waiting", MINUTE).await;
    shop.cluster.moves("checkout", Controller::GivesUp).await;
    let card = shop.world.run_comes_to("RUN-1", "held", MINUTE / 4).await;
    assert!(card.contains("the progress deadline is exceeded"), "{card}");

    shop.world.does("ben", "/runbook answer question:RUN-1 answer:undo").await;
    shop.world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert_eq!(shop.cluster.image("checkout").await, "registry.example/checkout:v42");
    shop.world.finish().await;
}

/// What kubectl would not do, the bot does not do either, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_or_gone_is_refused_and_what_is_so_already_is_left_alone() {
    let shop = Shop::opens(&[BACK, RESTART]).await;
    let path = shop.cluster.deployment("checkout");
    let before = shop.cluster.object(&path).await["metadata"]["resourceVersion"].clone();
    let card = shop.runs(1, "back", "to=7", "failed").await;
    assert!(card.contains("there is no revision 7 any more"), "{card}");
    shop.runs(2, "back", "to=2", "done").await;
    let now = shop.cluster.object(&path).await["metadata"]["resourceVersion"].clone();
    assert_eq!(before, now, "revision 2 is in force already, so nothing is written");

    shop.cluster.patch(&path, json!({ "spec": { "paused": true } })).await;
    for (run, runbook) in [(3, "back"), (4, "restart")] {
        let card = shop.runs(run, runbook, "", "failed").await;
        assert!(card.contains("is paused: resume it first"), "{card}");
    }
    shop.world.finish().await;
}

/// Pods are replaced by the annotation that kubectl uses, of deployments and of stateful sets.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_every_pod_once() {
    let shop = Shop::opens(&[RESTART]).await;
    let at = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    shop.runs(1, "restart", "", "done").await;
    let object = shop.cluster.object(&shop.cluster.deployment("checkout")).await;
    let restarted = object.pointer(at).unwrap().as_str().unwrap();
    assert!(restarted.starts_with("2026-11-23T12:0"), "{restarted}");

    let collection = shop.cluster.stateful_set("").trim_end_matches('/').to_owned();
    let spec = json!({
        "replicas": 2, "serviceName": "ledger", "selector": { "matchLabels": { "app": "ledger" } },
        "updateStrategy": { "type": "RollingUpdate" },
        "template": { "metadata": { "labels": { "app": "ledger" } }, "spec": { "containers": [{ "name": "ledger", "image": "ledger:v1" }] } },
    });
    shop.cluster
        .make(&collection, "apps/v1", "StatefulSet", json!({ "metadata": { "name": "ledger" }, "spec": spec }))
        .await;
    shop.world.does("ana", "/runbook run runbook:restart inputs:kind=statefulset").await;
    shop.world.run_comes_to("RUN-2", "waiting", MINUTE).await;
    let path = shop.cluster.stateful_set("ledger");
    let object = shop.cluster.object(&path).await;
    assert!(object.pointer(at).is_some(), "{object}");
    let status = json!({
        "observedGeneration": object["metadata"]["generation"], "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
        "currentRevision": "ledger-2", "updateRevision": "ledger-2",
    });
    shop.cluster.patch(&format!("{path}/status"), json!({ "status": status })).await;
    shop.world.run_comes_to("RUN-2", "done", MINUTE).await;
    shop.world.finish().await;
}
