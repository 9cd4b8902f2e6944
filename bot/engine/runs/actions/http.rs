//! `http`: one request. What changes something carries an idempotency key and is never sent twice by itself.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{LIMIT, clean, happened, numbers, tail, text, values, with_secrets};
use crate::engine::{
    ports::{HttpAnswer, HttpOutcome, HttpRequest},
    runs::{Outcome, Ports, Work},
};

pub(super) fn act<'a>(ports: &'a Ports, work: &'a Work) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        match request(ports, work) {
            Ok(request) => outcome(work, ports.http.send(request).await, &ports.secrets.known()),
            Err(why) => Outcome::Refused(why),
        }
    })
}

fn request(ports: &Ports, work: &Work) -> Result<HttpRequest, String> {
    let url = text(&work.with, "url").ok_or("there is no `url`")?.to_owned();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err("the `url` is neither `http://` nor `https://`".to_owned());
    }
    let mut headers = values(ports, &work.with, "headers")?;
    let has = |headers: &[(String, SecretString)], name: &str| {
        headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    };
    let body = match work.with.get("body") {
        None | Some(Value::Null) => None,
        Some(body) => {
            let body = with_secrets(ports, body)?;
            if let Value::String(text) = body {
                Some(text.into_bytes())
            } else {
                if !has(&headers, "content-type") {
                    headers.push(("content-type".to_owned(), "application/json".into()));
                }
                Some(body.to_string().into_bytes())
            }
        }
    };
    if work.changes && !has(&headers, "idempotency-key") {
        headers.push(("idempotency-key".to_owned(), work.effect.as_str().into()));
    }
    let method = text(&work.with, "method").unwrap_or("GET").to_owned();
    Ok(HttpRequest { method, url, headers, body, timeout: work.timeout, limit: LIMIT })
}

fn outcome(work: &Work, sent: HttpOutcome, secrets: &[SecretString]) -> Outcome {
    let answer = match sent {
        HttpOutcome::Answered(answer) => answer,
        HttpOutcome::NotSent(why) => return Outcome::Failed { why, may_have_changed: false },
        HttpOutcome::Unknown(why) => return Outcome::Unknown(why),
    };
    let status = i64::from(answer.status);
    let is_expected = match numbers(&work.with, "expect") {
        Some(expected) => expected.contains(&status),
        None => (200..300).contains(&status),
    };
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    if is_expected {
        return answered(work, &answer, &body);
    }
    let why = format!("answered {status}: {}", tail(&clean::text(&body, secrets)));
    match status {
        // It has no time for it now. https://www.rfc-editor.org/rfc/rfc6585#section-4
        425 | 429 => Outcome::Failed { why, may_have_changed: false },
        // It said that it does not do it.
        400..=407 | 409..=499 => Outcome::Refused(why),
        // It gave up waiting for the request, or does not know itself.
        408 | 500.. => Outcome::Unknown(why),
        _ => Outcome::Failed { why, may_have_changed: true },
    }
}

fn answered(work: &Work, answer: &HttpAnswer, body: &str) -> Outcome {
    if answer.is_cut && !work.changes {
        let why = format!("the answer is longer than {LIMIT} bytes");
        return Outcome::Failed { why, may_have_changed: false };
    }
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let headers: BTreeMap<&String, &String> = answer.headers.iter().collect();
    let response = json!({ "status": answer.status, "json": parsed.clone(), "text": body, "headers": headers });
    let otherwise = match parsed {
        Some(parsed) => json!({ "status": answer.status, "json": parsed }),
        None => json!({ "status": answer.status, "text": body }),
    };
    let scope = work.scope.clone().with("response", response);
    happened(&work.with, &scope, work.changes, otherwise)
}
