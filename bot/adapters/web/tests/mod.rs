//! Drives the whole router in the process, over a real store.

mod api_v2;
mod intake;
mod pages;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Auth, Fingerprint, Gate, Keys, Source, SourceKind, Web, answers::whole, router};
use crate::{
    domain::{
        alerts::{Batch, Labels, Malformed, Says, Signal},
        people::{Capability, PersonId},
    },
    engine::{Rules, rules::People, trial::Trial},
};

const LIMIT: usize = 64 * 1024;

/// The bot's HTTP side, with a store and a clock of its own.
struct Server {
    trial: Trial,
    gate: Arc<Gate>,
    router: Router,
}

/// An answer, read to its end.
struct Told {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn person(name: &str) -> PersonId {
    PersonId(name.to_owned())
}

fn secrets(all: &[&str]) -> Vec<SecretString> {
    all.iter().map(|one| SecretString::from((*one).to_owned())).collect()
}

fn rules() -> Rules {
    let people = People {
        known: ["ada", "bob"].map(|name| (person(name), ["on-call".to_owned()].into())).into(),
        roles: [("on-call".to_owned(), Capability::Operate)].into(),
        ..People::default()
    };
    Rules { people, default_channel: "ops".to_owned(), ..Rules::default() }
}

/// Reads `[{"alertname": …}, …]`: what the parsers of the sources make of a body is theirs to show.
fn parse(source: &'static str) -> super::Parse {
    Arc::new(move |body| {
        let all: Vec<BTreeMap<String, String>> = serde_json::from_slice(body)
            .map_err(|error| Malformed::new("alerts[3].startsAt", error.to_string()).hint("mend it"))?;
        let signals = all.into_iter().map(|labels| Signal {
            source: source.to_owned(),
            labels: labels.into_iter().collect::<Labels>(),
            annotations: BTreeMap::new(),
            says: Says::Firing { ends_at: None },
            starts_at: None,
            generator_url: None,
        });
        Ok(Batch { source: source.to_owned(), signals: signals.collect(), truncated: 0, source_key: None })
    })
}

fn source(name: &'static str, kind: SourceKind, auth: Auth) -> Source {
    Source { name: name.to_owned(), kind, auth, parse: Some(parse(name)), feed: None, may: None }
}

fn keys() -> Keys {
    Keys {
        sources: vec![
            source("prom", SourceKind::Alertmanager, Auth::bearer(&secrets(&["old-token", "new-token", ""]))),
            source("backup", SourceKind::Alertmanager, Auth::basic("am", &secrets(&["word"]))),
            source("nagios", SourceKind::Generic, Auth::signed(&secrets(&["first", "second"]))),
        ],
        people: [("ada", "ada-token"), ("bob", "bob-token")]
            .map(|(name, token)| (person(name), Fingerprint::of(token).unwrap()))
            .into(),
        scrapers: Vec::new(),
    }
}

impl Server {
    async fn new() -> Self {
        Self::with(keys()).await
    }

    async fn with(keys: Keys) -> Self {
        let trial = Trial::new(rules()).await;
        let gate = Gate::new(keys);
        trial.engine.signs().watch("discord", Arc::new(|| Err("it is not connected".to_owned())));
        let router = router(Web {
            engine: Arc::clone(&trial.engine),
            gate: Arc::clone(&gate),
            body_limit: LIMIT,
            metrics: None,
            is_behind_tls: false,
            stop: CancellationToken::new(),
        });
        Self { trial, gate, router }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = whole(body, 1 << 24).await.unwrap();
        Told { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Told {
        self.ask(Method::GET, path, headers, Body::empty()).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Told {
        self.ask(Method::POST, path, headers, body.to_owned()).await
    }

    /// Posts a form as a browser does.
    async fn send(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Told {
        let mut url = reqwest::Url::parse("http://form").unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookie)];
        self.post(path, &headers, url.query().unwrap()).await
    }

    /// Signs somebody in; the cookie as a browser sends it back, and the word that forms carry.
    async fn sign_in(&self, token: &str) -> (String, String) {
        let told = self.send("/login", "", &[("token", token)]).await;
        assert_eq!(told.status, StatusCode::SEE_OTHER, "{}", told.text);
        let set = told.header(header::SET_COOKIE.as_str()).to_owned();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
        let cookie = set.split(';').next().unwrap().to_owned();
        let page = self.get("/", &[("cookie", &cookie)]).await;
        let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        (cookie, csrf.to_owned())
    }
}
