//! People who look at the target before they answer, order halts at any moment, and change their minds.

use super::{Simulation, promises::Who, runbook::SERVICES, workers::Worker};
use crate::{
    domain::{
        ids::RunId,
        runs::{Approval, Pass, Reason, RunState, Stage, StepKey, approvals::Asks},
    },
    store::{approvals, halts::EVERYTHING},
};

/// Whoever approves; the one who starts runs does not count.
const APPROVER: &str = "ana";
const STARTER: &str = "bo";

/// How often somebody tries a run again before they let go of it.
const PATIENCE: usize = 4;

impl Simulation {
    /// Says something, and looks at what came of it. Whether it was taken is the answer.
    pub(super) async fn says(&mut self, person: &str, line: &str) -> bool {
        let around = self.around(Who::Person);
        let said = self.trial.says(person, line).await;
        let answer = said.as_ref().map_or_else(ToString::to_string, |_| "yes".to_owned());
        self.log(&format!("{person}: {line} -> {answer}"));
        self.observe(&around, true).await;
        said.is_ok()
    }

    /// Somebody does something about what waits for people, or about something else.
    pub(super) async fn somebody(&mut self) {
        let open = self.open_questions().await;
        if !open.is_empty() && self.dice.chance(50) {
            let question = self.dice.pick(&open).clone();
            self.answer_question(&question, true).await;
            return;
        }
        let runs: Vec<RunId> = self.at_work();
        if runs.is_empty() {
            return;
        }
        let run = *self.dice.pick(&runs);
        let state = self.promises.runs[&run].run.state;
        let answers = if state == RunState::Held {
            &["undo", "undo", "retry", "retry", "skip", "release"][..]
        } else if state == RunState::Stuck {
            &["retry", "retry", "skip", "release"]
        } else {
            &["resume", "resume", "undo", "release"]
        };
        if state == RunState::InDoubt {
            self.settle(run, true).await;
        } else if state.needs_people() {
            let answer = *self.dice.pick(answers);
            self.answer(run, answer).await;
        } else {
            self.interferes(run).await;
        }
    }

    /// Somebody stops, or shortens, what goes on by itself.
    async fn interferes(&mut self, run: RunId) {
        match self.dice.below(30) {
            0 | 1 => drop(self.says(STARTER, &format!("/run pause {run}")).await),
            2 => drop(self.says(STARTER, &format!("/runbook cancel {run}")).await),
            3 => {
                let step = format!("s{}", self.dice.between(1, 8));
                self.says(STARTER, &format!("/run skip {run} reason:\"no need\" step:{step}")).await;
            }
            _ => {}
        }
    }

    /// Runs that are not over.
    pub(super) fn at_work(&self) -> Vec<RunId> {
        let open = self.promises.runs.values().filter(|known| !known.run.state.is_over());
        open.map(|known| known.run.id).collect()
    }

    async fn open_questions(&self) -> Vec<Approval> {
        approvals::open(&mut self.read().await).await.unwrap()
    }

    async fn answer_question(&mut self, question: &Approval, is_moody: bool) {
        let id = question.id;
        if question.asks != Asks::Approval {
            self.says(APPROVER, &format!("/runbook answer {id} choose left")).await;
            return;
        }
        let (person, answer) = match self.dice.below(10) {
            0 if is_moody => (APPROVER, "reject"),
            1 | 2 if is_moody => (STARTER, "approve"),
            _ => (APPROVER, "approve"),
        };
        let is_starter = person == STARTER
            && self
                .promises
                .runs
                .get(&question.run)
                .is_some_and(|known| known.run.requester().is_some_and(|requester| requester.0 == STARTER));
        let is_taken = self.says(person, &format!("/runbook answer {id} {answer}")).await;
        assert!(!(is_taken && is_starter), "{id}: whoever started the run agreed to it");
    }

    async fn answer(&mut self, run: RunId, answer: &str) -> bool {
        self.says(APPROVER, &format!("/runbook answer {run} {answer}")).await
    }

    /// The attempt of which nobody knows.
    fn doubtful(&self, run: RunId) -> Option<(StepKey, String)> {
        let known = self.promises.runs.get(&run)?;
        let path = known.run.hold.as_ref()?.path.clone()?;
        let pass = if known.run.stage() == Stage::Back { Pass::Undo } else { Pass::Do };
        let record = known.journal.last(&path, pass)?;
        Some((record.key.clone(), record.effect.clone()))
    }

    /// Looks at the target, and says whether it happened; not before whatever is on its way has arrived.
    async fn settle(&mut self, run: RunId, is_moody: bool) {
        let Some((_, effect)) = self.doubtful(run) else { return };
        let is_coming = self.target.state().coming.iter().any(|(_, key, _)| *key == effect)
            || self.workers.iter().flat_map(Worker::coming).any(|coming| coming == effect);
        if is_coming {
            return;
        }
        if is_moody && self.dice.chance(5) {
            self.answer(run, "abort").await;
            return;
        }
        let has_happened = self.target.state().has(&effect);
        self.answer(run, if has_happened { "happened output:\"{}\"" } else { "did-not-happen" }).await;
    }

    /// Orders a halt.
    pub(super) async fn halts(&mut self) {
        let scope = *self.dice.pick(&[EVERYTHING, SERVICES[0], SERVICES[1]]);
        if self.says("chief", &format!("/halt reason:trouble{}", of(scope))).await {
            self.halted.insert(scope.to_owned());
        }
    }

    /// Lifts every halt.
    pub(super) async fn lifts(&mut self) {
        for scope in self.halted.clone() {
            assert!(self.says("chief", &format!("/halt lift:mended{}", of(&scope))).await, "a halt can be lifted");
            self.halted.remove(&scope);
        }
    }

    /// Somebody starts a runbook.
    pub(super) async fn starts(&mut self) {
        let book = self.dice.below(self.books);
        self.says(STARTER, &format!("/runbook run book-{book}")).await;
    }

    /// People bring to its end whatever stands.
    pub(super) async fn people_clear_up(&mut self) {
        self.lifts().await;
        for question in self.open_questions().await {
            self.answer_question(&question, false).await;
        }
        for run in self.at_work() {
            let known = &self.promises.runs[&run].run;
            let (state, reason) = (known.state, known.hold.as_ref().map(|hold| hold.reason));
            if !state.needs_people() {
                continue;
            }
            if state == RunState::InDoubt {
                self.settle(run, false).await;
                continue;
            }
            let tried = self.patience.entry(run).or_default();
            let is_hopeless = *tried >= PATIENCE || reason == Some(Reason::Budget);
            *tried += 1;
            let is_odd = !tried.is_multiple_of(2);
            if is_hopeless {
                let is_taken_back = !is_odd && self.answer(run, "undo").await;
                let _is_ended = is_taken_back || self.answer(run, "release").await;
            } else if state == RunState::Paused {
                self.answer(run, "resume").await;
            } else if !(state == RunState::Held && is_odd && self.answer(run, "undo").await) {
                self.answer(run, "retry").await;
            }
        }
    }
}

/// The option of a halt that is for one service.
fn of(scope: &str) -> String {
    if scope == EVERYTHING { String::new() } else { format!(" service:{scope}") }
}
