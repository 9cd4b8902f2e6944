//! How many alerts a second are taken for good, beside the same HTTP and JSON with no store behind it, and beside the
//! same alerts appended to a table with no rules.
//!
//! `cargo bench --bench intake -- [seconds] [alerts behind] [100x16]`. The load comes from the same process and shares its
//! cores; each figure is quoted as a ratio to a baseline of the same run. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod load;
mod rig;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use firewarden::{
    adapters::{
        alertmanager,
        clock::SystemClock,
        web::{Auth, BODY_LIMIT, Gate, Keys, Source, SourceKind, Web, router},
    },
    domain::alerts::Identity,
    engine::{Engine, Rules},
    store::{Decision, Store, Tx},
};
use load::{Load, Receiver, WEBHOOK};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PATH: &str = "/webhooks/alertmanager";
/// How many alerts are filled in by one commit.
const SLICE: u64 = 500_000;

const LOADS: [Load; 7] = [
    Load { size: 1, connections: 1, repeats: false },
    Load { size: 1, connections: 16, repeats: false },
    Load { size: 1, connections: 64, repeats: false },
    Load { size: 100, connections: 1, repeats: false },
    Load { size: 100, connections: 16, repeats: false },
    Load { size: 1, connections: 64, repeats: true },
    Load { size: 100, connections: 16, repeats: true },
];

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let length = Duration::from_secs(numbers.next().unwrap_or(5));
    let behind = numbers.next().unwrap_or(0);
    let only = std::env::args().skip(1).find(|argument| argument.contains('x'));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let bare = serve(Router::new().route(PATH, post(parse_only))).await;
        println!("| alerts a body | connections | | parse only | append only | durable | to append only | CPU an alert | p50 | p99 | memory |");
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for load in LOADS {
            let Load { size, connections, repeats } = load;
            if only.as_ref().is_some_and(|only| *only != format!("{size}x{connections}")) {
                continue;
            }
            // Each row starts with stores of its own, so that none is measured against the rows of another.
            let place = |name: &str| folder.path().join(format!("{name}-{size}-{connections}-{repeats}.db"));
            let store = Store::open(&place("bot")).await.unwrap();
            fill(&store, behind).await;
            let used = cpu();
            let mut durable = load::load(to(serve(bot(store.clone())).await), load, length).await;
            let (used, memory) = (cpu().saturating_sub(used), rig::memory(std::process::id()));
            store.close().await;
            let parsed = load::load(to(bare), load, length).await;
            let appended = Store::open(&place("append")).await.unwrap();
            appended.decide(Prepare).await.unwrap();
            let append = Router::new().route(PATH, post(append_only)).with_state(appended.clone());
            let append = load::load(to(serve(append).await), load, length).await;
            appended.close().await;
            let cpu = used.as_secs_f64() * 1e6 / (durable.took.len() * size) as f64;
            println!(
                "| {size} | {connections} | {} | {:.0}/s | {:.0}/s | {:.0}/s | {:.2} | {cpu:.1} µs | {:.1} ms | {:.1} ms | {memory:.0} MiB |",
                if repeats { "repeats" } else { "new" },
                parsed.rate,
                append.rate,
                durable.rate,
                durable.rate / append.rate,
                rig::quantile(&mut durable.took, 0.50),
                rig::quantile(&mut durable.took, 0.99),
            );
        }
    });
}

async fn parse_only(body: Bytes) -> StatusCode {
    match alertmanager::parse(&body, "bench") {
        Ok(_) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// Appends each alert to a table with one index and answers once that is durable.
async fn append_only(State(store): State<Store>, body: Bytes) -> StatusCode {
    let Ok(batch) = alertmanager::parse(&body, "bench") else { return StatusCode::BAD_REQUEST };
    let rows: Vec<(String, String)> = batch
        .signals
        .iter()
        .map(|signal| (Identity::default().key(&signal.labels).0, serde_json::to_string(signal).unwrap()))
        .collect();
    match store.decide(Append(serde_json::to_string(&rows).unwrap())).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Makes the table to which alerts are appended.
struct Prepare;

impl Decision for Prepare {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> firewarden::store::Result<()> {
        tx.execute("create table appended (key text not null, record text not null) strict", &[]).await?;
        tx.execute("create index appended_by_key on appended (key)", &[]).await?;
        Ok(())
    }
}

/// Appends rows, each a key and a record.
struct Append(String);

impl Decision for Append {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> firewarden::store::Result<()> {
        let sql = "insert into appended (key, record) select value ->> 0, value ->> 1 from json_each($1)";
        tx.execute(sql, &[(&self.0).into()]).await?;
        Ok(())
    }
}

/// Fills the store with so many alerts that resolved long ago, each in an incident with its entry.
async fn fill(store: &Store, count: u64) {
    let mut from = 0;
    while from < count {
        let to = count.min(from + SLICE);
        store.decide(Fill { from, to, count }).await.unwrap();
        from = to;
    }
}

/// The alerts after `from` up to `to`, of so many. Their keys ascend and are spread evenly, as those of hashes are: the
/// index looks as after so many in any order, and is made in a fraction of the time.
struct Fill {
    from: u64,
    to: u64,
    count: u64,
}

impl Decision for Fill {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> firewarden::store::Result<()> {
        let [from, to, count] = [self.from, self.to, self.count].map(|number| i64::try_from(number).unwrap());
        let numbers = "with recursive n (i) as (select $1 + 1 union all select i + 1 from n where i < $2) ";
        let statements = [
            "insert into incidents (title, summary, severity, peak_severity, phase, phase_since, channel, runbooks, pages, \
             origin, opened_at, roles, milestones, earlier, group_key) select 'Old', '', 3, 3, 'closed', i, 'ops', '[]', \
             '[]', '\"alert\"', i, '{}', '{}', '[]', 'old-' || i from n where i % 1000 = 1 and $3 > 0",
            "insert into incident_groups (group_key, incident) select group_key, id from incidents \
             where opened_at > $1 and opened_at <= $2 and $3 > 0",
            "insert into alerts (key, state, last_seen, record) select printf('%08x%024d', i * 4294967295 / $3, i), \
             'resolved', i, printf('%.700c', 'x') from n",
            "insert into incident_alerts (incident, alert, alert_key, name, severity, episode, state, joined_at, fired_at) \
             select 1 + (id - 1) / 1000, id, key, 'Old', 3, 1, 'resolved', id, id from alerts \
             where id > $1 and id <= $2 and $3 > 0",
            "insert into timeline (chain, seq, at, actor, kind, body, text, hash) select 1 + (i - 1) / 1000, \
             1 + (i - 1) % 1000, i, '\"bot\"', 'alert_cleared', printf('%.300c', 'x'), printf('%.100c', 'x'), \
             printf('%.64c', 'x') from n where $3 > 0",
        ];
        for statement in statements {
            let sql: &'static str =
                if statement.contains("from n") { format!("{numbers}{statement}").leak() } else { statement };
            tx.execute(sql, &[from.into(), to.into(), count.into()]).await?;
        }
        Ok(())
    }
}

/// What this process has used of the cores so far, the load included. Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn to(address: SocketAddr) -> Receiver {
    Receiver { address, path: PATH, token: rig::TOKEN, around: WEBHOOK, says_status: true }
}

fn bot(store: Store) -> Router {
    let source = Source {
        name: "bench".to_owned(),
        kind: SourceKind::Alertmanager,
        auth: Auth::bearer(&[SecretString::from(rig::TOKEN)]),
        parse: Some(Arc::new(|body| alertmanager::parse(body, "bench"))),
        feed: None,
        may: None,
    };
    router(Web {
        engine: Engine::new(store, Arc::new(SystemClock), Rules::default()),
        gate: Gate::new(Keys { sources: vec![source], ..Keys::default() }),
        body_limit: BODY_LIMIT,
        metrics: None,
        is_behind_tls: false,
        stop: CancellationToken::new(),
    })
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
