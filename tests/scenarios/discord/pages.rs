//! Pages in Discord: somebody's telephone rings, whatever the page is about.

use std::time::Duration;

use super::{Acme, plain};
use crate::world::{Config, alert, discord::What};

/// Everybody who is paged is mentioned where Discord looks for it, by name and by role: a card alone wakes nobody.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_paged_is_called() {
    let config = Config::default().with("[default_route]\npage = [\"role:on-call\"]\n\n");
    let acme = Acme::opens_at_noon(config).await;
    let channel = acme.discord.channel("incidents");
    let all = ["ana", "ben", "ben-phone", "on-call"];

    acme.world.alertmanager().fires(&alert("DiskFull")).await;
    assert_eq!(channel.card("INC-1").shows("triage").await.pings, all, "a new incident");
    acme.discord.member("ana").clicks_on("INC-1", "Acknowledge").answer().await;
    let card = channel.card("INC-1").shows("investigating").await;
    assert!(card.content.contains("<@&"), "whom it called stays there: {}", card.text());

    acme.discord.member("ana").runs("/incident declare title:the shop is closed").answer().await;
    assert_eq!(channel.card("INC-2").shows("SEV3").await.pings, all, "a declared incident");
    acme.discord.member("ana").runs("/incident severity severity:SEV1 incident:INC-2").answer().await;
    assert_eq!(channel.expects("is worse than before").await.pings, all, "a higher severity");

    acme.world.alertmanager().fires(&alert("CheckoutStuck").service("checkout")).await;
    assert_eq!(channel.card("APR-1").shows("[Approve]").await.pings, all, "a question");
    acme.world.clock().leap(Duration::from_mins(16), Duration::from_mins(1)).await;
    let is_held = |discord: &crate::world::discord::Discord| {
        discord.effects().iter().any(|one| one.what == What::Posted && plain(&one.text).contains("[Retry]"))
    };
    acme.comes_to("the hold", Duration::from_mins(2), is_held).await;
    let held = channel.messages().into_iter().rfind(|message| plain(&message.text()).contains("[Retry]")).unwrap();
    assert_eq!(held.pings, all, "a hold: {}", held.text());

    for place in ["incidents", "INC-1", "INC-2", "INC-3"] {
        acme.discord.channel(place).reads();
    }
    acme.finish().await;
}
