//! How long a plan of a run takes: 50 steps, of which half are read and half would change something.
//!
//! `cargo bench --bench plan [rounds]`, beside the same runbook's file read and checked, which is what a plan cannot do
//! without. What is read takes no time here: it is answered at once. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;
mod world;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use firewarden::{
    domain::runbooks,
    engine::runs::foresee::{self, Asked, World},
    store::{Address, ReadOnly, Store},
};

/// How many steps the runbook has.
const STEPS: usize = 50;

fn main() {
    let rounds = rig::number(200);
    rig::run(async {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::File(folder.path().join("plan.db"));
        Store::open(address.clone()).await.unwrap().close().await;
        let store = ReadOnly::open(address).await.unwrap();
        let text = runbook();
        let (rules, ports) = (world::rules(&text), world::ports());
        let mut plans = Vec::new();
        let mut files = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            let world = World { store: &store, rules: &rules, ports: &ports };
            let asked = Asked { runbook: "fifty".to_owned(), ..Asked::default() };
            let outlook = foresee::foresee(world, asked).await.unwrap();
            plans.push(begun.elapsed());
            assert!(outlook.refused.is_none() && outlook.changes().len() == STEPS / 2, "{:?}", outlook.refused);
            let begun = Instant::now();
            let plan = runbooks::read(Path::new("fifty.yaml"), text.as_bytes());
            files.push(begun.elapsed());
            assert!(plan.is_ok());
        }
        let (plans, files) = (sorted(plans), sorted(files));
        let ratio = middle(&plans).as_secs_f64() / middle(&files).as_secs_f64();
        println!("| steps | plan, p50 | the longest | the file read and checked, p50 | ratio |");
        println!("|---|---|---|---|---|");
        println!(
            "| {STEPS} | {} | {} | {} | {ratio:.1} |",
            ms(middle(&plans)),
            ms(*plans.last().unwrap()),
            ms(middle(&files))
        );
    });
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort();
    times
}

fn middle(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// A runbook that reads first, each step what the one before found, and then changes what it found.
fn runbook() -> String {
    let mut text =
        "name: fifty\nmode: ask\ntrigger: { chat: {} }\ntarget: { service: checkout, environment: production }\n\
                    approval: { before: change 0, by: [\"role:on-call\"], binds: [read0.version] }\nsteps:\n"
            .to_owned();
    for number in 0..STEPS / 2 {
        let of = number.checked_sub(1).map_or("none".to_owned(), |before| format!("{{{{ read{before}.version }}}}"));
        text.push_str(&format!(
            "  - name: read {number}\n    action: http\n    with:\n      url: \"http://target.example/{number}/{of}\"\n      \
             extract: {{ version: response.json.version }}\n    output: read{number}\n"
        ));
    }
    for number in 0..STEPS / 2 {
        text.push_str(&format!(
            "  - name: change {number}\n    action: http\n    when: \"read{number}.version != 'v2'\"\n    with:\n      \
             method: POST\n      url: \"http://target.example/{number}\"\n      \
             body: {{ version: \"{{{{ read{number}.version }}}}\", by: \"{{{{ run.id }}}}\" }}\n    timeout: 5s\n    repeat: safe\n    \
             undo: {{ action: http, with: {{ method: DELETE, url: \"http://target.example/{number}\" }} }}\n"
        ));
    }
    text
}
