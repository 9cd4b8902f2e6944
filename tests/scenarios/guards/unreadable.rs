//! What a guard goes by and cannot be read refuses: nothing is taken for granted that nobody knows.

use super::{MINUTE, effects, is_done, is_refused, opened, restarts};
use crate::world::{
    metrics::{Gives, Metrics},
    store::is_on_postgres,
};

/// A lock or a freeze that cannot be read may be one that keeps everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_or_a_freeze_that_cannot_be_read_refuses() {
    let world = opened(&[restarts("a", "", "")], "").await;
    let freeze = "insert into freezes (service, until, reason, actor, at) values ('other', 1, 'x', '{', 1)";
    let lock = "insert into service_locks (service, owner, reason, at, until) \
                values ('checkout', cast(x'ff' as text), 'x', 1, 1)";
    let mut spoiled = vec![(freeze, "delete from freezes")];
    if !is_on_postgres() {
        // A server takes no text that is none.
        spoiled.push((lock, "delete from service_locks"));
    }
    for (spoil, mend) in spoiled {
        world.spoil(spoil).await;
        is_refused(&world, "ana", "a", "guard_unreadable").await;
        world.spoil(mend).await;
    }
    assert_eq!(effects(&world), 0);
    is_done(&world, "ana", "a", "RUN-1").await;
    world.finish().await;
}

/// A metric that nobody can read is neither good nor bad: what depends on it does not happen.
#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_cannot_be_read_refuses() {
    let look = "  - { name: how many fail, action: prometheus.query, with: { query: errors }, output: errors }\n  \
                - { name: many fail, action: assert, with: [{ that: \"errors.value > 0.05\", else: no_errors }] }\n";
    let metrics = Metrics::start().await;
    let world = opened(&[restarts("a", "", look)], &metrics.section()).await;
    for (run, gives, state, why) in [
        ("RUN-1", Gives::Nothing, "refused", "no_errors"),
        ("RUN-2", Gives::One("NaN"), "refused", "no_errors"),
        ("RUN-3", Gives::Fails(503), "failed", "step_failed"),
    ] {
        metrics.gives("errors", gives);
        world.does("ana", "/runbook run runbook:a incident:INC-1").await;
        world.run_comes_to(run, state, MINUTE).await;
        world.sees(&format!("/why run:{run}"), why).await;
    }
    assert_eq!(effects(&world), 0);
    metrics.gives("errors", Gives::One("0.2"));
    is_done(&world, "ana", "a", "RUN-4").await;
    world.finish().await;
}
