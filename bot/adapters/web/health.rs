//! What machines ask of the bot: is it alive, can it take work, how is it doing.
//!
//! Ready means that what is sent would be kept, whether this process leads or another. Trouble with a chat is a warning and not a reason to be unready: alerts
//! that a load balancer turned away would be lost, those that are taken are delivered later.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Site, answers::Trouble, credentials::Shown};
use crate::{
    domain::{runs::RunState, time::Time},
    store::{self, approvals, cards, posts, runs, timers},
};

/// The longest a look at the store may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a page may wait before it is a warning.
const PAGE_LATE: Duration = Duration::from_mins(1);
/// How long any other message may wait before it is a warning.
const POST_LATE: Duration = Duration::from_mins(5);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> Response {
    Json(json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// `GET /readyz`: 200 if what is sent would be kept, else 503; both with what is wrong.
pub(super) async fn ready(State(site): State<Arc<Site>>) -> Response {
    let mut reasons = BTreeMap::new();
    let mut warnings = BTreeMap::new();
    if site.stop.is_cancelled() {
        reasons.insert("stopping", "the program is stopping".to_owned());
    }
    if let Some(length) = site.engine.store().failing_for() {
        reasons.insert("store", format!("no commit has succeeded for {} s", length.as_secs()));
    } else if let Some((length, why)) = site.engine.signs().unwritten() {
        reasons.insert("store", format!("nothing was written for {} s: {why}", length.as_secs()));
    }
    match waiting(&site).await {
        Ok(waiting) => {
            let now = site.engine.now();
            let page = waiting.page_since.map(|since| now.since(since)).filter(|length| *length > PAGE_LATE);
            let post = waiting.since.map(|since| now.since(since)).filter(|length| *length > POST_LATE);
            if let Some(length) = page {
                warnings.insert("delivery", format!("a page has waited for {} s", length.as_secs()));
            } else if let Some(length) = post {
                warnings.insert("delivery", format!("a message has waited for {} s", length.as_secs()));
            }
        }
        Err(trouble) => {
            reasons.insert("store_reads", trouble);
        }
    }
    warnings.extend(site.engine.signs().warnings());
    let (is_ready, leads) = (reasons.is_empty(), site.engine.store().lead().is_ours());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let answer = json!({ "ready": is_ready, "leads": leads, "reasons": reasons, "warnings": warnings });
    (status, Json(answer)).into_response()
}

async fn waiting(site: &Site) -> Result<posts::Waiting, String> {
    let look = async {
        let mut reader = site.engine.read().await?;
        let waiting = posts::waiting(&mut reader).await?;
        let card_since = cards::page_since(&mut reader).await?;
        let page_since = [waiting.page_since, card_since].into_iter().flatten().min();
        Ok(posts::Waiting { page_since, ..waiting })
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(waiting)) => Ok(waiting),
        Ok(Err(fault)) => Err(said(&fault)),
        Err(_) => Err(format!("a read did not end within {} s", PATIENCE.as_secs())),
    }
}

/// The fault without its hint, which a probe cannot follow.
fn said(fault: &store::Fault) -> String {
    fault.to_string().lines().next().unwrap_or_default().to_owned()
}

/// `GET /metrics`: Prometheus' text format, with the queues as they are at this moment.
pub(super) async fn metrics(State(site): State<Arc<Site>>, headers: HeaderMap) -> Result<Response, Trouble> {
    if !site.gate.keys().may_scrape(&Shown::read(&headers)) {
        return Err(Trouble::new(StatusCode::UNAUTHORIZED, "The metrics are not open to everybody")
            .hint("send a token of `web.metrics_token` as `Authorization: Bearer …`"));
    }
    let Some(recorder) = &site.metrics else {
        return Err(Trouble::new(StatusCode::NOT_FOUND, "No metrics are recorded"));
    };
    observe(&site).await;
    recorder.run_upkeep();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, recorder.render()).into_response())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; queues are far below 2^52")]
async fn observe(site: &Site) {
    let store = site.engine.store();
    metrics::gauge!("firewarden_store_queue").set(store.backlog() as f64);
    metrics::gauge!("firewarden_leads").set(if store.lead().is_ours() { 1.0 } else { 0.0 });
    let failing = store.failing_for().or_else(|| site.engine.signs().unwritten().map(|(length, _)| length));
    metrics::gauge!("firewarden_store_failing_seconds").set(failing.unwrap_or_default().as_secs_f64());
    if let Err(why) = observe_runs(site).await {
        tracing::warn!(why, "the metrics of runs cannot be read");
    }
    if let Ok(waiting) = waiting(site).await {
        let now = site.engine.now();
        let age = |since: Option<_>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
        metrics::gauge!("firewarden_outbox_waiting").set(waiting.count as f64);
        metrics::gauge!("firewarden_outbox_oldest_seconds").set(age(waiting.since));
        metrics::gauge!("firewarden_outbox_oldest_page_seconds").set(age(waiting.page_since));
    }
}

/// Runs and timers as the store has them. What has ended is counted there, so that no run counts twice and a restart
/// forgets none.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; there are far fewer runs than 2^52")]
async fn observe_runs(site: &Site) -> Result<(), String> {
    let look = async {
        let mut reader = site.engine.read().await?;
        let counts = runs::counts(&mut reader).await?;
        let asked = approvals::open(&mut reader).await?.iter().map(|question| question.asked_at).min();
        Ok::<_, store::Fault>((counts, asked, timers::earliest(&mut reader).await?))
    };
    let looked = tokio::time::timeout(PATIENCE, look).await.map_err(|_| "the read does not end".to_owned())?;
    let (counts, asked, due) = looked.map_err(|fault| said(&fault))?;
    let now = site.engine.now();
    let age = |since: Option<Time>| since.map_or(0.0, |since| now.since(since).as_secs_f64());
    for count in counts.iter().filter(|count| count.state.is_over()) {
        let labels = [("runbook", count.runbook.clone()), ("state", count.state.word().to_owned())];
        metrics::counter!("firewarden_runs_total", &labels).absolute(count.number.unsigned_abs());
    }
    for state in RunState::ALL.iter().filter(|state| !state.is_over()) {
        let open = counts.iter().filter(|count| count.state == *state);
        let (number, since) =
            (open.clone().map(|count| count.number).sum::<i64>(), open.map(|count| count.since).min());
        metrics::gauge!("firewarden_runs_open", "state" => state.word()).set(number as f64);
        metrics::gauge!("firewarden_runs_oldest_seconds", "state" => state.word()).set(age(since));
    }
    metrics::gauge!("firewarden_approvals_oldest_seconds").set(age(asked));
    metrics::gauge!("firewarden_timers_late_seconds").set(age(due.filter(|due| *due <= now)));
    Ok(())
}
