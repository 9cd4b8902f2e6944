//! What is asked of a running bot, over its HTTP side and as a person.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Bot, Failure, say as print};
use crate::{
    adapters::http::Outbound,
    app::{config::file::File, halt as halt_file},
    domain::ids::IncidentId,
    engine::ports::{Http, HttpAnswer, HttpOutcome, HttpRequest},
};

/// The longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(35);
/// The longest reply that is read.
const LIMIT: usize = 16 * 1024 * 1024;

/// Says a line and prints the reply.
pub(super) async fn say(config: &Path, bot: &Bot, line: &str, key: Option<String>) -> Result<(), Failure> {
    let reply = ask(config, bot, line, key).await?;
    print(reply["text"].as_str().unwrap_or_default());
    Ok(())
}

/// The review of an incident.
pub(super) async fn review(config: &Path, bot: &Bot, incident: IncidentId) -> Result<String, Failure> {
    let reply = ask(config, bot, &format!("/postmortem show incident:{incident}"), None).await?;
    let file = reply["message"]["files"][0]["text"].as_str();
    Ok(file.or_else(|| reply["text"].as_str()).unwrap_or_default().to_owned())
}

/// What is to become of the halt, and why.
#[derive(Clone, Copy)]
pub(super) enum Order<'a> {
    /// Nothing is changed any more.
    Halt(&'a str),
    /// It is over.
    Lift(&'a str),
}

/// Orders a halt, or lifts it: by the file, and by telling the bot if it can be reached.
pub(super) async fn halt(config: &Path, bot: &Bot, store: Option<PathBuf>, order: Order<'_>) -> Result<(), Failure> {
    let store = store.unwrap_or_else(|| config.parent().unwrap_or(Path::new("")).join(settings(config).store.path));
    let file = halt_file::file_of(&store);
    let failed = |error: std::io::Error| {
        Failure::Refused(format!(
            "Cannot change `{}`: {error}\nhint: run it as the user that runs the bot, or name the store with `--store`",
            file.display()
        ))
    };
    let line = match order {
        Order::Halt(reason) => {
            halt_file::order(&file, reason).map_err(failed)?;
            print(&format!("Halted: nothing is changed while `{}` is there", file.display()));
            format!("/halt reason:{}", quoted(reason))
        }
        Order::Lift(reason) => {
            let was_there = halt_file::lift(&file).map_err(failed)?;
            let what = if was_there { "is taken away" } else { "was not there" };
            print(&format!("`{}` {what}", file.display()));
            format!("/halt lift:{}", quoted(reason))
        }
    };
    match ask(config, bot, &line, None).await {
        Ok(reply) => print(reply["text"].as_str().unwrap_or_default()),
        Err(Failure::Refused(text) | Failure::Unreachable(text)) => {
            let what = match order {
                Order::Halt(_) => "Only the file holds the halt: the bot was not told",
                Order::Lift(_) => "Only the file was taken away: a halt that was ordered in chat still stands",
            };
            let mut out = std::io::stderr().lock();
            let _nobody_reads = writeln!(out, "{what}\n{text}");
        }
        Err(fault @ Failure::Fault(_)) => return Err(fault),
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The settings, or the usual ones if they cannot be read: these commands are for when things are broken.
fn settings(config: &Path) -> File {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    toml::from_str(&text).unwrap_or_else(|_| {
        let mut file = File::default();
        let table = toml::from_str::<toml::Table>(&text).unwrap_or_default();
        let of = |section: &str, key: &str| Some(table.get(section)?.get(key)?.as_str()?.to_owned());
        if let Some(path) = of("store", "path") {
            file.store.path = path.into();
        }
        if let Some(listen) = of("web", "listen") {
            file.web.listen = listen;
        }
        file
    })
}

async fn ask(config: &Path, bot: &Bot, line: &str, key: Option<String>) -> Result<Value, Failure> {
    let url = match &bot.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            format!("http://{}", settings(config).web.listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]"))
        }
    };
    let token = token(bot)?;
    let key = key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let headers = [
        ("content-type", SecretString::from("application/json")),
        ("authorization", SecretString::from(format!("Bearer {token}"))),
    ];
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: format!("{url}/api/say"),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: Some(json!({ "line": line, "key": key }).to_string().into_bytes()),
        timeout: PATIENCE,
        limit: LIMIT,
    };
    match Outbound::new().send(request).await {
        HttpOutcome::Answered(answer) => read(&url, &answer),
        HttpOutcome::NotSent(why) => Err(Failure::Unreachable(format!(
            "Cannot reach the bot at `{url}`: {why}\nhint: is it running? `--url` or FIREWARDEN_URL says where it is"
        ))),
        HttpOutcome::Unknown(why) => Err(Failure::Unreachable(format!(
            "The bot at `{url}` did not answer: {why}\nhint: say it again with `--key {key}`: nothing is done twice"
        ))),
    }
}

fn token(bot: &Bot) -> Result<String, Failure> {
    let token = match &bot.token_file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Refused(format!("Cannot read the token in `{}`: {error}", path.display())))?,
        None => std::env::var("FIREWARDEN_TOKEN").unwrap_or_default(),
    };
    let token = token.trim().to_owned();
    if token.is_empty() {
        return Err(Failure::Refused(
            "No personal token is given\nhint: set FIREWARDEN_TOKEN, or name a file with `--token-file`".to_owned(),
        ));
    }
    Ok(token)
}

/// The reply, or what was refused.
fn read(url: &str, answer: &HttpAnswer) -> Result<Value, Failure> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let said = |field: &str| body.as_ref().and_then(|body| body.get(field)?.as_str().map(str::to_owned));
    let refused = || {
        let hint = said("hint").map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        said("error").map(|what| format!("{what}{hint}"))
    };
    match (answer.status, body.as_ref(), refused()) {
        (200, Some(body), _) if body.get("text").is_some() => Ok(body.clone()),
        (503, _, Some(text)) => Err(Failure::Unreachable(text)),
        (_, _, Some(text)) => Err(Failure::Refused(text)),
        (status, ..) => Err(Failure::Unreachable(format!(
            "`{url}` answered with {status} and nothing that a bot would say\nhint: is it the address of Firewarden?"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> HttpAnswer {
        HttpAnswer { status, headers: [].into(), body: body.as_bytes().to_vec(), is_cut: false }
    }

    #[test]
    fn a_refusal_is_shown_with_its_hint() {
        let refused = answer(422, r#"{"error":"Cannot resolve `INC-1`","hint":"it is closed"}"#);
        let Err(Failure::Refused(text)) = read("http://x", &refused) else { panic!() };
        assert_eq!(text, "Cannot resolve `INC-1`\nhint: it is closed");
        assert!(matches!(read("http://x", &answer(503, r#"{"error":"x"}"#)), Err(Failure::Unreachable(_))));
        assert!(matches!(read("http://x", &answer(404, "<html>")), Err(Failure::Unreachable(_))));
        assert_eq!(read("http://x", &answer(200, r#"{"text":"ok"}"#)).unwrap()["text"], "ok");
    }

    #[test]
    fn the_store_is_found_in_a_configuration_that_is_broken_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("firewarden.toml");
        std::fs::write(&config, "[store]\npath = \"other.db\"\n[web]\nlissten = 1\n").unwrap();
        assert_eq!(settings(&config).store.path, Path::new("other.db"));
        assert_eq!(settings(Path::new("/nowhere/firewarden.toml")).store.path, Path::new("firewarden.db"));
    }
}
