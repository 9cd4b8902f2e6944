//! The websocket side: sessions that outlive their connections, and replay what a dropped one missed.
//!
//! <https://docs.discord.com/developers/events/gateway>

use std::{io::Write, sync::Arc};

use flate2::{Compression, write::ZlibEncoder};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{server::Shared, shapes::id, state::State};

/// The intents that must be switched on for the application first, and are not: members, presences, content.
const PRIVILEGED_INTENTS: u64 = 1 << 1 | 1 << 8 | 1 << 15;

/// What the emulator does to a connection.
pub(crate) enum Push {
    Send(Value),
    /// The TCP connection ends without a word.
    Drop,
    /// The websocket is closed with this code.
    Close(u16),
}

/// The gateway's sessions and connections.
pub(crate) struct Gateway {
    sessions: Vec<Session>,
    connections: Vec<Connection>,
    next: u64,
    pub(crate) identified: usize,
    pub(crate) resumed: usize,
    pub(crate) heartbeats: usize,
    pub(crate) heartbeat_interval: u64,
    pub(crate) is_deaf: bool,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway {
            sessions: Vec::new(),
            connections: Vec::new(),
            next: 0,
            identified: 0,
            resumed: 0,
            heartbeats: 0,
            heartbeat_interval: 41_250,
            is_deaf: false,
        }
    }
}

struct Session {
    name: String,
    events: Vec<Value>,
    connection: Option<u64>,
}

struct Connection {
    number: u64,
    out: UnboundedSender<Push>,
}

impl Gateway {
    /// Whether a bot has identified itself and is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.sessions.iter().any(|session| session.connection.is_some())
    }

    /// Does this to every connection.
    pub(crate) fn push(&self, push: impl Fn() -> Push) {
        for connection in &self.connections {
            drop(connection.out.send(push()));
        }
    }

    /// Forgets every session: nothing can be resumed.
    pub(crate) fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    fn send(&self, connection: u64, payload: Value) {
        if let Some(found) = self.connections.iter().find(|found| found.number == connection) {
            drop(found.out.send(Push::Send(payload)));
        }
    }

    fn close(&self, connection: u64, code: u16) {
        if let Some(found) = self.connections.iter().find(|found| found.number == connection) {
            drop(found.out.send(Push::Close(code)));
        }
    }

    fn dispatch_to(&mut self, session: usize, name: &str, data: &Value) {
        let session = &mut self.sessions[session];
        let event = json!({ "op": 0, "t": name, "s": session.events.len() + 1, "d": data });
        session.events.push(event.clone());
        if let Some(connection) = session.connection {
            self.send(connection, event);
        }
    }

    /// Sends the newest event of this name once more.
    pub(crate) fn repeat(&mut self, name: &str) {
        let newest = self.sessions.iter().flat_map(|session| &session.events).rfind(|event| event["t"] == name);
        if let Some(data) = newest.map(|event| event["d"].clone()) {
            self.dispatch(name, &data);
        }
    }

    /// Sends an event to every session; one that is not connected gets it when it resumes.
    pub(crate) fn dispatch(&mut self, name: &str, data: &Value) {
        for session in 0..self.sessions.len() {
            self.dispatch_to(session, name, data);
        }
    }
}

impl State {
    /// Where the gateway is.
    pub(crate) fn gateway_url(&self) -> String {
        self.origin.replacen("http", "ws", 1)
    }

    fn identify(&mut self, connection: u64, data: &Value, token: &str) {
        let given = data["token"].as_str().unwrap_or("").trim_start_matches("Bot ");
        let intents = data["intents"].as_u64();
        if given != token {
            return self.gateway.close(connection, 4004);
        }
        let Some(intents) = intents else { return self.gateway.close(connection, 4013) };
        if intents & PRIVILEGED_INTENTS != 0 {
            return self.gateway.close(connection, 4014);
        }
        self.gateway.next += 1;
        self.gateway.identified += 1;
        self.gateway.sessions.retain(|session| session.connection.is_some());
        let name = format!("session-{}", self.gateway.next);
        let mut ready = json!({
            "v": 10, "user": self.me_json(), "guilds": [{ "id": id(self.guild), "unavailable": true }],
            "session_id": name, "resume_gateway_url": self.gateway_url(), "private_channels": [],
            "application": { "id": id(self.application), "flags": 0 },
        });
        if !data["shard"].is_null() {
            ready["shard"] = data["shard"].clone();
        }
        self.note("gateway: identified");
        let session = self.gateway.sessions.len();
        self.gateway.sessions.push(Session { name, events: Vec::new(), connection: Some(connection) });
        self.gateway.dispatch_to(session, "READY", &ready);
        if intents & 1 != 0 {
            let guild = self.guild_json();
            self.gateway.dispatch_to(session, "GUILD_CREATE", &guild);
        }
    }

    fn resume(&mut self, connection: u64, data: &Value, token: &str) {
        if data["token"].as_str().unwrap_or("").trim_start_matches("Bot ") != token {
            return self.gateway.close(connection, 4004);
        }
        let found = self.gateway.sessions.iter().position(|session| data["session_id"] == session.name.as_str());
        let Some(found) = found else {
            self.note("gateway: nothing to resume");
            return self.gateway.send(connection, json!({ "op": 9, "d": false, "s": null, "t": null }));
        };
        let seen = usize::try_from(data["seq"].as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
        let session = &mut self.gateway.sessions[found];
        if seen > session.events.len() {
            return self.gateway.close(connection, 4007);
        }
        session.connection = Some(connection);
        let missed = session.events[seen..].to_vec();
        self.gateway.resumed += 1;
        self.note(&format!("gateway: resumed, {} events replayed", missed.len()));
        for event in missed {
            self.gateway.send(connection, event);
        }
        self.gateway.dispatch_to(found, "RESUMED", &json!({ "_trace": [] }));
    }

    /// Acts on what a client sent.
    fn receive(&mut self, connection: u64, payload: &Value, token: &str) {
        match payload["op"].as_u64() {
            Some(1) if self.gateway.is_deaf => {}
            Some(1) => {
                self.gateway.heartbeats += 1;
                self.gateway.send(connection, json!({ "op": 11, "d": null, "s": null, "t": null }));
            }
            Some(2) if self.gateway.sessions.iter().any(|session| session.connection == Some(connection)) => {
                self.gateway.close(connection, 4005);
            }
            Some(2) => self.identify(connection, &payload["d"], token),
            Some(6) => self.resume(connection, &payload["d"], token),
            Some(3 | 4 | 8) => {}
            Some(_) | None => self.gateway.close(connection, 4001),
        }
    }
}

/// Serves one websocket until either side ends it.
pub(crate) async fn serve<S>(shared: Arc<Shared>, socket: WebSocketStream<S>, token: &str)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let (out, mut pushes) = unbounded_channel();
    let number = shared.change(|state| {
        state.gateway.next += 1;
        let number = state.gateway.next;
        state.gateway.connections.push(Connection { number, out });
        let interval = state.gateway.heartbeat_interval;
        state.gateway.send(number, json!({ "op": 10, "d": { "heartbeat_interval": interval }, "s": null, "t": null }));
        number
    });
    let _open = Open { shared: shared.clone(), number };
    let mut compresses = false;
    loop {
        tokio::select! {
            push = pushes.recv() => {
                let sent = match push {
                    Some(Push::Send(payload)) => sink.send(encoded(&payload, compresses)).await,
                    Some(Push::Close(code)) => {
                        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
                        sink.send(Message::Close(Some(frame))).await
                    }
                    Some(Push::Drop) | None => break,
                };
                if sent.is_err() {
                    break;
                }
            }
            message = source.next() => {
                let Some(Ok(message)) = message else { break };
                if message.is_close() {
                    break;
                }
                let Ok(text) = message.to_text() else { continue };
                let Ok(payload) = serde_json::from_str::<Value>(text) else { continue };
                if payload["op"] == 2 {
                    compresses = payload["d"]["compress"] == true;
                }
                shared.change(|state| state.receive(number, &payload, token));
            }
        }
    }
}

/// An open connection; however it ends, its session can be resumed by another.
struct Open {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.gateway.connections.retain(|connection| connection.number != self.number);
            for session in &mut state.gateway.sessions {
                if session.connection == Some(self.number) {
                    session.connection = None;
                }
            }
            state.note("gateway: disconnected");
        });
    }
}

/// A payload as a frame: text, or zlib when the client asked for it.
fn encoded(payload: &Value, compresses: bool) -> Message {
    let text = payload.to_string();
    if !compresses {
        return Message::text(text);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    match encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(bytes) => Message::binary(bytes),
        Err(_) => Message::text(text),
    }
}
