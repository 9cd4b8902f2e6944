//! Alertmanager's API as its clients use it: what is asked and answered is recorded, and held against its document.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::{World, config, held, http, openapi};

/// The token of the source that may do everything by the API.
pub(crate) const TOKEN: &str = "prometheus-token-of-the-story";

/// The configuration of that source, for [`Config::with`](super::Config::with).
pub(crate) const SOURCE: &str = r#"
[[sources]]
name = "prometheus"
kind = "prometheus"
auth = { bearer = { file = "secrets/prometheus" } }
may = "respond"
"#;

/// Puts the token of [`SOURCE`] where its configuration looks for it.
pub(crate) fn write_token(world: &World) {
    std::fs::write(world.folder().join("secrets/prometheus"), TOKEN).unwrap();
}

/// A client of the API.
pub(crate) struct Client<'a> {
    world: &'a World,
    token: String,
    recorded: Mutex<Vec<String>>,
}

impl World {
    /// The source of [`SOURCE`] as a client.
    pub(crate) fn api_v2(&self) -> Client<'_> {
        Client { world: self, token: TOKEN.to_owned(), recorded: Mutex::default() }
    }

    /// A person as a client.
    pub(crate) fn api_v2_of(&self, person: &str) -> Client<'_> {
        Client { world: self, token: config::token_of(person), recorded: Mutex::default() }
    }
}

impl Client<'_> {
    /// Asks, and gives the status and the answer.
    pub(crate) async fn asks(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let url = format!("{}/api/v2{path}", self.world.url());
        let mut request = http().request(method.parse().unwrap(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let response = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path} is answered with no JSON: {text}"))
        };
        self.world.note(&format!("{method} {path}: {status}"));
        let path = format!("/api/v2{path}");
        let mut exchange = json!({ "method": method, "path": path, "status": status, "response": response });
        if let Some(body) = body {
            exchange["body"] = body.clone();
        }
        held(&self.recorded).push(exchange.to_string());
        (status, response)
    }

    /// Looks at something that must be there.
    pub(crate) async fn sees(&self, path: &str) -> Value {
        let (status, answer) = self.asks("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Sends alerts that must be taken.
    pub(crate) async fn sends(&self, alerts: &Value) {
        let (status, answer) = self.asks("POST", "/alerts", Some(alerts)).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Silences what must be silenced; the silence's name.
    pub(crate) async fn silences(&self, silence: &Value) -> String {
        let (status, answer) = self.asks("POST", "/silences", Some(silence)).await;
        assert_eq!(status, 200, "{answer}");
        answer["silenceID"].as_str().unwrap().to_owned()
    }

    /// Fails when a recorded exchange is not valid, unknown keys included; says so when it cannot be checked here.
    pub(crate) async fn conforms(&self) {
        let recorded = held(&self.recorded).clone();
        openapi::conform(recorded, "alertmanager-openapi.yaml").await;
    }
}
