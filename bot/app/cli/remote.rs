//! What is asked of a running bot, over its HTTP side and as a person.

use std::{path::Path, time::Duration};

use secrecy::SecretString;
use serde_json::{Value, json};
use toml::de::DeTable;

use super::{Bot, Failure, say as print};
use crate::{
    adapters::http::Outbound,
    app::config::file::File,
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

/// The settings, or the usual ones if they cannot be read: what is asked here is asked when things are broken.
fn settings(config: &Path) -> File {
    std::fs::read_to_string(config).map_or_else(|_| File::default(), |text| lenient(&text))
}

/// The store and the address that a configuration names, whatever else is wrong with it.
pub(super) fn lenient(text: &str) -> File {
    toml::from_str(text).unwrap_or_else(|_| {
        let mut file = File::default();
        let (table, _problems) = DeTable::parse_recoverable(text);
        let of = |section: &str, key: &str| {
            Some(table.get_ref().get(section)?.get_ref().as_table()?.get(key)?.get_ref().as_str()?.to_owned())
        };
        if let Some(path) = of("store", "path") {
            file.store.path = path.into();
        }
        if let Some(listen) = of("web", "listen") {
            file.web.listen = listen;
        }
        file
    })
}

/// Says a line to the bot; what it answers.
pub(super) async fn ask(config: &Path, bot: &Bot, line: &str, key: Option<String>) -> Result<Value, Failure> {
    let url = match &bot.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            format!("http://{}", settings(config).web.listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]"))
        }
    };
    let token = token(config, bot)?;
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

fn token(config: &Path, bot: &Bot) -> Result<String, Failure> {
    let token = match &bot.token_file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Refused(format!("Cannot read the token in `{}`: {error}", path.display())))?,
        None => std::env::var("FIREWARDEN_TOKEN").unwrap_or_default(),
    };
    let token = token.trim().to_owned();
    if token.is_empty() {
        return Err(Failure::Refused(format!(
            "No personal token is given\nhint: set FIREWARDEN_TOKEN, or name a file with `--token-file`; the bot knows the \
             token by `[people.{}] token` in `{}`",
            settings(config).people.keys().next().map_or("<name>", String::as_str),
            config.display()
        )));
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
        for broken in ["[web]\nlissten = 1\n", "[web]\nlisten = \"\n[[routes]\nname = \n"] {
            let text = format!("[store]\npath = \"other.db\"\n{broken}");
            assert_eq!(lenient(&text).store.path, Path::new("other.db"), "{text}");
        }
        assert_eq!(lenient("").store.path, Path::new("firewarden.db"));
    }
}
