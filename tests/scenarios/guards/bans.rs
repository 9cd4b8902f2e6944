//! Bans: a version that was left because it is bad does not come back by itself.

use super::{MINUTE, opened};
use crate::world::World;

const BAD: &str = "2222222222222222222222222222222222222222";
const GOOD: &str = "1111111111111111111111111111111111111111";

/// Hands a version to a program that would deploy it.
fn deploys(name: &str, sha: &str) -> &'static str {
    format!(
        "name: {name}\nmode: auto\ntrigger: {{ chat: {{}} }}\ntarget: {{ service: checkout, environment: production }}\nsteps:\n  \
         - name: deploy\n    action: github.deploy\n    \
         with: {{ repo: acme/checkout, environment: production, sha: \"{sha}\" }}\n    timeout: 1m\n    irreversible: true\n"
    )
    .leak()
}

async fn why(world: &World, run: &str, state: &str) -> String {
    world.run_comes_to(run, state, MINUTE).await;
    world.console("ana").sees(&format!("/why run:{run}")).await
}

/// The pipeline offers the bad version again; only that one is refused, and only until somebody takes the ban back.
#[tokio::test(flavor = "multi_thread")]
async fn a_banned_version_is_refused_and_no_other() {
    let world = opened(&[deploys("bad", BAD), deploys("good", GOOD)], "").await;
    world
        .does(
            "ana",
            &format!("/version ban service:checkout environment:production sha:{BAD} reason:\"it loses orders\""),
        )
        .await;
    world.does("ana", "/runbook run runbook:bad incident:INC-1").await;
    let told = why(&world, "RUN-1", "refused").await;
    assert!(told.contains("`banned_version`") && told.contains("it loses orders"), "{told}");
    // The other one comes as far as GitHub, which is not configured here.
    world.does("ana", "/runbook run runbook:good incident:INC-1").await;
    let told = why(&world, "RUN-2", "failed").await;
    assert!(!told.contains("`banned_version` (") || told.contains("RUN-1"), "{told}");
    world.sees("/runbook show name:RUN-2", "GitHub is not configured").await;
    world.does("ana", &format!("/version unban service:checkout environment:production sha:{BAD} reason:mended")).await;
    world.does("ana", "/runbook run runbook:bad incident:INC-1").await;
    world.run_comes_to("RUN-3", "failed", MINUTE).await;
    world.sees("/runbook show name:RUN-3", "GitHub is not configured").await;
    world.finish().await;
}
