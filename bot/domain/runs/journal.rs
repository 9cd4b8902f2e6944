//! The journal of a run: what it was about to do, and what became of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    ids::ApprovalId,
    runbooks::plan::{Class, Plan, Step, is_main, named, template_of},
    time::Time,
};

/// In which sense a step is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// It is done.
    Do,
    /// It is taken back.
    Undo,
    /// It is looked for.
    Probe,
}

impl Pass {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Pass::Do => "do",
            Pass::Undo => "undo",
            Pass::Probe => "probe",
        }
    }
}

impl std::str::FromStr for Pass {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = [Pass::Do, Pass::Undo, Pass::Probe].into_iter().find(|pass| pass.word() == word);
        found.ok_or_else(|| format!("`{word}` is not a pass"))
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It is about to happen, or happens.
    Intent,
    /// It happened. A look is done when it has an answer, whatever the answer is.
    Done,
    /// It did not happen, or only in part.
    Failed,
    /// It was left out.
    Skipped,
    /// Nobody knows.
    InDoubt,
}

impl StepState {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            StepState::Intent => "intent",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Skipped => "skipped",
            StepState::InDoubt => "in_doubt",
        }
    }
}

impl std::str::FromStr for StepState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [StepState::Intent, StepState::Done, StepState::Failed, StepState::Skipped, StepState::InDoubt]
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| format!("`{word}` is not the state of a step"))
    }
}

/// What was found out or decided about an attempt after it had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Somebody wants it tried anew.
    Retry,
    /// Somebody wants it left out.
    Skip,
    /// It happened: a look found it, or somebody said so.
    Happened,
    /// It did not happen: two looks did not find it, or somebody said so.
    Absent,
    /// Somebody gave up on knowing.
    Abort,
    /// The other side refused it, or it can never be done like this: by itself nothing tries it again.
    Refused,
    /// It would have gone further than the step's own bounds: it did not happen, and by itself nothing tries it again.
    OutOfBounds,
    /// A look of an `until` whose condition did not hold yet.
    NotYet,
    /// A verification measured, or a person said, that it is not good.
    Bad,
}

impl Verdict {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Retry => "retry",
            Verdict::Skip => "skip",
            Verdict::Happened => "happened",
            Verdict::Absent => "absent",
            Verdict::Abort => "abort",
            Verdict::Refused => "refused",
            Verdict::OutOfBounds => "out_of_bounds",
            Verdict::NotYet => "not_yet",
            Verdict::Bad => "bad",
        }
    }
}

impl std::str::FromStr for Verdict {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let late = [Verdict::Abort, Verdict::NotYet, Verdict::Refused, Verdict::OutOfBounds, Verdict::Bad];
        [Verdict::Retry, Verdict::Skip, Verdict::Happened, Verdict::Absent]
            .into_iter()
            .chain(late)
            .find(|verdict| verdict.word() == word)
            .ok_or_else(|| format!("`{word}` is not a verdict"))
    }
}

/// The place of an attempt in its run's journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Path of the step.
    pub path: String,
    /// In which sense it is worked on.
    pub pass: Pass,
    /// Which attempt, from 1.
    pub attempt: u32,
}

impl StepKey {
    /// The key with these parts.
    pub fn new(path: impl Into<String>, pass: Pass, attempt: u32) -> Self {
        Self { path: path.into(), pass, attempt }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.path, self.pass.word(), self.attempt)
    }
}

/// One attempt at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Its place.
    pub key: StepKey,
    /// Its place in the order of the run's attempts, from 1.
    pub seq: i64,
    /// What became of it.
    pub state: StepState,
    /// The epoch of the worker that was about to do it.
    pub epoch: i64,
    /// For a look: the attempt that is looked for.
    pub about: Option<u32>,
    /// The idempotency key of the effect. Attempts that may be the same effect bear the same.
    pub effect: String,
    /// The action.
    pub action: String,
    /// What it reaches outside, if it does.
    pub system: Option<String>,
    /// Its fields, rendered; secrets by their names.
    pub with: Value,
    /// What was known before: the outputs of the steps above, and the rendered undo.
    pub before: Value,
    /// What came of it, bounded and cleared of secrets.
    pub output: Value,
    /// Why it failed, or why nobody knows.
    pub error: Option<String>,
    /// Whether it may have changed something although it failed.
    pub may_have_changed: bool,
    /// What was found out or decided about it later.
    pub verdict: Option<Verdict>,
    /// When a wait is over.
    pub due_at: Option<Time>,
    /// The question that an `ask` put.
    pub question: Option<ApprovalId>,
    /// When it was committed as an intent.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
}

impl StepRecord {
    /// Whether it is about to happen.
    pub fn is_open(&self) -> bool {
        self.state == StepState::Intent
    }

    /// Whether it happened or may have, as far as is known of this attempt alone.
    pub fn may_have_happened(&self) -> bool {
        match self.state {
            StepState::Done | StepState::Intent => true,
            StepState::InDoubt => self.verdict != Some(Verdict::Absent),
            StepState::Failed => self.may_have_changed,
            StepState::Skipped => false,
        }
    }

    /// When it ended, or when it began if it has not ended.
    pub fn last_moment(&self) -> Time {
        self.ended.unwrap_or(self.started)
    }
}

/// Every attempt of a run, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal(pub Vec<StepRecord>);

impl Journal {
    /// The attempts at one step in one sense, in their order.
    pub fn of<'a>(&'a self, path: &'a str, pass: Pass) -> impl DoubleEndedIterator<Item = &'a StepRecord> {
        self.0.iter().filter(move |record| record.key.path == path && record.key.pass == pass)
    }

    /// The newest attempt at one step in one sense.
    pub fn last(&self, path: &str, pass: Pass) -> Option<&StepRecord> {
        self.0.iter().rev().find(|record| record.key.path == path && record.key.pass == pass)
    }

    /// The looks for one attempt, in their order.
    pub fn looks<'a>(&'a self, path: &'a str, about: u32) -> impl DoubleEndedIterator<Item = &'a StepRecord> {
        self.of(path, Pass::Probe).filter(move |record| record.about == Some(about))
    }

    /// The attempt with this key.
    pub fn at(&self, key: &StepKey) -> Option<&StepRecord> {
        self.0.iter().find(|record| record.key == *key)
    }

    /// The number of the next attempt at a step in this sense.
    pub fn next_attempt(&self, path: &str, pass: Pass) -> u32 {
        self.last(path, pass).map_or(1, |record| record.key.attempt + 1)
    }

    /// Whether something outside was changed, or may have been, by the steps themselves.
    pub fn has_mutated(&self, plan: &Plan) -> bool {
        self.changed(plan).iter().any(|step| self.stands(step))
    }

    /// Whether the step changed something outside, or may have, and it was not taken back.
    pub fn stands(&self, step: &Step) -> bool {
        if step.reads() {
            return false;
        }
        let changed = self.of(&step.path, Pass::Do).any(StepRecord::may_have_happened);
        let undone = self.last(&step.path, Pass::Undo).is_some_and(|record| record.state == StepState::Done);
        changed && !undone
    }

    /// The steps that were about to change something, each at its place, in the order in which their effects happened.
    ///
    /// Those that follow a failure or the end are left out: they are no part of what the run is for.
    pub fn changed(&self, plan: &Plan) -> Vec<Step> {
        let index = plan.index();
        let mut last: BTreeMap<&str, (i64, &Step)> = BTreeMap::new();
        for record in self.0.iter().filter(|record| record.key.pass == Pass::Do && is_main(&record.key.path)) {
            let Some(step) = index.get(template_of(&record.key.path).as_ref()).filter(|step| !step.reads()) else {
                continue;
            };
            if record.may_have_happened() || !last.contains_key(record.key.path.as_str()) {
                last.insert(&record.key.path, (record.seq, step));
            }
        }
        let mut changed: Vec<(i64, Step)> =
            last.into_iter().map(|(path, (seq, step))| (seq, step.placed(path))).collect();
        changed.sort_by_key(|(seq, _)| *seq);
        changed.into_iter().map(|(_, step)| step).collect()
    }

    /// The names of the steps that stand, in their order.
    pub fn standing(&self, plan: &Plan) -> Vec<String> {
        let changed = self.changed(plan).into_iter().filter(|step| self.stands(step));
        changed.map(|step| named(&step.name, &step.path)).collect()
    }

    /// The steps that stand and can be taken back, newest first.
    pub fn undoable(&self, plan: &Plan) -> impl Iterator<Item = Step> {
        self.changed(plan).into_iter().rev().filter(|step| step.undo.is_some() && self.stands(step))
    }

    /// Whether two looks for this attempt, `settle` apart, both did not find it.
    pub fn is_absent(&self, path: &str, about: u32, settle: Duration) -> bool {
        let looks: Vec<&StepRecord> = self
            .looks(path, about)
            .filter(|look| look.state == StepState::Done && look.verdict == Some(Verdict::Absent))
            .collect();
        match (looks.first(), looks.last()) {
            (Some(first), Some(last)) => looks.len() >= 2 && last.started.since(first.last_moment()) >= settle,
            _ => false,
        }
    }
}

/// What is allowed of a step that changes something; nothing for one that reads.
pub(crate) fn is_repeatable(step: &Step) -> bool {
    match step.class {
        Class::Reads => true,
        Class::Mutates(handling) => handling.repeatable,
    }
}
