//! A target that remembers what was done to it: slow, applies a key once, and lists what it has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::held;

/// How long it takes to do something: long enough to be struck in the middle.
const WORK: Duration = Duration::from_millis(80);

/// What arrived, by its key, and how often.
type Done = Arc<Mutex<BTreeMap<String, usize>>>;

/// The running target.
pub(crate) struct Effects {
    url: String,
    done: Done,
    is_held: watch::Sender<bool>,
}

impl Effects {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (done, is_held) = (Done::default(), watch::Sender::new(false));
        let state = (Arc::clone(&done), is_held.clone());
        let routes = Router::new().route("/effects", get(list).post(make)).with_state(state);
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        Self { url, done, is_held }
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Answers nobody who has something done, for as long as it is told to.
    pub(crate) fn holds(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// What was done, by its key, and how often it was asked for.
    pub(crate) fn done(&self) -> BTreeMap<String, usize> {
        held(&self.done).clone()
    }
}

async fn list(State((done, _)): State<(Done, watch::Sender<bool>)>) -> Json<Value> {
    Json(json!({ "keys": held(&done).keys().collect::<Vec<_>>() }))
}

async fn make(State((done, is_held)): State<(Done, watch::Sender<bool>)>, headers: HeaderMap) -> Json<Value> {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    *held(&done).entry(key).or_default() += 1;
    tokio::time::sleep(WORK).await; // bounded: it is part of what the target is
    drop(is_held.subscribe().wait_for(|is_held| !is_held).await);
    Json(json!({}))
}
