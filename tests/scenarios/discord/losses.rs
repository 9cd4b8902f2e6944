//! What people can take away from the bot in Discord: messages, threads, channels, permissions. What is said arrives.

use std::time::Duration;

use super::Acme;
use crate::world::{
    Config, alert,
    discord::{Fault, Route, Span},
    outside::Outside,
    until,
};

/// A card that somebody deleted is there again as soon as there is something new to show, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_card_comes_again() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.console("ana").says("/incident declare title:one").await;
    channel.card("INC-1").shows("triage").await;
    channel.loses("INC-1");
    acme.world.console("ana").says("/incident ack incident:INC-1").await;
    channel.card("INC-1").shows("investigating").await;
    acme.world.console("ana").says("/incident severity severity:SEV4 incident:INC-1").await;
    channel.card("INC-1").shows("SEV4").await;
    assert_eq!(channel.messages().len(), 1, "one card");
    // That the message is unknown.
    acme.finish_but_for(&[10008]).await;
}

/// A run has one card, in its incident's thread, however often it changes; when a moderator deletes the thread it is
/// told on in the channel, in one card again.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_card_wherever_its_thread_went() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.alertmanager().fires(&alert("CheckoutStuck").service("checkout")).await;
    let thread = acme.discord.channel("INC-1");
    thread.card("RUN-1").shows("waiting for people").await;
    assert_eq!(acme.posted("RUN-1 · "), 1);
    channel.card("APR-1").shows("[Approve]").await;

    thread.is_deleted();
    acme.discord.member("ben").clicks_on("APR", "Approve").answer().await;
    channel.card("RUN-1").shows("State: done").await;
    channel.expects("checkout was restarted").await;
    let cards = channel.messages().into_iter().filter(|one| one.title().is_some_and(|title| title.contains("RUN-1")));
    assert_eq!(cards.count(), 1, "one card");
    assert_eq!(acme.posted("RUN-1 · "), 2, "one before the thread was deleted, one after it");
    channel.reads();
    // That the thread is unknown.
    acme.finish_but_for(&[10003]).await;
}

/// The thread that a quiet night archived takes up the story again.
#[tokio::test(flavor = "multi_thread")]
async fn an_archived_thread_is_brought_back() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    acme.world.alertmanager().fires(&alert("CheckoutStuck").service("checkout")).await;
    let thread = acme.discord.channel("INC-1");
    thread.card("RUN-1").shows("waiting for people").await;
    channel.card("APR-1").shows("[Approve]").await;
    thread.is_put_away();
    acme.discord.member("ben").clicks_on("APR", "Approve").answer().await;
    thread.card("RUN-1").shows("State: done").await;
    thread.expects("checkout was restarted").await;
    assert!(!thread.is_archived());
    assert_eq!(acme.posted("RUN-1 · "), 1);
    channel.reads();
    thread.reads();
    // That the thread is archived.
    acme.finish_but_for(&[50083]).await;
}

/// A bot that may open no threads says everything in the channel, and pages as ever.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_open_threads_everything_is_in_the_channel() {
    let acme = Acme::opens(Config::default().with("[default_route]\npage = [\"role:on-call\"]\n\n")).await;
    acme.discord.script(Fault::Refusal(403, 50013), Route::THREAD, Span::Always);
    let channel = acme.discord.channel("incidents");
    acme.world.alertmanager().fires(&alert("DiskFull")).await;
    channel.card("INC-1").shows("triage").await;
    acme.world.alertmanager().fires(&alert("DiskSlow")).await;
    assert!(channel.card("INC-2").shows("triage").await.pings.contains(&"on-call".to_owned()));
    acme.world.alertmanager().fires(&alert("CheckoutStuck").service("checkout")).await;
    channel.card("RUN-1").shows("waiting for people").await;
    channel.card("APR-1").shows("[Approve]").await;
    acme.discord.member("ben").clicks_on("APR", "Approve").answer().await;
    channel.card("RUN-1").shows("State: done").await;
    channel.expects("checkout was restarted").await;
    channel.reads();
    acme.finish_but_for(&[50013]).await;
}

/// The bot's only channel is deleted: whoever is paged is paged another way, and what is said waits for a channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_a_channel_that_is_gone_goes_out_another_way() {
    let outside = Outside::start().await;
    let page = "[default_route]\npage = [\"role:on-call\"]\n\n";
    let acme = Acme::opens_at_noon(Config::default().with(&outside.config()).with(page)).await;
    acme.world.announce("the chat has no such channel");
    acme.discord.channel("incidents").is_deleted();
    acme.world.alertmanager().fires(&alert("DiskFull")).await;
    acme.world.passes(Duration::from_secs(70)).await;
    let is_told = async || outside.heard().iter().any(|text| text.contains("INC-1"));
    assert!(until(10, is_told).await, "{:?}", outside.heard());
    let waiting = acme.world.console("ana").says("/bot outbox").await;
    assert!(waiting.text.contains("INC-1"), "nothing is lost: {}", waiting.text);
    // Nothing can be delivered any more, which is what ending the story as ever would ask for.
    let Acme { discord, world } = acme;
    assert!(world.bot.stop().await.is_some_and(|(status, _)| status.success()));
    world.errors_were_announced();
    discord.conforms().await;
}

/// A channel that was added while the bot runs is not known to its connection yet: what is said there is said where
/// everything else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_a_channel_that_was_just_added_arrives_in_the_default_one() {
    let acme = Acme::opens(Config::default()).await;
    let path = acme.world.folder().join("firewarden.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[discord.channels]\n", "[discord.channels]\nnight = \"900000000000009999\"\n");
    std::fs::write(&path, format!("{text}[default_route]\nchannel = \"night\"\npage = [\"role:on-call\"]\n")).unwrap();
    let is_adopted = async || acme.world.bot.log().contains("an edit was taken up");
    assert!(until(15, is_adopted).await, "{}", acme.world.bot.log());
    acme.world.alertmanager().fires(&alert("DiskFull")).await;
    let card = acme.discord.channel("incidents").card("INC-1").shows("triage").await;
    assert!(card.pings.contains(&"on-call".to_owned()), "{:?}", card.pings);
    acme.discord.channel("incidents").reads();
    acme.finish().await;
}
