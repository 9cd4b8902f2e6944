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

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use firewarden::{
    adapters::clock::SystemClock,
    domain::{
        people::{Capability, PersonId},
        runbooks::{self, plan::Mode},
    },
    engine::{
        Rules,
        ports::{
            Http, HttpAnswer, HttpOutcome, HttpRequest, Metrics, Program, ProgramOutcome, Programs, Sample, Secrets,
        },
        rules::People,
        runs::{
            self, Ports,
            foresee::{self, Asked, World},
        },
    },
    store::{Address, ReadOnly, Store},
};
use secrecy::SecretString;

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
        let (rules, ports) = (rules(&text), ports());
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

fn rules(text: &str) -> Rules {
    let plan = runbooks::read(Path::new("fifty.yaml"), text.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
    let people = People {
        known: BTreeMap::from([(PersonId("ada".to_owned()), BTreeSet::from(["on-call".to_owned()]))]),
        roles: BTreeMap::from([("on-call".to_owned(), Capability::Operate)]),
        ..People::default()
    };
    let runbooks = BTreeMap::from([(plan.name.clone(), Arc::new(plan))]);
    Rules { people, runs: runs::Settings { runbooks, mode: Mode::Auto }, ..Rules::default() }
}

/// A world that answers everything at once, and is never asked to change anything.
struct Instantly;

#[async_trait]
impl Http for Instantly {
    async fn send(&self, request: HttpRequest) -> HttpOutcome {
        assert_eq!(request.method, "GET", "a plan changes nothing");
        let body = b"{\"version\":\"v1\"}".to_vec();
        HttpOutcome::Answered(HttpAnswer { status: 200, headers: BTreeMap::new(), body, is_cut: false })
    }
}

#[async_trait]
impl Programs for Instantly {
    async fn run(&self, _: Program) -> ProgramOutcome {
        ProgramOutcome::NotStarted("there are no programs here".to_owned())
    }

    async fn end(&self, _: &str) {}
}

#[async_trait]
impl Metrics for Instantly {
    async fn query(&self, _: Option<&str>, _: &str, _: Duration) -> Result<Vec<Sample>, String> {
        Ok(Vec::new())
    }
}

impl Secrets for Instantly {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        Err(format!("there is no secret `{name}`"))
    }

    fn known(&self) -> Vec<SecretString> {
        Vec::new()
    }
}

fn ports() -> Ports {
    Ports {
        http: Arc::new(Instantly),
        programs: Arc::new(Instantly),
        metrics: Arc::new(Instantly),
        secrets: Arc::new(Instantly),
        clusters: BTreeMap::new(),
        code_host: None,
        clock: Arc::new(SystemClock),
        is_halt_file_there: Arc::new(|| false),
    }
}
