//! What a run writes into the timeline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    ids::{ApprovalId, RunId},
    people::PersonId,
    runbooks::plan::Mode,
    runs::{
        approvals::{Difference, shown},
        journal::{Pass, StepKey},
        reason::Reason,
        run::RunState,
    },
    time::Time,
    timeline,
};

/// What a run writes into the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields of an entry bear the names of what they hold")]
pub enum Event {
    /// A run was started.
    RunTriggered {
        run: RunId,
        runbook: String,
        plan_hash: String,
        target: String,
        mode: Mode,
        by_alert: Option<String>,
    },
    /// Another trigger was for the same fault or found a run at work.
    RunAttached { run: RunId, runbook: String, by_alert: String },
    /// A run waits until others with the same key have ended.
    RunQueued { run: RunId, runbook: String, key: String, behind: Vec<RunId>, reason: Reason },
    /// A step has to wait.
    StepDelayed { run: RunId, step: StepKey, name: String, reason: Reason, detail: String },
    /// A question was withdrawn: what it was to end for came true.
    ApprovalWithdrawn { run: RunId, approval: ApprovalId, reason: Reason, detail: String },
    /// A runbook was not started.
    RunRefused { runbook: String, target: String, reason: Reason, detail: String },
    /// A step is about to happen.
    StepIntended {
        run: RunId,
        step: StepKey,
        name: String,
        action: String,
        changes: bool,
        with: Value,
        before: Value,
        effect: String,
    },
    /// The steps within a step are begun, each lane on its own.
    LanesBegun { run: RunId, step: StepKey, name: String, lanes: Vec<String> },
    /// A step started another run.
    ChildStarted { run: RunId, step: StepKey, name: String, child: RunId },
    /// A step happened.
    StepDone { run: RunId, step: StepKey, name: String, changes: bool, output: Value, took_ms: u64 },
    /// A step failed.
    StepFailed { run: RunId, step: StepKey, name: String, changes: bool, error: String, will_retry_at: Option<Time> },
    /// A step was left out because its condition does not hold.
    StepSkipped { run: RunId, step: StepKey, name: String, why: String },
    /// A step would have happened.
    StepObserved { run: RunId, step: StepKey, name: String, action: String, with: Value },
    /// It is unknown whether a step happened.
    StepInDoubt { run: RunId, step: StepKey, name: String, why: String },
    /// A look for a step had an answer.
    StepProbed { run: RunId, step: StepKey, name: String, found: bool, look: u32 },
    /// It was settled whether a step happened.
    StepSettled { run: RunId, step: StepKey, name: String, happened: bool, output: Value },
    /// People were asked to approve.
    ApprovalAsked {
        run: RunId,
        approval: ApprovalId,
        question: String,
        by: Vec<String>,
        count: u32,
        bound: BTreeMap<String, Value>,
        expires_at: Time,
    },
    /// Somebody approved.
    ApprovalGiven { run: RunId, approval: ApprovalId, missing: u32, bound: BTreeMap<String, Value> },
    /// Somebody rejected.
    ApprovalRejected { run: RunId, approval: ApprovalId },
    /// Somebody's answer did not count.
    ApprovalNotCounted { run: RunId, approval: ApprovalId, person: PersonId, why: String },
    /// What was approved has changed.
    ApprovalVoided { run: RunId, approval: ApprovalId, difference: Vec<Difference> },
    /// Nobody answered in time.
    ApprovalExpired { run: RunId, approval: ApprovalId },
    /// Somebody answered a step's question.
    QuestionAnswered { run: RunId, approval: ApprovalId, answer: String },
    /// A run stands still.
    RunHeld { run: RunId, runbook: String, reason: Reason, detail: String, done: Vec<String> },
    /// Somebody made a run go on.
    RunResumed { run: RunId, answer: String, step: Option<StepKey> },
    /// Somebody wants everything taken back.
    UndoAsked { run: RunId, steps: Vec<String> },
    /// Somebody wants a run to stop.
    CancelAsked { run: RunId },
    /// Somebody wants a run to pause.
    PauseAsked { run: RunId },
    /// A run pauses.
    RunPaused { run: RunId, runbook: String },
    /// What follows a failure is begun.
    FailureMet { run: RunId, runbook: String, reason: Reason, detail: String },
    /// A run ended.
    RunEnded { run: RunId, runbook: String, target: String, state: RunState, reason: Reason, detail: String },
    /// Somebody ordered that nothing be changed.
    HaltOrdered { scope: String, reason: String },
    /// Somebody lifted a halt.
    HaltLifted { scope: String, reason: Option<String> },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::RunTriggered { run, runbook, target, mode, by_alert, .. } => {
                let why = by_alert.as_ref().map(|alert| format!(" because of alert `{alert}`")).unwrap_or_default();
                format!("started runbook `{runbook}` as {run} on `{target}` in mode `{}`{why}", mode.word())
            }
            Event::RunAttached { run, runbook, by_alert } => {
                format!("attached alert `{by_alert}` to {run} of runbook `{runbook}` instead of starting another run")
            }
            Event::RunQueued { run, runbook, key, behind, reason } => {
                format!("queued {run} of runbook `{runbook}` behind {} for `{key}`: `{reason}`", names(behind))
            }
            Event::StepDelayed { name, reason, detail, .. } => {
                format!("waits with `{name}`: `{reason}`{}", because(*reason, detail))
            }
            Event::RunRefused { runbook, target, reason, detail } => {
                format!("did not start runbook `{runbook}` on `{target}`: `{reason}`{}", because(*reason, detail))
            }
            Event::StepIntended { step, name, changes, .. } => {
                let what = match (step.pass, changes) {
                    (Pass::Undo, _) => "began to undo",
                    (Pass::Probe, _) => "began to look for",
                    (Pass::Do, true) => "began",
                    (Pass::Do, false) => "began to read",
                };
                let again = if step.attempt > 1 { format!(", attempt {}", step.attempt) } else { String::new() };
                format!("{what} `{name}`{again}")
            }
            Event::LanesBegun { name, lanes, .. } if lanes.is_empty() => format!("found nothing to do for `{name}`"),
            Event::LanesBegun { name, lanes, .. } => format!("began `{name}` for `{}`", lanes.join("`, `")),
            Event::ChildStarted { name, child, .. } => format!("started {child} for `{name}`"),
            Event::StepDone { step, name, output, .. } => {
                let verb = if step.pass == Pass::Undo { "undid" } else { "finished" };
                let output = if output.is_null() { String::new() } else { format!(" with `{}`", shown(output)) };
                format!("{verb} `{name}`{output}")
            }
            Event::StepFailed { step, name, error, will_retry_at, .. } => {
                let verb = if step.pass == Pass::Undo { "failed to undo" } else { "failed at" };
                let again = will_retry_at.map(|at| format!(", next attempt at {}", at.clock())).unwrap_or_default();
                format!("{verb} `{name}`: `{}`{again}", cut(error))
            }
            Event::StepSkipped { name, why, .. } => format!("skipped `{name}`: {why}"),
            Event::StepObserved { name, action, with, .. } => {
                format!("would have done `{name}`: `{action}` with `{}`", shown(with))
            }
            Event::StepInDoubt { name, why, .. } => {
                format!("lost sight of `{name}`: {}", cut(why))
            }
            Event::StepProbed { name, found: true, .. } => format!("found that `{name}` happened"),
            Event::StepProbed { name, found: false, look, .. } => {
                format!("looked for `{name}` and did not find it, look {look}")
            }
            Event::StepSettled { run, name, happened: true, .. } => format!("settled that `{name}` of {run} happened"),
            Event::StepSettled { run, name, happened: false, .. } => {
                format!("settled that `{name}` of {run} did not happen")
            }
            Event::ApprovalAsked { .. }
            | Event::ApprovalGiven { .. }
            | Event::ApprovalRejected { .. }
            | Event::ApprovalNotCounted { .. }
            | Event::ApprovalVoided { .. }
            | Event::ApprovalExpired { .. }
            | Event::ApprovalWithdrawn { .. }
            | Event::QuestionAnswered { .. } => self.of_approval().unwrap_or_default(),
            Event::RunHeld { runbook, reason, detail, done, .. } => {
                let done =
                    if done.is_empty() { String::new() } else { format!("; done so far: `{}`", done.join("`, `")) };
                format!(
                    "stopped in the middle of runbook `{runbook}` and waits for a decision: `{reason}`{}{done}",
                    because(*reason, detail)
                )
            }
            Event::RunResumed { run, answer, .. } => format!("answered `{answer}` for {run}"),
            Event::UndoAsked { run, steps } => format!("asked {run} to undo `{}`", steps.join("`, `")),
            Event::CancelAsked { run } => format!("cancelled {run}"),
            Event::PauseAsked { run } => format!("asked {run} to pause"),
            Event::RunPaused { run, runbook } => format!("paused {run} of runbook `{runbook}`"),
            Event::FailureMet { runbook, reason, detail, .. } => {
                format!("began what follows a failure of runbook `{runbook}`: `{reason}`{}", because(*reason, detail))
            }
            Event::RunEnded { runbook, target, state, reason, detail, .. } => {
                let is_plain =
                    detail.is_empty() && matches!(reason, Reason::Completed | Reason::Undone | Reason::Observed);
                let why = if is_plain { String::new() } else { format!(": `{reason}`{}", because(*reason, detail)) };
                format!("ended runbook `{runbook}` on `{target}` as `{state}`{why}")
            }
            Event::HaltOrdered { scope, reason } => format!("halted {}: {}", covered(scope), cut(reason)),
            Event::HaltLifted { scope, reason } => {
                let why = reason.as_ref().map(|reason| format!(": {}", cut(reason))).unwrap_or_default();
                format!("lifted the halt of {}{why}", covered(scope))
            }
        }
    }
}

impl Event {
    /// What people read of an approval or a question, if it is about one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others have their sentences elsewhere")]
    fn of_approval(&self) -> Option<String> {
        Some(match self {
            Event::ApprovalAsked { approval, question, by, bound, expires_at, .. } => {
                let who = if by.is_empty() { String::new() } else { format!(" `{}`", by.join("`, `")) };
                let values = listed(bound);
                format!("asked{who} as {approval}: {question}{values}, until {}", expires_at.clock())
            }
            Event::ApprovalGiven { run, approval, missing, bound } => {
                let more = if *missing > 0 { format!(", {missing} more must agree") } else { String::new() };
                format!("approved {run} ({approval}){}{more}", listed(bound))
            }
            Event::ApprovalRejected { run, approval } => format!("rejected {run} ({approval})"),
            Event::ApprovalNotCounted { run, approval, person, why } => {
                format!("did not count the answer of `{person}` to {approval} of {run}: {why}")
            }
            Event::ApprovalVoided { approval, difference, .. } => {
                let changes: Vec<String> = difference.iter().map(ToString::to_string).collect();
                format!("voided {approval}: {}", changes.join(", "))
            }
            Event::ApprovalExpired { run, approval } => format!("closed {approval} of {run}: nobody answered in time"),
            Event::QuestionAnswered { run, approval, answer } => format!("answered {approval} of {run}: `{answer}`"),
            Event::ApprovalWithdrawn { run, approval, reason, detail } => {
                format!("withdrew {approval} of {run}: `{reason}`{}", because(*reason, detail))
            }
            _ => return None,
        })
    }

    /// The run that it is about, if it is about one.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Event::RunRefused { .. } | Event::HaltOrdered { .. } | Event::HaltLifted { .. } => None,
            Event::RunTriggered { run, .. }
            | Event::RunAttached { run, .. }
            | Event::RunQueued { run, .. }
            | Event::StepDelayed { run, .. }
            | Event::ApprovalWithdrawn { run, .. }
            | Event::StepIntended { run, .. }
            | Event::LanesBegun { run, .. }
            | Event::ChildStarted { run, .. }
            | Event::StepDone { run, .. }
            | Event::StepFailed { run, .. }
            | Event::StepSkipped { run, .. }
            | Event::StepObserved { run, .. }
            | Event::StepInDoubt { run, .. }
            | Event::StepProbed { run, .. }
            | Event::StepSettled { run, .. }
            | Event::ApprovalAsked { run, .. }
            | Event::ApprovalGiven { run, .. }
            | Event::ApprovalRejected { run, .. }
            | Event::ApprovalNotCounted { run, .. }
            | Event::ApprovalVoided { run, .. }
            | Event::ApprovalExpired { run, .. }
            | Event::QuestionAnswered { run, .. }
            | Event::RunHeld { run, .. }
            | Event::RunResumed { run, .. }
            | Event::UndoAsked { run, .. }
            | Event::CancelAsked { run }
            | Event::PauseAsked { run }
            | Event::RunPaused { run, .. }
            | Event::FailureMet { run, .. }
            | Event::RunEnded { run, .. } => Some(*run),
        }
    }
}

fn because(reason: Reason, detail: &str) -> String {
    if detail.is_empty() { format!(" ({})", reason.words()) } else { format!(" ({}; {})", reason.words(), cut(detail)) }
}

fn listed(bound: &BTreeMap<String, Value>) -> String {
    if bound.is_empty() {
        return String::new();
    }
    let values: Vec<String> = bound.iter().map(|(path, value)| format!("`{path}` = `{}`", shown(value))).collect();
    format!(" ({})", values.join(", "))
}

fn names(runs: &[RunId]) -> String {
    runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn covered(scope: &str) -> String {
    if scope == "*" { "everything".to_owned() } else { format!("`{scope}`") }
}

fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 300 { line } else { line.chars().take(299).chain(['…']).collect() }
}
