//! What Discord can do to the bot, and what people notice of it: nothing is lost, nothing comes twice.

use std::time::Duration;

use super::{Acme, plain};
use crate::world::{
    Config, alert,
    discord::{Fault, Instant, Route, Span, What},
};

/// Two hours without Discord cost nothing but Discord: work goes on, and afterwards people read it once, in its order.
#[tokio::test(flavor = "multi_thread")]
async fn two_hours_without_discord_lose_nothing() {
    let acme = Acme::opens_at_noon(Config::default()).await;
    let world = &acme.world;
    world.alertmanager().fires(&alert("CheckoutSlow").service("checkout")).await;
    acme.discord.channel("incidents").card("INC-1").shows("triage").await;
    acme.comes_to("a thread", Duration::from_mins(1), |discord| discord.channel("INC-1").exists()).await;

    acme.discord.down();
    world.alertmanager().fires(&alert("CheckoutStuck").service("checkout")).await;
    world.sees("/runbook show name:RUN-1", "waiting for people").await;
    world.console("ana").says("/incident ack incident:INC-1").await;
    world.clock().leap(Duration::from_mins(118), Duration::from_mins(3)).await;
    world.sees("/runbook show name:RUN-1", "held").await;
    world.console("ben").says("/incident declare title:\"the second one\" severity:SEV3").await;
    world.clock().leap(Duration::from_mins(2), Duration::from_mins(1)).await;
    let said = world.console("ana").says("/incident resolve incident:INC-1").await;
    assert!(said.is_done(), "{}", said.text);

    acme.discord.up();
    let is_told = |discord: &crate::world::discord::Discord| {
        let texts: Vec<String> = discord.effects().iter().map(|effect| plain(&effect.text)).collect();
        ["the second one", "INC-1 SEV2", "RUN-1"].iter().all(|part| texts.iter().any(|text| text.contains(part)))
            && ["INC-2", "INC-3"].iter().all(|thread| discord.channel(thread).exists())
    };
    acme.comes_to("everything", Duration::from_mins(10), is_told).await;
    acme.discord.channel("incidents").card("INC-1").shows("resolved").await;
    acme.discord.awaits_bot().await;
    let listed = acme.discord.member("ana").runs("/incident list").answer().await;
    assert!(listed.text().contains("the second one"), "{}", listed.text());
    world.passes(Duration::from_mins(1)).await;

    for card in ["INC-1 SEV2", "INC-2 SEV2", "INC-3 SEV3"] {
        assert_eq!(acme.posted(card), 1, "`{card}` arrives once");
    }
    // The run's card stands in the thread; that it is held pages people in the channel.
    assert_eq!(acme.posted("RUN-1 · "), 2);
    assert_eq!(acme.posted("APR-1 · "), 0, "nobody is asked what can no longer be answered");
    in_order(&acme);
    for place in ["incidents", "INC-1", "INC-2", "INC-3"] {
        acme.discord.channel(place).reads();
    }
    acme.finish().await;
}

/// The messages of a channel were written in the order in which they arrived: each is said once.
fn in_order(acme: &Acme) {
    let posted: Vec<String> = acme
        .discord
        .effects()
        .into_iter()
        .filter(|effect| effect.what == What::Posted)
        .map(|effect| format!("{}: {}", effect.place, effect.text))
        .collect();
    for (place, text) in posted.iter().enumerate() {
        assert!(!posted[place + 1..].contains(text), "`{text}` was posted twice");
    }
}

/// A connection that drops misses nothing that people do, and what comes a second time is not done a second time.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_is_resumed_and_a_replay_is_harmless() {
    let acme = Acme::opens(Config::default()).await;
    let channel = acme.discord.channel("incidents");
    let ana = acme.discord.member("ana");
    ana.runs("/incident declare title:one").answer().await;
    channel.card("INC-1").shows("triage").await;

    acme.discord.drops_gateway();
    let declared = ana.runs("/incident declare title:two").answer().await;
    assert!(declared.text().contains("INC-2"), "{}", declared.text());
    acme.discord.awaits_sessions(1, 1).await;
    channel.card("INC-2").shows("triage").await;
    acme.discord.repeats_interaction();
    acme.discord.reconnect_op7();
    acme.discord.awaits_sessions(1, 2).await;

    let declared = ana.runs("/incident declare title:three").answer().await;
    assert!(declared.text().contains("INC-3"), "the replay declared nothing: {}", declared.text());
    channel.card("INC-3").shows("triage").await;
    acme.discord.invalid_session();
    acme.discord.awaits_sessions(2, 2).await;
    assert!(ana.runs("/incident list").answer().await.text().contains("three"));
    for thread in ["INC-1", "INC-2", "INC-3"] {
        acme.discord.channel(thread).reads();
    }
    // That the answer was given already.
    acme.finish_but_for(&[40060]).await;
}

/// Discord asks to wait, breaks, and swallows its answers: each message still stands there once.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_lost_answers_neither_lose_nor_double_a_message() {
    let acme = Acme::opens_at_noon(Config::default()).await;
    let ana = acme.world.console("ana");
    let faults = [
        (Fault::TooManyRequests { retry_after: Duration::from_secs(20), global: false }, 2),
        (Fault::TooManyRequests { retry_after: Duration::from_secs(5), global: true }, 2),
        (Fault::ServerError(502), 3),
        (Fault::Reset, 2),
        (Fault::LostAnswer, 2),
    ];
    for (number, (fault, times)) in faults.into_iter().enumerate() {
        let name = format!("INC-{}", number + 1);
        acme.discord.script(fault, Route::POST, Span::Times(times));
        let said = ana.says(&format!("/incident declare title:\"number {number}\"")).await;
        assert!(said.is_done(), "{}", said.text);
        // The card is changed while nobody knows whether it arrived.
        ana.says(&format!("/incident ack incident:{name}")).await;
        let is_there = |discord: &crate::world::discord::Discord| {
            discord.channel("incidents").card(&name).present().is_some_and(|card| card.text().contains("investigating"))
        };
        acme.comes_to(&name, Duration::from_mins(3), is_there).await;
        acme.discord.heals();
        acme.comes_to("its thread", Duration::from_mins(1), |discord| discord.channel(&name).exists()).await;
        assert_eq!(acme.posted(&format!("{name} SEV3")), 1);
    }
    in_order(&acme);
    acme.discord.channel("incidents").reads();
    acme.finish().await;
}

/// Killed after Discord took a message and before that is known, the bot sends it again, and Discord shows it once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_sending_and_knowing_a_message_stands_once() {
    for when in [Instant::BeforeApplying, Instant::AfterApplying] {
        let acme = Acme::opens_at_noon(Config::default()).await;
        let bot = acme.world.bot.clone();
        acme.discord.at_call(Route::POST, 1, when, move || bot.kill());
        acme.world.console("ana").says("/incident declare title:once").await;
        let gone = crate::world::until(10, async || !acme.world.bot.is_alive()).await;
        assert!(gone && !acme.discord.awaits_hook(), "the bot is killed as it sends");
        acme.world.restart().await;
        let name = "INC-1";
        acme.comes_to("the card", Duration::from_mins(2), |discord| discord.channel(name).exists()).await;
        acme.discord.channel("incidents").card(name).shows("triage").await;
        acme.world.passes(Duration::from_mins(1)).await;
        assert_eq!(acme.posted("INC-1 SEV3"), 1, "{when:?}");
        acme.finish().await;
    }
}

/// Somebody takes the bot's permission away by mistake: what it has to say waits until they give it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_forbidden_channel_waits() {
    let acme = Acme::opens_at_noon(Config::default()).await;
    acme.discord.forbids("incidents", true);
    acme.world.console("ana").says("/incident declare title:\"behind a closed door\"").await;
    acme.world.passes(Duration::from_mins(3)).await;
    assert_eq!(acme.posted("INC-1"), 0);
    acme.discord.forbids("incidents", false);
    acme.comes_to("the card", Duration::from_mins(2), |discord| discord.channel("INC-1").exists()).await;
    acme.discord.channel("incidents").card("INC-1").shows("triage").await;
    assert_eq!(acme.posted("INC-1 SEV3"), 1);
    acme.finish_but_for(&[50001]).await;
}
