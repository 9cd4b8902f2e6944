//! Every step of every shipped runbook fails in turn: before the first change nothing is touched, after it people are
//! told and nothing more is done, and Undo leaves the service as it was.

use std::time::Duration;

use futures::{StreamExt, stream};
use serde_json::Value;

use crate::world::{Shipped, World, alert, github::GitHub};

const MINUTE: Duration = Duration::from_mins(1);
/// How many stories are told at the same time.
const AT_ONCE: usize = 2;
/// A run that takes longer than this does not come to rest.
const LONGEST: Duration = Duration::from_hours(2);

/// Automation that fails half-way and says nothing, or that cannot be taken back as it promised, is found out at night.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_each_runbook_fails_and_leaves_a_clean_slate() {
    let all = Shipped::all();
    let places = all.iter().flat_map(|shipped| (0..shipped.plan.steps.len()).map(move |step| (shipped, step)));
    let told = stream::iter(places).map(|(shipped, step)| fails_at(shipped, step)).buffer_unordered(AT_ONCE);
    assert!(told.count().await > 0, "there are runbooks");
}

async fn fails_at(shipped: &Shipped, index: usize) {
    let steps = &shipped.plan.steps;
    let step = &steps[index];
    let world = World::prepare_at_noon(shipped.config_broken_at(index)).await;
    world.note(&format!("`{}` of {} fails", step.name, shipped.plan.name));
    shipped.trouble(&world).await;
    world.bot.start().await;
    let before = seen(&world);
    world.alertmanager().fires(&alert(shipped.alert).service("checkout")).await;
    let state = comes_to_rest(&world).await;

    let changed: Vec<_> = steps[..index].iter().filter(|step| step.changes()).collect();
    if changed.is_empty() {
        assert!(["failed", "refused"].contains(&state.as_str()), "{}: {state}", step.name);
        assert_eq!((effects(&world), seen(&world)), (0, before), "{} is not touched", step.name);
        world.finish().await;
        return;
    }
    assert_eq!(state, "held", "{} of {} fails after a change", step.name, shipped.plan.name);
    let (done, after) = (effects(&world), seen(&world));
    world.passes(10 * MINUTE).await;
    assert_eq!((effects(&world), seen(&world)), (done, after), "nothing more is done");
    let card = world.console("ana").sees("/runbook show name:RUN-1").await;
    let is_undoable = changed.iter().any(|step| step.undo.is_some());
    assert_eq!(card.contains("[Undo]"), is_undoable, "{card}");
    if is_undoable {
        world.does("ana", "/runbook answer question:RUN-1 answer:undo").await;
        world.run_comes_to("RUN-1", "undone", MINUTE).await;
        assert_eq!(seen(&world), before, "{} leaves a clean slate", shipped.plan.name);
    } else {
        world.does("ana", "/runbook answer question:RUN-1 answer:release").await;
        world.run_comes_to("RUN-1", "released", MINUTE).await;
    }
    world.bot.stop().await.unwrap();
    let pages = world.pages().await;
    assert!(pages.iter().any(|page| page.contains("RUN-1") && page.contains("held")), "people are told: {pages:#?}");
    world.errors_were_announced();
}

/// How often the service, the cluster and what the code host deployed were changed.
fn effects(world: &World) -> usize {
    let deployed = world.code_host.iter().map(|github| github.made().len()).sum::<usize>();
    world.service.checkout.effects().len() + world.cluster.written().len() + deployed
}

/// What can be seen of the service, the cluster and the code host from outside.
type Seen = (String, u32, (&'static str, Option<bool>), Vec<(String, Value)>, Option<String>);

fn seen(world: &World) -> Seen {
    let checkout = &world.service.checkout;
    let switches = (checkout.region(), checkout.is_on("new-cart"));
    let deployed = world.code_host.as_ref().map(GitHub::live);
    (checkout.live(), checkout.replicas(), switches, world.cluster.seen(), deployed)
}

/// Lets time pass and approves what is asked, until the run is over or stands.
async fn comes_to_rest(world: &World) -> String {
    let mut state = String::new();
    let rests = world.comes(LONGEST, async || {
        state = world.run_state("RUN-1").await;
        if state == "waiting for people" {
            // It may have been answered a moment ago.
            world.console("ben").says("/runbook answer question:APR-1 answer:approve").await;
        }
        !["", "running", "waiting", "waiting for people"].contains(&state.as_str())
    });
    assert!(rests.await, "the run does not come to rest: {state}");
    state
}
