//! What must hold, whatever happens: each decision is looked at by what the journals were before it and are after it.
//!
//! Nothing here asks the interpreter what it would allow: the rules are written down a second time, from the outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::target::State as TargetState;
use crate::{
    domain::{
        ids::RunId,
        runbooks::plan::{Class, Mode, Step, is_main},
        runs::{Journal, Pass, Run, RunState, StepKey, StepRecord, StepState, Verdict},
        time::Time,
    },
    store::halts::EVERYTHING,
};

/// Whose decision it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// A worker took runs over.
    Claim,
    /// A worker went on with a run, perhaps by what came of this attempt.
    Worker(RunId, Option<StepKey>),
    /// Somebody said something.
    Person,
    /// Time passed, or something else happened.
    Other,
}

/// What was so when the decision was taken.
#[derive(Debug)]
pub(super) struct Around {
    pub(super) who: Who,
    pub(super) now: Time,
    /// What is halted: services, or everything.
    pub(super) halted: BTreeSet<String>,
    pub(super) is_halt_file_there: bool,
    /// The effects that some worker has begun and not made yet, by their keys: one that hangs may still make them.
    pub(super) coming: BTreeSet<String>,
}

/// A run as it was seen last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) run: Run,
    pub(super) journal: Journal,
    /// Whether people have agreed.
    pub(super) is_agreed: bool,
}

/// Everything that was seen, and what may be spent.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) runs: BTreeMap<RunId, Known>,
    /// How many steps of a service may change something in an hour.
    pub(super) budget: Option<u32>,
    /// How many effects may be in flight to the target.
    pub(super) limit: Option<u32>,
    /// When each effect was charged, by service.
    charged: BTreeMap<String, BTreeMap<String, Time>>,
    /// The attempts of which somebody said that they did not happen.
    said_absent: BTreeSet<(RunId, StepKey)>,
    /// The attempts that no worker was told to make, because the answer was lost.
    pub(super) never_came: BTreeSet<(RunId, StepKey)>,
    /// How often something came to pass that a simulation is for.
    pub(super) seen: BTreeMap<&'static str, usize>,
}

const HOUR: Duration = Duration::from_hours(1);

/// Whether the attempt changes the target.
fn is_effect(run: &Run, record: &StepRecord) -> bool {
    let step = run.plan.step(&record.key.path);
    record.action == "http"
        && match record.key.pass {
            Pass::Do => step.is_some_and(Step::changes),
            Pass::Undo => true,
            Pass::Probe => false,
        }
}

fn may_have_happened(record: &StepRecord) -> bool {
    match record.state {
        StepState::Done | StepState::Intent => true,
        StepState::InDoubt => record.verdict != Some(Verdict::Absent),
        StepState::Failed => record.may_have_changed,
        StepState::Skipped => false,
    }
}

impl Promises {
    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Looks at a run after a decision.
    pub(super) fn observe(&mut self, after: Known, around: &Around) {
        let id = after.run.id;
        let before = self.runs.get(&id).cloned();
        let nothing = Journal::default();
        let old = before.as_ref().map_or(&nothing, |known| &known.journal);
        if let Some(before) = &before {
            Self::epochs_only_grow(before, &after, around);
            assert!(!before.run.state.is_over() || before.run == after.run, "{id} was over, and changed");
        }
        assert!(after.journal.0.len() >= old.0.len(), "{id}: the journal lost something");
        for (was, is) in old.0.iter().zip(&after.journal.0) {
            self.amended(&after.run, was, is, around);
        }
        for record in after.journal.0.iter().skip(old.0.len()) {
            let earlier = Journal(after.journal.0.iter().take_while(|it| it.seq < record.seq).cloned().collect());
            assert_eq!(record.epoch, after.run.epoch, "{id} {}: written by another epoch", record.key);
            if is_effect(&after.run, record) && record.state == StepState::Intent {
                self.begun(&after, &earlier, record, around);
            }
        }
        self.count(before.as_ref(), &after);
        self.runs.insert(id, after);
    }

    fn epochs_only_grow(before: &Known, after: &Known, around: &Around) {
        let (old, new, id) = (before.run.epoch, after.run.epoch, before.run.id);
        assert!(new >= old, "{id}: the epoch went back from {old} to {new}");
        assert!(new == old || around.who == Who::Claim, "{id}: a new epoch without a claim, by {:?}", around.who);
        assert!(
            after.journal.0.is_sorted_by_key(|record| record.epoch),
            "{id}: an older epoch wrote after a newer one"
        );
    }

    /// What became of an attempt: only whoever may know says so.
    fn amended(&mut self, run: &Run, was: &StepRecord, is: &StepRecord, around: &Around) {
        let (id, key) = (run.id, &was.key);
        let same = |it: &StepRecord| (it.key.clone(), it.seq, it.epoch, it.effect.clone(), it.with.clone());
        assert_eq!(same(was), same(is), "{id}: an attempt was rewritten");
        assert_eq!(was.before, is.before, "{id} {key}: what was captured before was rewritten");
        if was == is || !is_effect(run, was) {
            return;
        }
        let told = match &around.who {
            Who::Worker(of, told) if *of == id => told.as_ref(),
            Who::Worker(..) | Who::Claim | Who::Person | Who::Other => None,
        };
        let is_own = told == Some(key);
        let is_look = told.is_some_and(|told| told.pass == Pass::Probe && told.path == key.path);
        let is_person = around.who == Who::Person;
        let is_allowed = match (was.state, is.state) {
            (StepState::Intent, StepState::InDoubt) => true,
            (StepState::Intent, StepState::Failed) => is_own || self.never_came.remove(&(id, key.clone())),
            (StepState::Intent, StepState::Done) => is_own,
            (StepState::InDoubt, StepState::Done | StepState::Failed) => is_person || is_look,
            (StepState::InDoubt, StepState::InDoubt) | (StepState::Failed, StepState::Failed) => is_person,
            _ => false,
        };
        let (from, to) = (was.state.word(), is.state.word());
        assert!(is_allowed, "{id} {key} went from {from} to {to} by {:?}", around.who);
        if is.verdict == Some(Verdict::Absent) && was.verdict != is.verdict {
            if is_person {
                self.said_absent.insert((id, key.clone()));
            }
            self.saw(if is_person { "said absent" } else { "looked for and absent" });
        }
        if is.verdict == Some(Verdict::Happened) && was.verdict != is.verdict && is_look {
            self.saw("looked for and found");
        }
        if is.state == StepState::InDoubt && was.state == StepState::Intent {
            self.saw("in doubt");
        }
    }

    /// Something is about to be changed.
    fn begun(&mut self, after: &Known, earlier: &Journal, record: &StepRecord, around: &Around) {
        let (run, id, key) = (&after.run, after.run.id, &record.key);
        let service = &run.target.service;
        let is_halted = around.halted.contains(EVERYTHING) || around.halted.contains(service);
        assert!(!is_halted, "{id} {key} begins although {:?} is halted", around.halted);
        assert!(!around.is_halt_file_there, "{id} {key} begins although the halt file is there");
        let is_working = matches!(around.who, Who::Worker(of, _) if of == id) || around.who == Who::Claim;
        assert!(is_working, "{id} {key} begins by {:?}", around.who);
        for other in self.runs.values().map(|known| &known.run) {
            let holds = !other.state.is_over() && other.mutated_at.is_some() && other.target == run.target;
            assert!(!holds || other.holder() == run.holder(), "{id} {key} begins on the target of {}", other.id);
        }
        let is_asked = if is_main(&key.path) {
            // The condition of an approval is one that holds.
            run.mode == Mode::Ask || run.plan.approval.as_ref().is_some_and(|approval| approval.when.is_some())
        } else {
            run.needs_approval || (run.mode == Mode::Ask && run.plan.approval.is_some())
        };
        let is_agreed = !is_asked || after.is_agreed || key.pass == Pass::Undo;
        assert!(is_agreed, "{id} {key} begins, and nobody agreed");
        match key.pass {
            Pass::Do => {
                self.is_no_repetition(run, earlier, record, &around.coming);
                if is_main(&key.path) {
                    self.spends(service, record, around.now);
                    self.has_room(id, earlier, record);
                }
            }
            Pass::Undo => {
                is_in_reverse(run, earlier, key);
                for old in earlier.of(&key.path, Pass::Undo) {
                    let said = self.said_absent.contains(&(id, old.key.clone()));
                    let is_wanted = old.verdict == Some(Verdict::Retry) || said;
                    assert!(old.state == StepState::Failed && is_wanted, "{id} {key} although {} stands", old.key);
                }
            }
            Pass::Probe => {}
        }
    }

    /// No step is done twice unless that is known to do nothing: it was looked for, refused, or may be repeated.
    fn is_no_repetition(&mut self, run: &Run, earlier: &Journal, record: &StepRecord, coming: &BTreeSet<String>) {
        let (id, key) = (run.id, &record.key);
        let step = run.plan.step(&key.path).expect("the plan has the step");
        let is_repeatable = matches!(step.class, Class::Mutates(handling) if handling.repeatable);
        for old in earlier.of(&key.path, Pass::Do) {
            let is_same = is_repeatable && old.effect == record.effect;
            let is_allowed = match (old.state, old.verdict) {
                (StepState::InDoubt, _) => is_same && !coming.contains(&old.effect),
                (StepState::Failed, Some(Verdict::Retry)) => true,
                (StepState::Failed, Some(Verdict::Absent)) => {
                    self.said_absent.contains(&(id, old.key.clone())) || is_looked_for(step, earlier, old)
                }
                (StepState::Failed, None) => !old.may_have_changed || is_same,
                _ => false,
            };
            assert!(is_allowed, "{id} {key} begins although {} is {:?} {:?}", old.key, old.state, old.verdict);
            if old.state == StepState::InDoubt {
                self.saw("repeated under its key");
            }
        }
    }

    fn spends(&mut self, service: &str, record: &StepRecord, now: Time) {
        let charged = self.charged.entry(service.to_owned()).or_default();
        charged.retain(|_, at| *at > now - HOUR);
        charged.entry(record.effect.clone()).or_insert(now);
        let spent = charged.len();
        let budget = self.budget.map(|budget| usize::try_from(budget).unwrap_or(usize::MAX));
        assert!(budget.is_none_or(|budget| spent <= budget), "{} spends {spent} of {budget:?}", record.key);
    }

    fn has_room(&self, id: RunId, earlier: &Journal, record: &StepRecord) {
        let (Some(limit), Some(system)) = (self.limit, &record.system) else { return };
        let others = self.runs.values().filter(|known| known.run.id != id && !known.run.state.is_over());
        let all = others.flat_map(|known| &known.journal.0).chain(&earlier.0);
        let in_flight = all.filter(|it| it.is_open() && it.system.as_ref() == Some(system)).count();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        assert!(in_flight < limit, "{id} {} is one too many in flight", record.key);
    }

    fn count(&mut self, before: Option<&Known>, after: &Known) {
        let was = before.map(|known| known.run.state);
        let is = after.run.state;
        if was == Some(is) {
            return;
        }
        let reason = after.run.hold.as_ref().map(|hold| hold.reason).or(after.run.reason);
        if let Some(reason) = reason {
            self.saw(reason.code());
        }
        self.saw(is.word());
    }

    /// Looks at everything after all has come to rest.
    pub(super) fn at_the_end(&self, target: &TargetState) {
        assert_eq!(target.sent_while_halted, Vec::<String>::new(), "sent although the halt file was there");
        for Known { run, journal, .. } in self.runs.values() {
            let id = run.id;
            assert!(run.state.is_over(), "{id} is {:?}: {:?}", run.state, run.hold);
            let left = journal.0.iter().find(|record| record.is_open());
            assert!(left.is_none(), "{id}: an intent has no end: {left:#?}");
            Self::is_as_the_journal_says(run, journal, target);
            if run.state == RunState::Undone {
                is_taken_back(run, journal);
            }
        }
    }

    /// Looks at what was begun in which order, where nobody looked at each decision.
    pub(super) fn replayed(&mut self) {
        for Known { run, journal, .. } in self.runs.values() {
            // Without a probe only a person can say that something did not happen.
            let is_said = |record: &&StepRecord| {
                let is_probed = run.plan.step(&record.key.path).is_some_and(|step| step.probe.is_some());
                record.verdict == Some(Verdict::Absent) && (record.key.pass == Pass::Undo || !is_probed)
            };
            self.said_absent.extend(journal.0.iter().filter(is_said).map(|record| (run.id, record.key.clone())));
        }
        for Known { run, journal, .. } in self.runs.values().cloned().collect::<Vec<_>>() {
            assert!(journal.0.is_sorted_by_key(|record| record.epoch), "{}: an older epoch wrote last", run.id);
            for record in journal.0.iter().filter(|record| is_effect(&run, record) && !record.effect.is_empty()) {
                let earlier = Journal(journal.0.iter().take_while(|it| it.seq < record.seq).cloned().collect());
                match record.key.pass {
                    Pass::Do => self.is_no_repetition(&run, &earlier, record, &BTreeSet::new()),
                    Pass::Undo => is_in_reverse(&run, &earlier, &record.key),
                    Pass::Probe => {}
                }
            }
        }
    }

    /// What the journal says is what became of the target, unless the target itself lied.
    fn is_as_the_journal_says(run: &Run, journal: &Journal, target: &TargetState) {
        let mut places: BTreeMap<(&str, Pass), Vec<&StepRecord>> = BTreeMap::new();
        for record in journal.0.iter().filter(|record| is_effect(run, record) && !record.effect.is_empty()) {
            places.entry((&record.key.path, record.key.pass)).or_default().push(record);
        }
        for ((path, pass), records) in places {
            if records.iter().any(|record| target.excused.contains(&record.effect)) {
                continue;
            }
            let keys: BTreeSet<&str> = records.iter().map(|record| record.effect.as_str()).collect();
            let times: usize = keys.iter().map(|key| target.times(key)).sum();
            let place = format!("{} {path}.{}", run.id, pass.word());
            assert!(times <= 1, "{place} happened {times} times");
            if records.iter().any(|record| record.state == StepState::Done) {
                assert_eq!(times, 1, "{place} is done, and did not happen");
            }
            if !records.iter().any(|record| may_have_happened(record)) {
                assert_eq!(times, 0, "{place} is not done, and happened");
            }
        }
    }
}

/// Whether two looks, far enough apart, did not find it.
fn is_looked_for(step: &Step, journal: &Journal, old: &StepRecord) -> bool {
    let Some(probe) = &step.probe else { return false };
    let looks: Vec<&StepRecord> = journal
        .of(&old.key.path, Pass::Probe)
        .filter(|look| look.about == Some(old.key.attempt) && look.state == StepState::Done)
        .collect();
    let apart =
        |first: &StepRecord, last: &StepRecord| first.ended.is_some_and(|end| last.started >= end + probe.settle);
    looks.iter().all(|look| look.verdict == Some(Verdict::Absent))
        && matches!((looks.first(), looks.last()), (Some(first), Some(last)) if apart(first, last))
}

/// The places that were changed and can be taken back, each with when, the newest last.
fn changed(run: &Run, journal: &Journal) -> Vec<(i64, String)> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for record in journal.0.iter().filter(|record| record.key.pass == Pass::Do && is_main(&record.key.path)) {
        if is_effect(run, record) && may_have_happened(record) {
            last.insert(&record.key.path, record.seq);
        }
    }
    let can_be = |path: &str| run.plan.step(path).is_some_and(|step| step.undo.is_some());
    let mut changed: Vec<_> =
        last.into_iter().filter(|(path, _)| can_be(path)).map(|(path, seq)| (seq, path.to_owned())).collect();
    changed.sort();
    changed
}

fn is_gone(journal: &Journal, path: &str) -> bool {
    journal.last(path, Pass::Undo).is_some_and(|undo| {
        undo.state == StepState::Done || (undo.state == StepState::Failed && undo.verdict == Some(Verdict::Skip))
    })
}

/// What is taken back is what was done last of all that still stands.
fn is_in_reverse(run: &Run, earlier: &Journal, key: &StepKey) {
    let standing = changed(run, earlier).into_iter().rfind(|(_, path)| !is_gone(earlier, path));
    let newest = standing.map(|(_, path)| path);
    assert_eq!(newest.as_deref(), Some(key.path.as_str()), "{} {key} is not what was done last", run.id);
}

fn is_taken_back(run: &Run, journal: &Journal) {
    for (_, path) in changed(run, journal) {
        assert!(is_gone(journal, &path), "{} is undone, and {path} stands", run.id);
    }
}
