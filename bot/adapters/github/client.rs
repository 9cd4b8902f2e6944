//! octocrab over the bot's own way to send requests, so that it is known of each what became of it.
//!
//! octocrab knows who asks (a token, or an App with its installation); nothing is repeated and no redirect is followed.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder,
    models::{AppId, InstallationId},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::engine::ports::{Http, HttpOutcome, HttpRequest};

/// Where GitHub itself answers; GitHub Enterprise answers at `https://HOST/api/v3`.
pub const API: &str = "https://api.github.com";
/// Where GraphQL is answered, under whatever address.
pub(super) const GRAPHQL: &str = "/graphql";
/// The version of the API. <https://docs.github.com/en/rest/about-the-rest-api/api-versions>
const VERSION: &str = "2022-11-28";
/// The longest answer: a comparison names up to 300 files with what changed in them.
const LONGEST: usize = 16 * 1024 * 1024;
/// The longest that one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// A token, of a person or of a robot.
    Token(SecretString),
    /// An installation of a GitHub App.
    App {
        /// The App's id.
        id: u64,
        /// The installation's id.
        installation: u64,
        /// The App's private key, as PEM.
        key: SecretString,
    },
}

/// What is known of a request.
pub(super) enum Reply {
    Answered(Answer),
    /// It certainly did not arrive.
    NotSent(String),
    /// It may have arrived.
    Unknown(String),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Headers, their names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

impl Answer {
    /// Why it is none that was hoped for, in GitHub's words.
    pub(super) fn words(&self) -> String {
        let message = self.body.get("message").and_then(Value::as_str).unwrap_or_default();
        let errors = self.body.get("errors").and_then(Value::as_array);
        let of = |error: &Value| {
            let part = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
            part("message").or_else(|| Some(format!("{} {}", part("field")?, part("code")?)))
        };
        let errors: Vec<String> = errors.into_iter().flatten().filter_map(of).collect();
        let parts = [vec![message.to_owned()], errors].concat();
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let said: String = parts.join(", ").chars().take(300).collect();
        if said.is_empty() {
            format!("GitHub answered {}", self.status)
        } else {
            format!("GitHub answered {}: {said}", self.status)
        }
    }
}

/// Asks GitHub, each question once.
pub(super) struct Client {
    octocrab: Octocrab,
    is_app: bool,
}

impl Client {
    /// # Errors
    /// When the private key is none.
    pub(super) fn new(http: Arc<dyn Http>, credentials: &Credentials, api: &str) -> anyhow::Result<Self> {
        let over = Arc::new(Over { http, bases: Bases::new(api) });
        let service = tower::service_fn(move |request: Request<OctoBody>| {
            let over = Arc::clone(&over);
            async move { over.send(request).await }
        });
        let building = OctocrabBuilder::new_empty().with_service(service);
        let (octocrab, is_app) = match credentials {
            Credentials::Token(token) => {
                (building.with_auth(AuthState::AccessToken { token: token.clone() }).build(), false)
            }
            Credentials::App { id, key, .. } => {
                let app = octocrab::auth::AppAuth { app_id: AppId(*id), key: read_key(key)? };
                (building.with_auth(AuthState::App(app)).build(), true)
            }
        };
        let octocrab = octocrab.unwrap_or_else(|never| match never {});
        let octocrab = match credentials {
            Credentials::App { installation, .. } => octocrab.installation(InstallationId(*installation))?,
            Credentials::Token(_) => octocrab,
        };
        Ok(Self { octocrab, is_app })
    }

    /// Makes sure that there is a token to ask with. What is not answered here was not asked yet.
    pub(super) async fn sign_in(&self) -> Result<(), Reply> {
        if !self.is_app {
            return Ok(());
        }
        self.octocrab.installation_token().await.map(drop).map_err(of_error)
    }

    /// Asks once, for at most so long.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>, longest: Duration) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", VERSION)
            .extension(Longest(longest.min(PATIENCE)));
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(OctoBody::from(body.to_string()))
            }
            None => request.body(OctoBody::empty()),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return Reply::NotSent(format!("`{path}` cannot be asked: {error}")),
        };
        let response = match self.octocrab.execute(request).await {
            Ok(response) => response,
            Err(error) => return of_error(error),
        };
        let (status, headers) = (response.status().as_u16(), of_headers(response.headers()));
        match self.octocrab.body_to_string(response).await {
            Ok(text) => {
                Reply::Answered(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default() })
            }
            Err(_) => Reply::Unknown(format!("the answer {status} cannot be read")),
        }
    }
}

/// Reads the private key of an App.
///
/// # Errors
/// Says that it is none; never what it is.
pub fn read_key(key: &SecretString) -> anyhow::Result<octocrab::EncodingKey> {
    octocrab::EncodingKey::from_rsa_pem(key.expose_secret().as_bytes())
        .map_err(|_| anyhow::anyhow!("it is not the private key of a GitHub App, which begins with `-----BEGIN RSA`"))
}

fn of_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other error comes before the request is sent")]
fn of_error(error: octocrab::Error) -> Reply {
    match error {
        octocrab::Error::Service { source, .. } => match source.downcast::<NotAnswered>() {
            Ok(known) => match *known {
                NotAnswered::NotSent(why) => Reply::NotSent(why),
                NotAnswered::Unknown(why) => Reply::Unknown(why),
            },
            Err(_) => Reply::Unknown("the connection to GitHub broke inside the bot".to_owned()),
        },
        // The token of an installation was asked for, and refused.
        octocrab::Error::GitHub { source, .. } => Reply::Answered(Answer {
            status: source.status_code.as_u16(),
            headers: source.headers.as_ref().map(of_headers).unwrap_or_default(),
            body: serde_json::json!({ "message": refused_token(&source.message) }),
        }),
        other => {
            let words = other.to_string();
            Reply::NotSent(words.lines().next().unwrap_or("the request cannot be made").to_owned())
        }
    }
}

fn refused_token(said: &str) -> String {
    // Whatever stands before GitHub answers with pages.
    let said = if said.starts_with('<') { String::new() } else { format!("{said}, ") };
    format!("{said}when the token of the installation was asked for")
}

/// How long one answer is waited for.
#[derive(Clone, Copy)]
struct Longest(Duration);

/// Why there is no answer.
#[derive(Debug)]
enum NotAnswered {
    NotSent(String),
    Unknown(String),
}

impl fmt::Display for NotAnswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAnswered::NotSent(why) | NotAnswered::Unknown(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NotAnswered {}

/// The two addresses of one GitHub.
struct Bases {
    rest: String,
    graphql: String,
}

impl Bases {
    fn new(api: &str) -> Self {
        let rest = api.trim_end_matches('/').to_owned();
        let graphql = rest.strip_suffix("/v3").unwrap_or(&rest).to_owned() + GRAPHQL;
        Self { rest, graphql }
    }

    fn of(&self, uri: &Uri) -> String {
        match uri.path_and_query().map_or("/", |path| path.as_str()) {
            GRAPHQL => self.graphql.clone(),
            path => format!("{}{path}", self.rest),
        }
    }
}

struct Over {
    http: Arc<dyn Http>,
    bases: Bases,
}

impl Over {
    async fn send(&self, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, NotAnswered> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| NotAnswered::NotSent(error.to_string()))?.to_bytes();
        let text =
            |value: &header::HeaderValue| SecretString::from(String::from_utf8_lossy(value.as_bytes()).into_owned());
        let sent = HttpRequest {
            method: parts.method.as_str().to_owned(),
            url: self.bases.of(&parts.uri),
            headers: parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: (!body.is_empty()).then(|| body.to_vec()),
            timeout: parts.extensions.get::<Longest>().map_or(PATIENCE, |longest| longest.0),
            limit: LONGEST,
        };
        let answer = match self.http.send(sent).await {
            HttpOutcome::Answered(answer) if answer.is_cut => {
                return Err(NotAnswered::Unknown(format!("the answer is longer than {LONGEST} bytes")));
            }
            HttpOutcome::Answered(answer) => answer,
            HttpOutcome::NotSent(why) => return Err(NotAnswered::NotSent(why)),
            HttpOutcome::Unknown(why) => return Err(NotAnswered::Unknown(why)),
        };
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        response.body(Full::from(answer.body)).map_err(|error| NotAnswered::Unknown(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_github_has_its_two_addresses() {
        for (api, rest, graphql) in [
            (API, "https://api.github.com/rate_limit", "https://api.github.com/graphql"),
            (
                "https://git.acme.dev/api/v3/",
                "https://git.acme.dev/api/v3/rate_limit",
                "https://git.acme.dev/api/graphql",
            ),
        ] {
            let bases = Bases::new(api);
            assert_eq!(bases.of(&Uri::from_static("/rate_limit")), rest);
            assert_eq!(bases.of(&Uri::from_static(GRAPHQL)), graphql);
        }
    }
}
