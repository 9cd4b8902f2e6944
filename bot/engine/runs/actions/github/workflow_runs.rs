//! A workflow's run as an action tells of it, and how it is followed to its end.

use serde_json::{Value, json};

use super::{At, failed};
use crate::engine::{
    ports::{Job, WorkflowRun},
    runs::Outcome,
};

/// How far a run could be followed.
pub(super) enum Followed {
    /// To the end of this attempt or a later one.
    Ended(WorkflowRun),
    /// Not to its end: how it stands, in words that follow its name.
    Open(String),
}

/// Follows a run to the end of this attempt, or to the end of the step's time.
pub(super) async fn follow(at: &At<'_>, run: u64, attempt: u64) -> Followed {
    loop {
        let stands = match at.host.workflow_run(at.repo, run, at.until).await {
            Ok(run) if run.status == "completed" && run.attempt >= attempt => return Followed::Ended(run),
            Ok(run) => format!("is still `{}`, see {}", run.status, run.url),
            Err(why) => format!("cannot be followed: {why}"),
        };
        if !at.look_again().await {
            return Followed::Open(stands);
        }
    }
}

/// Follows a run that the step has set off.
pub(super) async fn end(at: &At<'_>, run: u64, attempt: u64) -> Result<Value, Outcome> {
    match follow(at, run, attempt).await {
        Followed::Ended(run) if is_success(&run) => Ok(output(&run)),
        Followed::Ended(run) => Err(failed(words(at, &run).await)),
        Followed::Open(stands) => Err(Outcome::Unknown(format!("run {run} was set off and {stands}"))),
    }
}

pub(super) fn is_success(run: &WorkflowRun) -> bool {
    run.conclusion.as_deref() == Some("success")
}

/// What people are told of a run that ended without success: the job, and the step of it.
pub(super) async fn words(at: &At<'_>, run: &WorkflowRun) -> String {
    let conclusion = run.conclusion.as_deref().unwrap_or("unknown");
    let ended = format!("run {} ended as `{conclusion}`", run.id);
    let guilty = match at.host.jobs(at.repo, run.id, at.until).await {
        Ok(jobs) => jobs.iter().find(|job| is_failed(job)).map(of_job).unwrap_or_default(),
        Err(why) => format!(", its jobs cannot be read ({why})"),
    };
    format!("{ended}{guilty}, see {}", run.url)
}

fn is_failed(job: &Job) -> bool {
    !matches!(job.conclusion.as_deref(), None | Some("success" | "skipped" | "neutral"))
}

fn of_job(job: &Job) -> String {
    let step = job.failed_step.as_ref().map(|step| format!(" at step `{step}`")).unwrap_or_default();
    format!(": job `{}` {}{step}", job.name, job.conclusion.as_deref().unwrap_or_default())
}

/// What an action gives of a run.
pub(super) fn output(run: &WorkflowRun) -> Value {
    json!({ "id": run.id, "attempt": run.attempt, "conclusion": run.conclusion, "url": run.url })
}
