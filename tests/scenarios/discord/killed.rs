//! Killed at any request to Discord, before it was carried out or after it, the bot tells the story to its end, and each
//! message of it stands there once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};

use super::{Acme, guild};
use crate::world::{
    Config, World, alert,
    discord::{Instant, Route},
    until,
};

/// A sweep that is longer than this does not end.
const MOST: usize = 60;
/// How many stories are told at the same time.
const AT_ONCE: usize = 3;
/// How long a story may take on the real clock.
const PATIENCE: Duration = Duration::from_mins(4);

/// A small night, told again and again with the bot killed at another request: an incident opens, a question is
/// answered with a button, and the service is restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_request_to_discord_every_message_stands_once() {
    for when in [Instant::BeforeApplying, Instant::AfterApplying] {
        let mut told = stream::iter((1..=MOST).map(|nth| survives(nth, when))).buffered(AT_ONCE);
        let mut kills = 0;
        while told.next().await.unwrap_or_else(|| panic!("{MOST} kills and no end")) {
            kills += 1;
        }
        assert!(kills > 10, "only {kills} requests were cut off");
    }
}

/// Tells the story with one kill; whether it struck.
async fn survives(nth: usize, when: Instant) -> bool {
    let (discord, config) = guild(Config::default());
    discord.lifts_rate_limits();
    let world = World::prepare_at_noon(config).await;
    let clock = world.clock().clone();
    discord.follows(move || firewarden::engine::ports::Clock::now(&clock).millis());
    let (bot, killed) = (world.bot.clone(), Arc::new(AtomicBool::new(false)));
    let has_killed = Arc::clone(&killed);
    discord.at_call(Route::ANY, nth, when, move || {
        bot.kill();
        has_killed.store(true, Ordering::SeqCst);
    });
    world.note(&format!("killed at request {nth}, {when:?}"));
    world.bot.launch(&[]);
    world.bot.came_up().await;
    let acme = Acme { discord, world };
    let was_asked = tell(&acme).await;
    let was_killed = !acme.discord.takes_hooks_back();
    if was_killed {
        // Perhaps at its last request, after all that was to be seen.
        assert!(until(5, async || killed.load(Ordering::SeqCst)).await, "the bot is killed");
        if !acme.world.bot.is_alive() {
            acme.world.restart().await;
        }
    }
    for card in ["INC-1 SEV2", "APR-1 · ", "checkout was restarted"] {
        assert_eq!(acme.posted(card), 1, "`{card}` arrives once: request {nth}, {when:?}");
    }
    // The run's card stands in the thread; that it is in doubt pages people in the channel.
    assert_eq!(acme.posted("RUN-1 · "), 1 + usize::from(was_asked), "the run: request {nth}, {when:?}");
    assert_eq!(acme.world.service.checkout.effects().len(), 1);
    let Acme { discord, world } = acme;
    world.finish().await;
    discord.conforms().await;
    was_killed
}

/// Does what senders and people do, again when nothing came of it, until the story is over; whether people were asked
/// what became of a step, as they may be on a server.
async fn tell(acme: &Acme) -> bool {
    let (world, channel) = (&acme.world, acme.discord.channel("incidents"));
    let thread = acme.discord.channel("INC-1");
    let deadline = std::time::Instant::now() + PATIENCE;
    let (mut is_sent, mut was_asked) = (false, false);
    loop {
        assert!(std::time::Instant::now() < deadline, "the story does not come to its end");
        if !world.bot.is_alive() {
            world.restart().await;
        }
        if !is_sent {
            let alertmanager = world.alertmanager();
            let body = alertmanager.body("firing", &[&alert("CheckoutStuck").service("checkout")]);
            is_sent = alertmanager.posts(&body).await == Some(202);
            continue;
        }
        let asks = channel.card("APR-1").present().is_some_and(|card| card.button("Approve").is_some());
        if asks && acme.discord.is_connected() {
            let pressed = acme.discord.member("ben").clicks_on("APR-1", "Approve");
            until(2, async || pressed.is_acknowledged() || !world.bot.is_alive()).await;
        }
        // Whoever is paged answers; until then the page may stand at the request that is cut off.
        if world.run_state("RUN-1").await == "in doubt" && acme.posted("RUN-1 · ") > 1 {
            was_asked = true;
            world.settles_doubt("ana", "RUN-1").await;
        }
        let is_over = thread.card("RUN-1").present().is_some_and(|card| card.text().contains("State: done"))
            && acme.posted("checkout was restarted") > 0
            && channel.card("APR-1").present().is_some_and(|card| card.buttons().is_empty());
        if is_over && world.bot.is_alive() {
            return was_asked;
        }
        world.clock().step(Duration::from_secs(20)).await;
    }
}
