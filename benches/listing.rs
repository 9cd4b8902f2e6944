//! What very many active alerts cost: how long listing them takes by Alertmanager's API, the memory, and a kill -9.
//!
//! `cargo bench --bench listing [-- alerts]`, beside Debian's Alertmanager with the same alerts in the same run. A silence is
//! held against each alert when it is listed. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on stops, and prints what it found"
)]

mod rig;

use std::time::{Duration, Instant};

use firewarden::{adapters::clock::SystemClock, engine::ports::Clock};
use rig::{Target, quantile};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How many alerts a body has that fills the store.
const BODY: usize = 1_000;
/// How often each list is asked for.
const TIMES: usize = 9;
/// What each alert of a list has once.
const ALERT: &[u8] = b"\"fingerprint\":";

fn main() {
    let alerts = rig::number(100_000);
    rig::run(async {
        println!("| {alerts} alerts held by | asked for | alerts | median | slowest | memory at the most |");
        println!("|---|---|---|---|---|---|");
        row_of("firewarden", &Target::bot_with(CONFIG), alerts).await;
        if let Some(neighbor) = Target::alertmanager() {
            row_of("prometheus-alertmanager", &neighbor, alerts).await;
        }
    });
}

/// Fills it, lists what it holds, kills it, and looks at what it holds when it is ready again.
async fn row_of(name: &str, target: &Target, alerts: usize) {
    let (mut running, _) = target.start().await;
    let ends = (SystemClock.now() + Duration::from_hours(24)).to_string();
    ask(target, "POST", "/silences", &SILENCE.replace("ENDS", &ends)).await;
    for first in (0..alerts).step_by(BODY) {
        ask(target, "POST", "/alerts", &body(first, BODY.min(alerts - first))).await;
    }
    for path in ["/alerts?filter=instance%3Di7", "/alerts?silenced=false", "/alerts", "/alerts/groups"] {
        let mut took = Vec::new();
        let mut listed = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            listed = ask(target, "GET", path, "").await;
            took.push(begun.elapsed());
        }
        let (median, slowest) = (quantile(&mut took, 0.5), quantile(&mut took, 0.999));
        let memory = running.most_memory();
        println!("| {name} | `{path}` | {listed} | {median:.0} ms | {slowest:.0} ms | {memory:.0} MiB |");
    }
    running.kill();
    let (running, took) = target.start().await;
    let listed = ask(target, "GET", "/alerts", "").await;
    let memory = running.most_memory();
    println!("| {name} | killed, ready again | {listed} | {} ms | | {memory:.0} MiB |", took.as_millis());
}

/// Asks for something that must be answered with 200; how many alerts the answer has.
async fn ask(target: &Target, method: &str, path: &str, body: &str) -> usize {
    let mut connection = TcpStream::connect(target.address).await.unwrap();
    let request = format!(
        "{method} /api/v2{path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        rig::TOKEN,
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut part = vec![0_u8; 256 * 1024];
    // The end of what was read stays in front of what is read next, for what is counted may stand across both.
    let (mut kept, mut alerts, mut is_begun) = (0, 0, false);
    loop {
        let read = connection.read(&mut part[kept..]).await.unwrap();
        if read == 0 {
            return alerts;
        }
        assert!(is_begun || part.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&part[..read]));
        is_begun = true;
        let length = kept + read;
        alerts += memchr::memmem::find_iter(&part[..length], ALERT).count();
        kept = length.min(ALERT.len() - 1);
        part.copy_within(length - kept..length, 0);
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

const SILENCE: &str = r#"{"matchers":[{"name":"env","value":"prod.*","isRegex":true,"isEqual":true}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"ENDS","createdBy":"bench","comment":"a measurement"}"#;

const CONFIG: &str = r#"
[[sources]]
name = "prometheus"
kind = "prometheus"
auth = { bearer = { file = "token" } }
may = "respond"

[[routes]]
name = "load"
match = ['alertname="Load"']
service = { label = "service" }
severity = { label = "severity", default = "SEV3" }
"#;
