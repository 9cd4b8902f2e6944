//! How long it takes to list very many alerts by Alertmanager's API, and how much memory that needs.
//!
//! `cargo bench --bench listing [-- alerts]`. The alerts are taken under a silence, so that filling the store takes no
//! incidents, and each of them is held against a silence when it is listed. See `benches/README.md`.

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

use firewarden::{
    adapters::{
        clock::SystemClock,
        web::{Auth, Gate, Keys, Source, SourceKind, Web, router},
    },
    domain::people::Capability,
    engine::{Engine, Rules},
    store::Store,
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "a-token-for-the-measurement";
/// How many alerts a body has that fills the store.
const BODY: usize = 1_000;
/// How often each list is asked for.
const TIMES: usize = 9;

fn main() {
    let alerts: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("listing.db")).await.unwrap();
        let address = serve(store).await;
        let silence = r#"{"matchers":[{"name":"env","value":"prod.*","isRegex":true}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"ENDS","createdBy":"bench","comment":""}"#;
        let ends = firewarden::engine::ports::Clock::now(&SystemClock) + Duration::from_hours(24);
        ask(address, "POST", "/silences", &silence.replace("ENDS", &ends.to_string())).await;
        for first in (0..alerts).step_by(BODY) {
            ask(address, "POST", "/alerts", &body(first, BODY.min(alerts - first))).await;
        }
        println!("| {alerts} alerts | median | slowest | bytes | peak of the process |");
        println!("|---|---|---|---|---|");
        for path in [
            "/alerts?filter=instance%3Di7",
            "/alerts?silenced=false",
            "/alerts",
            "/alerts/groups",
        ] {
            let mut took = Vec::new();
            let mut bytes = 0;
            for _ in 0..TIMES {
                let begun = Instant::now();
                bytes = ask(address, "GET", path, "").await;
                took.push(begun.elapsed());
            }
            took.sort();
            println!(
                "| `{path}` | {} ms | {} ms | {bytes} | {} |",
                took[TIMES / 2].as_millis(),
                took[TIMES - 1].as_millis(),
                peak()
            );
        }
    });
}

async fn serve(store: Store) -> SocketAddr {
    let source = Source {
        name: "bench".to_owned(),
        kind: SourceKind::Prometheus,
        auth: Auth::bearer(&[SecretString::from(TOKEN)]),
        parse: None,
        may: Some(Capability::Respond),
    };
    let router = router(Web {
        engine: Engine::new(store, Arc::new(SystemClock), Rules::default()),
        gate: Gate::new(Keys { sources: vec![source], ..Keys::default() }),
        body_limit: 16 * 1024 * 1024,
        metrics: None,
        is_behind_tls: false,
        stop: CancellationToken::new(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Asks for something that must be answered with 200; how many bytes the answer has.
async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> usize {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /api/v2{path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    // What was read is thrown away, so that only the server's memory is measured.
    let mut part = vec![0_u8; 256 * 1024];
    let mut bytes = 0;
    loop {
        let read = connection.read(&mut part).await.unwrap();
        if read == 0 {
            return bytes;
        }
        assert!(bytes > 0 || part.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&part[..read]));
        bytes += read;
    }
}

/// What Prometheus sends of so many alerts; every alert belongs to one of 50 services.
fn body(first: usize, count: usize) -> String {
    let alerts: Vec<String> = (first..first + count)
        .map(|number| {
            format!(
                r#"{{"labels":{{"alertname":"Load","env":"production","instance":"i{number}","job":"node","service":"s{}","severity":"warning"}},"annotations":{{"summary":"Load is high on i{number}","description":"The load of the last five minutes is above what it may be."}},"startsAt":"2026-11-23T03:00:00.000Z","endsAt":"2099-11-23T03:00:00.000Z","generatorURL":"http://prometheus.example.org/graph?g0.expr=load5+%3E+10&g0.tab=1"}}"#,
                number % 50
            )
        })
        .collect();
    format!("[{}]", alerts.join(","))
}

/// The most memory that the process has had, as the kernel says.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown", str::trim).to_owned()
}
