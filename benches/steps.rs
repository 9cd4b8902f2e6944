//! How many steps of runs a second are journaled: each with its intent before it and its outcome after it, on disk.
//!
//! `cargo bench --bench steps [runs]`, beside the same store's commits of a single small change by as many callers. What a
//! step does takes no time here. With `FIREWARDEN_TEST_POSTGRES` also on a new database there. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;
mod world;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use firewarden::{
    adapters::clock::SystemClock,
    domain::{
        people::{Person, PersonId},
        time::Time,
    },
    engine::{
        Engine,
        chat::{Call, console},
        runs,
    },
    store::{Address, Beat, FaultKind, Server, Store},
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// How many steps each run has.
const STEPS: usize = 40;
/// How many processes' worth of workers share a database of PostgreSQL, if it lets them.
const WORKERS: usize = 4;
/// How long the baseline is taken.
const BASELINE: Duration = Duration::from_secs(3);

fn main() {
    let count = rig::number(64);
    rig::run(async {
        println!("| store | workers | runs | steps/s | single changes/s | ratio |");
        println!("|---|---|---|---|---|---|");
        let folder = tempfile::tempdir().unwrap();
        row("SQLite", &Address::File(folder.path().join("steps.db")), count).await;
        if let Ok(url) = std::env::var("FIREWARDEN_TEST_POSTGRES") {
            let database = format!("firewarden_bench_{}", std::process::id());
            postgres(&url, &format!("create database {database}"));
            let own = url.rsplit_once('/').map_or(url.as_str(), |(server, _)| server).to_owned() + "/" + &database;
            let server = Server::read(&SecretString::from(own)).unwrap();
            row("PostgreSQL", &Address::Server(server), count).await;
            postgres(&url, &format!("drop database {database} with (force)"));
        }
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn row(name: &str, address: &Address, count: usize) {
    let mut stores = vec![Store::open(address.clone()).await.unwrap()];
    while address.file().is_none() && stores.len() < WORKERS {
        match Store::open(address.clone()).await {
            Ok(store) => stores.push(store),
            Err(fault) if fault.kind == FaultKind::Locked => break,
            Err(fault) => panic!("{fault}"),
        }
    }
    let singles = singles(&stores, count).await;
    let stop = CancellationToken::new();
    let engines: Vec<_> = stores
        .iter()
        .map(|store| Engine::new(store.clone(), Arc::new(SystemClock), world::rules(&runbook())))
        .collect();
    for number in 0..count {
        let (command, args) = console::read(&format!("/runbook run runbook:steps inputs:at=t{number}")).unwrap();
        let caller = Person { id: PersonId(world::PERSON.to_owned()), roles: BTreeSet::from([world::ROLE.to_owned()]) };
        let call = Call { caller, args, about: None, source_key: None };
        engines[number % engines.len()].command(command, call).await.unwrap().unwrap();
    }
    let begun = Instant::now();
    let workers: Vec<_> = engines
        .iter()
        .map(|engine| tokio::spawn(runs::work::work(Arc::clone(engine), Arc::new(world::ports()), stop.clone())))
        .collect();
    loop {
        let mut reader = stores[0].read().await.unwrap();
        if firewarden::store::runs::counts(&mut reader).await.unwrap().iter().all(|count| count.state.is_over()) {
            break;
        }
        drop(reader);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let steps = (count * STEPS) as f64 / begun.elapsed().as_secs_f64();
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("| {name} | {} | {count} | {steps:.0} | {singles:.0} | {:.2} |", stores.len(), steps / singles);
    for store in stores {
        store.close().await;
    }
}

/// How many decisions a second are committed that change one row each, by as many callers as there are runs.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn singles(stores: &[Store], callers: usize) -> f64 {
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let store = stores[caller % stores.len()].clone();
            tokio::spawn(async move {
                let mut count = 0_usize;
                while begun.elapsed() < BASELINE {
                    store.decide(Beat(Time::EPOCH)).await.unwrap();
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for caller in callers {
        count += caller.await.unwrap();
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// A runbook that asks the world so often.
fn runbook() -> String {
    let mut text = "name: steps\nmode: auto\ntrigger: { chat: {} }\ninputs:\n  at: { type: text }\n\
                    target: { service: \"{{ at }}\", environment: production }\nsteps:\n"
        .to_owned();
    for number in 0..STEPS {
        text.push_str(&format!(
            "  - name: step {number}\n    action: http\n    with: {{ method: POST, url: \"http://target.example/{{{{ at }}}}\" }}\n    \
             timeout: 5s\n    repeat: safe\n"
        ));
    }
    text
}

/// Says something to the server that makes or drops a database.
fn postgres(url: &str, statement: &str) {
    let said = std::process::Command::new("psql").args([url, "-qc", statement]).status().unwrap();
    assert!(said.success(), "`{statement}` is carried out");
}
