//! How many programs a second a storm of triggers starts, and whether a kill in the middle loses one or starts one twice.
//!
//! `cargo bench --bench burst [triggers]`, beside adnanh's `webhook` with the same triggers and the same program. A trigger
//! that was not acknowledged is sent again, as Alertmanager does. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rig::Target;

/// How many senders there are.
const SENDERS: usize = 16;
/// Nothing more is waited for after nothing was started for so long.
const QUIET: Duration = Duration::from_secs(15);

fn main() {
    let triggers = rig::number(5_000);
    rig::run(async {
        println!("| started by | triggers | killed | started/s | lost | twice |");
        println!("|---|---|---|---|---|---|");
        for is_killed in [false, true] {
            row("firewarden", Target::bot(), triggers, is_killed).await;
            if let Some(webhook) = Target::webhook() {
                row("webhook", webhook, triggers, is_killed).await;
            }
        }
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn row(name: &str, target: Target, triggers: usize, is_killed: bool) {
    target.program("echo \"$1\" >> FOLDER/out");
    target.write("out", "");
    let target = Arc::new(target);
    let (mut running, _) = target.start().await;
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> =
        (0..SENDERS).map(|_| tokio::spawn(send(Arc::clone(&target), Arc::clone(&next), triggers))).collect();
    if is_killed {
        while started(&target).len() < triggers / 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.kill();
        running = target.start().await.0;
    }
    let (mut count, mut since) = (0, Instant::now());
    while count < triggers && since.elapsed() < QUIET {
        let now = started(&target).len();
        if now > count {
            (count, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = since - begun;
    for sender in senders {
        sender.await.unwrap();
    }
    // What was started twice was so by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(running);
    let started = started(&target);
    let lost = triggers - started.len();
    let twice = started.values().filter(|count| **count > 1).count();
    let killed = if is_killed { "in the middle" } else { "no" };
    let rate = started.len() as f64 / took.as_secs_f64();
    println!("| {name} | {triggers} | {killed} | {rate:.0} | {lost} | {twice} |");
}

/// Sends what nobody has sent, until each was acknowledged.
async fn send(target: Arc<Target>, next: Arc<AtomicUsize>, triggers: usize) {
    let mut connection = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= triggers {
            return;
        }
        while !target.trigger(&mut connection, &format!("i{number}")).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How often each was started.
fn started(target: &Target) -> HashMap<String, usize> {
    let mut started = HashMap::new();
    for line in fs::read_to_string(target.folder.path().join("out")).unwrap().lines() {
        *started.entry(line.to_owned()).or_default() += 1;
    }
    started
}
