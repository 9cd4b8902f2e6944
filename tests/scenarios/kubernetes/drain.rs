//! `kubernetes.drain`: a node is emptied as far as the disruption budgets allow it, and nothing is lost that nobody spoke of.

use serde_json::json;

use super::{MINUTE, Shop};
use crate::world::{Fault, Moment, Which, left_out, until};

const DRAIN: &str = r#"
name: drain
mode: auto
trigger: { chat: {} }
inputs: { node: { type: text } }
target: { service: checkout, environment: production }
steps:
  - name: how it is
    action: kubernetes.read
    with: { kind: node, name: "{{ node }}" }
    output: live
  - name: empty it
    action: kubernetes.drain
    with: { node: "{{ node }}" }
    timeout: 20s
    repeat: safe
    undo:
      action: kubernetes.cordon
      with: { node: "{{ node }}", to: "{{ live.state }}" }
    output: drained
  - name: tell
    action: announce
    with: { text: "{{ live.pods }} were to go, {{#each drained.stays}}{{ this }} {{/each}}stay; it was {{ drained.before }}" }
"#;

/// The same that gives up soon, and with what may be lost.
fn drain(name: &str, timeout: &str, more: &str) -> String {
    let with = format!("with: {{ node: \"{{{{ node }}}}\"{more} }}\n    timeout: {timeout}");
    let text = DRAIN.replacen("name: drain", &format!("name: {name}"), 1);
    text.replace("with: { node: \"{{ node }}\" }\n    timeout: 20s", &with)
}

/// Pods that have somebody who starts others leave; those of the node itself stay, and nobody waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_emptied_but_for_what_belongs_to_it() {
    let shop = Shop::opens(&[DRAIN]).await;
    let (cluster, node) = (&shop.cluster, format!("node-{}", shop.cluster.namespace()));
    cluster.has_node(&node).await;
    let web = cluster.has_pod("web-a", &node, Some("ReplicaSet"), json!({})).await;
    cluster.has_pod("logs-a", &node, Some("DaemonSet"), json!({})).await;
    let mirrored = json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "of-the-node" } } });
    cluster.has_pod("proxy-a", &node, Some("Node"), mirrored).await;
    cluster.has_pod("web-b", "another-node", Some("ReplicaSet"), json!({})).await;
    let over = cluster.has_pod("task-a", &node, None, json!({})).await;
    cluster.patch(&format!("{over}/status"), json!({ "status": { "phase": "Succeeded" } })).await;

    shop.world.does("ana", &format!("/runbook run runbook:drain inputs:node={node}")).await;
    let leave = async || cluster.pods_on(&node).await.iter().filter(|(_, is_ending)| *is_ending).count() == 2;
    assert!(until(20, leave).await, "both are told to leave: {:?}", cluster.pods_on(&node).await);
    assert_eq!(cluster.object(&format!("/api/v1/nodes/{node}")).await["spec"]["unschedulable"], true);
    assert_eq!(shop.world.run_state("RUN-1").await, "running", "they have not left yet");
    cluster.ends_pod(&web).await;
    cluster.ends_pod(&over).await;
    shop.world.run_comes_to("RUN-1", "done", MINUTE).await;
    let left: Vec<String> = cluster.pods_on(&node).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["logs-a", "proxy-a"]);
    assert_eq!(cluster.pods_on("another-node").await, [("web-b".to_owned(), false)], "others are left alone");
    shop.world.finish().await;
}

/// A budget is waited for; when the time is over, people read which one it is, and can go on later.
#[tokio::test(flavor = "multi_thread")]
async fn a_disruption_budget_is_waited_for_and_named() {
    let shop = Shop::opens(&[&drain("drain", "2s", "")]).await;
    let (cluster, node) = (&shop.cluster, format!("node-{}", shop.cluster.namespace()));
    cluster.has_node(&node).await;
    let first = cluster.has_pod("web-a", &node, Some("ReplicaSet"), json!({})).await;
    let second = cluster.has_pod("web-b", &node, Some("StatefulSet"), json!({})).await;
    cluster.budgets("web", 1).await;

    let card = shop.runs(1, "drain", &format!("node={node}"), "held").await;
    assert!(card.contains("The disruption budget web needs 2 healthy pods and has 3 currently"), "{card}");
    let ending: Vec<bool> = cluster.pods_on(&node).await.into_iter().map(|(_, is_ending)| is_ending).collect();
    assert_eq!(ending, [true, false], "one was allowed to go");

    cluster.ends_pod(&first).await;
    cluster.budgets("web", 1).await;
    shop.world.does("ben", "/runbook answer question:RUN-1 answer:retry").await;
    assert!(until(20, async || cluster.pods_on(&node).await == [("web-b".to_owned(), true)]).await);
    cluster.ends_pod(&second).await;
    shop.world.run_comes_to("RUN-1", "done", MINUTE).await;
    shop.world.finish().await;
}

/// What nobody would start again, or would lose its data, is named before anything is touched.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_is_refused_unless_somebody_says_so() {
    let (bare, both) = (
        drain("evict-bare", "2s", ", bare_pods: evict"),
        drain("evict-all", "20s", ", bare_pods: evict, empty_dir: delete"),
    );
    let shop = Shop::opens(&[DRAIN, &bare, &both]).await;
    let (cluster, node) = (&shop.cluster, format!("node-{}", shop.cluster.namespace()));
    cluster.has_node(&node).await;
    let alone = cluster.has_pod("alone", &node, None, json!({})).await;
    let volumes = json!({ "spec": { "volumes": [{ "name": "scratch", "emptyDir": {} }] } });
    let cache = cluster.has_pod("cache-a", &node, Some("ReplicaSet"), volumes).await;

    let inputs = format!("node={node}");
    let card = shop.runs(1, "drain", &inputs, "failed").await;
    assert!(card.contains("/alone` again: say `bare_pods: evict`"), "{card}");
    let card = shop.runs(2, "evict-bare", &inputs, "failed").await;
    assert!(card.contains("/cache-a` would lose what is in an `emptyDir`: say `empty_dir: delete`"), "{card}");
    let untouched = cluster.object(&format!("/api/v1/nodes/{node}")).await;
    assert!(untouched["spec"].get("unschedulable").is_none(), "nothing is touched");
    assert!(cluster.pods_on(&node).await.iter().all(|(_, is_ending)| !is_ending));

    shop.world.does("ana", &format!("/runbook run runbook:evict-all inputs:{inputs}")).await;
    assert!(until(20, async || cluster.pods_on(&node).await.iter().all(|(_, is_ending)| *is_ending)).await);
    cluster.ends_pod(&alone).await;
    cluster.ends_pod(&cache).await;
    shop.world.run_comes_to("RUN-3", "done", MINUTE).await;
    shop.world.finish().await;
}

/// A drain that stops half-way can be taken back: the node takes pods again, if it did before.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_taken_back_lets_the_node_take_pods_again() {
    let shop = Shop::opens(&[&drain("drain", "2s", "")]).await;
    let (cluster, node) = (&shop.cluster, format!("node-{}", shop.cluster.namespace()));
    cluster.has_node(&node).await;
    cluster.has_pod("web-a", &node, Some("ReplicaSet"), json!({})).await;
    cluster.budgets("web", 0).await;
    shop.runs(1, "drain", &format!("node={node}"), "held").await;
    shop.world.does("ben", "/runbook answer question:RUN-1 answer:undo").await;
    shop.world.run_comes_to("RUN-1", "undone", MINUTE).await;
    assert!(cluster.object(&format!("/api/v1/nodes/{node}")).await["spec"].get("unschedulable").is_none());
    assert_eq!(cluster.pods_on(&node).await, [("web-a".to_owned(), false)]);
    shop.world.finish().await;
}

/// An eviction whose answer is lost is the same eviction when it is asked for again, and another pod of that name is not meant.
#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_whose_answer_is_lost_is_not_made_of_another_pod() {
    let shop = Shop::opens(&[DRAIN]).await;
    let Some(api) = shop.cluster.api() else { return left_out("an answer that is lost", "an emulated cluster") };
    let cluster = &shop.cluster;
    cluster.has_node("node-1").await;
    let web: &str = cluster.has_pod("web-a", "node-1", Some("StatefulSet"), json!({})).await.leak();
    let eviction: &str = format!("{web}/eviction").leak();
    api.plan(Which::Next("POST", eviction), Moment::After, Fault::Reset);
    shop.world.does("ana", "/runbook run runbook:drain inputs:node=node-1").await;
    assert!(until(20, async || cluster.pods_on("node-1").await == [("web-a".to_owned(), true)]).await);
    cluster.ends_pod(web).await;
    cluster.has_pod("web-a", "node-2", Some("StatefulSet"), json!({})).await;
    shop.world.run_comes_to("RUN-1", "done", MINUTE).await;
    assert_eq!(cluster.pods_on("node-2").await, [("web-a".to_owned(), false)]);
    let evicted = api.written().iter().filter(|written| written.path == eviction).count();
    assert_eq!(evicted, 1, "it was evicted once");
    shop.world.finish().await;
}
