//! How many alerts a second the real program takes, beside Debian's Alertmanager with the same load in the same run.
//!
//! `benches/neighbors [seconds]`. Alertmanager answers when an alert is in its memory, the bot when it is on disk and its
//! incident, timeline and messages with it. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod load;
mod rig;

use std::time::Duration;

use load::{Load, Receiver, WEBHOOK};
use rig::{Target, quantile};

fn main() {
    let length = Duration::from_secs(rig::number(5).try_into().unwrap());
    rig::run(async {
        println!("| taken by | alerts a body | connections | alerts/s | p50 | p99 | memory after it |");
        println!("|---|---|---|---|---|---|---|");
        for (size, connections) in [(1, 1), (1, 16), (1, 64), (100, 1), (100, 16)] {
            let bot = Target::bot();
            let (running, _) = bot.start().await;
            let path = "/webhooks/alertmanager";
            let to = Receiver { address: bot.address, path, token: rig::TOKEN, around: WEBHOOK, says_status: true };
            let load = Load { size, connections, repeats: false };
            row("firewarden", to, load, length, &running).await;
            drop(running);
            if let Some(neighbor) = Target::alertmanager() {
                let (running, _) = neighbor.start().await;
                let (address, path) = (neighbor.address, "/api/v2/alerts");
                let to = Receiver { address, path, token: "", around: ("[", "]"), says_status: false };
                row("prometheus-alertmanager", to, load, length, &running).await;
            }
        }
    });
}

async fn row(name: &str, to: Receiver, load: Load, length: Duration, running: &rig::Running) {
    let mut measured = load::load(to, load, length).await;
    let Load { size, connections, .. } = load;
    let (rate, memory) = (measured.rate, running.memory());
    let (p50, p99) = (quantile(&mut measured.took, 0.50), quantile(&mut measured.took, 0.99));
    println!("| {name} | {size} | {connections} | {rate:.0} | {p50:.1} ms | {p99:.1} ms | {memory:.0} MiB |");
}
