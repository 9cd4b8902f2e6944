//! The HTTP side of the emulator: which call does what.
//!
//! A call that is not listed here is answered with 501 and remembered; the story that made it fails.

mod guild;
mod interactions;
mod messages;

use serde_json::{Value, json};

use super::{multipart::Part, shapes::id, state::State};

/// One request, without the prefix `/api/v10`.
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Value,
    pub(crate) body: Option<Value>,
    pub(crate) files: Vec<Part>,
    pub(crate) authorization: Option<String>,
}

impl Call {
    /// The body, or null.
    fn json(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        self.body.as_ref().unwrap_or(&NOTHING)
    }
}

/// What Discord answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Reply {
        Reply { status: 200, body: Some(body) }
    }

    pub(crate) fn created(body: Value) -> Reply {
        Reply { status: 201, body: Some(body) }
    }

    pub(crate) fn no_content() -> Reply {
        Reply { status: 204, body: None }
    }

    /// A refusal with one of Discord's error codes.
    /// <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>
    pub(crate) fn refused(status: u16, code: u32, message: &str) -> Reply {
        Reply { status, body: Some(json!({ "message": message, "code": code })) }
    }

    /// The refusal of a body, with the complaints as a tree.
    /// <https://docs.discord.com/developers/reference#error-messages>
    pub(crate) fn invalid(errors: &Value) -> Reply {
        let body = json!({ "message": "Invalid Form Body", "code": 50035, "errors": errors });
        Reply { status: 400, body: Some(body) }
    }

    pub(crate) fn unknown_channel() -> Reply {
        Reply::refused(404, 10003, "Unknown Channel")
    }

    pub(crate) fn unknown_message() -> Reply {
        Reply::refused(404, 10008, "Unknown Message")
    }
}

/// An answer, or the refusal that comes in its place.
pub(crate) type Outcome = Result<Reply, Reply>;

/// Whether a call must carry the bot's token; answers to interactions carry theirs in the path.
pub(crate) fn needs_token(path: &str) -> bool {
    !(path == "/gateway" || path.starts_with("/interactions/") || path.starts_with("/webhooks/"))
}

/// Applies a call; `None` when the emulator does not know the route.
pub(crate) fn answer(state: &mut State, call: &Call) -> Option<Reply> {
    let segments: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
    let outcome = match (call.method.as_str(), segments.as_slice()) {
        ("GET", ["gateway"]) => Ok(Reply::ok(json!({ "url": state.gateway_url() }))),
        ("GET", ["gateway", "bot"]) => Ok(Reply::ok(json!({
            "url": state.gateway_url(), "shards": 1,
            "session_start_limit": { "total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1 },
        }))),
        ("GET", ["applications", "@me"] | ["oauth2", "applications", "@me"]) => Ok(Reply::ok(state.application_json())),
        ("GET", ["users", "@me"]) => Ok(Reply::ok(state.me_json())),

        ("GET", ["applications", app, "commands"]) => guild::list_commands(state, app, None),
        ("PUT", ["applications", app, "commands"]) => guild::register(state, app, None, call.json()),
        ("GET", ["applications", app, "guilds", guild, "commands"]) => guild::list_commands(state, app, Some(guild)),
        ("PUT", ["applications", app, "guilds", guild, "commands"]) => {
            guild::register(state, app, Some(guild), call.json())
        }

        ("GET", ["guilds", guild, "roles"]) => guild::only(state, guild).map(|()| Reply::ok(state.roles_json())),
        ("GET", ["guilds", guild, "channels"]) => guild::channels(state, guild),
        ("GET", ["guilds", guild, "members", person]) => guild::member(state, guild, person),

        ("GET", ["channels", channel]) => guild::channel(state, channel),
        ("PATCH", ["channels", channel]) => guild::change_channel(state, channel, call.json()),
        ("POST", ["channels", channel, "threads"]) => guild::open_thread(state, channel, None, call.json()),
        ("POST", ["channels", channel, "messages", message, "threads"]) => {
            guild::open_thread(state, channel, Some(message), call.json())
        }
        ("PUT", ["channels", channel, "thread-members", person]) => guild::add_to_thread(state, channel, person),

        ("GET", ["channels", channel, "messages"]) => messages::list(state, channel, &call.query),
        ("POST", ["channels", channel, "messages"]) => messages::create(state, channel, call),
        ("GET", ["channels", channel, "messages", message]) => messages::read(state, channel, message),
        ("PATCH", ["channels", channel, "messages", message]) => messages::edit(state, channel, message, call),
        ("DELETE", ["channels", channel, "messages", message]) => messages::delete(state, channel, message),

        ("POST", ["interactions", interaction, token, "callback"]) => {
            interactions::callback(state, interaction, token, call)
        }
        ("POST", ["webhooks", app, token]) => interactions::follow_up(state, app, token, call),
        (method @ ("GET" | "PATCH" | "DELETE"), ["webhooks", app, token, "messages", message]) => {
            interactions::answer_message(state, app, token, message, method, call)
        }
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|refusal| refusal))
}

/// A snowflake in a path.
fn number(text: &str) -> Result<u64, Reply> {
    text.parse().map_err(|_| {
        let said = format!("Value \"{text}\" is not snowflake.");
        Reply::invalid(&json!({ "id": { "_errors": [{ "code": "NUMBER_TYPE_COERCE", "message": said }] } }))
    })
}

/// Fails unless the path names this application.
fn own_application(state: &State, app: &str) -> Result<(), Reply> {
    if id(state.application) == app { Ok(()) } else { Err(Reply::refused(404, 10002, "Unknown Application")) }
}
