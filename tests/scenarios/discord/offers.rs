//! `/rollback` in Discord: whoever asks sees the verdict alone, and its button tells everybody what was started.

use super::{Acme, plain};
use crate::world::Config;

/// A phone at three in the morning: one command, one look, one press, and the approval of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_looked_at_started_and_approved_by_buttons() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    let [ana, ben, dora] = ["ana", "ben", "dora"].map(|name| acme.discord.member(name));
    acme.world.service.checkout.release("v43", true);

    let verdict = ana.runs("/rollback service:checkout").answer().await;
    let text = plain(&verdict.text());
    assert!(
        verdict.is_ephemeral() && text.contains("Roll back **checkout** in **production** to the version before?"),
        "{text}"
    );
    assert!(text.contains("unknown: nobody has reported a deployment that succeeded"), "{text}");
    assert!(channel.messages().is_empty(), "nobody else is told of a look");
    let refused = dora.runs("/rollback service:checkout").answer().await;
    assert!(plain(&refused.text()).contains("none of their roles"), "{}", refused.text());

    let started = ana.clicks("Roll back").answer().await;
    assert!(!started.is_ephemeral() && plain(&started.text()).contains("Started RUN-1"), "{}", started.text());
    channel.card("APR-1").shows("[Approve]").await;
    let refused = ana.clicks_on("APR", "Approve").answer().await;
    assert!(plain(&refused.text()).contains("whoever started the run does not count"), "{}", refused.text());
    assert_eq!(acme.world.service.checkout.effects().len(), 0);
    ben.clicks_on("APR", "Approve").answer().await;
    channel.card("RUN-1").shows("State: done").await;
    channel.expects("checkout is back on v42").await;
    assert_eq!(acme.world.service.checkout.live(), "v42");
    channel.reads();
    acme.finish().await;
}
