//! The sockets: one port for HTTP and websocket, on a thread of its own, that can be taken down and brought up again.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc as orders, watch},
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};
use tokio_util::sync::CancellationToken;

use super::{
    TOKEN,
    buckets::Told,
    faults::{Fault, Instant},
    gateway, multipart,
    rest::{self, Call, Reply},
    state::State,
    transcript::{Refused, Request as Exchanged},
};

/// How long a story waits for an effect before it fails.
const PATIENCE: Duration = Duration::from_secs(15);

/// The state, and a bell that rings at every change.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Shared {
        Shared { state: Mutex::new(state), changed: watch::Sender::new(0) }
    }

    /// Looks at the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    /// Waits until `look` finds something; a story that waits in vain fails with the transcript.
    pub(crate) async fn wait<T>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut bell = self.changed.subscribe();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                bell.borrow_and_update();
                let found = look(&mut self.state());
                if let Some(found) = found {
                    return found;
                }
                if bell.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        found.await.unwrap_or_else(|_| {
            panic!("{what}: not in {PATIENCE:?}\n--- Discord ---\n{}", self.state().transcript.text())
        })
    }
}

/// What a story tells the server's thread.
pub(crate) enum Order {
    Down(mpsc::Sender<()>),
    Up(mpsc::Sender<()>),
}

/// Serves on a thread of its own until the sender of orders is gone.
pub(crate) fn run(listener: std::net::TcpListener, shared: &Arc<Shared>, mut told: orders::UnboundedReceiver<Order>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for Discord");
    runtime.block_on(async {
        let address = listener.local_addr().expect("the address of Discord");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let listener = TcpListener::from_std(listener).expect("Discord's listener");
        let mut serving = Some(serve(listener, shared.clone()));
        while let Some(order) = told.recv().await {
            match order {
                Order::Down(done) => {
                    if let Some((stop, task)) = serving.take() {
                        stop.cancel();
                        drop(task.await);
                    }
                    done.send(()).expect("the story that gave the order");
                }
                Order::Up(done) => {
                    if serving.is_none() {
                        let listener = TcpListener::bind(address).await.expect("Discord's port again");
                        serving = Some(serve(listener, shared.clone()));
                    }
                    done.send(()).expect("the story that gave the order");
                }
            }
        }
    });
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopped.cancelled() => break,
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(stream, shared.clone()));
                    }
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(listener);
        connections.shutdown().await;
    });
    (stop, task)
}

/// Serves one connection: requests one after another, or a websocket after an upgrade.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    drop(stream.set_nodelay(true));
    let upgrade: Arc<Mutex<Option<OnUpgrade>>> = Arc::default();
    let slot = upgrade.clone();
    let requests = shared.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, slot) = (requests.clone(), slot.clone());
        async move {
            if request.headers().contains_key(UPGRADE) {
                return Ok(open_websocket(request, &slot));
            }
            exchange(request, &shared).await
        }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    let upgrade = upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Ok(()), Some(upgrade)) = (served, upgrade)
        && let Ok(stream) = upgrade.await
    {
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
        gateway::serve(shared, socket, TOKEN).await;
    }
}

type Answered = Response<Full<Bytes>>;

fn open_websocket(mut request: Request<Incoming>, slot: &Mutex<Option<OnUpgrade>>) -> Answered {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let is_version_10 = request.uri().query().is_some_and(|query| query.contains("v=10"));
    let Some(key) = key.filter(|_| is_version_10) else {
        return response(StatusCode::BAD_REQUEST.as_u16(), Bytes::new(), &[]);
    };
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(hyper::upgrade::on(&mut request));
    let headers = [
        (CONNECTION.as_str(), "Upgrade".to_owned()),
        (UPGRADE.as_str(), "websocket".to_owned()),
        (SEC_WEBSOCKET_ACCEPT.as_str(), key),
    ];
    response(101, Bytes::new(), &headers)
}

fn response(status: u16, body: Bytes, headers: &[(&str, String)]) -> Answered {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, value);
    }
    builder.body(Full::new(body)).expect("a response of known headers")
}

/// The connection is closed without an answer.
fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

async fn hang() -> Infallible {
    std::future::pending().await
}

async fn exchange(request: Request<Incoming>, shared: &Shared) -> io::Result<Answered> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |name: &hyper::header::HeaderName| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let Some(path) = head.uri.path().strip_prefix("/api/v10").map(str::to_owned) else {
        shared.change(|state| state.transcript.unknown_routes.push(format!("{} {}", head.method, head.uri)));
        return Ok(response(501, Bytes::new(), &[]));
    };
    let Some((json, files)) = multipart::read(&text(&CONTENT_TYPE).unwrap_or_default(), &bytes) else {
        let body = json!({ "message": "The request body contains invalid JSON.", "code": 50109 }).to_string();
        return Ok(response(400, body.into(), &[]));
    };
    let call = Call {
        method: head.method.to_string(),
        path,
        query: query(head.uri.query().unwrap_or("")),
        body: json,
        files,
        authorization: text(&AUTHORIZATION),
    };

    if let Some(hook) = due_hook(shared, &call, Instant::BeforeApplying) {
        hook();
        match hang().await {}
    }
    let fault = take_fault(shared, &call);
    match fault {
        Some(Fault::Hang) => match hang().await {},
        Some(Fault::Reset) => return Err(reset()),
        Some(Fault::ServerError(status)) => {
            let page = "<html><head><title>502 Bad Gateway</title></head></html>";
            return Ok(response(status, page.into(), &[(CONTENT_TYPE.as_str(), "text/html".to_owned())]));
        }
        Some(Fault::Refusal(status, code)) => {
            return Ok(shared.change(|state| {
                let reply = Reply::refused(status, code, "Missing Permissions");
                refused(state, &call, &reply);
                finish(state, &call, &reply, None, &[])
            }));
        }
        Some(Fault::TooManyRequests { retry_after, global }) => {
            return Ok(shared.change(|state| too_many(state, &call, retry_after, global, None)));
        }
        Some(Fault::LostAnswer) | None => {}
    }
    let answered = shared.change(|state| applied(state, &call));
    if let Some(hook) = due_hook(shared, &call, Instant::AfterApplying) {
        hook();
        match hang().await {}
    }
    if fault.is_some() { Err(reset()) } else { Ok(answered) }
}

fn query(text: &str) -> Value {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

fn due_hook(shared: &Shared, call: &Call, when: Instant) -> Option<Box<dyn FnOnce() + Send>> {
    shared.change(|state| {
        let mut due = None;
        for hook in &mut state.hooks {
            if hook.when == when && hook.call.is_some() && hook.route.matches(&call.method, &call.path) {
                hook.countdown = hook.countdown.saturating_sub(1);
                if hook.countdown == 0 {
                    due = hook.call.take();
                    break;
                }
            }
        }
        if due.is_some() {
            state.note(&format!("{} {}: the story steps in {when:?}", call.method, call.path));
        }
        due
    })
}

fn take_fault(shared: &Shared, call: &Call) -> Option<Fault> {
    shared.change(|state| {
        let clock = state.clock.clone();
        let mut matching = state.scripts.iter_mut().filter(|script| script.route.matches(&call.method, &call.path));
        let fault = matching.find_map(|script| script.take(&clock))?;
        state.note(&format!("{} {} -> {fault:?}", call.method, call.path));
        if !matches!(fault, Fault::LostAnswer | Fault::TooManyRequests { .. } | Fault::Refusal(..)) {
            let request = exchanged(call);
            state.transcript.exchange(&request, None);
        }
        Some(fault)
    })
}

fn exchanged(call: &Call) -> Exchanged<'_> {
    Exchanged { method: &call.method, path: &call.path, query: &call.query, body: call.body.as_ref() }
}

/// Applies a call and keeps the exchange.
fn applied(state: &mut State, call: &Call) -> Answered {
    let clock = state.clock.clone();
    let told = match state.buckets.count(&call.method, &call.path, &clock) {
        Ok(told) => told,
        Err(wait) => return too_many(state, call, wait.retry_after, wait.global, wait.told.as_ref()),
    };
    let token = call.authorization.as_deref().unwrap_or("").trim_start_matches("Bot ");
    let reply = if rest::needs_token(&call.path) && token != TOKEN {
        Some(Reply::refused(401, 0, "401: Unauthorized"))
    } else {
        rest::answer(state, call)
    };
    let Some(reply) = reply else {
        let route = format!("{} {}", call.method, call.path);
        state.note(&format!("{route} -> 501, the emulator does not know this route"));
        state.transcript.unknown_routes.push(route);
        return response(501, Bytes::new(), &[]);
    };
    if reply.status >= 400 {
        refused(state, call, &reply);
    }
    finish(state, call, &reply, told.as_ref(), &[])
}

/// Notes that a call was refused for what it said.
fn refused(state: &mut State, call: &Call, reply: &Reply) {
    let request = format!("{} {}", call.method, call.path);
    let answer = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
    state.note(&format!("{request} -> {} {answer}", reply.status));
    state.transcript.refused.push(Refused { status: reply.status, request, answer });
}

fn too_many(state: &mut State, call: &Call, retry_after: Duration, global: bool, told: Option<&Told>) -> Answered {
    let seconds = retry_after.as_secs_f64();
    let body = json!({ "message": "You are being rate limited.", "code": 0, "retry_after": seconds, "global": global });
    let scope = if global { "global" } else { "user" };
    let mut headers = vec![
        ("retry-after", format!("{}", retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0))),
        ("x-ratelimit-scope", scope.to_owned()),
    ];
    if global {
        headers.push(("x-ratelimit-global", "true".to_owned()));
    }
    state.note(&format!("{} {} -> 429 for {seconds} s", call.method, call.path));
    state.transcript.limited += 1;
    finish(state, call, &Reply { status: 429, body: Some(body) }, told, &headers)
}

fn finish(state: &mut State, call: &Call, reply: &Reply, told: Option<&Told>, more: &[(&str, String)]) -> Answered {
    let request = exchanged(call);
    state.transcript.exchange(&request, Some((reply.status, reply.body.as_ref())));
    let mut headers = more.to_vec();
    if let Some(told) = told {
        let reset = f64::from(u32::try_from(state.clock.now() / 1000).unwrap_or(u32::MAX));
        let after = told.reset_after.as_secs_f64();
        headers.push(("x-ratelimit-bucket", told.bucket.clone()));
        headers.push(("x-ratelimit-limit", told.limit.to_string()));
        headers.push(("x-ratelimit-remaining", told.remaining.to_string()));
        headers.push(("x-ratelimit-reset", format!("{:.3}", reset + after)));
        headers.push(("x-ratelimit-reset-after", format!("{after:.3}")));
    }
    if reply.body.is_some() {
        headers.push((CONTENT_TYPE.as_str(), "application/json".to_owned()));
    }
    let body = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
    response(reply.status, body.into(), &headers)
}

/// The address of a server on this machine.
pub(crate) fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}
