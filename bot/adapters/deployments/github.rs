//! GitHub's webhooks: deployments and their statuses, merged pull requests, ended runs of workflows on the main branch.
//!
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>

use serde_json::Value;

use super::{at, json, legible, line, name, required, text, time, url};
use crate::domain::{
    alerts::Malformed,
    deployments::{About, ChangeKind, Report, Seen, State},
};

/// Reads a delivery of this event (`X-GitHub-Event`). What is of no use here, such as a `push` or a `ping`, is no report.
///
/// # Errors
/// Says where the body is not what GitHub sends.
pub fn read(event: &str, body: &[u8]) -> Result<Option<Report>, Malformed> {
    let body = json(body)?;
    match event {
        "deployment" => deployment(&body, State::Pending, "deployment").map(Some),
        "deployment_status" => match state(required(&body, "deployment_status.state")?) {
            Some(state) => deployment(&body, state, "deployment_status").map(Some),
            None => Ok(None),
        },
        "pull_request" => merge(&body),
        "workflow_run" => workflow_run(&body),
        _ => Ok(None),
    }
}

/// How far a deployment with this status came. GitHub marks one as `inactive` when another takes its place, which says
/// nothing of how it ended.
/// <https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status>
fn state(word: &str) -> Option<State> {
    match word {
        "success" => Some(State::Succeeded),
        "failure" | "error" => Some(State::Failed),
        "pending" | "queued" | "in_progress" => Some(State::Pending),
        _ => None,
    }
}

/// `told` is the part of the body that says when, where and by whom it came so far.
fn deployment(body: &Value, state: State, told: &str) -> Result<Report, Malformed> {
    let repository = name(body, "repository.full_name")?;
    let id = at(body, "deployment.id").and_then(Value::as_u64);
    let id = id.ok_or_else(|| Malformed::new("deployment.id", "it is missing"))?;
    let sha = name(body, "deployment.sha")?;
    let payload = payload(body);
    let of_payload = |name: &str| payload.get(name).and_then(Value::as_str).map(|text| legible(text, 100));
    let reference = line(body, "deployment.ref")?.filter(|reference| *reference != sha);
    let url = match url(body, "deployment_status.log_url")? {
        Some(url) => Some(url),
        None => url_of_target(body)?,
    };
    Ok(Report::Deployment(Box::new(Seen {
        environment: name(body, "deployment.environment")?,
        version: of_payload("version").or(reference),
        state,
        at: time(body, &format!("{told}.created_at"))?,
        by: line(body, "deployment.creator.login")?,
        url,
        migration: payload.get("migration").and_then(Value::as_bool),
        external: Some(format!("github:{}:{id}", repository.to_ascii_lowercase())),
        key: key(&payload),
        about: About::Repository { name: repository, service: of_payload("service") },
        sha,
    })))
}

fn url_of_target(body: &Value) -> Result<Option<String>, Malformed> {
    url(body, "deployment_status.target_url")
}

/// What the deployer wrote down with the deployment: an object, or the text of one.
fn payload(body: &Value) -> Value {
    match at(body, "deployment.payload") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

/// The bot's own idempotency key, under whatever name it stands.
fn key(payload: &Value) -> Option<String> {
    let texts = payload.as_object()?.values().filter_map(Value::as_str);
    texts.into_iter().find(|text| text.starts_with("fw-") && text.len() <= 64).map(str::to_owned)
}

fn merge(body: &Value) -> Result<Option<Report>, Malformed> {
    let is_merged = at(body, "pull_request.merged").and_then(Value::as_bool) == Some(true);
    if text(body, "action")? != Some("closed") || !is_merged || !is_main(body, "pull_request.base.ref")? {
        return Ok(None);
    }
    let repository = name(body, "repository.full_name")?;
    let number = at(body, "pull_request.number").and_then(Value::as_u64);
    let number = number.ok_or_else(|| Malformed::new("pull_request.number", "it is missing"))?;
    let title = line(body, "pull_request.title")?.unwrap_or_default();
    Ok(Some(Report::Change {
        kind: ChangeKind::Merge,
        what: format!("#{number} {title}").trim().to_owned(),
        at: time(body, "pull_request.merged_at")?,
        by: line(body, "pull_request.merged_by.login")?,
        url: url(body, "pull_request.html_url")?,
        external: format!("github:{}:pull:{number}", repository.to_ascii_lowercase()),
        about: About::Repository { name: repository, service: None },
    }))
}

fn workflow_run(body: &Value) -> Result<Option<Report>, Malformed> {
    if text(body, "action")? != Some("completed") || !is_main(body, "workflow_run.head_branch")? {
        return Ok(None);
    }
    let repository = name(body, "repository.full_name")?;
    let id = at(body, "workflow_run.id").and_then(Value::as_u64);
    let id = id.ok_or_else(|| Malformed::new("workflow_run.id", "it is missing"))?;
    let attempt = at(body, "workflow_run.run_attempt").and_then(Value::as_u64).unwrap_or(1);
    let title = line(body, "workflow_run.name")?.unwrap_or_else(|| "a workflow".to_owned());
    let ended = line(body, "workflow_run.conclusion")?.unwrap_or_else(|| "ended".to_owned());
    Ok(Some(Report::Change {
        kind: ChangeKind::WorkflowRun,
        what: format!("{title}: {ended}"),
        at: time(body, "workflow_run.updated_at")?,
        by: line(body, "workflow_run.actor.login")?,
        url: url(body, "workflow_run.html_url")?,
        external: format!("github:{}:run:{id}:{attempt}", repository.to_ascii_lowercase()),
        about: About::Repository { name: repository, service: None },
    }))
}

/// Whether it is of the main branch: what happens on others changes nothing yet.
fn is_main(body: &Value, branch: &str) -> Result<bool, Malformed> {
    let main = text(body, "repository.default_branch")?;
    Ok(main.is_some() && text(body, branch)? == main)
}
