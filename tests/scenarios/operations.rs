//! The bot says how it is, to machines and to people, and what it says is so.

use std::time::Duration;

use crate::world::{World, alert, http};

const MINUTE: Duration = Duration::from_mins(1);

async fn read(world: &World, path: &str) -> String {
    let answer = http().get(format!("{}{path}", world.url())).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Somebody who has to say whether automation helps, or why it stands still, asks the metrics, and a restart in between
/// must not make them lie.
#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_what_became_of_runs_and_what_waits() {
    let world = World::at_noon().await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.passes(2 * MINUTE).await;
    let metrics = read(&world, "/metrics").await;
    for line in ["firewarden_runs_open{state=\"approval\"} 1", "firewarden_runs_open{state=\"held\"} 0"] {
        assert!(metrics.lines().any(|written| written == line), "`{line}`:\n{metrics}");
    }
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or_else(|| panic!("no `{name}`:\n{metrics}"))
    };
    assert!((119.0..=180.0).contains(&value("firewarden_approvals_oldest_seconds ")), "{metrics}");
    assert!(value("firewarden_timers_late_seconds ") < 1.0, "{metrics}");
    assert!(!metrics.contains("firewarden_runs_total{"), "nothing has ended:\n{metrics}");

    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    let ended = "firewarden_runs_total{runbook=\"rollback-service\",state=\"done\"} 1";
    for _ in ["once", "after a restart"] {
        let metrics = read(&world, "/metrics").await;
        assert!(metrics.lines().any(|written| written == ended), "`{ended}`:\n{metrics}");
        world.restart().await;
    }
    world.finish().await;
}

/// "The bot is well" while it stands still by an order is how a night is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_that_only_the_file_orders_is_told() {
    let world = World::at_noon().await;
    world.sees("/bot health", "The bot is well").await;
    let file = world.halt_file();
    let name = file.file_name().unwrap().to_str().unwrap();
    std::fs::write(&file, "the deploy tool is broken").unwrap();
    let told = world.sees("/bot health", "Halted: nothing is changed").await;
    assert!(told.contains(name), "{told}");
    let ready = read(&world, "/readyz").await;
    assert!(ready.contains("\"ready\":true") && ready.contains(name), "{ready}");
    std::fs::remove_file(&file).unwrap();
    world.sees("/bot health", "The bot is well").await;
    world.finish().await;
}
