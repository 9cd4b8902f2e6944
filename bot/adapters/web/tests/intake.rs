//! What machines send: only whom the gate knows, only what can be read, acknowledged only when it is kept.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{Keys, LIMIT, Server};
use crate::{domain::time::Time, engine::signs::SLOW, store};

const ONE: &str = r#"[{"alertname": "Down"}]"#;

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test]
async fn a_source_is_taken_by_its_credentials_and_sent_away_without() {
    let server = Server::new().await;
    let (right, wrong) = (basic("am:word"), basic("am:other"));
    let cases = [
        ("/webhooks/alertmanager", "Bearer old-token", StatusCode::ACCEPTED),
        ("/webhooks/alertmanager", "bearer new-token", StatusCode::ACCEPTED),
        ("/webhooks/alertmanager/prom", "Bearer new-token", StatusCode::ACCEPTED),
        ("/webhooks/alertmanager", &right, StatusCode::ACCEPTED),
        ("/webhooks/alertmanager/backup", &right, StatusCode::ACCEPTED),
        ("/webhooks/alertmanager", "", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "Bearer ", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "Bearer old-toke", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "old-token", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "Basic old-token", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "Bearer am:word", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", "Bearer ada-token", StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager", &wrong, StatusCode::UNAUTHORIZED),
        ("/webhooks/alertmanager/backup", "Bearer new-token", StatusCode::FORBIDDEN),
        ("/webhooks/generic/prom", "Bearer new-token", StatusCode::FORBIDDEN),
        ("/webhooks/generic/nagios", "Bearer new-token", StatusCode::FORBIDDEN),
    ];
    for (path, authorization, expected) in cases {
        let told = server.post(path, &[("authorization", authorization)], ONE).await;
        assert_eq!(told.status, expected, "{path} with `{authorization}`: {}", told.text);
    }
}

#[tokio::test]
async fn a_signature_counts_for_this_body_and_this_moment_once() {
    let server = Server::new().await;
    let now = server.trial.engine.now().millis() / 1000;
    let send = async |at: i64, signature: &str, body: &str| {
        let headers = [("x-firewarden-time", at.to_string()), ("x-firewarden-signature", signature.to_owned())];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.post("/webhooks/generic/nagios", &headers, body).await.status
    };
    let first = signature("first", now, ONE);
    assert_eq!(send(now, &first, ONE).await, StatusCode::ACCEPTED);
    assert_eq!(send(now, &format!("sha256={}", signature("second", now, ONE)), ONE).await, StatusCode::ACCEPTED);
    assert_eq!(send(now, &signature("third", now, ONE), ONE).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(now, &first, "[]").await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(now + 1, &first, ONE).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(now, "zz", ONE).await, StatusCode::UNAUTHORIZED);
    let old = now - 301;
    assert_eq!(send(old, &signature("first", old, ONE), ONE).await, StatusCode::UNAUTHORIZED);
    let ahead = now + 301;
    assert_eq!(send(ahead, &signature("first", ahead, ONE), ONE).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send(i64::MAX, &signature("first", i64::MAX, ONE), ONE).await, StatusCode::UNAUTHORIZED);

    let heard = async || {
        let mut reader = server.trial.engine.read().await.unwrap();
        reader.row("select count(*) as n from inputs", &[]).await.unwrap().unwrap().int("n").unwrap()
    };
    let before = heard().await;
    assert_eq!(send(now, &first, ONE).await, StatusCode::ACCEPTED, "a repeat is acknowledged");
    assert_eq!(heard().await, before, "and says nothing new");
    server.trial.clock.pass(Duration::from_secs(301));
    assert_eq!(send(now, &first, ONE).await, StatusCode::UNAUTHORIZED, "later not even that");
}

#[tokio::test]
async fn a_rotated_secret_stops_counting_at_once() {
    let server = Server::new().await;
    let headers = [("authorization", "Bearer old-token")];
    assert_eq!(server.post("/webhooks/alertmanager", &headers, ONE).await.status, StatusCode::ACCEPTED);
    server.gate.adopt(Keys::default());
    assert_eq!(server.post("/webhooks/alertmanager", &headers, ONE).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_place() {
    let server = Server::new().await;
    let headers = [("authorization", "Bearer old-token"), ("content-type", "text/plain")];
    let told = server.post("/webhooks/alertmanager", &headers, "nonsense").await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(told.json()["error"].as_str().unwrap().starts_with("`alerts[3].startsAt`: "), "{}", told.text);
    assert_eq!(told.json()["hint"], "mend it");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let server = Server::new().await;
    let headers = [("authorization", "Bearer old-token")];
    let fits = format!("{ONE}{}", " ".repeat(LIMIT - ONE.len()));
    assert_eq!(server.post("/webhooks/alertmanager", &headers, &fits).await.status, StatusCode::ACCEPTED);
    let told = server.post("/webhooks/alertmanager", &headers, &format!("{fits} ")).await;
    assert_eq!(told.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(told.json()["hint"].as_str().unwrap().contains("body_limit"), "{}", told.text);
}

#[tokio::test]
async fn what_is_acknowledged_is_kept_and_nothing_is_acknowledged_once_the_store_is_gone() {
    let server = Server::new().await;
    let headers = [("authorization", "Bearer old-token")];
    let two = r#"[{"alertname": "Down"}, {"alertname": "Größe 🔥"}]"#;
    let told = server.post("/webhooks/alertmanager", &headers, two).await;
    assert_eq!((told.status, told.json()), (StatusCode::ACCEPTED, json!({ "alerts": 2, "truncated": 0 })));
    let mut reader = server.trial.engine.read().await.unwrap();
    let kept = reader.row("select count(*) as n from alerts", &[]).await.unwrap().unwrap();
    assert_eq!(kept.int("n").unwrap(), 2);
    drop(reader);

    server.trial.engine.store().close().await;
    let told = server.post("/webhooks/alertmanager", &headers, ONE).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{}", told.text);
    assert_eq!(told.header("retry-after"), "5");
    assert!(!told.text.contains(".db"), "a sender learns nothing of the machine: {}", told.text);
    assert_eq!(server.get("/readyz", &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/healthz", &[]).await.status, StatusCode::OK);
}

struct Page(Time);
impl store::Decision for Page {
    type Answer = ();
    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        let body = json!({});
        let page =
            store::posts::NewPost { channel: "ops", is_page: true, incident: None, body: &body, expires_at: None };
        store::posts::add(tx, &page, self.0).await.map(drop)
    }
}

#[tokio::test]
async fn trouble_with_a_chat_is_a_warning_and_turns_no_alert_away() {
    let server = Server::new().await;
    let told = server.get("/readyz", &[]).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(told.json()["warnings"], json!({ "discord": "it is not connected" }));

    server.trial.engine.store().decide(Page(server.trial.engine.now())).await.unwrap();
    server.trial.clock.pass(Duration::from_secs(90));
    let told = server.get("/readyz", &[]).await;
    assert_eq!(
        (told.status, &told.json()["warnings"]["delivery"]),
        (StatusCode::OK, &json!("a page has waited for 90 s"))
    );
}

/// Wants this card shown ahead of everything else, or says that it is.
struct Shown(&'static str, Time);
impl store::Decision for Shown {
    type Answer = ();
    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        match self.0 {
            "wanted" => store::cards::want(tx, "INC-1", "ops", (None, true), self.1).await,
            _ => store::cards::shown(tx, "INC-1", 1, "m1").await,
        }
    }
}

/// A card that nobody has seen is a page that waits; one that only changes is not.
#[tokio::test]
async fn a_card_that_nobody_has_seen_is_a_page_that_waits() {
    let server = Server::new().await;
    let warned = async || server.get("/readyz", &[]).await.json()["warnings"]["delivery"].clone();
    let store = server.trial.engine.store();
    store.decide(Shown("wanted", server.trial.engine.now())).await.unwrap();
    server.trial.clock.pass(Duration::from_secs(90));
    assert_eq!(warned().await, json!("a page has waited for 90 s"));
    store.decide(Shown("shown", server.trial.engine.now())).await.unwrap();
    store.decide(Shown("wanted", server.trial.engine.now())).await.unwrap();
    server.trial.clock.pass(Duration::from_secs(90));
    assert_eq!(warned().await, serde_json::Value::Null);
}

#[tokio::test]
async fn a_write_that_hangs_makes_the_bot_unready_while_it_hangs() {
    let server = Server::new().await;
    let signs = server.trial.engine.signs();
    signs.write_begins();
    assert_eq!(server.get("/readyz", &[]).await.status, StatusCode::OK);
    signs.age(SLOW);
    let told = server.get("/readyz", &[]).await;
    assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE);
    let why = told.json()["reasons"]["store"].as_str().unwrap().to_owned();
    assert!(why.contains("a write did not end within 10 s"), "{why}");
}

#[tokio::test]
async fn the_metrics_ask_for_a_token_only_where_there_is_one() {
    assert_eq!(Server::new().await.get("/metrics", &[]).await.status, StatusCode::NOT_FOUND);
    let scrapers = vec![super::Fingerprint::of("scrape").unwrap()];
    let server = Server::with(Keys { scrapers, ..super::keys() }).await;
    assert_eq!(server.get("/metrics", &[]).await.status, StatusCode::UNAUTHORIZED);
    let told = server.get("/metrics", &[("authorization", "Bearer scrape")]).await;
    assert_eq!(told.status, StatusCode::NOT_FOUND, "let in, though nothing is recorded here");
}

#[tokio::test]
async fn an_address_that_is_none_and_a_method_that_is_none_are_told() {
    let server = Server::new().await;
    assert_eq!(server.get("/nonsense", &[]).await.json()["error"], "There is nothing at this address");
    let page = server.get("/nonsense", &[("accept", "text/html")]).await;
    assert!(page.status == StatusCode::NOT_FOUND && page.text.starts_with("<!DOCTYPE html>"), "{}", page.text);
    let told = server.ask(Method::DELETE, "/webhooks/alertmanager", &[], Body::empty()).await;
    assert_eq!(told.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Memory does not grow with senders: whoever finds no room comes again, by the answer that it understands.
#[tokio::test]
async fn a_full_room_sends_away_and_has_room_again() {
    let server = std::sync::Arc::new(Server::new().await);
    let (started, mut reading) = tokio::sync::mpsc::unbounded_channel();
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let (server, started) = (std::sync::Arc::clone(&server), started.clone());
            let pending = futures::stream::once(async move {
                started.send(()).unwrap();
                std::future::pending::<std::io::Result<&'static str>>().await
            });
            tokio::spawn(async move {
                let headers = [("authorization", "Bearer new-token")];
                server.ask(Method::POST, "/webhooks/alertmanager", &headers, Body::from_stream(pending)).await
            })
        })
        .collect();
    for _ in &slow {
        reading.recv().await.unwrap();
    }
    let told = server.post("/webhooks/alertmanager", &[("authorization", "Bearer new-token")], ONE).await;
    assert_eq!((told.status, told.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"), "{}", told.text);
    let now = server.trial.engine.now().millis() / 1000;
    let signed = [("x-firewarden-time", now.to_string()), ("x-firewarden-signature", signature("first", now, ONE))];
    let signed: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = server.post("/webhooks/generic/nagios", &signed, ONE).await;
    assert_eq!((told.status, told.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "2"), "{}", told.text);
    assert!(told.text.contains("nothing of it was kept"), "{}", told.text);
    for request in slow {
        request.abort();
        assert!(request.await.is_err());
    }
    let told = server.post("/webhooks/alertmanager", &[("authorization", "Bearer new-token")], ONE).await;
    assert_eq!(told.status, StatusCode::ACCEPTED, "{}", told.text);
}
