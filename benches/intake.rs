//! How many alerts a second are taken for good, beside the same HTTP and JSON with no store behind it.
//!
//! `cargo bench --bench intake [seconds]`. The load comes from the same process and shares its cores; each figure is
//! quoted as a ratio to the baseline of the same run. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use firewarden::{
    adapters::{
        alertmanager,
        clock::SystemClock,
        web::{Auth, BODY_LIMIT, Gate, Keys, Source, SourceKind, Web, router},
    },
    engine::{Engine, Rules},
    store::Store,
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

const PATH: &str = "/webhooks/alertmanager";
const TOKEN: &str = "a-token-for-the-measurement";

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let length = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let bare = serve(Router::new().route(PATH, post(parse_only))).await;
        println!("| alerts a body | connections | parse only, alerts/s | durable, alerts/s | CPU an alert | ratio | p50 | p99 |");
        println!("|---|---|---|---|---|---|---|---|");
        for (size, connections) in [(1, 1), (1, 16), (1, 64), (100, 1), (100, 16)] {
            let only = std::env::var("ONLY").ok();
            if only.as_ref().is_some_and(|only| *only != format!("{size}x{connections}")) {
                continue;
            }
            // Each row starts with an empty store, so that none is measured against the rows of another.
            let store = Store::open(&folder.path().join(format!("{size}-{connections}.db"))).await.unwrap();
            let bot = serve(bot(store)).await;
            let baseline =
                load(bare, size, connections, if only.is_some() { Duration::from_millis(50) } else { length }).await;
            let durable = load(bot, size, connections, length).await;
            println!(
                "| {size} | {connections} | {:.0} | {:.0} | {:.1} µs | {:.2} | {:.1} ms | {:.1} ms |",
                baseline.rate,
                durable.rate,
                durable.cpu,
                durable.rate / baseline.rate,
                durable.at(0.50),
                durable.at(0.99),
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

fn bot(store: Store) -> Router {
    let source = Source {
        name: "bench".to_owned(),
        kind: SourceKind::Alertmanager,
        auth: Auth::bearer(&[SecretString::from(TOKEN)]),
        parse: Some(Arc::new(|body| alertmanager::parse(body, "bench"))),
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

struct Measured {
    rate: f64,
    /// What an alert cost of a core, the load included, in microseconds.
    cpu: f64,
    /// How long each request took, shortest first.
    took: Vec<Duration>,
}

impl Measured {
    /// The quantile in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    fn at(&self, quantile: f64) -> f64 {
        let index = (self.took.len() as f64 * quantile) as usize;
        self.took.get(index).map_or(f64::NAN, |took| took.as_secs_f64() * 1_000.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn load(address: SocketAddr, size: usize, connections: usize, length: Duration) -> Measured {
    let (start, used) = (Instant::now(), cpu());
    let senders: Vec<_> =
        (0..connections).map(|sender| tokio::spawn(send(address, sender, size, start + length))).collect();
    let mut took = Vec::new();
    for sender in senders {
        took.extend(sender.await.unwrap());
    }
    let elapsed = start.elapsed().as_secs_f64();
    let used = cpu() - used;
    took.sort();
    let alerts = (took.len() * size) as f64;
    Measured { rate: alerts / elapsed, cpu: used.as_secs_f64() * 1e6 / alerts, took }
}

/// What this process has used of the cores so far. Linux counts it in hundredths of a second.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Sends one body after the other, each with alerts that were never seen before.
async fn send(address: SocketAddr, sender: usize, size: usize, until: Instant) -> Vec<Duration> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut took = Vec::new();
    let mut answer = vec![0_u8; 4096];
    while Instant::now() < until {
        let body = body(sender, took.len(), size);
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = Instant::now();
        connection.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut connection, &mut answer).await;
        took.push(sent.elapsed());
    }
    took
}

async fn read_answer(connection: &mut TcpStream, answer: &mut [u8]) {
    let mut read = 0;
    loop {
        let more = connection.read(&mut answer[read..]).await.unwrap();
        assert!(more > 0, "the connection was closed");
        read += more;
        let text = std::str::from_utf8(&answer[..read]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 202"), "{text}");
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

/// What Alertmanager sends; every alert belongs to one of 50 services.
fn body(sender: usize, number: usize, size: usize) -> String {
    let alerts: Vec<String> = (0..size)
        .map(|index| {
            format!(
                r#"{{"status":"firing","labels":{{"alertname":"Load","env":"production","instance":"i{sender}-{number}-{index}","service":"s{}","severity":"warning"}},"annotations":{{"summary":"Load is high"}},"startsAt":"2026-11-23T03:00:00.000Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"0"}}"#,
                (number + index) % 50
            )
        })
        .collect();
    format!(
        r#"{{"version":"4","receiver":"bench","status":"firing","groupKey":"{{}}","groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"","truncatedAlerts":0,"alerts":[{}]}}"#,
        alerts.join(",")
    )
}
