//! Commands as lines of text: from a shell with a personal token, and from the page.
//!
//! A line with a key is carried out once, however often it is sent: the second time gets the first reply.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Site,
    answers::{Trouble, whole},
    caller::{Asking, Token},
    plain,
};
use crate::{
    domain::{ids::IncidentId, people::Person, runbooks::words::nearest},
    engine::{
        Refusal, View,
        chat::{Args, Call, Command, Kind, Lookup, Opt, Reply, console},
        features,
    },
    store,
};

/// The longest request to say something: the longest line, escaped, and its key.
const LONGEST: usize = 6 * console::LONGEST + 1024;
/// The longest key.
const LONGEST_KEY: usize = 200;

/// A line to be said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    line: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    about: Option<IncidentId>,
}

/// `POST /api/say`: the reply as text for a terminal and as the message it is; a refusal is a 422 with its hint.
pub(super) async fn say(
    State(site): State<Arc<Site>>,
    Token(caller): Token,
    request: Request,
) -> Result<Response, Trouble> {
    let saying = read(request.into_body()).await?;
    let reply = line(&site, caller, &saying.line, saying.about, saying.key.as_deref()).await??;
    let text = plain::message(&reply.message);
    Ok(Json(json!({ "text": text, "message": reply.message, "is_private": reply.is_private })).into_response())
}

async fn read(body: Body) -> Result<Saying, Trouble> {
    let body = whole(body, LONGEST).await?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Trouble::new(StatusCode::BAD_REQUEST, format!("`{}`: {}", error.path(), error.inner()))
            .hint("send `{\"line\": \"/incident list\", \"key\": \"any text that is new\"}`")
    })
}

/// Carries out a line for somebody. The outer error is a fault of the store, the inner one what the person is told.
pub(super) async fn line(
    site: &Site,
    caller: Person,
    line: &str,
    about: Option<IncidentId>,
    key: Option<&str>,
) -> store::Result<Result<Reply, Refusal>> {
    match console::read(line) {
        Ok(said) => command(site, caller, said, about, key).await,
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// Carries out a command for somebody.
pub(super) async fn command(
    site: &Site,
    caller: Person,
    (command, args): (&'static Command, Args),
    about: Option<IncidentId>,
    key: Option<&str>,
) -> store::Result<Result<Reply, Refusal>> {
    if key.is_some_and(|key| key.len() > LONGEST_KEY) {
        return Ok(Err(Refusal::new(format!("The key is longer than `{LONGEST_KEY}` bytes"))));
    }
    if let Some(refusal) = unknown_person(site, command, &args) {
        return Ok(Err(refusal));
    }
    let source_key = key.filter(|key| !key.is_empty()).map(|key| format!("say:{}:{key}", caller.id));
    tracing::info!(person = %caller.id, command = command.name(), "a command was given");
    site.engine.command(command, Call { caller, args, about, source_key }).await
}

/// Refuses a person whom nobody knows: most likely a slip of the fingers, and nobody would learn of it.
fn unknown_person(site: &Site, command: &Command, args: &Args) -> Option<Refusal> {
    let people = &site.engine.rules().people;
    let options = command.options.iter().filter(|option| option.kind == Kind::Person);
    let mut named = options.filter_map(|option| args.text(option.name)).map(|name| name.trim_start_matches('@'));
    let unknown = named
        .find(|name| !people.accounts.contains_key(*name) && !people.known.keys().any(|known| known.0 == *name))?;
    let refusal = Refusal::new(format!("There is nobody called `{unknown}` in the configuration"));
    Some(match nearest(unknown, people.known.keys().map(|known| known.0.as_str())) {
        Some(near) => refusal.hint(format!("did you mean `{near}`?")),
        None => refusal.hint("name somebody who stands under `[people]`"),
    })
}

/// `GET /api/commands`: every command with its options, for completion and for a reference.
pub(super) async fn commands(_: Asking) -> Json<serde_json::Value> {
    Json(plain::commands().into())
}

/// An option, as a completion needs it.
pub(super) fn option(option: &Opt) -> serde_json::Value {
    let mut about = json!({ "name": option.name, "help": option.help, "required": option.is_required });
    let (kind, more) = match option.kind {
        Kind::Text { max } => ("text", json!({ "max": max })),
        Kind::Integer { min, max } => ("integer", json!({ "min": min, "max": max })),
        Kind::Choice(choices) => ("choice", json!({ "choices": choices })),
        Kind::Name(lookup) => ("name", json!({ "lookup": word(lookup) })),
        Kind::Person => ("person", json!({ "lookup": "person" })),
        Kind::Duration => ("duration", json!({})),
        Kind::Time => ("time", json!({})),
    };
    if let (Some(about), Some(more)) = (about.as_object_mut(), more.as_object()) {
        about.insert("kind".to_owned(), kind.into());
        about.extend(more.clone());
    }
    about
}

/// What is to be completed.
#[derive(Debug, Deserialize)]
pub(super) struct Completing {
    lookup: String,
    #[serde(default)]
    typed: String,
}

/// `GET /api/complete?lookup=incident&typed=che`: names that fit, best first, at most 25.
pub(super) async fn complete(
    State(site): State<Arc<Site>>,
    _: Asking,
    Query(asked): Query<Completing>,
) -> Result<Response, Trouble> {
    let typed: String = asked.typed.chars().take(100).collect();
    let rules = site.engine.rules();
    let found = if asked.lookup == "person" {
        let fitting = rules.people.known.keys().filter(|person| person.0.contains(&typed));
        fitting.take(25).map(|person| (person.0.clone(), String::new())).collect()
    } else {
        let Some(lookup) = LOOKUPS.into_iter().find(|lookup| word(*lookup) == asked.lookup) else {
            return Err(Trouble::new(StatusCode::BAD_REQUEST, "`lookup` is no kind of name")
                .hint("it is one of `incident`, `runbook`, `run`, `question`, `service`, `silence`, `person`"));
        };
        let mut reader = site.engine.read().await?;
        let mut view = View { reader: &mut reader, now: site.engine.now(), rules: &rules };
        features::complete(&mut view, lookup, &typed).await?
    };
    let found: Vec<_> = found.into_iter().map(|(name, about)| json!({ "name": name, "about": about })).collect();
    Ok(Json(found).into_response())
}

const LOOKUPS: [Lookup; 6] =
    [Lookup::Incident, Lookup::Runbook, Lookup::Run, Lookup::Question, Lookup::Service, Lookup::Silence];

fn word(lookup: Lookup) -> &'static str {
    match lookup {
        Lookup::Incident => "incident",
        Lookup::Runbook => "runbook",
        Lookup::Run => "run",
        Lookup::Question => "question",
        Lookup::Service => "service",
        Lookup::Silence => "silence",
    }
}
