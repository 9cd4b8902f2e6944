//! Prometheus as far as a query can tell: a story says what each query gives, and sees who asked what how often.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries>

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::held;

/// What a query gives.
#[derive(Debug, Clone)]
pub(crate) enum Gives {
    /// One series with this value, as Prometheus writes it.
    One(&'static str),
    /// No series.
    Nothing,
    /// This status and no answer.
    Fails(u16),
}

#[derive(Default)]
struct Known {
    gives: BTreeMap<String, Gives>,
    asked: BTreeMap<String, usize>,
    tokens: Vec<String>,
}

/// The running server.
#[derive(Clone)]
pub(crate) struct Metrics {
    url: String,
    known: Arc<Mutex<Known>>,
}

impl Metrics {
    /// Starts it on a free port, where it knows of nothing.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metrics = Self { url, known: Arc::default() };
        let routes =
            Router::new().route("/prefix/api/v1/query", get(query)).fallback(unknown).with_state(metrics.clone());
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        metrics
    }

    /// The section of the configuration that names it, with a token.
    pub(crate) fn section(&self) -> String {
        format!("[prometheus]\nurl = \"{}/prefix\"\ntoken = {{ file = \"secrets/ana\" }}\n", self.url)
    }

    /// Says what a query gives from now on.
    pub(crate) fn gives(&self, query: &str, gives: Gives) {
        held(&self.known).gives.insert(query.to_owned(), gives);
    }

    /// How often a query was asked.
    pub(crate) fn asked(&self, query: &str) -> usize {
        held(&self.known).asked.get(query).copied().unwrap_or(0)
    }

    /// What was shown as authorization, each once.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let mut tokens = held(&self.known).tokens.clone();
        tokens.dedup();
        tokens
    }
}

async fn query(
    State(metrics): State<Metrics>,
    headers: HeaderMap,
    Query(parameters): Query<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut known = held(&metrics.known);
    let asked = parameters["query"].clone();
    *known.asked.entry(asked.clone()).or_default() += 1;
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    known.tokens.extend(token);
    let result = match known.gives.get(&asked) {
        Some(Gives::Fails(status)) => {
            let error = json!({ "status": "error", "errorType": "unavailable", "error": "it is down" });
            return (StatusCode::from_u16(*status).unwrap(), Json(error));
        }
        Some(Gives::One(value)) => json!([{ "metric": { "service": "checkout" }, "value": [1_763_899_200.0, value] }]),
        Some(Gives::Nothing) | None => json!([]),
    };
    (StatusCode::OK, Json(json!({ "status": "success", "data": { "resultType": "vector", "result": result } })))
}

/// A story fails on what Prometheus does not have, by the answer that a query never gets.
async fn unknown(uri: Uri) -> (StatusCode, String) {
    (StatusCode::NOT_IMPLEMENTED, format!("there is no {uri}"))
}
