//! What a trace shows of runs: that one was started, each attempt at a step from its intent to its outcome, each question
//! from asking to its answer, and the whole length at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scene, step};
use crate::{
    domain::{
        ids::{ApprovalId, RunId},
        runs::{Event, Journal, Run, RunState, StepKey, StepRecord, StepState},
        timeline::Entry,
        traces::Span,
    },
    store::{self, Reader, approvals, runs, steps},
};

/// Attempts that ended, each with the word for how; empty where only the journal says it.
type Attempts = BTreeMap<(RunId, StepKey), &'static str>;

impl Scene<'_> {
    /// The spans of runs; the answer is the runs that it is about.
    pub(super) async fn tell_runs(&mut self, reader: &mut Reader) -> store::Result<BTreeSet<RunId>> {
        let mut runs = BTreeSet::new();
        let mut attempts: Attempts = self.decided.ended.iter().map(|ended| (ended.clone(), "")).collect();
        let mut settled = Vec::new();
        for entry in self.entries {
            let Some(event) = entry.event::<Event>() else { continue };
            runs.extend(event.run());
            match Some(event) {
                Some(Event::RunTriggered { run, runbook, target, mode, .. }) => {
                    let times = (self.decided.begun.min(entry.at), self.decided.done);
                    let span = self.span(self.trace.run(run), format!("run {runbook}"), times);
                    let span = span.under(self.trace.root).with("firewarden.run", run.to_string());
                    self.spans.push(span.with("firewarden.target", target).with("firewarden.mode", mode.word()));
                }
                Some(Event::RunEnded { run, runbook, state, reason, .. }) => {
                    let start = runs::by_id(reader, run).await?.map_or(entry.at, |run| run.started_at);
                    let id = self.trace.span(&["ended", &run.to_string()]);
                    let span = self.span(id, format!("run {runbook}: ended"), (start, entry.at));
                    let span = span.under(self.trace.run(run)).with("firewarden.run", run.to_string());
                    let span = span.with("firewarden.state", state.word()).with("firewarden.reason", reason.code());
                    self.spans.push(span.failed(state == RunState::Failed));
                }
                Some(
                    Event::ApprovalGiven { run, approval, missing: 0, .. }
                    | Event::ApprovalRejected { run, approval }
                    | Event::ApprovalVoided { run, approval, .. }
                    | Event::ApprovalExpired { run, approval }
                    | Event::ApprovalWithdrawn { run, approval, .. }
                    | Event::QuestionAnswered { run, approval, .. },
                ) => self.answered(reader, run, approval, entry).await?,
                Some(Event::StepSettled { run, step, name, happened, .. }) => {
                    settled.push((run, step, name, happened, entry.at));
                }
                Some(Event::StepDone { run, step, .. }) => note(&mut attempts, run, step, "done"),
                Some(Event::StepFailed { run, step, .. }) => note(&mut attempts, run, step, "failed"),
                Some(Event::StepSkipped { run, step, .. }) => note(&mut attempts, run, step, "skipped"),
                Some(Event::StepObserved { run, step, .. }) => note(&mut attempts, run, step, "observed"),
                Some(Event::StepInDoubt { run, step, .. }) => note(&mut attempts, run, step, "in_doubt"),
                Some(Event::StepProbed { run, step, found, .. }) => {
                    note(&mut attempts, run, step, if found { "found" } else { "not_found" });
                }
                Some(_) | None => {}
            }
        }
        self.attempted(reader, &attempts).await?;
        for (run, key, name, happened, at) in settled {
            let id = self.trace.span(&["settled", &run.to_string(), &key.to_string()]);
            let span = self.span(id, format!("{name}: settled"), (at, at)).under(step(&self.trace, run, &key));
            let span = span.with("firewarden.run", run.to_string());
            self.spans.push(span.with("firewarden.state", if happened { "done" } else { "failed" }));
        }
        runs.extend(self.decided.ended.iter().map(|(run, _)| *run));
        Ok(runs)
    }

    /// The attempts that ended, with their times as they are committed.
    async fn attempted(&mut self, reader: &mut Reader, attempts: &Attempts) -> store::Result<()> {
        let mut journals: BTreeMap<RunId, (Journal, Option<Run>)> = BTreeMap::new();
        for ((run, key), word) in attempts {
            if !journals.contains_key(run) {
                let read = (steps::journal(reader, *run).await?, runs::by_id(reader, *run).await?);
                journals.insert(*run, read);
            }
            let Some((journal, about)) = journals.get(run) else { continue };
            let Some(record) = journal.at(key) else { continue };
            let step = about.as_ref().and_then(|about| about.plan.step(&key.path));
            let name = step.map_or(key.path.as_str(), |step| step.name.as_str());
            let span = self.attempt((*run, name), record, word);
            self.spans.extend(span);
        }
        Ok(())
    }

    /// An attempt from its intent to its outcome; none while it goes on.
    fn attempt(&self, (run, name): (RunId, &str), record: &StepRecord, word: &str) -> Option<Span> {
        let word = match (word, record.verdict) {
            ("", Some(verdict)) => verdict.word(),
            ("", None) => record.state.word(),
            (told, _) => told,
        };
        if word == StepState::Intent.word() {
            return None;
        }
        let times = (record.started, record.ended.unwrap_or(self.decided.done));
        let span = self.span(step(&self.trace, run, &record.key), name, times);
        Some(
            span.under(self.trace.run(run))
                .with("firewarden.run", run.to_string())
                .with("firewarden.step", record.key.path.as_str())
                .with("firewarden.pass", record.key.pass.word())
                .with("firewarden.attempt", i64::from(record.key.attempt))
                .with("firewarden.action", record.action.as_str())
                .with("firewarden.state", word)
                .failed(matches!(word, "failed" | "in_doubt")),
        )
    }

    /// A question, from asking to its answer.
    async fn answered(
        &mut self,
        reader: &mut Reader,
        run: RunId,
        approval: ApprovalId,
        entry: &Entry,
    ) -> store::Result<()> {
        let Some(question) = approvals::by_id(reader, approval).await? else { return Ok(()) };
        let id = self.trace.span(&["question", &entry.reference.to_string()]);
        let span = self.span(id, "question", (question.asked_at, entry.at)).under(self.trace.run(run));
        let span = span.with("firewarden.run", run.to_string()).with("firewarden.question", approval.to_string());
        self.spans.push(span.with("firewarden.answer", entry.draft.kind.as_str()));
        Ok(())
    }
}

fn note(attempts: &mut Attempts, run: RunId, key: StepKey, word: &'static str) {
    attempts.insert((run, key), word);
}
