//! Alertmanager's API: who may do what by it, and what a query finds.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Auth, Keys, Server, Source, SourceKind, Told, keys, rules, secrets};
use crate::{
    domain::{people::Capability, routes::Route},
    engine::Rules,
};

const ADA: (&str, &str) = ("authorization", "Bearer ada-token");
const SENDER: (&str, &str) = ("authorization", "Bearer prom-token");

fn prometheus(name: &str, token: &str, may: Option<Capability>) -> Source {
    let auth = Auth::bearer(&secrets(&[token]));
    Source { name: name.to_owned(), kind: SourceKind::Prometheus, auth, parse: None, feed: None, may }
}

async fn server() -> Server {
    let mut keys: Keys = keys();
    keys.sources.push(prometheus("prometheus", "prom-token", None));
    keys.sources.push(prometheus("reader", "reader-token", Some(Capability::View)));
    keys.sources.push(prometheus("tool", "tool-token", Some(Capability::Respond)));
    let server = Server::with(keys).await;
    let routes: toml::Table = toml::from_str(
        r#"
        [[route]]
        name = "shop"
        match = ['team="shop"']
        service = { label = "service" }
        channel = "shop"
        group_by = ["cluster"]
        "#,
    )
    .unwrap();
    let routes = routes["route"].clone().try_into().unwrap();
    server.trial.engine.adopt(Rules { routes, default_route: Route::fallback(), ..rules() });
    server
}

/// A body with alerts, each by its labels.
fn body(alerts: &[&[(&str, &str)]]) -> String {
    let labels =
        |labels: &&[(&str, &str)]| labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let alerts: Vec<Value> = alerts.iter().map(|alert| json!({ "labels": Value::Object(labels(alert)) })).collect();
    Value::from(alerts).to_string()
}

fn names(told: &Told) -> Vec<String> {
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let list = told.json();
    let names = list.as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

const CHECKOUT: &[(&str, &str)] = &[("alertname", "A"), ("team", "shop"), ("service", "checkout"), ("cluster", "eu")];
const CART: &[(&str, &str)] = &[("alertname", "B"), ("team", "shop"), ("service", "cart")];
const OTHER: &[(&str, &str)] = &[("alertname", "C"), ("path", "/x,{y}")];

/// A token of a Prometheus lies on many machines: with it nobody reads what else is wrong, nor sends as somebody else.
#[tokio::test]
async fn everybody_may_do_what_their_configuration_says() {
    let server = server().await;
    let one = body(&[CHECKOUT]);
    for (token, sends, reads) in [
        ("Bearer prom-token", StatusCode::OK, StatusCode::FORBIDDEN),
        ("Bearer reader-token", StatusCode::OK, StatusCode::OK),
        ("Bearer tool-token", StatusCode::OK, StatusCode::OK),
        ("Bearer ada-token", StatusCode::FORBIDDEN, StatusCode::OK),
        ("Bearer old-token", StatusCode::FORBIDDEN, StatusCode::FORBIDDEN),
        ("Bearer nobody", StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED),
    ] {
        let headers = [("authorization", token)];
        let told = server.post("/api/v2/alerts", &headers, &one).await;
        assert_eq!(told.status, sends, "{token} sends: {}", told.text);
        for path in ["alerts", "alerts/groups", "receivers", "status"] {
            let told = server.get(&format!("/api/v2/{path}"), &headers).await;
            assert_eq!(told.status, reads, "{token} reads {path}: {}", told.text);
            assert!(reads == StatusCode::OK || told.json().is_string(), "an error is a text: {}", told.text);
        }
    }
    let told = server.post("/webhooks/alertmanager", &[SENDER], "[]").await;
    assert_eq!(told.status, StatusCode::FORBIDDEN);
    assert_eq!(told.json()["hint"], "it sends to `/api/v2/alerts`");
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(server.get(path, &[]).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_query_finds_what_fulfils_all_of_it() {
    let server = server().await;
    assert_eq!(server.post("/api/v2/alerts", &[SENDER], &body(&[CHECKOUT, CART, OTHER])).await.status, StatusCode::OK);
    let all: &[&str] = &["A", "B", "C"];
    for (query, found) in [
        ("", all),
        ("?filter=team%3D%22shop%22", &["A", "B"]),
        ("?filter=team%3Dshop&filter=service!%3Dcart", &["A"]),
        ("?filter=alertname%3D~%5BAC%5D", &["A", "C"]),
        ("?filter=path%3D/x,%7By%7D", &["C"]),
        ("?filter=team%3D", &["C"]),
        ("?receiver=shop", &["A", "B"]),
        ("?receiver=sho", &[]),
        ("?receiver=shop%7Cops", all),
        ("?active=false", &[]),
        ("?silenced=false&inhibited=false&unprocessed=false", all),
        ("?receiver_matchers=owner%3Dme", &[]),
        ("?receiver_matchers=owner!%3Dme", all),
    ] {
        let told = server.get(&format!("/api/v2/alerts{query}"), &[ADA]).await;
        assert_eq!(names(&told), found, "{query}");
    }
    for query in ["?filter=nonsense", "?filter=a%3D~(", "?receiver=(", "?active=perhaps"] {
        let told = server.get(&format!("/api/v2/alerts{query}"), &[ADA]).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(told.json().as_str().unwrap().starts_with('`'), "{}", told.text);
    }
}

#[tokio::test]
async fn an_alert_is_shown_as_it_stands() {
    let server = server().await;
    let now = server.trial.engine.now();
    let minute = Duration::from_mins(1);
    let alert = json!([{
        "labels": { "alertname": "A", "team": "shop" }, "annotations": { "summary": "say \"é\"\n" },
        "startsAt": (now - minute).to_string(), "endsAt": (now + 4 * minute).to_string(),
        "generatorURL": "http://prometheus/graph",
    }]);
    server.post("/api/v2/alerts", &[SENDER], &alert.to_string()).await;
    let shown = server.get("/api/v2/alerts", &[ADA]).await.json();
    let fingerprint = shown[0]["fingerprint"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!([{
            "annotations": { "summary": "say \"é\"\n" }, "endsAt": (now + 4 * minute).to_string(),
            "fingerprint": fingerprint, "generatorURL": "http://prometheus/graph",
            "labels": { "alertname": "A", "team": "shop" }, "receivers": [{ "name": "shop" }],
            "startsAt": (now - minute).to_string(), "updatedAt": now.to_string(),
            "status": { "state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": [] },
        }])
    );

    let over = json!([{ "labels": { "alertname": "A", "team": "shop" }, "endsAt": now.to_string() }]);
    assert_eq!(server.post("/api/v2/alerts", &[SENDER], &over.to_string()).await.status, StatusCode::OK);
    assert_eq!(server.get("/api/v2/alerts", &[ADA]).await.text, "[]");
}

#[tokio::test]
async fn a_group_is_what_shares_an_incident() {
    let server = server().await;
    let second = [CHECKOUT, &[("disk", "d1")]].concat();
    server.post("/api/v2/alerts", &[SENDER], &body(&[CHECKOUT, &second, CART, OTHER])).await;
    let groups = server.get("/api/v2/alerts/groups", &[ADA]).await.json();
    let mut found: Vec<Value> = groups.as_array().unwrap().clone();
    for group in &mut found {
        group["alerts"] = json!(group["alerts"].as_array().unwrap().len());
    }
    let ops = json!({ "labels": { "alertname": "C" }, "receiver": { "name": "ops" }, "routeLabels": { "route": "default" }, "alerts": 1 });
    let shop = |labels: Value, alerts: usize| json!({ "labels": labels, "receiver": { "name": "shop" }, "routeLabels": { "route": "shop" }, "alerts": alerts });
    assert_eq!(
        found,
        [ops, shop(json!({ "service": "cart" }), 1), shop(json!({ "service": "checkout", "cluster": "eu" }), 2)]
    );
    let receivers = server.get("/api/v2/receivers", &[ADA]).await.json();
    assert_eq!(receivers, json!([{ "name": "ops", "labels": {} }, { "name": "shop", "labels": {} }]));
    let status = server.get("/api/v2/status", &[ADA]).await.json();
    let original = status["config"]["original"].as_str().unwrap();
    assert!(original.contains(r#""receivers":[{"name":"ops"},{"name":"shop"}]"#), "{original}");
}

/// Prometheus never sends again what was refused, so one bad alert must not take the others with it.
#[tokio::test]
async fn one_bad_alert_takes_no_other_with_it() {
    let server = server().await;
    let told = server.post("/api/v2/alerts", &[SENDER], &body(&[CHECKOUT, &[], CART])).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    let said = told.json();
    assert!(said.as_str().unwrap().starts_with("2 alerts were taken, 1 were not\n`[1].labels`: "), "{said}");
    assert_eq!(names(&server.get("/api/v2/alerts", &[ADA]).await), ["A", "B"]);
}

const TOOL: (&str, &str) = ("authorization", "Bearer tool-token");
const READER: (&str, &str) = ("authorization", "Bearer reader-token");

fn silence(server: &Server, matcher: &Value, length: Duration) -> Value {
    let now = server.trial.engine.now();
    json!({
        "matchers": [matcher], "startsAt": now.to_string(), "endsAt": (now + length).to_string(),
        "createdBy": "kim", "comment": "why",
    })
}

#[tokio::test]
async fn only_who_may_respond_silences() {
    let server = server().await;
    let wanted = silence(&server, &json!({ "name": "a", "value": "b", "isRegex": false }), Duration::from_hours(1));
    let wanted = wanted.to_string();
    for (header, status) in [(SENDER, 403), (READER, 403), (TOOL, 200), (ADA, 200)] {
        assert_eq!(server.post("/api/v2/silences", &[header], &wanted).await.status.as_u16(), status, "{header:?}");
    }
    let list = server.get("/api/v2/silences", &[READER]).await.json();
    let path = format!("/api/v2/silence/{}", list[0]["id"].as_str().unwrap());
    for (header, looks, ends) in [(SENDER, 403, 403), (READER, 200, 403), (TOOL, 200, 200), (ADA, 200, 200)] {
        assert_eq!(server.get(&path, &[header]).await.status.as_u16(), looks, "{header:?}");
        assert_eq!(server.ask(Method::DELETE, &path, &[header], "").await.status.as_u16(), ends, "{header:?}");
    }
    let unknown = "/api/v2/silence/00000000-0000-0000-0000-000000000000";
    for method in [Method::GET, Method::DELETE] {
        let told = server.ask(method, unknown, &[TOOL], "").await;
        assert_eq!((told.status.as_u16(), told.text.as_str()), (404, ""));
    }
}

#[tokio::test]
async fn a_silenced_alert_is_shown_with_what_silences_it() {
    let server = server().await;
    server.post("/api/v2/alerts", &[SENDER], &body(&[CHECKOUT, CART, OTHER])).await;
    let matcher = json!({ "name": "service", "value": "c.+", "isRegex": true, "isEqual": true });
    let wanted = silence(&server, &matcher, Duration::from_hours(1));
    let told = server.post("/api/v2/silences", &[TOOL], &wanted.to_string()).await.json();
    let id = told["silenceID"].as_str().unwrap();
    for (query, found) in [("", 3), ("?active=false", 2), ("?silenced=false", 1), ("?active=false&silenced=false", 0)] {
        assert_eq!(names(&server.get(&format!("/api/v2/alerts{query}"), &[ADA]).await).len(), found, "{query}");
    }
    let shown = server.get("/api/v2/alerts?filter=service%3Dcart", &[ADA]).await.json();
    assert_eq!(
        shown[0]["status"],
        json!({ "state": "suppressed", "silencedBy": [id], "inhibitedBy": [], "mutedBy": [] })
    );
    let groups = async |query: &str| {
        let groups = server.get(&format!("/api/v2/alerts/groups{query}"), &[ADA]).await.json();
        groups.as_array().unwrap().len()
    };
    assert_eq!((groups("").await, groups("?muted=false").await, groups("?silenced=false").await), (3, 1, 1));
    server.trial.clock.pass(Duration::from_hours(2));
    assert_eq!(names(&server.get("/api/v2/alerts?silenced=false", &[ADA]).await).len(), 3, "it is over by its time");
}

#[tokio::test]
async fn silences_are_listed_as_they_stand() {
    let server = server().await;
    let now = server.trial.engine.now();
    let hour = Duration::from_hours(1);
    let matcher = json!({ "name": "a", "value": "b", "isRegex": false, "isEqual": false });
    let also = json!({ "name": "c", "value": "d", "isRegex": false });
    let mut active = silence(&server, &matcher, 2 * hour);
    active["matchers"] = json!([matcher, also]);
    let mut pending = silence(&server, &also, 3 * hour);
    pending["startsAt"] = (now + hour).to_string().into();
    pending["annotations"] = json!({ "ticket": "7" });
    let mut ids = Vec::new();
    for wanted in [&pending, &active, &silence(&server, &also, hour)] {
        let told = server.post("/api/v2/silences", &[TOOL], &wanted.to_string()).await.json();
        ids.push(told["silenceID"].as_str().unwrap().to_owned());
    }
    server.ask(Method::DELETE, &format!("/api/v2/silence/{}", ids[2]), &[TOOL], "").await;
    let list = async |query: &str| {
        let list = server.get(&format!("/api/v2/silences{query}"), &[ADA]).await.json();
        let states = list.as_array().unwrap().iter().map(|one| one["status"]["state"].as_str().unwrap().to_owned());
        states.collect::<Vec<_>>().join(" ")
    };
    for (query, found) in [
        ("", "active pending expired"),
        ("?expired=false", "active pending"),
        ("?active=false&pending=false", "expired"),
        ("?filter=c%3Dd", "active pending expired"),
        ("?filter=a!%3Db&filter=c%3Dd", "active"),
        ("?filter=a%3Db", ""),
    ] {
        assert_eq!(list(query).await, found, "{query}");
    }
    let shown = server.get(&format!("/api/v2/silence/{}", ids[0]), &[ADA]).await.json();
    assert_eq!(
        shown,
        json!({
            "id": ids[0], "status": { "state": "pending" }, "updatedAt": now.to_string(),
            "matchers": [{ "name": "c", "value": "d", "isRegex": false, "isEqual": true }],
            "startsAt": (now + hour).to_string(), "endsAt": (now + 3 * hour).to_string(),
            "createdBy": "kim", "comment": "why", "annotations": { "ticket": "7" },
        })
    );
    server.trial.clock.pass(Duration::from_hours(121));
    assert_eq!(list("").await, "expired expired", "what ended five days ago is not listed any more");
}

#[tokio::test]
async fn what_cannot_be_silenced_is_told_with_its_place() {
    let server = server().await;
    let matcher = json!({ "name": "a", "value": "b", "isRegex": false });
    let good = silence(&server, &matcher, Duration::from_hours(1));
    let with = |name: &str, value: Value| {
        let mut wanted = good.clone();
        wanted[name] = value;
        wanted.to_string()
    };
    for (body, status, says) in [
        (with("matchers", json!([])), 400, "Cannot silence: a silence needs a matcher"),
        (with("matchers", json!([{ "name": "a", "value": "(", "isRegex": true }])), 400, "`matchers[0]`: the pattern"),
        (with("matchers", json!([{ "name": "a", "value": "b" }])), 400, "`matchers[0]`: missing field `isRegex`"),
        (with("endsAt", json!("soon")), 400, "`endsAt`: `soon` is not a time"),
        (with("endsAt", json!(null)), 400, "`endsAt`: a silence needs an end"),
        (with("comment", json!("x".repeat(2_001))), 400, "Cannot silence: its comment is `2001` characters"),
        (with("id", json!("00000000-0000-0000-0000-000000000000")), 404, "There is no silence with this `id`"),
        ("nonsense".to_owned(), 400, "`body`: "),
    ] {
        let told = server.post("/api/v2/silences", &[TOOL], &body).await;
        assert_eq!(told.status.as_u16(), status, "{body}: {}", told.text);
        assert!(told.json().as_str().unwrap().starts_with(says), "{}", told.text);
    }
    assert_eq!(server.get("/api/v2/silences", &[ADA]).await.text, "[]");
}
