//! Bulkheads: a system that is slow does not drown in what is sent to it.

use std::time::Duration;

use super::{MINUTE, opened};
use crate::world::{effects::Effects, until};

fn sends(name: &str, to: &str) -> &'static str {
    format!(
        "name: {name}\nmode: auto\ntrigger: {{ chat: {{}} }}\ntarget: {{ service: checkout, environment: {name} }}\nsteps:\n  \
         - {{ name: send, action: http, with: {{ method: POST, url: \"{to}/effects\", body: {{}} }}, timeout: 10m, repeat: safe }}\n"
    )
    .leak()
}

/// Everything retries against the deploy tool that just came back, and it goes down again.
#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_effects_are_in_flight_to_a_system() {
    let (slow, other) = (Effects::start().await, Effects::start().await);
    let host = slow.url().strip_prefix("http://").unwrap();
    let runbooks = [sends("one", slow.url()), sends("two", slow.url()), sends("three", other.url())];
    let world = opened(&runbooks, &format!("[limits]\n\"http:{host}\" = 1\n")).await;
    slow.holds(true);
    world.does("ana", "/runbook run runbook:one incident:INC-1").await;
    assert!(until(20, async || slow.done().len() == 1).await, "the first is in flight");
    world.does("ana", "/runbook run runbook:two incident:INC-1").await;
    world.run_comes_to("RUN-2", "waiting", Duration::ZERO).await;
    world.sees("/why run:RUN-2", "bulkhead").await;
    world.passes(MINUTE).await;
    let why = world.sees("/why run:RUN-2", "1 in flight to").await;
    assert_eq!(why.matches("waits with `send`").count(), 1, "that it waits is told once: {why}");
    assert_eq!((world.run_state("RUN-2").await.as_str(), slow.done().len()), ("waiting", 1));
    world.does("ana", "/runbook run runbook:three incident:INC-1").await;
    world.run_comes_to("RUN-3", "done", Duration::ZERO).await;

    slow.holds(false);
    world.run_comes_to("RUN-1", "done", Duration::ZERO).await;
    world.run_comes_to("RUN-2", "done", MINUTE).await;
    assert_eq!(slow.done().into_values().collect::<Vec<_>>(), [1, 1], "each once");
    world.finish().await;
}
