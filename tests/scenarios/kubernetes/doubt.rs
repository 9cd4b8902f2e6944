//! Answers that are lost, workers that are killed and workers that come too late: every change happens once.

use std::sync::Arc;

use serde_json::json;

use super::{MINUTE, Shop, scale::SCALE};
use crate::world::{Fault, Moment, Which, left_out, until};

/// The change was made and the answer was lost, or the bot itself: the object says that it was done, so `by` adds once.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_was_lost_is_found_and_not_made_again() {
    let shop = Shop::opens(&[SCALE]).await;
    let Some(api) = shop.cluster.api() else { return left_out("an answer that is lost", "an emulated cluster") };
    let path: &str = shop.cluster.deployment("checkout").leak();
    let mut run = 0;
    for (moment, wanted) in [(Moment::After, 5), (Moment::Before, 7)] {
        for fault in [Fault::Reset, Fault::Status(503)] {
            run += 1;
            api.plan(Which::Next("PATCH", path), moment, fault);
            let before = shop.cluster.replicas("checkout").await;
            shop.runs(run, "scale", "by=1", "done").await;
            assert_eq!(shop.cluster.replicas("checkout").await, before + 1, "{moment:?}");
        }
        assert_eq!(shop.cluster.replicas("checkout").await, wanted);
    }
    let bot = shop.world.bot.clone();
    api.plan(Which::Next("PATCH", path), Moment::After, Fault::Strike(Arc::new(move || bot.kill())));
    shop.world.does("ana", "/runbook run runbook:scale inputs:by=1").await;
    assert!(until(20, async || !shop.world.bot.is_alive()).await, "the bot is killed by its own request");
    shop.world.restart().await;
    shop.world.run_comes_to("RUN-5", "done", 2 * MINUTE).await;
    let written = api.written();
    let made: Vec<i64> = written.iter().filter_map(|it| it.object["spec"]["replicas"].as_i64()).collect();
    assert_eq!(made, [4, 5, 6, 7, 8], "each was made once");
    assert!(written.iter().all(|it| it.path == path), "and nothing else was touched: {written:?}");
    shop.world.finish().await;
}

/// A worker that was thought dead wakes up with its request in hand: the object bears a later epoch, and refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_another_has_followed_is_refused_by_the_object() {
    let shop = Shop::opens(&[SCALE]).await;
    let path = shop.cluster.deployment("checkout");
    shop.runs(1, "scale", "to=4", "done").await;
    let object = shop.cluster.object(&path).await;
    let store = object["metadata"]["annotations"]["firewarden.dev/run"]
        .as_str()
        .unwrap()
        .trim_start_matches("RUN-1")
        .to_owned();
    // Whoever follows RUN-2 in epoch 9 was here before its step got to look.
    let marks = json!({ "firewarden.dev/run": format!("RUN-2{store}"), "firewarden.dev/epoch": "9", "firewarden.dev/step": "fw-other" });
    shop.cluster.patch(&path, json!({ "metadata": { "annotations": marks } })).await;
    let card = shop.runs(2, "scale", "to=6", "failed").await;
    assert!(card.contains("another worker has followed this one"), "{card}");
    assert_eq!(shop.cluster.replicas("checkout").await, 4);
    shop.runs(3, "scale", "to=6", "done").await;
    assert_eq!(shop.cluster.replicas("checkout").await, 6, "another run is not concerned");
    shop.world.finish().await;
}

/// A cluster that is down is said to be, and asked again; nothing is taken for done.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_is_asked_again_and_then_named() {
    let shop = Shop::opens(&[SCALE]).await;
    let Some(api) = shop.cluster.api() else { return left_out("a cluster that is down", "an emulated one") };
    let path: &str = shop.cluster.deployment("checkout").leak();
    api.plan(Which::Next("GET", path), Moment::Before, Fault::Status(503));
    api.plan(Which::Next("GET", path), Moment::Before, Fault::Reset);
    shop.runs(1, "scale", "to=4", "done").await;
    assert_eq!(api.written().len(), 1);

    let short = ["timeout: 20s", "timeout: 2s"];
    let runbook = shop.world.folder().join("runbooks/story-0.yaml");
    let text = std::fs::read_to_string(&runbook).unwrap().replace(short[0], short[1]);
    std::fs::write(&runbook, text).unwrap();
    shop.world.restart().await;
    api.plan(Which::Every("GET", path), Moment::Before, Fault::Status(503));
    let card = shop.runs(2, "scale", "to=5", "failed").await;
    assert!(card.contains("the cluster cannot be read") && card.contains("503"), "{card}");
    assert_eq!(api.written().len(), 1);
    shop.world.finish().await;
}
