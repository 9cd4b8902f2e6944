//! Requests to Discord's REST interface, each sent once, within its limits.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
    multipart::{Form, Part},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use serenity::http::{LightMethod, Route};

use super::{
    limiter::{Limiter, Told},
    limits,
};
use crate::engine::{
    chat::File,
    ports::{Clock, Undelivered},
};

/// Where Discord is, unless the configuration says otherwise.
const DISCORD: &str = "https://discord.com";

/// The way to Discord's REST interface.
pub(super) struct Rest {
    client: Client,
    base: String,
    limiter: Limiter,
    clock: Arc<dyn Clock>,
}

/// A request.
pub(super) struct Call<'a> {
    pub(super) method: LightMethod,
    pub(super) route: Route<'a>,
    pub(super) body: Option<Value>,
    pub(super) files: &'a [File],
}

/// Why a request came to nothing, with Discord's own code if it gave one.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) code: u64,
    pub(super) what: Undelivered,
}

impl From<Undelivered> for Trouble {
    fn from(what: Undelivered) -> Self {
        Self { code: 0, what }
    }
}

impl From<Trouble> for Undelivered {
    fn from(trouble: Trouble) -> Self {
        trouble.what
    }
}

impl Rest {
    pub(super) fn new(token: &SecretString, api_url: Option<String>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bot {}", token.expose_secret()))
            .context("the Discord token has characters that no token has")?;
        authorization.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization);
        let client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("DiscordBot (firewarden, ", env!("CARGO_PKG_VERSION"), ")"))
            .timeout(limits::PATIENCE)
            .build()
            .context("no HTTP client can be made")?;
        let base = api_url.unwrap_or_else(|| DISCORD.to_owned()).trim_end_matches('/').to_owned();
        Ok(Self { client, base, limiter: Limiter::default(), clock })
    }

    /// Where Discord is.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends the request if the limits allow it now.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Value, Trouble> {
        let path = call.route.path().into_owned();
        let (name, resource) = bucket_of(&path, call.method);
        // Answers to interactions do not count: their tokens are their limit.
        let is_limited = !matches!(
            call.route,
            Route::InteractionResponse { .. }
                | Route::WebhookOriginalInteractionResponse { .. }
                | Route::WebhookFollowupMessages { .. }
        );
        if is_limited {
            self.limiter.take(&name, &resource, self.clock.now()).map_err(Undelivered::Wait)?;
        }
        let url = path.replacen(DISCORD, &self.base, 1);
        let mut request = self.client.request(method(call.method), url);
        request = match (call.body, call.files) {
            (Some(body), []) => request.json(&body),
            (Some(body), files) => request.multipart(form(&body, files)?),
            (None, _) => request,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut told = told(status, answer.headers());
        let body = answer.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status == StatusCode::TOO_MANY_REQUESTS {
            told.is_global |= body["global"].as_bool().unwrap_or(false);
            told.reset_after = body["retry_after"].as_f64().and_then(seconds).or(told.reset_after);
        }
        if is_limited || told.status == 429 {
            self.limiter.learn(&name, &resource, &told, self.clock.now());
        }
        judge(status, told.reset_after, body)
    }
}

fn unreachable(error: reqwest::Error) -> Undelivered {
    Undelivered::Unreachable(error.without_url().to_string())
}

/// What an answer means for whoever sent the request.
fn judge(status: StatusCode, retry_after: Option<Duration>, body: Value) -> Result<Value, Trouble> {
    if status.is_success() {
        return Ok(body);
    }
    let code = body["code"].as_u64().unwrap_or(0);
    let said = limits::cut(&body.to_string(), 500);
    let what = match status {
        StatusCode::TOO_MANY_REQUESTS => Undelivered::Wait(retry_after.unwrap_or(Duration::from_secs(1))),
        StatusCode::NOT_FOUND if matches!(code, limits::UNKNOWN_MESSAGE | limits::UNKNOWN_CHANNEL) => Undelivered::Gone,
        // The missing permission may be given while the message waits. A thread that is locked is one that moderators
        // closed to the bot.
        StatusCode::FORBIDDEN => Undelivered::Forbidden(format!("Discord answered {status}: {said}")),
        _ if code == limits::THREAD_IS_ARCHIVED => Undelivered::Forbidden(format!("Discord answered {status}: {said}")),
        // The token may be exchanged.
        StatusCode::UNAUTHORIZED => Undelivered::Unreachable(format!("Discord answered {status}: {said}")),
        status if status.is_server_error() => Undelivered::Unreachable(format!("Discord answered {status}")),
        status => Undelivered::Refused(format!("Discord answered {status}: {said}")),
    };
    Err(Trouble { code, what })
}

fn told(status: StatusCode, headers: &HeaderMap) -> Told {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reset_after = text("x-ratelimit-reset-after").or_else(|| text("retry-after"));
    Told {
        status: status.as_u16(),
        bucket: text("x-ratelimit-bucket").map(str::to_owned),
        remaining: text("x-ratelimit-remaining").and_then(|value| value.parse().ok()),
        reset_after: reset_after.and_then(|value| value.parse().ok()).and_then(seconds),
        is_global: text("x-ratelimit-global").is_some(),
        is_shared: text("x-ratelimit-scope") == Some("shared"),
    }
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

/// The route without its numbers, and the channel, server or webhook that its limit is counted for.
fn bucket_of(path: &str, method: LightMethod) -> (String, String) {
    let path = path.trim_start_matches(DISCORD);
    let parts: Vec<&str> = path.split('/').collect();
    let resource = parts
        .windows(2)
        .find(|pair| matches!(pair[0], "channels" | "guilds" | "webhooks"))
        .map_or(String::new(), |pair| pair[1].to_owned());
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let shape: Vec<&str> = parts.iter().map(|part| if is_number(part) { ":id" } else { part }).collect();
    (format!("{method:?} {}", shape.join("/")), resource)
}

fn method(method: LightMethod) -> reqwest::Method {
    match method {
        LightMethod::Delete => reqwest::Method::DELETE,
        LightMethod::Get => reqwest::Method::GET,
        LightMethod::Patch => reqwest::Method::PATCH,
        LightMethod::Post => reqwest::Method::POST,
        LightMethod::Put => reqwest::Method::PUT,
    }
}

/// A request with files. <https://discord.com/developers/docs/reference#uploading-files>
fn form(body: &Value, files: &[File]) -> Result<Form, Undelivered> {
    let plain = |text: String, kind: &str| {
        Part::text(text).mime_str(kind).map_err(|error| Undelivered::Refused(error.to_string()))
    };
    let mut form = Form::new().part("payload_json", plain(body.to_string(), "application/json")?);
    for (index, file) in files.iter().enumerate() {
        let part = plain(file.text.clone(), "text/plain; charset=utf-8")?.file_name(file.name.clone());
        form = form.part(format!("files[{index}]"), part);
    }
    Ok(form)
}
