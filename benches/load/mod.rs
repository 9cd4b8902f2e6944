//! A load of alerts for whatever takes them over HTTP: so many connections, each sending one body after the other.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Who is sent the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The path to which alerts are posted.
    pub(crate) path: &'static str,
    /// The token that it wants, if it wants one.
    pub(crate) token: &'static str,
    /// What is put around the alerts: before and after them.
    pub(crate) around: (&'static str, &'static str),
    /// Whether each alert says its status, as in Alertmanager's webhook; its own interface wants none.
    pub(crate) says_status: bool,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Alerts a body.
    pub(crate) size: usize,
    /// How many connections send at the same time.
    pub(crate) connections: usize,
    /// Whether every body of a connection is about the same alerts; else each is about ones that were never seen before.
    pub(crate) repeats: bool,
}

/// What Alertmanager puts around the alerts of a webhook.
pub(crate) const WEBHOOK: (&str, &str) = (
    r#"{"version":"4","receiver":"bench","status":"firing","groupKey":"{}","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"","truncatedAlerts":0,"alerts":["#,
    "]}",
);

/// What a load came to.
pub(crate) struct Measured {
    /// Alerts a second.
    pub(crate) rate: f64,
    /// How long each request took.
    pub(crate) took: Vec<Duration>,
}

/// Sends the load for so long.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn load(to: Receiver, load: Load, length: Duration) -> Measured {
    let start = Instant::now();
    let senders: Vec<_> =
        (0..load.connections).map(|sender| tokio::spawn(send(to, sender, load, start + length))).collect();
    let mut took = Vec::new();
    for sender in senders {
        took.extend(sender.await.unwrap());
    }
    Measured { rate: (took.len() * load.size) as f64 / start.elapsed().as_secs_f64(), took }
}

/// Sends one body after the other.
async fn send(to: Receiver, sender: usize, load: Load, until: Instant) -> Vec<Duration> {
    let mut connection = TcpStream::connect(to.address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut took = Vec::new();
    let mut answer = vec![0_u8; 16 * 1024];
    while Instant::now() < until {
        let body = body(to, sender, if load.repeats { 0 } else { took.len() }, load.size);
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            to.path,
            to.token,
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
        assert!(head.starts_with("HTTP/1.1 20"), "{text}");
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

/// Every alert belongs to one of 50 services.
fn body(to: Receiver, sender: usize, number: usize, size: usize) -> String {
    let status = if to.says_status { r#""status":"firing","fingerprint":"0","# } else { "" };
    let alerts: Vec<String> = (0..size)
        .map(|index| {
            format!(
                r#"{{{status}"labels":{{"alertname":"Load","env":"production","instance":"i{sender}-{number}-{index}","service":"s{}","severity":"warning"}},"annotations":{{"summary":"Load is high"}},"startsAt":"2026-11-23T03:00:00.000Z","generatorURL":"http://prometheus.example"}}"#,
                (number + index) % 50
            )
        })
        .collect();
    format!("{}{}{}", to.around.0, alerts.join(","), to.around.1)
}
