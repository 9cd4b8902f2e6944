//! How the bot answers: in time even when it cannot commit in time, to whom it is for, and with what belongs to it.

use std::time::Duration;

use super::{Acme, plain};
use crate::world::{
    Config, alert,
    discord::{Fault, Route, Span, What},
    until,
};

/// A store that is busy for longer than Discord waits costs a deferral, and the answer is public all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_commit_is_answered_later_and_to_everybody() {
    let acme = Acme::opens(Config::default()).await;
    let busy = acme.world.is_busy().await;
    acme.discord.script(Fault::ServerError(502), Route::EDIT_ANSWER, Span::Times(2));
    let declared = acme.discord.member("ana").runs("/incident declare title:slow");
    let is_deferred = async || declared.is_deferred_for_caller();
    assert!(until(3, is_deferred).await, "Discord waits no longer than 3 s");
    busy.ends().await;
    let said = acme.discord.channel("incidents").expects("declared").await;
    assert!(!said.is_ephemeral && said.text().contains("INC-1"), "{}", said.text());
    let told = || {
        let effects = acme.discord.effects().into_iter();
        effects.filter(|it| it.text.contains("declared **INC-1**")).map(|it| it.what).collect::<Vec<_>>()
    };
    // Whoever asked is answered alone first, and not twice.
    let is_told = async || told() == [What::Answered, What::FollowedUp, What::Deleted];
    assert!(until(5, is_told).await, "{:?}", told());
    acme.discord.channel("incidents").card("INC-1").shows("slow").await;
    assert_eq!(acme.posted("INC-1 SEV3"), 1);
    acme.finish().await;
}

/// The review comes as a file that people can take away, in the incident's thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_drafted_with_its_file() {
    let acme = Acme::opens(Config::default()).await;
    let ana = acme.discord.member("ana");
    ana.runs("/incident declare title:the shop is closed").answer().await;
    acme.discord.channel("incidents").card("INC-1").shows("SEV3").await;
    let drafted = ana.runs("/postmortem draft incident:INC-1").answer().await;
    assert!(plain(&drafted.text()).contains("INC-1"), "{}", drafted.text());
    let thread = acme.discord.channel("INC-1");
    let message = thread.expects(".md").await;
    let name = message.files[0].name.clone();
    let text = message.file(&name).unwrap();
    assert!(text.starts_with("# Review of INC-1") && text.contains("the shop is closed"), "{text}");
    thread.reads();
    acme.finish().await;
}

/// A runbook is one press away from the incident that it is for.
#[tokio::test(flavor = "multi_thread")]
async fn a_runbook_is_started_from_the_incidents_card() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    let ana = acme.discord.member("ana");
    acme.world.alertmanager().fires(&alert("CheckoutSlow").service("checkout")).await;
    channel.card("INC-1").shows("triage").await;
    let offered = ana.clicks_on("INC-1", "Runbooks").answer().await.message.unwrap();
    let labels: Vec<String> = offered.buttons().into_iter().map(|button| button.label).collect();
    assert_eq!(labels[..3], ["Run rollback-service", "Run scale-service", "Run restart-service"], "{labels:?}");
    ana.clicks("Run restart-service").answer().await;
    let card = channel.card("APR-1").shows("restart-service").await;
    assert!(plain(&card.text()).contains("INC-1"), "{}", card.text());
    acme.discord.channel("INC-1").card("RUN-1").shows("waiting for people").await;
    acme.discord.channel("INC-1").reads();
    acme.finish().await;
}

/// Names of incidents are for those who may look at incidents.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_look_is_offered_no_names() {
    let acme = Acme::opens(Config::default()).await;
    acme.discord.member("ana").runs("/incident declare title:secret").answer().await;
    acme.discord.channel("incidents").card("INC-1").shows("secret").await;
    let dora = acme.discord.member("dora");
    assert_eq!(dora.autocompletes("/incident show incident:IN").answer().await.choices, Vec::<String>::new());
    acme.finish().await;
}

/// While Discord does not take the first answer, the person can ask again; what was decided stands once.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_hangs_changes_nothing_twice() {
    let acme = Acme::opens_at_noon(Config::default()).await;
    acme.discord.script(Fault::Hang, Route::ANSWER, Span::Times(1));
    acme.discord.member("ana").runs("/incident declare title:once");
    acme.discord.channel("incidents").card("INC-1").shows("once").await;
    acme.discord.repeats_interaction();
    acme.world.passes(Duration::from_secs(5)).await;
    acme.discord.member("ana").runs("/incident list").answer().await;
    assert_eq!((acme.posted("INC-1 SEV3"), acme.posted("INC-2")), (1, 0));
    // The interaction stays unanswered, which is what a hang is.
    let Acme { discord, world } = acme;
    discord.channel("incidents").reads();
    world.finish().await;
    discord.conforms().await;
}
