//! What must hold before a run starts and before each thing it changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{
    duration,
    ids::{AlertKey, RunId},
    runbooks::plan::{Cooldown, Guards, StillFiring},
    runs::reason::Reason,
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
pub struct Facts {
    /// Why everything, or the service, is halted.
    pub halted: Option<String>,
    /// Whether the halt file is there.
    pub is_halt_file_there: bool,
    /// The other run that holds the target.
    pub locked_by: Option<RunId>,
    /// Whether the alert changes its state too often.
    pub is_flapping: bool,
    /// Whether the alert fires; none if no alert started the run.
    pub firing: Option<Firing>,
    /// Until when the runbook leaves the target alone.
    pub cooling_until: Option<Time>,
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
    if facts.is_halt_file_there {
        return Err(Refused::new(Reason::HaltFile, "remove the file to lift it"));
    }
    if let Some(why) = &facts.halted {
        return Err(Refused::new(Reason::Halted, why.clone()));
    }
    if moment == Moment::Undo {
        return Ok(());
    }
    if let Some(other) = facts.locked_by {
        return Err(Refused::new(Reason::TargetLocked, format!("by {other}")));
    }
    let is_first = moment != Moment::LaterMutation;
    if is_first && facts.is_flapping {
        return Err(Refused::new(Reason::Flapping, "people have to look"));
    }
    if let Some(until) = guards.still_firing
        && (is_first || until == StillFiring::End)
    {
        match facts.firing {
            Some(Firing::No) => return Err(Refused::new(Reason::StillFiring, "it is resolved")),
            Some(Firing::Silent) => return Err(Refused::new(Reason::StillFiring, "its source fell silent")),
            Some(Firing::Yes) | None => {}
        }
    }
    if is_first {
        if let Some(until) = facts.cooling_until.filter(|until| guards.cooldown.is_some() && *until > now) {
            return Err(Refused::new(Reason::Cooldown, format!("until {}", until.long())));
        }
        if let Some(most) = guards.max_runs.filter(|most| facts.runs_in_window >= most.count) {
            let per = duration::compact(most.per);
            return Err(Refused::new(Reason::MaxRuns, format!("{} in {per}", facts.runs_in_window)));
        }
        if facts.lacks_approvers {
            return Err(Refused::new(Reason::NoApprovers, "name people with the role in the configuration"));
        }
    }
    Ok(())
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
