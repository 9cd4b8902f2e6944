//! What the emulated GitHub answers, as far as its clients read it.

use std::time::Duration;

use firewarden::domain::time::Time;
use serde_json::{Value, json};

use super::{
    REPO,
    state::{Deployed, Ran, State, Written},
};

fn after(since: Time, now: Time) -> Duration {
    now.since(since)
}

/// A deployment. What was given as an object is given back as one.
pub(super) fn deployment(it: &Deployed) -> Value {
    json!({
        "id": it.id, "sha": it.sha, "ref": it.sha, "environment": "production", "task": "deploy",
        "payload": it.asked.get("payload").cloned().unwrap_or_else(|| json!("")),
        "url": format!("https://api.github.test/repos/{REPO}/deployments/{}", it.id),
    })
}

/// What has been said about a deployment by this time, newest first.
pub(super) fn statuses(it: &Deployed, now: Time) -> Value {
    let age = after(it.made, now);
    let said = [
        (Duration::ZERO, "queued", ""),
        (it.course.starts, "in_progress", ""),
        (it.course.takes, it.course.ends, "said by the deployer"),
    ];
    let said = said.iter().enumerate().filter(|(_, (at, ..))| *at <= age);
    let mut all: Vec<Value> = said
        .map(|(number, (_, state, description))| {
            json!({
                "id": it.id * 10 + number as u64, "state": state, "description": description,
                "log_url": format!("https://ci.test/deployments/{}", it.id), "target_url": "",
            })
        })
        .collect();
    all.reverse();
    Value::from(all)
}

/// A run of a workflow.
pub(super) fn run(it: &Ran, now: Time) -> Value {
    let age = after(it.begun, now);
    let is_over = age >= it.course.takes;
    let status = match age {
        _ if is_over => "completed",
        age if age >= it.course.starts => "in_progress",
        _ => "queued",
    };
    json!({
        "id": it.id, "display_title": it.title(), "run_attempt": it.attempt, "status": status,
        "conclusion": is_over.then_some(it.course.ends), "html_url": format!("https://github.test/runs/{}", it.id),
    })
}

/// The jobs of a run that is over: the second one is that which fails, at its second step.
pub(super) fn jobs(it: &Ran) -> Value {
    let step = |name: &str, conclusion: &str| json!({ "name": name, "conclusion": conclusion });
    json!({ "total_count": 2, "jobs": [
        { "name": "build", "conclusion": "success", "steps": [step("Compile", "success")] },
        { "name": "restart", "conclusion": it.course.ends, "steps": [
            step("Set up", "success"), step("Drain", it.course.ends), step("Start", "skipped"),
        ] },
    ] })
}

/// An issue, a pull request or a comment.
pub(super) fn posting(it: &Written) -> Value {
    let url = format!("https://github.test/{REPO}/{}/{}", it.sort, it.number);
    json!({
        "id": it.number, "number": it.number, "node_id": format!("PR_{}", it.number), "title": it.title,
        "body": it.body, "html_url": url, "merged": it.is_merged,
    })
}

/// Those of this sort, newest first, or as they came where it is comments.
pub(super) fn postings(state: &State, sort: &str, under: u64) -> Value {
    let mut all: Vec<Value> =
        state.written.iter().filter(|it| it.sort == sort && it.under == under).map(posting).collect();
    if sort != "comments" {
        all.reverse();
    }
    Value::from(all)
}
