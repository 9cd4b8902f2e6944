//! What runs cost that only wait, and how soon one that was cut off goes on after a kill, beside few and beside many.
//!
//! `cargo bench --bench waiting [runs]`. No polling may grow with them, and no start may look at each. See
//! `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rig::{RUNBOOK, Running, Target, quantile};

/// How many runs the others are compared with.
const FEW: usize = 100;
/// How many senders of triggers there are.
const SENDERS: usize = 16;
/// The bot rests once it computes no longer than this in so long a time; then it is looked at for a minute.
const REST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
const LOOKED_AT: Duration = Duration::from_mins(1);
/// How often the bot is killed beside them.
const KILLS: usize = 10;
/// How long anything that comes to pass is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// What comes after the step that starts a program: a wait for most, and a program at the end.
const MORE: &str = r#"
  - name: wait
    when: "!id.startsWith('cut')"
    action: wait
    with: { for: 24h }
  - name: go on
    action: shell
    with: { argv: ["FOLDER/go-on", "{{ id }}"] }
    timeout: 1m
    irreversible: true
"#;

fn main() {
    let many = rig::number(10_000);
    rig::run(async {
        println!("| waiting runs | memory | CPU a minute | killed and resumed, p50 | the longest |");
        println!("|---|---|---|---|---|");
        for count in [FEW, many] {
            row(count).await;
        }
    });
}

async fn row(count: usize) {
    let target = Target::bot();
    let folder = target.folder.path().display().to_string();
    target.write("runbooks/start.yaml", &(RUNBOOK.trim_end().to_owned() + MORE).replace("FOLDER", &folder));
    // What is to be cut off hangs until it is.
    target.program("echo \"$1\" >> FOLDER/out\ncase \"$1\" in cut*) exec sleep 50 ;; esac");
    target.write("go-on", &format!("#!/bin/sh\necho \"$1\" >> {folder}/resumed\n"));
    fs::set_permissions(target.folder.path().join("go-on"), fs::Permissions::from_mode(0o755)).unwrap();
    target.write("out", "");
    target.write("resumed", "");
    let target = Arc::new(target);
    let (mut running, _) = target.start().await;
    send(&target, count).await;
    comes_to(&target, "out", count).await;
    comes_to_rest(&running).await;
    let (memory, before) = (running.memory(), running.cpu());
    tokio::time::sleep(LOOKED_AT).await;
    let cpu = running.cpu().saturating_sub(before);
    let mut took = Vec::new();
    for kill in 0..KILLS {
        let (next, resumed) = cut_off(&target, running, count, kill).await;
        running = next;
        took.push(resumed);
    }
    drop(running);
    let (p50, most) = (quantile(&mut took, 0.5), quantile(&mut took, 0.999));
    println!("| {count} | {memory:.0} MiB | {:.0} ms | {p50:.0} ms | {most:.0} ms |", cpu.as_secs_f64() * 1_000.0);
}

/// Waits until everything that was sent is dealt with.
async fn comes_to_rest(running: &Running) {
    let begun = Instant::now();
    loop {
        let before = running.cpu();
        tokio::time::sleep(REST.1).await;
        if running.cpu().saturating_sub(before) <= REST.0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the bot does not come to rest");
    }
}

/// Starts as many runs that wait.
async fn send(target: &Arc<Target>, count: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let senders = (0..SENDERS).map(|_| {
        let (target, next) = (Arc::clone(target), Arc::clone(&next));
        tokio::spawn(async move {
            let mut connection = None;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                while !target.trigger(&mut connection, &format!("i{number}")).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

/// Kills the bot in the middle of an effect; how long after its next start the run is at its following step.
async fn cut_off(target: &Target, mut running: Running, count: usize, kill: usize) -> (Running, Duration) {
    assert!(target.trigger(&mut None, &format!("cut{kill}")).await, "the trigger is taken");
    comes_to(target, "out", count + kill + 1).await;
    running.kill();
    let begun = Instant::now();
    let (running, _) = target.start().await;
    comes_to(target, "resumed", kill + 1).await;
    (running, begun.elapsed())
}

/// Waits until a file of the target's folder has so many lines.
async fn comes_to(target: &Target, file: &str, lines: usize) {
    let begun = Instant::now();
    while fs::read_to_string(target.folder.path().join(file)).unwrap().lines().count() < lines {
        assert!(begun.elapsed() < PATIENCE, "`{file}` does not come to {lines} lines");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
