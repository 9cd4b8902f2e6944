//! What a run does next: a pure function of its plan, its journal and the time.
//!
//! Several things may be next at once, in lanes of their own. When one lane cannot go on nothing is begun in the others;
//! what is in flight there is watched to its end first. Conditions, guards and approvals are looked at by whoever
//! carries the answer out, at the moment of the intent.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::{
    ids::ApprovalId,
    runbooks::{
        actions,
        plan::{Group, Plan, Step},
    },
    runs::{
        journal::{Journal, Pass, StepKey, StepRecord, StepState, Verdict, is_repeatable},
        values,
    },
    time::Time,
};

/// How often an effect without an answer is sent again, and how often one that did not happen is tried anew.
pub const ROUNDS: usize = 3;
/// How many looks may fail before people are asked.
pub const FAILED_LOOKS: usize = 3;
/// The pause before an effect without an answer is sent again, and after a look that failed; doubled each time.
pub const FIRST_PAUSE: Duration = Duration::from_secs(5);
pub(crate) use crate::domain::runbooks::CHILD;

/// What is known when the next thing is chosen.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What the run follows.
    pub plan: &'a Plan,
    /// What it did.
    pub journal: &'a Journal,
    /// The time.
    pub now: Time,
    /// The epoch of the worker that asks.
    pub epoch: i64,
    /// Whether the worker before may still be at work.
    pub may_overlap: bool,
    /// What the jitter of pauses is drawn from; the same for the whole run.
    pub seed: &'a str,
    /// When the run fails if it has not come to its end.
    pub deadline: Option<Time>,
}

/// What a run does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Attempt a step.
    Begin {
        /// Which.
        path: String,
        /// The number of the attempt.
        attempt: u32,
        /// The earlier attempt that it may be the same effect as: it bears the same idempotency key.
        same_as: Option<u32>,
    },
    /// Look whether an attempt happened.
    Probe {
        /// Which step.
        path: String,
        /// The number of the look.
        attempt: u32,
        /// The attempt that is looked for.
        about: u32,
    },
    /// Take a step back.
    Undo {
        /// Which.
        path: String,
        /// The number of the attempt.
        attempt: u32,
    },
    /// A wait is over.
    Resume(StepKey),
    /// A question is open.
    Answer(ApprovalId),
    /// Nothing before this moment.
    Wait(Time),
    /// Nothing before this moment, when it is looked again whether an attempt happened.
    Look(Time),
    /// The worker's own attempt is in flight.
    InFlight,
    /// The run that this attempt started is at work.
    Child(StepKey),
    /// Only people can say whether this attempt happened.
    Settle(StepKey),
    /// The step failed for good.
    Fail(StepKey),
    /// The step could not be taken back.
    Stuck(StepKey),
    /// The run has taken longer than it may.
    Late,
    /// Every step is settled.
    Done,
    /// Everything that can be taken back is.
    Undone,
}

impl Next {
    /// Whether something is to be done at once.
    pub fn is_work(&self) -> bool {
        matches!(self, Next::Begin { .. } | Next::Probe { .. } | Next::Undo { .. } | Next::Resume(_))
    }

    /// Whether it brings to its end what was begun already: it goes on although the run itself does not.
    pub fn is_watch(&self) -> bool {
        matches!(self, Next::Probe { .. } | Next::Look(_) | Next::InFlight | Next::Child(_))
    }
}

/// The next things on the way forward; at least one.
pub fn forward(situation: &Situation<'_>) -> Vec<Next> {
    let found = sequence(situation, &situation.plan.steps, &Lane::default(), Failures::Stop);
    if found.is_empty() {
        return vec![Next::Done];
    }
    let deadline = situation.deadline.filter(|_| !found.iter().any(is_stop));
    if deadline.is_some_and(|deadline| deadline <= situation.now) {
        let watched = watched(&found);
        return if watched.is_empty() { vec![Next::Late] } else { watched };
    }
    let mut found = stopped(found);
    let rests = found.iter().any(|next| matches!(next, Next::Wait(_) | Next::Answer(_)));
    found.extend(deadline.filter(|_| rests).map(Next::Wait));
    found
}

/// The next things of steps that stand beside the way: one that fails does not keep the others.
pub fn aside(situation: &Situation<'_>, steps: &[Step]) -> Vec<Next> {
    let found = sequence(situation, steps, &Lane::default(), Failures::Pass);
    if found.is_empty() { vec![Next::Done] } else { stopped(found) }
}

/// The next thing on the way back: what changed something, in the reverse of the order in which it happened.
pub fn backward(situation: &Situation<'_>) -> Next {
    let changed = situation.journal.changed(situation.plan);
    changed.iter().rev().find_map(|step| back(situation, step)).unwrap_or(Next::Undone)
}

/// What follows when somebody has to decide: first what is in flight is watched to its end.
fn stopped(found: Vec<Next>) -> Vec<Next> {
    let is_doubt = |next: &&Next| matches!(next, Next::Settle(_));
    let stop = found.iter().find(is_doubt).or_else(|| found.iter().find(|next| is_stop(next))).cloned();
    let Some(stop) = stop else { return found };
    let watched = watched(&found);
    if watched.is_empty() { vec![stop] } else { watched }
}

fn is_stop(next: &Next) -> bool {
    matches!(next, Next::Settle(_) | Next::Fail(_))
}

fn watched(found: &[Next]) -> Vec<Next> {
    found.iter().filter(|next| next.is_watch()).cloned().collect()
}

/// Whether a failure stops the steps after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failures {
    Stop,
    Pass,
}

/// Where steps stand: the beginning of their paths in the plan, and of their places in the journal.
#[derive(Default)]
struct Lane {
    path: String,
    place: String,
}

impl Lane {
    fn place_of(&self, step: &Step) -> String {
        format!("{}{}", self.place, step.path.get(self.path.len()..).unwrap_or_default())
    }
}

/// What is next of steps that follow each other; nothing if all are settled.
fn sequence(situation: &Situation<'_>, steps: &[Step], lane: &Lane, failures: Failures) -> Vec<Next> {
    for step in steps {
        let place = lane.place_of(step);
        let found: Vec<Next> = match ahead(situation, step, &place) {
            Some(Next::Fail(_)) if failures == Failures::Pass => Vec::new(),
            Some(next) => vec![next],
            None => within(situation, step, &place, failures),
        };
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// What is next of the steps within a step that has begun.
fn within(situation: &Situation<'_>, step: &Step, place: &str, failures: Failures) -> Vec<Next> {
    let Some(group) = &step.group else { return Vec::new() };
    let Some(opened) = situation.journal.last(place, Pass::Do).filter(|last| last.state == StepState::Done) else {
        return Vec::new();
    };
    match group {
        Group::Parallel(branches) => branches
            .iter()
            .flat_map(|branch| {
                let lane =
                    Lane { path: format!("{}.{}", step.path, branch.name), place: format!("{place}.{}", branch.name) };
                sequence(situation, &branch.steps, &lane, failures)
            })
            .collect(),
        Group::ForEach(each) => {
            let lanes = values::keys(&opened.output).into_iter().map(|key| {
                let lane = Lane { path: format!("{}[]", step.path), place: format!("{place}[{key}]") };
                sequence(situation, &each.steps, &lane, failures)
            });
            let at_work = usize::try_from(each.concurrency).unwrap_or(usize::MAX);
            lanes.filter(|found| !found.is_empty()).take(at_work).flatten().collect()
        }
    }
}

/// What is to be done about a step, or nothing if it is settled.
fn ahead(situation: &Situation<'_>, step: &Step, place: &str) -> Option<Next> {
    let begin = |attempt, same_as| Some(Next::Begin { path: place.to_owned(), attempt, same_as });
    let Some(last) = situation.journal.last(place, Pass::Do) else { return begin(1, None) };
    match last.state {
        StepState::Done | StepState::Skipped => None,
        StepState::Intent if last.action == CHILD => Some(Next::Child(last.key.clone())),
        StepState::Intent => match (last.question, last.due_at) {
            (Some(question), _) => Some(Next::Answer(question)),
            (None, Some(due)) if due <= situation.now => Some(Next::Resume(last.key.clone())),
            (None, Some(due)) => Some(Next::Wait(due)),
            (None, None) if last.epoch == situation.epoch => Some(Next::InFlight),
            (None, None) if step.reads() => begin(last.key.attempt + 1, None),
            (None, None) => Some(doubt(situation, step, last)),
        },
        StepState::InDoubt => Some(doubt(situation, step, last)),
        StepState::Failed => after_failure(situation, step, last),
    }
}

/// What follows a failure: another attempt, a pause before it, or the end.
fn after_failure(situation: &Situation<'_>, step: &Step, last: &StepRecord) -> Option<Next> {
    let path = &last.key.path;
    let again = |same_as| Next::Begin { path: path.clone(), attempt: last.key.attempt + 1, same_as };
    let not_before = |at: Time, next: Next| if at <= situation.now { next } else { Next::Wait(at) };
    let fail = || Next::Fail(last.key.clone());
    let tries = tries(situation.journal, path);
    match last.verdict {
        Some(Verdict::Skip) => return None,
        Some(Verdict::Retry) => return Some(again(same_effect(situation.journal, last))),
        Some(Verdict::Abort | Verdict::Refused | Verdict::OutOfBounds | Verdict::Bad) => return Some(fail()),
        Some(Verdict::Absent) => {
            let rounds = tries.iter().filter(|record| record.verdict == Some(Verdict::Absent)).count();
            return Some(if rounds < ROUNDS { again(Some(last.key.attempt)) } else { fail() });
        }
        Some(Verdict::NotYet | Verdict::Happened) | None => {}
    }
    if let Some(until) = &step.until {
        let deadline = tries.first().map_or(last.started, |first| first.started) + until.timeout;
        let look = last.last_moment() + until.every;
        if until.asks && last.last_moment() >= deadline {
            return Some(not_before(look, again(None)));
        }
        if situation.now >= deadline && !until.asks {
            return Some(fail());
        }
        return Some(not_before(look.min(deadline), again(None)));
    }
    if last.may_have_changed && !is_repeatable(step) {
        return Some(fail());
    }
    let failed = tries.iter().filter(|record| record.state == StepState::Failed).count();
    let drawn = draw(situation.seed, &last.key);
    let pause = step.retry.and_then(|retry| retry.pause(u32::try_from(failed).unwrap_or(u32::MAX), drawn));
    let next = || again(same_effect(situation.journal, last));
    Some(pause.map_or_else(fail, |pause| not_before(last.last_moment() + pause, next())))
}

/// The attempt that the next one may be the same effect as: the last, if it or one before it under its key may have
/// happened. Only what certainly did not happen is tried under another key.
fn same_effect(journal: &Journal, last: &StepRecord) -> Option<u32> {
    let mut same = journal.of(&last.key.path, Pass::Do).filter(|record| record.effect == last.effect);
    same.any(StepRecord::may_have_happened).then_some(last.key.attempt)
}

/// What follows an attempt of which nobody knows whether it happened.
fn doubt(situation: &Situation<'_>, step: &Step, last: &StepRecord) -> Next {
    let path = &last.key.path;
    if let Some(probe) = &step.probe {
        let not_before = |at: Time, next: Next| if at <= situation.now { next } else { Next::Look(at) };
        let look = || Next::Probe {
            path: path.clone(),
            attempt: situation.journal.next_attempt(path, Pass::Probe),
            about: last.key.attempt,
        };
        let looks: Vec<&StepRecord> = situation
            .journal
            .looks(path, last.key.attempt)
            .filter(|look| look.verdict != Some(Verdict::Retry))
            .collect();
        let failed = looks.iter().filter(|look| look.state == StepState::Failed).count();
        return match looks.last() {
            None => look(),
            Some(open) if open.is_open() && open.epoch == situation.epoch => Next::InFlight,
            Some(open) if open.is_open() => look(),
            Some(_) if failed >= FAILED_LOOKS => Next::Settle(last.key.clone()),
            Some(broken) if broken.state == StepState::Failed => {
                not_before(broken.last_moment() + doubled(FIRST_PAUSE, failed), look())
            }
            Some(absent) => not_before(absent.last_moment() + probe.settle, look()),
        };
    }
    let unknown = tries(situation.journal, path)
        .iter()
        .filter(|record| matches!(record.state, StepState::InDoubt | StepState::Intent))
        .count();
    let may_overlap = situation.may_overlap && !actions::is_fenced(&step.action);
    if is_repeatable(step) && !may_overlap && unknown < ROUNDS {
        let again = Next::Begin { path: path.clone(), attempt: last.key.attempt + 1, same_as: Some(last.key.attempt) };
        let at = last.last_moment() + doubled(FIRST_PAUSE, unknown);
        return if at <= situation.now { again } else { Next::Wait(at) };
    }
    Next::Settle(last.key.clone())
}

/// What is to be done to take a step back, or nothing.
fn back(situation: &Situation<'_>, step: &Step) -> Option<Next> {
    step.undo.as_ref()?;
    let undo = |attempt| Some(Next::Undo { path: step.path.clone(), attempt });
    let last = situation.journal.last(&step.path, Pass::Undo);
    if last.is_none() && !situation.journal.stands(step) {
        return None;
    }
    let Some(last) = last else { return undo(1) };
    let attempt = last.key.attempt + 1;
    match (last.state, last.verdict) {
        (StepState::Done | StepState::Skipped, _) | (StepState::Failed, Some(Verdict::Skip)) => None,
        (StepState::Intent, _) if last.action == CHILD => Some(Next::Child(last.key.clone())),
        (StepState::Intent, _) if last.epoch == situation.epoch => Some(Next::InFlight),
        (StepState::Intent | StepState::InDoubt, _) => Some(Next::Settle(last.key.clone())),
        (StepState::Failed, Some(Verdict::Retry | Verdict::Absent)) => undo(attempt),
        (StepState::Failed, _) => Some(Next::Stuck(last.key.clone())),
    }
}

/// The attempts at a step since it was last done, or somebody last wanted it tried anew.
pub(crate) fn tries<'a>(journal: &'a Journal, path: &'a str) -> Vec<&'a StepRecord> {
    let mut tries = Vec::new();
    for record in journal.of(path, Pass::Do) {
        tries.push(record);
        if record.verdict == Some(Verdict::Retry) || record.state == StepState::Done {
            tries.clear();
        }
    }
    tries
}

fn doubled(first: Duration, times: usize) -> Duration {
    let exponent = u32::try_from(times.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    first.saturating_mul(2_u32.saturating_pow(exponent))
}

/// A number from 0 to 1 that the seed and the attempt determine.
fn draw(seed: &str, key: &StepKey) -> f64 {
    let digest = Sha256::digest(format!("{seed}/{key}").as_bytes());
    let first = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(first) / f64::from(u32::MAX)
}
