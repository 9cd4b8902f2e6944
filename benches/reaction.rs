//! How long it takes from an alert's delivery until the program of its runbook's first step runs.
//!
//! `cargo bench --bench reaction [triggers]`, beside adnanh's `webhook`, which starts the same program and keeps nothing.
//! One trigger at a time; the program says that it runs through a pipe. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    process::Command,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use rig::{Target, quantile};

/// How many triggers are sent before it counts.
const WARMING: usize = 20;

fn main() {
    let triggers = rig::number(500);
    rig::run(async {
        println!("| started by | triggers | p50 | p99 |");
        println!("|---|---|---|---|");
        row("firewarden", &Target::bot(), triggers).await;
        if let Some(webhook) = Target::webhook() {
            row("webhook", &webhook, triggers).await;
        }
    });
}

async fn row(name: &str, target: &Target, triggers: usize) {
    target.program("echo \"$1\" > FOLDER/pipe");
    let pipe = target.folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for writing too, so that it does not end with each writer.
    let reader = BufReader::new(OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
    let (said, mut heard) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            if said.send((line, Instant::now())).is_err() {
                return;
            }
        }
    });
    let (_running, _) = target.start().await;
    let mut connection = None;
    let mut took = Vec::new();
    for number in 0..triggers + WARMING {
        let id = format!("i{number}");
        let begun = Instant::now();
        assert!(target.trigger(&mut connection, &id).await, "a trigger is acknowledged");
        let (line, at) = heard.recv().await.unwrap();
        assert_eq!(line, id, "one after the other");
        took.push(at - begun);
        // What follows the start is no part of the next one.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.drain(..WARMING);
    println!("| {name} | {triggers} | {:.1} ms | {:.1} ms |", quantile(&mut took, 0.50), quantile(&mut took, 0.99));
}
