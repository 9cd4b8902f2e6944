//! What must hold before a run starts and before each thing it changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    duration,
    ids::{AlertKey, RunId},
    runbooks::plan::{Cooldown, Guards, StillFiring},
    runs::{breaker::Standing, reason::Reason},
    time::Time,
};

/// No cooldown is longer than this.
pub const LONGEST_COOLDOWN: Duration = Duration::from_hours(24);

/// When guards are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The run is about to start.
    Start,
    /// It is about to change something for the first time.
    FirstMutation,
    /// It is about to change something more.
    LaterMutation,
    /// It is about to take something back.
    Undo,
}

/// What is known of the alert that started the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// It fires.
    Yes,
    /// A source said that it is over, or it fires for another reason than the one that started the run.
    No,
    /// Its source fell silent.
    Silent,
}

/// What is known when guards are evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// Why everything, or the service, is halted.
    pub halted: Option<String>,
    /// Whether the halt file is there.
    pub is_halt_file_there: bool,
    /// Why the service is frozen, and until when.
    pub frozen: Option<String>,
    /// Who has locked the service, and why.
    pub service_locked: Option<String>,
    /// What could not be read.
    pub unreadable: Option<String>,
    /// How the breaker of the runbook stands on the target.
    pub breaker: Standing,
    /// The other run that holds the target.
    pub locked_by: Option<RunId>,
    /// Whether the run itself holds the target.
    pub holds_target: bool,
    /// Whether the alert changes its state too often.
    pub is_flapping: bool,
    /// Whether the alert fires; none if no alert started the run.
    pub firing: Option<Firing>,
    /// The pause that was charged last to the runbook on the target.
    pub charged: Option<Charge>,
    /// How many other runs of the runbook changed the target in the window of `max_runs`.
    pub runs_in_window: u32,
    /// Whether nobody could approve although somebody must.
    pub lacks_approvers: bool,
}

/// A guard that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub reason: Reason,
    /// What is known beyond the reason, for people.
    pub detail: String,
}

impl Refused {
    /// A refusal for this reason, with what people should know beyond it.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Whether all guards that apply at this moment hold, else the first that does not.
///
/// Taking something back skips all but the halt: it has no alert to wait for and no budget to spare.
pub fn evaluate(guards: &Guards, moment: Moment, facts: &Facts, now: Time) -> Result<(), Refused> {
    let case = Case { guards, moment, facts, now };
    let refused = applying(moment).iter().find_map(|(reason, guard)| Some((*reason, guard(case)?)));
    refused.map_or(Ok(()), |(reason, detail)| Err(Refused { reason, detail }))
}

/// What each guard says that the runbook has or that stands for all, in the order in which they are evaluated: nothing if
/// it holds, else why it does not.
pub fn rulings(guards: &Guards, moment: Moment, facts: &Facts, now: Time) -> Vec<(Reason, Option<String>)> {
    let case = Case { guards, moment, facts, now };
    let declared = [
        (Reason::StillFiring, guards.still_firing.is_some()),
        (Reason::Cooldown, guards.cooldown.is_some()),
        (Reason::MaxRuns, guards.max_runs.is_some()),
        (Reason::BreakerOpen, guards.breaker.is_some()),
    ];
    let applying = applying(moment).iter().filter(|(reason, _)| !declared.contains(&(*reason, false)));
    applying.map(|(reason, guard)| (*reason, guard(case))).collect()
}

/// What a guard is evaluated by.
#[derive(Clone, Copy)]
struct Case<'a> {
    guards: &'a Guards,
    moment: Moment,
    facts: &'a Facts,
    now: Time,
}

/// Why a guard does not hold, if it does not.
type Guard = fn(Case<'_>) -> Option<String>;

/// The guards in the order in which they are evaluated; first those that nothing is exempt from.
const ALL: [(Reason, Guard); 12] = [
    (Reason::HaltFile, |case| case.facts.is_halt_file_there.then(|| "remove the file to lift it".to_owned())),
    (Reason::Halted, |case| case.facts.halted.clone()),
    (Reason::Unreadable, |case| case.facts.unreadable.clone()),
    (Reason::Frozen, |case| case.facts.frozen.clone().filter(|_| !case.guards.allowed_in_freeze)),
    (Reason::ServiceLocked, |case| case.facts.service_locked.clone()),
    (Reason::TargetLocked, |case| case.facts.locked_by.map(|other| format!("by {other}"))),
    (Reason::Flapping, |case| (case.is_first() && case.facts.is_flapping).then(|| "people have to look".to_owned())),
    (Reason::StillFiring, still_firing),
    (Reason::Cooldown, cooldown),
    (Reason::MaxRuns, max_runs),
    (Reason::BreakerOpen, breaker),
    (Reason::NoApprovers, |case| {
        let what = || "name people with the role in the configuration".to_owned();
        (case.is_first() && case.facts.lacks_approvers).then(what)
    }),
];

fn applying(moment: Moment) -> &'static [(Reason, Guard)] {
    let all: &'static [(Reason, Guard)] = &ALL;
    if moment == Moment::Undo { all.get(..2).unwrap_or_default() } else { all }
}

impl Case<'_> {
    fn is_first(self) -> bool {
        self.moment != Moment::LaterMutation
    }
}

fn still_firing(case: Case<'_>) -> Option<String> {
    let until = case.guards.still_firing?;
    if !case.is_first() && until != StillFiring::End {
        return None;
    }
    match case.facts.firing {
        Some(Firing::No) => Some("it is resolved".to_owned()),
        Some(Firing::Silent) => Some("its source fell silent".to_owned()),
        Some(Firing::Yes) | None => None,
    }
}

fn cooldown(case: Case<'_>) -> Option<String> {
    let charged = case.facts.charged.as_ref().filter(|_| case.is_first() && case.guards.cooldown.is_some())?;
    (charged.until > case.now).then(|| format!("until {}", charged.until.long()))
}

fn max_runs(case: Case<'_>) -> Option<String> {
    let most = case.guards.max_runs.filter(|most| case.is_first() && case.facts.runs_in_window >= most.count)?;
    Some(format!("{} in {}", case.facts.runs_in_window, duration::compact(most.per)))
}

fn breaker(case: Case<'_>) -> Option<String> {
    let Standing::Open { failures, until } = case.facts.breaker else { return None };
    let detail = || format!("{failures} in a row; people can agree to the next one from {}", until.long());
    case.is_first().then(detail)
}

/// A pause that was charged to a runbook on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// How often the alert had come back.
    pub level: u32,
    /// When the pause began.
    pub at: Time,
    /// When it is over.
    pub until: Time,
    /// The alert that it was charged for.
    pub alert: Option<AlertKey>,
}

/// The pause that is charged for a run that is about to change something.
///
/// It grows by the factor each time the same alert is back within a day of the charge before, and starts over after that.
pub fn charge(before: Option<&Charge>, cooldown: &Cooldown, alert: Option<&AlertKey>, now: Time) -> Charge {
    let came_back = before
        .filter(|charge| alert.is_some() && charge.alert.as_ref() == alert)
        .filter(|charge| now.since(charge.until) < LONGEST_COOLDOWN);
    let level = came_back.map_or(0, |charge| charge.level.saturating_add(1));
    let longest = cooldown.max.min(LONGEST_COOLDOWN);
    let exponent = i32::try_from(level.min(64)).unwrap_or(64);
    let seconds = (cooldown.length.as_secs_f64() * cooldown.factor.powi(exponent)).min(longest.as_secs_f64());
    let length = Duration::try_from_secs_f64(seconds).unwrap_or(longest);
    Charge { level, at: now, until: now + length, alert: alert.cloned() }
}
