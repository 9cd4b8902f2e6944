//! Whoever is told in an emergency: a topic outside, which remembers what it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, extract::State, routing::post};
use tokio::net::TcpListener;

/// A topic that takes plain POSTs.
pub(crate) struct Outside {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    /// A topic on a free port.
    pub(crate) async fn start() -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let hear = async |State(heard): State<Arc<Mutex<Vec<String>>>>, text: String| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        };
        let routes = Router::new().route("/", post(hear)).with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, heard }
    }

    /// The configuration that points the bot at it.
    pub(crate) fn config(&self) -> String {
        format!("[emergency]\nurl = \"{}\"\n\n", self.url)
    }

    /// What it was sent.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
