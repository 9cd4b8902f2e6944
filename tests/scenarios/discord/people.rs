//! What people do in Discord: they deal with an incident from its card, and ask and tell with slash commands.

use super::{Acme, plain};
use crate::world::{Config, alert, discord::What};

/// Somebody wakes up, opens Discord, and deals with the incident without ever leaving it.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_dealt_with_from_its_card() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.alertmanager().fires(&alert("CheckoutSlow").service("checkout")).await;
    let card = channel.card("INC-1").shows("triage").await;
    let labels: Vec<String> = card.buttons().into_iter().map(|button| button.label).collect();
    assert_eq!(labels, ["Acknowledge", "Resolve", "Note", "Runbooks", "Timeline"]);
    acme.discord.awaits("a thread", |all| all.iter().any(|one| one.what == What::OpenedThread)).await;

    let (ana, ben) = (acme.discord.member("ana"), acme.discord.member("ben"));
    let taken = ana.clicks("Acknowledge").answer().await;
    assert!(taken.text().contains("acknowledged **INC-1**") && !taken.is_ephemeral(), "{}", taken.text());
    let card = channel.card("INC-1").shows("investigating").await;
    assert!(card.button("Acknowledge").is_none(), "{}", card.text());
    assert!(card.field("Lead").is_some_and(|lead| lead.starts_with("<@")), "{}", card.text());

    let form = ben.clicks("Note").answer().await.modal.unwrap();
    let label = form.inputs[0].label.clone();
    let noted = ben.submits_modal(&[(&label, "the pool is empty")]).answer().await;
    assert!(noted.text().contains("the pool is empty"), "{}", noted.text());
    let timeline = ana.clicks("Timeline").answer().await;
    let text = plain(&timeline.text());
    assert!(text.contains("the pool is empty") && text.contains("ben"), "{text}");
    assert!(timeline.is_ephemeral());
    let runbooks = ana.clicks("Runbooks").answer().await;
    assert!(plain(&runbooks.text()).contains("rollback-service"), "{}", runbooks.text());

    ben.clicks("Resolve").answer().await;
    let card = channel.card("INC-1").shows("resolved").await;
    assert!(card.button("Resolve").is_none() && card.button("Draft review").is_some(), "{}", card.text());
    assert_eq!(acme.posted("INC-1 SEV2"), 1, "the card is one message, however often it changes");
    // Its review is drafted by itself.
    acme.discord.channel("INC-1").expects("eview").await;
    acme.finish().await;
}

/// Whoever types knows what there is: commands, their options, and the incidents that fit.
#[tokio::test(flavor = "multi_thread")]
async fn slash_commands_do_what_they_say() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    let (ana, eve) = (acme.discord.member("ana"), acme.discord.member("eve"));

    let declared =
        ana.runs("/incident declare title:the shop is *closed* severity:SEV2 service:checkout").answer().await;
    assert!(plain(&declared.text()).contains("INC-1"), "{}", declared.text());
    assert!(declared.text().contains(r"the shop is \*closed\*"), "words from people are never formatting");
    channel.card("INC-1").shows("SEV2").await;
    let listed = eve.runs("/incident list").answer().await;
    assert!(plain(&listed.text()).contains("the shop is *closed*") && listed.is_ephemeral(), "{}", listed.text());
    let offered = ana.autocompletes("/incident show incident:IN").answer().await;
    assert!(offered.choices.len() == 1 && offered.choices[0].starts_with("INC-1"), "{:?}", offered.choices);
    assert!(ana.autocompletes("/incident show incident:zzz").answer().await.choices.is_empty());
    let shown = ana.runs("/incident show incident:INC-1").answer().await;
    assert!(shown.message.unwrap().title().unwrap().contains("INC"));

    ana.runs("/incident severity severity:SEV1 incident:INC-1").answer().await;
    channel.card("INC-1").shows("SEV1").await;
    channel.expects("is worse than before").await;
    let given = ana.runs("/incident role role:lead person:ben incident:INC-1").answer().await;
    assert_eq!(given.message.unwrap().pings, ["ben"], "whoever gets a role is told");
    channel.card("INC-1").shows("Lead: <@").await;

    // In the thread of an incident nobody has to name it.
    acme.discord.awaits("a thread", |all| all.iter().any(|one| one.what == What::OpenedThread)).await;
    let noted = eve.in_channel("INC-1").runs("/incident note text:the bakery helps out").answer().await;
    assert!(noted.text().contains("the bakery helps out"), "{}", noted.text());
    let timeline = ana.runs("/incident timeline incident:INC-1").answer().await;
    let text = plain(&timeline.text());
    for part in ["declared", "SEV1", "the bakery helps out", "discord:"] {
        assert!(text.contains(part), "the timeline has `{part}`:\n{text}");
    }
    let nowhere = ana.runs("/incident show incident:INC-9").answer().await;
    assert!(nowhere.text().contains("There is no incident `INC-9`") && nowhere.is_ephemeral(), "{}", nowhere.text());
    acme.finish().await;
}

/// Who may not do something learns it alone, with whom to ask; nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_in_private_and_whom_to_ask() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.alertmanager().fires(&alert("CheckoutSlow").service("checkout")).await;
    channel.card("INC-1").shows("triage").await;

    let dora = acme.discord.member("dora");
    for refused in [dora.runs("/incident declare title:mine").answer().await, dora.clicks("Acknowledge").answer().await]
    {
        let text = plain(&refused.text());
        assert!(refused.is_ephemeral(), "{text}");
        assert!(text.contains("none of their roles allows it") && text.contains("hint: ask somebody with"), "{text}");
        assert!(text.contains("on-call"), "{text}");
    }
    let taken = acme.discord.member("eve").clicks("Acknowledge").answer().await;
    assert!(!taken.is_ephemeral(), "a role in Discord is enough: {}", taken.text());
    channel.card("INC-1").shows("investigating").await;
    assert_eq!(acme.posted("INC-2"), 0);
    acme.finish().await;
}
