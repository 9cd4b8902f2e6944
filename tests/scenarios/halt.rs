//! Halt: nothing is changed any more, over restarts, with or without the bot, and nothing resumes by itself.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use crate::world::{Config, Fault, Moment, Which, World, store::is_on_postgres, until};

const MINUTE: Duration = Duration::from_mins(1);

/// Ten restarts, each of which may be repeated.
static TEN: LazyLock<&'static str> = LazyLock::new(|| {
    let mut text = r"
name: ten-steps
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
"
    .to_owned();
    for number in 1..=10 {
        text.push_str(&format!(
            "  - name: restart {number}\n    action: http\n    with: {{ method: POST, url: \"API/restart\", body: {{}} }}\n    \
             timeout: 1m\n    repeat: safe\n"
        ));
    }
    text.leak()
});

/// A world with a run in the middle of its ten steps: three are done, the fourth is in flight and not answered.
async fn in_the_middle() -> World {
    let world = World::at_noon_with(Config::default().runbook(&TEN)).await;
    world.service.plan(Which::Number(4), Moment::Before, Fault::Hang);
    world.does("ana", "/runbook run runbook:ten-steps").await;
    assert!(until(20, async || world.service.calls() == 4).await, "the fourth step is in flight");
    world
}

/// The bot comes back and nothing starts, however long it takes.
async fn nothing_starts(world: &World) {
    // On a server, whoever began the fourth step may be at it still for all that the others know: people are asked.
    let (stands, answer) = if is_on_postgres() { ("in doubt", "did-not-happen") } else { ("held", "retry") };
    world.run_comes_to("RUN-1", stands, MINUTE).await;
    world.passes(5 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, stands);
    assert_eq!((world.service.calls(), world.service.checkout.effects().len()), (4, 3));
    let said = world.console("ben").says(&format!("/runbook answer question:RUN-1 answer:{answer}")).await;
    world.run_comes_to("RUN-1", "held", Duration::ZERO).await;
    assert_eq!(world.service.calls(), 4, "while it is halted nobody can go on: {}", said.text);
}

/// After the halt was lifted, a person says that it goes on; then every step is done once.
async fn goes_on_when_asked(world: &World) {
    world.passes(5 * MINUTE).await;
    assert_eq!(world.run_state("RUN-1").await, "held", "lifting resumes nothing");
    assert_eq!(world.service.calls(), 4);
    world.does("ana", "/runbook answer question:RUN-1 answer:retry").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    let effects = world.service.checkout.effects();
    let keys: BTreeSet<_> = effects.iter().map(|effect| effect.key.clone()).collect();
    assert_eq!((effects.len(), keys.len()), (10, 10), "each step once: {effects:?}");
}

/// Somebody who says "stop" has to be able to rely on it, even if the bot dies and comes back by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_holds_over_a_kill_and_resumes_nothing_when_lifted() {
    let world = in_the_middle().await;
    world.does("ben", "/halt reason:\"the deploy tool is broken\"").await;
    world.kill();
    world.restart().await;
    nothing_starts(&world).await;
    let told = world.is_refused("ana", "/runbook run runbook:restart-service").await;
    assert!(told.contains("halt") || told.contains("RUN-1"), "{told}");

    let told = world.is_refused("ben", "/halt lift:\"it works again\"").await;
    assert!(told.contains("administer"), "{told}");
    world.does("chris", "/halt lift:\"it works again\"").await;
    goes_on_when_asked(&world).await;
    world.finish().await;
}

/// The bot is down and must not go on when it comes back: a file is enough to say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_halt_ordered_while_the_bot_is_down_holds_when_it_comes_back() {
    let world = in_the_middle().await;
    world.kill();
    let (is_done, said) = world.program("ben", &["halt", "--reason", "the deploy tool is broken"]).await;
    assert!(is_done && said.contains("Halted"), "{said}");
    world.restart().await;
    nothing_starts(&world).await;
    let told = world.is_refused("chris", "/halt deploys are broken").await;
    assert!(told.contains("in quotes"), "no word of a reason becomes the name of a service: {told}");
    let (is_done, said) = world.program("chris", &["halt", "--lift", "it works again"]).await;
    assert!(is_done, "{said}");
    goes_on_when_asked(&world).await;
    world.finish().await;
}
