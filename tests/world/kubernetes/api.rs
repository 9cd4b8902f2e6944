//! The emulated API server: one address, objects with versions, and a wire to the bot that fails where the story says so.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use firewarden::app::demo::checkout::{Passing, Wire};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::{BOT, Path, STORY, State, objects::Refused};
use crate::world::checkout::Scripted;

/// What the bot has written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    /// Where.
    pub(crate) path: String,
    /// What is there since.
    pub(crate) object: Value,
}

/// The running server.
pub(crate) struct Api {
    url: String,
    pub(super) state: Mutex<State>,
    pub(super) wire: Scripted,
    pub(super) changed: watch::Sender<u64>,
    requests: AtomicU64,
    written: Mutex<Vec<Written>>,
    unknown: Mutex<Vec<String>>,
    /// What somebody else changes between a read of the bot and its next write.
    meanwhile: Mutex<Option<(String, Value)>>,
}

impl Api {
    /// Starts it on a free port.
    pub(super) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Arc::new(Self {
            url,
            state: Mutex::default(),
            wire: Scripted::default(),
            changed: watch::Sender::new(0),
            requests: AtomicU64::new(0),
            written: Mutex::default(),
            unknown: Mutex::default(),
            meanwhile: Mutex::default(),
        });
        let routes = Router::new().fallback(take).with_state(Arc::clone(&api));
        tokio::spawn(async { axum::serve(listener, routes).await });
        api
    }

    /// Where it is reached.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// What the bot has written, oldest first.
    pub(crate) fn written(&self) -> Vec<Written> {
        crate::world::held(&self.written).clone()
    }

    /// What was asked for that it does not have.
    pub(crate) fn unknown_routes(&self) -> Vec<String> {
        crate::world::held(&self.unknown).clone()
    }

    /// Lets somebody else change an object just before the bot writes to it next.
    pub(crate) fn meanwhile(&self, place: &str, patch: Value) {
        *crate::world::held(&self.meanwhile) = Some((place.to_owned(), patch));
    }

    fn answer(&self, asked: &Asked, is_bot: bool) -> Response {
        let Some(path) = Path::read(&asked.path) else {
            crate::world::held(&self.unknown).push(format!("{} {}", asked.method, asked.path));
            return StatusCode::NOT_IMPLEMENTED.into_response();
        };
        let mut state = self.state();
        let answer = match (asked.method.as_str(), &path.name) {
            ("GET", Some(_)) => state.read(&path),
            ("GET", None) => state.list(&path, asked.labels.as_deref(), asked.node.as_deref()),
            ("POST", None) => state.make(&path, asked.body()),
            ("POST", Some(_)) if path.part == Some("eviction") => state.evict(&path, &asked.body()),
            ("DELETE", Some(_)) => state.delete(&path),
            ("PATCH", Some(_)) => state.patch(&path, &asked.sort, &asked.body()),
            _ => Err(Refused(501, format!("{} {}", asked.method, asked.path))),
        };
        drop(state);
        match answer {
            Ok(object) => {
                if asked.method != "GET" {
                    self.changed.send_modify(|count| *count += 1);
                    if is_bot {
                        let path = asked.path.clone();
                        crate::world::held(&self.written).push(Written { path, object: object.clone() });
                    }
                }
                json_of(if asked.method == "POST" { 201 } else { 200 }, &object)
            }
            Err(Refused(501, what)) => {
                crate::world::held(&self.unknown).push(what);
                StatusCode::NOT_IMPLEMENTED.into_response()
            }
            Err(Refused(status, message)) => refused(status, &message),
        }
    }
}

struct Asked {
    method: String,
    path: String,
    labels: Option<String>,
    node: Option<String>,
    sort: String,
    body: Bytes,
}

impl Asked {
    fn body(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

async fn take(Shared(api): Shared<Arc<Api>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: header::HeaderName| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let token = header(header::AUTHORIZATION).trim_start_matches("Bearer ");
    if token != BOT && token != STORY {
        return refused(401, "Unauthorized");
    }
    let query = uri.query().unwrap_or_default();
    let labels = query.split('&').find_map(|part| part.strip_prefix("labelSelector="));
    let node = query.split('&').find_map(|part| part.strip_prefix("fieldSelector="));
    let node = node.map(|fields| fields.replace("%3D", "="));
    let node = node.map(|fields| fields.strip_prefix("spec.nodeName=").map(str::to_owned).unwrap_or(fields));
    let asked = Asked {
        node,
        method: method.to_string(),
        path: uri.path().to_owned(),
        labels: labels.map(|labels| labels.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/")),
        sort: header(header::CONTENT_TYPE).to_owned(),
        body,
    };
    if token == STORY {
        return api.answer(&asked, false);
    }
    let number = api.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let passing = Passing { number, method: asked.method.clone(), path: asked.path.clone(), key: None };
    if let Some(other) = api.wire.arrived(&passing).await {
        return told(other);
    }
    if asked.method == "PATCH"
        && let Some((path, patch)) = crate::world::held(&api.meanwhile).take_if(|(path, _)| *path == asked.path)
    {
        let path = Path::read(&path).unwrap();
        api.state().patch(&path, "application/merge-patch+json", &patch).unwrap();
    }
    let answer = api.answer(&asked, true);
    match api.wire.carried_out(&passing).await {
        Some(other) => told(other),
        None => answer,
    }
}

/// An answer that the story puts in place of the server's own: a 429 says when to come again.
fn told(mut response: Response) -> Response {
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response
}

fn refused(status: u16, message: &str) -> Response {
    let reason = match status {
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "",
    };
    // What stands on a line of its own is the cause.
    let (message, cause) = message.split_once('\n').unwrap_or((message, ""));
    let causes = (!cause.is_empty()).then(|| json!([{ "reason": "DisruptionBudget", "message": cause }]));
    json_of(
        status,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": status, "details": { "causes": causes },
        }),
    )
}

fn json_of(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
