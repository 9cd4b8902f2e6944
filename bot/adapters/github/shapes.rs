//! GitHub's JSON, read into the engine's words.

use serde_json::{Value, json};

use crate::engine::ports::{
    Comparison, Deployment, DeploymentStatus, Job, NewDeployment, Posting, PullRequest, WorkflowRun,
};

/// Under which name the bot's part stands in a deployment's payload.
const OURS: &str = "firewarden";

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// A deployment; `None` if it is none.
pub(super) fn deployment(value: &Value) -> Option<Deployment> {
    let id = value.get("id")?.as_u64()?;
    // What was given as text comes back as text.
    let payload = match value.get("payload") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let key = payload.get(OURS).and_then(|ours| ours.get("key")).and_then(Value::as_str).map(str::to_owned);
    Some(Deployment {
        id,
        sha: text(value, "sha"),
        environment: text(value, "environment"),
        key,
        url: text(value, "url"),
    })
}

/// What makes a deployment: of this commit as it is, with nothing merged into it.
pub(super) fn new_deployment(wanted: &NewDeployment) -> Value {
    let mut payload = wanted.payload.clone();
    payload.insert(OURS.to_owned(), json!({ "key": wanted.key }));
    let mut body = json!({
        "ref": wanted.sha, "auto_merge": false, "environment": wanted.environment, "payload": payload,
    });
    if let Some(description) = &wanted.description {
        body["description"] = description.as_str().into();
    }
    if let Some(task) = &wanted.task {
        body["task"] = task.as_str().into();
    }
    if let Some(contexts) = &wanted.required_contexts {
        body["required_contexts"] = contexts.as_slice().into();
    }
    body
}

/// The newest of a deployment's statuses.
pub(super) fn newest_status(values: &[Value]) -> Option<DeploymentStatus> {
    let newest = values.iter().max_by_key(|value| number(value, "id"))?;
    let log = [text(newest, "log_url"), text(newest, "target_url")].into_iter().find(|url| !url.is_empty());
    Some(DeploymentStatus {
        state: text(newest, "state"),
        description: text(newest, "description"),
        log: log.unwrap_or_default(),
    })
}

/// A run of a workflow; `None` if it is none.
pub(super) fn workflow_run(value: &Value) -> Option<WorkflowRun> {
    Some(WorkflowRun {
        id: value.get("id")?.as_u64()?,
        attempt: number(value, "run_attempt").max(1),
        title: text(value, "display_title"),
        status: text(value, "status"),
        conclusion: value.get("conclusion").and_then(Value::as_str).map(str::to_owned),
        url: text(value, "html_url"),
    })
}

/// A job of a run.
pub(super) fn job(value: &Value) -> Job {
    let is_failed =
        |step: &&Value| !matches!(text(step, "conclusion").as_str(), "" | "success" | "skipped" | "neutral");
    let steps = value.get("steps").and_then(Value::as_array);
    Job {
        name: text(value, "name"),
        conclusion: value.get("conclusion").and_then(Value::as_str).map(str::to_owned),
        failed_step: steps.into_iter().flatten().find(is_failed).map(|step| text(step, "name")),
    }
}

/// A pull request; `None` if it is none.
pub(super) fn pull_request(value: &Value) -> Option<PullRequest> {
    Some(PullRequest {
        node: value.get("node_id")?.as_str()?.to_owned(),
        number: value.get("number")?.as_u64()?,
        is_merged: value.get("merged").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// An issue or a pull request, by its number; `None` if it is none.
pub(super) fn posting(value: &Value) -> Option<Posting> {
    let number = value.get("number")?.as_u64()?;
    Some(Posting { number, body: text(value, "body"), url: text(value, "html_url") })
}

/// A comment, by its id; `None` if it is none.
pub(super) fn comment(value: &Value) -> Option<Posting> {
    Some(Posting { number: value.get("id")?.as_u64()?, body: text(value, "body"), url: text(value, "html_url") })
}

/// What lies between two commits. GitHub names 300 files at most:
/// <https://docs.github.com/en/rest/commits/commits#compare-two-commits>
pub(super) fn comparison(value: &Value) -> Comparison {
    const MOST: usize = 300;
    let files = value.get("files").and_then(Value::as_array);
    let files: Vec<String> = files.into_iter().flatten().map(|file| text(file, "filename")).collect();
    Comparison {
        status: text(value, "status"),
        ahead_by: number(value, "ahead_by"),
        behind_by: number(value, "behind_by"),
        is_cut: files.len() >= MOST,
        files,
        url: text(value, "html_url"),
    }
}
