//! A store that cannot be written, be it for a full disk or for a server that is gone: what cannot be kept is not promised,
//! somebody is told another way, and nothing promised is lost.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::world::{
    Config, Fault, Moment, Which, World, alert, config, http, is_installed, left_out,
    outside::Outside,
    store::is_on_postgres,
    until,
    wire::{Condition, Wire},
};

/// What the log says while nothing can be written.
const ERRORS: [&str; 7] = [
    "the outbox cannot be worked on",
    "a row of the outbox cannot be read",
    "what became of a message",
    "runs cannot be taken over",
    "timers cannot be looked at",
    "leases of runs",
    "a run cannot go on",
];

/// The store of a running bot is ill as long as this lives.
enum Ill<'a> {
    Disk(Child),
    Wire(&'a Wire),
}

impl<'a> Ill<'a> {
    /// No space is left on the disk, or the server is gone. `None` where that cannot be brought about.
    async fn unwritable(world: &'a World) -> Option<Self> {
        if is_on_postgres() {
            return Some(Self::wire(world, Condition::Cut));
        }
        Self::disk(world, "trace=pwrite64,fallocate,ftruncate", "inject=pwrite64,fallocate:error=ENOSPC").await
    }

    /// It takes minutes to make anything durable, and nothing is reported. `None` where that cannot be brought about.
    async fn hung(world: &'a World) -> Option<Self> {
        if is_on_postgres() {
            return Some(Self::wire(world, Condition::Silent));
        }
        Self::disk(world, "trace=fdatasync,fsync", "inject=fdatasync,fsync:delay_enter=120s").await
    }

    fn wire(world: &'a World, condition: Condition) -> Self {
        world.wire().is(condition);
        Self::Wire(world.wire())
    }

    async fn disk(world: &World, trace: &str, inject: &str) -> Option<Self> {
        if !is_installed("strace") {
            left_out("an ill disk", "`strace`");
            return None;
        }
        let pid = world.bot.pid().unwrap().to_string();
        let child = Command::new("strace")
            .args(["-f", "-qq", "-p", &pid, "-o", "/dev/null", "-e", trace, "-e", inject])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut disk = child;
        let traced = format!("/proc/{pid}/status");
        let is_traced = || {
            let status = std::fs::read_to_string(&traced).unwrap_or_default();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        until(10, async || is_traced() || disk.try_wait().is_ok_and(|ended| ended.is_some())).await;
        if !is_traced() {
            left_out("an ill disk", "the right to trace processes");
            return None;
        }
        Some(Self::Disk(disk))
    }
}

impl Drop for Ill<'_> {
    fn drop(&mut self) {
        match self {
            Ill::Wire(wire) => wire.is(Condition::Whole),
            Ill::Disk(strace) => {
                // Asked to end, it lets the bot go; killed, it would leave it stopped.
                let _sent = Command::new("kill").args(["-TERM", &strace.id().to_string()]).status();
                let _gone = strace.wait();
            }
        }
    }
}

async fn ready(world: &World) -> u16 {
    let answer = http().get(format!("{}/readyz", world.url())).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// The status of the answer to an alert, and its `Retry-After`.
async fn sends(world: &World, name: &str) -> (u16, Option<String>) {
    let body = world.alertmanager().body("firing", &[&alert(name).service("checkout")]);
    let url = format!("{}/webhooks/alertmanager", world.url());
    let answer = http().post(url).bearer_auth(config::SOURCE_TOKEN).json(&body).send().await.unwrap();
    let again = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    (answer.status().as_u16(), again)
}

/// A bot that answers 200 and forgets is worse than one that is down: senders keep what they were refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_is_refused_told_and_survived() {
    let outside = Outside::start().await;
    let world = World::start_with(Config::default().wired().with(&outside.config())).await;
    for error in ERRORS {
        world.announce(error);
    }
    assert_eq!(sends(&world, "CheckoutLatency").await.0, 202);
    world.sees("/incident list", "INC-1").await;

    let Some(ill) = Ill::unwritable(&world).await else { return };
    let begun = Instant::now();
    let (status, again) = sends(&world, "CheckoutOther").await;
    assert_eq!(status, 503, "what cannot be kept is not acknowledged");
    let seconds: u64 = again.unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "the sender is told when to come again");
    let said = world.console("ana").says_under("/incident note incident:INC-1 text:lost", "lost").await;
    assert!(!said.is_done(), "a command that cannot be kept is not confirmed: {}", said.text);
    assert_eq!(ready(&world).await, 503);

    let is_told = || outside.heard().iter().any(|text| text.contains("cannot write"));
    assert!(until(60, async || is_told()).await, "somebody is told within a minute");
    assert!(begun.elapsed() < Duration::from_mins(1));
    let seen = world.console("ana").sees("/incident list").await;
    if is_on_postgres() {
        assert!(seen.contains("the store is not available"), "people are told:\n{seen}");
    } else {
        assert!(seen.contains("INC-1"), "what is known can still be read:\n{seen}");
    }

    drop(ill);
    let mut status = 0;
    let comes = until(30, async || {
        status = sends(&world, "CheckoutOther").await.0;
        status == 202
    });
    assert!(comes.await, "it goes on by itself: {status}");
    assert!(until(20, async || ready(&world).await == 200).await, "it is ready again");
    world.sees("/incident timeline incident:INC-2", "CheckoutOther").await;
    world.kill();
    world.restart().await;
    let told = world.sees("/incident timeline incident:INC-1", "CheckoutLatency").await;
    assert!(!told.contains("noted"), "what was refused is not there:\n{told}");
    let told = world.sees("/incident timeline incident:INC-2", "CheckoutOther").await;
    assert_eq!(told.matches("opened it").count(), 1, "{told}");
    world.finish().await;
}

/// A store that neither fails nor ends is the worst: whoever asks must not be told that all is well while senders wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_makes_the_bot_unready() {
    let world = World::start_with(Config::default().wired()).await;
    if is_on_postgres() {
        // The server itself ends what hangs.
        for error in ERRORS {
            world.announce(error);
        }
    }
    world.sees("/bot health", "The bot is well").await;
    let Some(ill) = Ill::hung(&world).await else { return };
    assert!(until(40, async || ready(&world).await == 503).await, "a write hangs, and the bot is not ready");
    let told = world.console("ana").sees("/bot health").await;
    if is_on_postgres() {
        assert!(told.contains("the store is not available"), "{told}");
    } else {
        assert!(told.contains("Nothing can be written") && told.contains("did not end within 10 s"), "{told}");
    }
    drop(ill);
    assert!(until(40, async || ready(&world).await == 200).await, "it goes on by itself");
    world.sees("/bot health", "The bot is well").await;
    world.kill();
    world.restart().await;
    world.finish().await;
}

/// A worker that cannot renew its leases stops what is in flight, for others may take it over. When it is the only one,
/// it has to take it up itself once it can write again: a run that nobody drives holds its target for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_flight_is_taken_up_again_when_the_store_is_well() {
    let world = World::at_noon_with(Config::default().wired()).await;
    for error in ERRORS {
        world.announce(error);
    }
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", Duration::from_mins(1)).await;
    world.service.plan(Which::Next("POST", "/deployments"), Moment::After, Fault::Hang);
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(until(20, async || world.service.checkout.live() == "v42").await, "the request is in flight");

    let Some(ill) = Ill::unwritable(&world).await else { return };
    world.passes(Duration::from_secs(40)).await;
    let stops = async || world.bot.log().contains("the leases of runs have run out");
    assert!(until(20, stops).await, "the worker stops its own work first");
    drop(ill);
    world.run_comes_to("RUN-1", "done", Duration::from_mins(5)).await;
    assert_eq!(world.service.calls_of("POST", "/deployments"), 1, "it was looked for, not sent again");
    world.finish().await;
}
