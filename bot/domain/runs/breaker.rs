//! The circuit breaker of a runbook on a target, as its past runs tell.
//!
//! It opens after runs in a row that failed or did not help, for a while; then it is half open: people have to agree to
//! the next run. A run that succeeds closes it. Nothing is stored for it: the runs say it.

use std::time::Duration;

use crate::domain::{
    ids::AlertKey,
    runbooks::plan::{Breaker, Counted},
    runs::RunState,
    time::Time,
};

/// A run did not help if its alert is back this soon after its end.
pub const CAME_BACK: Duration = Duration::from_hours(1);

/// How many past runs are looked at.
pub const LOOKED_AT: i64 = 50;

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// How it ended.
    pub state: RunState,
    /// Whether it was about to change something.
    pub has_mutated: bool,
    /// The alert that started it.
    pub alert: Option<AlertKey>,
    /// When it was started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Runs may start.
    #[default]
    Closed,
    /// None may, until this moment.
    Open {
        /// How many runs in a row failed or did not help.
        failures: u32,
        /// Until when.
        until: Time,
    },
    /// The next one needs people who agree to it.
    HalfOpen {
        /// How many runs in a row failed or did not help.
        failures: u32,
    },
}

/// How the breaker stands for a run that began at this moment because of this alert. `past` are the runs before it, the
/// newest first.
pub fn standing(breaker: &Breaker, past: &[Past], (alert, begun): (Option<&AlertKey>, Time), now: Time) -> Standing {
    let (mut failures, mut newest) = (0, None);
    let (mut later_alert, mut later_begun) = (alert, begun);
    for run in past {
        let is_back =
            run.alert.is_some() && run.alert.as_ref() == later_alert && later_begun.since(run.ended_at) <= CAME_BACK;
        let is_ineffective = breaker.of == Counted::FailedOrIneffective && run.has_mutated && is_back;
        match run.state {
            RunState::Done if !is_ineffective => break,
            RunState::Done | RunState::Failed => failures += 1,
            RunState::Undone | RunState::Released if run.has_mutated => failures += 1,
            // It says nothing of whether the runbook works.
            RunState::Undone
            | RunState::Released
            | RunState::Cancelled
            | RunState::Refused
            | RunState::Observed
            | RunState::Running
            | RunState::Queued
            | RunState::Waiting
            | RunState::Approval
            | RunState::Held
            | RunState::InDoubt
            | RunState::Stuck
            | RunState::Paused => continue,
        }
        newest.get_or_insert(run.ended_at);
        (later_alert, later_begun) = (run.alert.as_ref(), run.started_at);
    }
    match newest.filter(|_| failures >= breaker.after).map(|newest| newest + breaker.open_for) {
        None => Standing::Closed,
        Some(until) if now < until => Standing::Open { failures, until },
        Some(_) => Standing::HalfOpen { failures },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(minute: i64) -> Time {
        Time::from_millis(minute * 60_000)
    }

    fn past(state: RunState, minute: i64, alert: Option<&str>) -> Past {
        let alert = alert.map(|key| AlertKey(key.to_owned()));
        Past { state, has_mutated: true, alert, started_at: at(minute), ended_at: at(minute + 5) }
    }

    fn stands(of: Counted, past: &[Past], minute: i64) -> Standing {
        let breaker = Breaker { after: 2, of, open_for: HOUR };
        standing(&breaker, past, (Some(&AlertKey("a".to_owned())), at(minute)), at(minute))
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_is_half_open_after_its_time() {
        let two = [past(RunState::Failed, 20, None), past(RunState::Released, 10, None)];
        assert_eq!(stands(Counted::Failed, &two[..1], 30), Standing::Closed);
        assert_eq!(stands(Counted::Failed, &two, 30), Standing::Open { failures: 2, until: at(85) });
        assert_eq!(stands(Counted::Failed, &two, 85), Standing::HalfOpen { failures: 2 });
    }

    #[test]
    fn a_success_closes_it_and_what_never_ran_says_nothing() {
        let failed = |minute| past(RunState::Failed, minute, None);
        let success = [past(RunState::Done, 30, None), failed(20), failed(10)];
        assert_eq!(stands(Counted::FailedOrIneffective, &success, 40), Standing::Closed);
        let refused = [past(RunState::Refused, 30, None), failed(20), past(RunState::Cancelled, 15, None), failed(10)];
        assert_ne!(stands(Counted::Failed, &refused, 40), Standing::Closed);
        let untouched = Past { has_mutated: false, ..past(RunState::Released, 20, None) };
        assert_eq!(stands(Counted::Failed, &[untouched, failed(10)], 40), Standing::Closed, "somebody let go in time");
    }

    #[test]
    fn a_run_whose_alert_is_back_did_not_help() {
        let done = [past(RunState::Done, 30, Some("a")), past(RunState::Done, 10, Some("a"))];
        assert!(matches!(stands(Counted::FailedOrIneffective, &done, 40), Standing::Open { failures: 2, .. }));
        assert_eq!(stands(Counted::Failed, &done, 40), Standing::Closed, "nothing failed");
        assert_eq!(stands(Counted::FailedOrIneffective, &done, 130), Standing::Closed, "it was well for long enough");
        let other = [past(RunState::Done, 30, Some("b")), past(RunState::Done, 10, Some("b"))];
        assert_eq!(stands(Counted::FailedOrIneffective, &other, 40), Standing::Closed, "it is another fault");
    }
}
