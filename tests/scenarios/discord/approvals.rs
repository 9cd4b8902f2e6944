//! Approvals in Discord: people are counted, not accounts, and nobody approves what they have not seen.

use super::{Acme, plain};
use crate::world::{
    Config, alert,
    discord::{Fault, Route, Span},
};

/// Production is changed when two people agree, neither of whom asked for it, and both of whom saw what they agree to.
#[tokio::test(flavor = "multi_thread")]
async fn people_approve_and_not_accounts() {
    let two = "by: [\"role:on-call\"]\n  count: 2";
    let acme = Acme::opens(Config::default().edit("by: [\"role:on-call\"]", two)).await;
    let channel = acme.discord.channel("incidents");
    let [ana, ben, phone, eve, dora] = ["ana", "ben", "ben-phone", "eve", "dora"].map(|name| acme.discord.member(name));

    ana.runs("/runbook run runbook:restart-service").answer().await;
    let card = channel.card("APR-1").shows("[Approve]").await;
    assert!(plain(&card.text()).contains("May `restart-service` go on with `restart it`"), "{}", card.text());

    let refused = ana.clicks_on("APR", "Approve").answer().await;
    let text = plain(&refused.text());
    assert!(refused.is_ephemeral() && text.contains("whoever started the run does not count"), "{text}");
    let refused = dora.clicks_on("APR", "Approve").answer().await;
    assert!(refused.is_ephemeral() && plain(&refused.text()).contains("none of their roles"), "{}", refused.text());
    assert_eq!(acme.world.service.checkout.effects().len(), 0);

    // The card that people see stays behind while Discord takes no edits.
    acme.discord.script(Fault::ServerError(502), Route::EDIT, Span::Always);
    let counted = ben.clicks_on("APR", "Approve").answer().await;
    assert!(plain(&counted.text()).contains("1 more must agree"), "{}", counted.text());
    let refused = eve.clicks_on("APR", "Approve").answer().await;
    let text = plain(&refused.text());
    assert!(refused.is_ephemeral() && text.contains("it has changed meanwhile"), "{text}");
    acme.discord.heals();
    channel.card("APR-1").shows("1 of 2").await;

    let refused = phone.clicks_on("APR", "Approve").answer().await;
    let text = plain(&refused.text());
    assert!(refused.is_ephemeral() && text.contains("`ben` has answered already"), "{text}");
    assert_eq!(acme.world.service.checkout.effects().len(), 0, "nothing is touched before two people agree");
    let approved = eve.clicks_on("APR", "Approve").answer().await;
    assert!(plain(&approved.text()).contains("Approved RUN-1"), "{}", approved.text());
    let card = channel.card("APR-1").shows("given").await;
    assert!(card.buttons().is_empty(), "{}", card.text());
    channel.card("RUN-1").shows("State: done").await;
    channel.expects("checkout was restarted").await;
    assert_eq!(acme.world.service.checkout.effects().len(), 1);
    channel.reads();
    acme.finish().await;
}

/// A run that an alert set off is approved by anybody who is asked, from the card, and its end is told in the thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_approved_from_its_card() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.service.checkout.release("v43", true);
    acme.world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    channel.card("INC-1").shows("triage").await;
    let card = channel.card("APR-1").shows("[Approve]").await;
    let text = plain(&card.text());
    assert!(text.contains("v43") && text.contains("v42"), "people approve what they see: {text}");
    acme.discord.member("ben").clicks_on("APR", "Approve").answer().await;
    channel.card("APR-1").shows("given").await;
    let thread = acme.discord.channel("INC-1");
    thread.card("RUN-1").shows("State: done").await;
    thread.expects("checkout is back on v42").await;
    assert_eq!(acme.world.service.checkout.live(), "v42");
    channel.reads();
    acme.finish().await;
}
