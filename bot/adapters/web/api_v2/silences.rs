//! Silences as Alertmanager's API has them.
//!
//! One that is posted with the name of another changes it where its past stays the same; else the other ends and a new one
//! begins. Those that are over are listed for five days, as Alertmanager keeps them.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Told, asked::Asked, caller::Caller};
use crate::{
    adapters::web::{
        Site,
        answers::{Trouble, whole},
    },
    domain::{
        alerts::{Matcher, Operator, bounds},
        people::Capability,
        silences::{Silence, SilenceState, Wanted},
        time::{Moment, Time},
    },
    engine::{self, Input, silences},
    store::{self, Fault},
};

/// How long a silence that is over is listed.
const SINCE: Duration = Duration::from_hours(120);
/// The most silences that are listed.
const LISTED: i64 = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<Condition>,
    #[serde(default)]
    starts_at: Moment,
    #[serde(default)]
    ends_at: Moment,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

/// `GET /api/v2/silences`
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let matchers = asked.matchers("filter")?;
    let (active, pending, expired) = (asked.wants("active")?, asked.wants("pending")?, asked.wants("expired")?);
    let now = site.engine.now();
    let since = if expired { now - SINCE } else { now };
    let mut reader = site.engine.read().await?;
    let mut found = store::silences::ending_after(&mut reader, since, LISTED).await?;
    found.retain(|silence| {
        let is_wanted = match silence.state(now) {
            SilenceState::Active => active,
            SilenceState::Pending => pending,
            SilenceState::Expired => expired,
        };
        is_wanted && matchers.iter().all(|matcher| silence.matchers.contains(matcher))
    });
    // As Alertmanager: what ends next, what begins next, what ended last.
    found.sort_by_key(|silence| match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at.millis(), Reverse(0)),
        SilenceState::Pending => (1, silence.starts_at.millis(), Reverse(0)),
        SilenceState::Expired => (2, 0, Reverse(silence.ends_at.millis())),
    });
    let found: Vec<Value> = found.iter().map(|silence| written(silence, now)).collect();
    Ok(Json(found).into_response())
}

/// `GET /api/v2/silence/<id>`
pub(super) async fn show(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(uuid): Path<String>,
) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let mut reader = site.engine.read().await?;
    let found = store::silences::by_uuid(&mut reader, &uuid).await?;
    Ok(match found {
        Some(silence) => Json(written(&silence, site.engine.now())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// `DELETE /api/v2/silence/<id>`
pub(super) async fn expire(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(uuid): Path<String>,
) -> Result<StatusCode, Told> {
    caller.must(&site, Capability::Respond)?;
    match ask(&site, silences::Input::Expire { actor: caller.actor(), uuid }).await? {
        silences::Answer::Unknown => Ok(StatusCode::NOT_FOUND),
        silences::Answer::Set(_) | silences::Answer::Expired | silences::Answer::Refused(_) => Ok(StatusCode::OK),
    }
}

/// `POST /api/v2/silences`
pub(super) async fn set(State(site): State<Arc<Site>>, caller: Caller, request: Request) -> Result<Response, Told> {
    caller.must(&site, Capability::Respond)?;
    let body = whole(request.into_body(), site.body_limit).await?;
    let bad = |what: String| Told(Trouble::new(StatusCode::BAD_REQUEST, what));
    let mut json = serde_json::Deserializer::from_slice(&body);
    let posted: Posted = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| bad(bounds::unreadable(&error.path().to_string(), error.inner()).to_string()))?;
    let (replaces, wanted) = wanted(posted, site.engine.now()).map_err(bad)?;
    match ask(&site, silences::Input::Set { actor: caller.actor(), replaces, wanted }).await? {
        silences::Answer::Set(uuid) => Ok(Json(json!({ "silenceID": uuid })).into_response()),
        silences::Answer::Refused(refusal) => Err(bad(refusal.to_string())),
        silences::Answer::Unknown | silences::Answer::Expired => {
            let trouble = Trouble::new(StatusCode::NOT_FOUND, "There is no silence with this `id`");
            Err(trouble.hint("leave it out to begin a new one").into())
        }
    }
}

fn wanted(posted: Posted, now: Time) -> Result<(Option<String>, Wanted), String> {
    let matchers = posted.matchers.into_iter().enumerate().map(|(index, condition)| {
        let operator = match (condition.is_equal, condition.is_regex) {
            (true, false) => Operator::Equal,
            (false, false) => Operator::NotEqual,
            (true, true) => Operator::Like,
            (false, true) => Operator::NotLike,
        };
        let matcher = Matcher::new(condition.name, operator, condition.value);
        matcher.map_err(|what| format!("`matchers[{index}]`: {what}"))
    });
    let annotations = bounds::annotations("annotations", posted.annotations.unwrap_or_default());
    let wanted = Wanted {
        matchers: matchers.collect::<Result<_, _>>()?,
        starts_at: posted.starts_at.0.unwrap_or(now),
        ends_at: posted.ends_at.0.ok_or("`endsAt`: a silence needs an end")?,
        author: bounds::text(posted.created_by),
        comment: bounds::text(posted.comment),
        annotations: annotations.map_err(|malformed| malformed.to_string())?,
    };
    Ok((posted.id.filter(|id| !id.is_empty()), wanted))
}

async fn ask(site: &Site, input: silences::Input) -> Result<silences::Answer, Told> {
    match site.engine.submit(Input::Silences(input)).await? {
        engine::Answer::Silences(answer) => Ok(answer),
        engine::Answer::Received(_)
        | engine::Answer::Reply(_)
        | engine::Answer::Run(_)
        | engine::Answer::Deployment(_)
        | engine::Answer::Done => Err(Fault::defect("what was asked of silences was not answered").into()),
    }
}

fn written(silence: &Silence, now: Time) -> Value {
    let matchers = silence.matchers.iter().map(|matcher| {
        let (is_equal, is_regex) = match matcher.operator() {
            Operator::Equal => (true, false),
            Operator::NotEqual => (false, false),
            Operator::Like => (true, true),
            Operator::NotLike => (false, true),
        };
        json!({ "name": matcher.name(), "value": matcher.value(), "isRegex": is_regex, "isEqual": is_equal })
    });
    json!({
        "id": silence.uuid, "status": { "state": silence.state(now) }, "updatedAt": silence.updated_at,
        "matchers": matchers.collect::<Vec<_>>(), "startsAt": silence.starts_at, "endsAt": silence.ends_at,
        "createdBy": silence.author, "comment": silence.comment, "annotations": silence.annotations,
    })
}
