//! What the bot takes while nothing happens: its memory, and the time from its start until it is ready.
//!
//! `cargo bench --bench rest [starts]`, beside what else people run for the like. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;

use std::time::Duration;

use rig::{Running, Target, quantile};

/// How long a program rests before its memory is looked at.
const REST: Duration = Duration::from_secs(3);

fn main() {
    let starts = rig::number(10);
    rig::run(async {
        println!("| program | memory at rest | start to ready, p50 | the longest |");
        println!("|---|---|---|---|");
        row("firewarden, a new store", starts, fresh).await;
        let known = Target::bot();
        drop(known.start().await);
        row("firewarden, a known store", starts, async || known.start().await).await;
        if let Some(webhook) = Target::webhook() {
            row("webhook", starts, async || webhook.start().await).await;
        }
        if let Some(neighbor) = Target::alertmanager() {
            row("prometheus-alertmanager", starts, async || neighbor.start().await).await;
        }
    });
}

async fn row(name: &str, starts: usize, start: impl AsyncFn() -> (Running, Duration)) {
    let mut took = Vec::new();
    for _ in 1..starts {
        took.push(start().await.1);
    }
    let (running, last) = start().await;
    took.push(last);
    tokio::time::sleep(REST).await;
    let (p50, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.999));
    println!("| {name} | {:.0} MiB | {p50:.0} ms | {most:.0} ms |", running.memory());
}

async fn fresh() -> (Running, Duration) {
    let target = Target::bot();
    let (running, took) = target.start().await;
    (running.keep(target.folder), took)
}
