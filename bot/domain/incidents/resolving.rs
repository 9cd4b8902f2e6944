//! When an incident is over: never by silence, and not without a person where there is doubt.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{
    incidents::{Incident, Phase, Settings},
    severity::Severity,
    time::Time,
};

/// How the alerts of an incident stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// They fire.
    pub firing: u64,
    /// Their source fell silent.
    pub stale: u64,
    /// A source said that they are over.
    pub resolved: u64,
}

impl Counts {
    /// Whether there are alerts and a source said of each that it is over.
    pub fn are_cleared(self) -> bool {
        self.resolved > 0 && self.firing == 0 && self.stale == 0
    }

    /// How many there are.
    pub fn all(self) -> u64 {
        self.firing + self.stale + self.resolved
    }
}

/// Why a person is asked instead of resolving an incident by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It is `SEV1`.
    WorstSeverity,
    /// A person declared it.
    DeclaredByPerson,
    /// The source of some of its alerts fell silent.
    StaleAlerts,
    /// A source left alerts out, so nobody will say that those are over.
    TruncatedAlerts,
    /// A run in it has not ended.
    OpenRun,
}

impl Doubt {
    /// The stable code of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Doubt::WorstSeverity => "worst_severity",
            Doubt::DeclaredByPerson => "declared_by_person",
            Doubt::StaleAlerts => "stale_alerts",
            Doubt::TruncatedAlerts => "truncated_alerts",
            Doubt::OpenRun => "open_run",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::WorstSeverity => "it is `SEV1`",
            Doubt::DeclaredByPerson => "a person declared it",
            Doubt::StaleAlerts => "the source of some of its alerts fell silent",
            Doubt::TruncatedAlerts => "its source left alerts out",
            Doubt::OpenRun => "a run in it has not ended",
        })
    }
}

/// Every doubt about resolving this incident by itself.
pub fn doubts(incident: &Incident, counts: Counts) -> Vec<Doubt> {
    [
        (incident.severity == Severity::Sev1, Doubt::WorstSeverity),
        (incident.is_declared(), Doubt::DeclaredByPerson),
        (counts.stale > 0, Doubt::StaleAlerts),
        (incident.truncated > 0, Doubt::TruncatedAlerts),
        (incident.open_runs > 0, Doubt::OpenRun),
    ]
    .into_iter()
    .filter_map(|(holds, doubt)| holds.then_some(doubt))
    .collect()
}

/// What becomes of an incident whose quiet time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterQuiet {
    /// It is resolved.
    Resolve,
    /// A person is asked, because of these doubts.
    Ask(Vec<Doubt>),
    /// Nothing: something fires, or it is over already.
    Nothing,
}

/// What becomes of an incident in which nothing has fired for the quiet time.
pub fn after_quiet(incident: &Incident, counts: Counts) -> AfterQuiet {
    if !incident.phase.is_open() || counts.firing > 0 || counts.all() == 0 {
        return AfterQuiet::Nothing;
    }
    let doubts = doubts(incident, counts);
    if doubts.is_empty() {
        // A person moved it back on purpose although its alerts are over: that is left alone.
        return if incident.phase == Phase::Monitoring { AfterQuiet::Resolve } else { AfterQuiet::Nothing };
    }
    if incident.asked_at.is_some() { AfterQuiet::Nothing } else { AfterQuiet::Ask(doubts) }
}

/// What becomes of an incident when an alert of its group fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFire {
    /// It goes on where it is.
    Stay,
    /// It was watched, and returns to this phase.
    Return(Phase),
    /// It was over, and is open again in this phase.
    Reopen(Phase),
    /// It is left alone; a new one is opened.
    OpenNew,
}

/// What becomes of this incident when an alert of its group fires.
pub fn on_fire(incident: &Incident, now: Time, settings: &Settings) -> OnFire {
    match incident.phase {
        Phase::Triage | Phase::Investigating | Phase::Mitigating => OnFire::Stay,
        Phase::Monitoring => OnFire::Return(incident.returns_to()),
        Phase::Resolved if now.since(incident.phase_since) <= settings.reopen_within => {
            OnFire::Reopen(incident.returns_to())
        }
        Phase::Resolved | Phase::Closed | Phase::Declined | Phase::Merged => OnFire::OpenNew,
    }
}

/// Whether an alert of this severity stays quiet, because its incident was declined and it has not resolved since.
pub fn stays_quiet(incident: &Incident, is_quiet: bool, severity: Severity) -> bool {
    incident.phase == Phase::Declined && is_quiet && !severity.is_higher_than(incident.peak_severity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::IncidentId,
        incidents::{Milestones, Origin},
        people::PersonId,
    };

    fn at(minute: i64) -> Time {
        Time::from_millis(minute * 60_000)
    }

    fn incident(phase: Phase) -> Incident {
        Incident {
            id: IncidentId(1),
            title: "Errors".to_owned(),
            summary: String::new(),
            severity: Severity::Sev2,
            peak_severity: Severity::Sev2,
            phase,
            phase_since: at(0),
            prior_phase: Some(Phase::Mitigating),
            service: None,
            environment: None,
            route: None,
            group: None,
            channel: "ops".to_owned(),
            runbooks: Vec::new(),
            pages: Vec::new(),
            origin: Origin::Alert,
            opened_at: at(0),
            last_fired_at: None,
            truncated: 0,
            roles: [].into(),
            milestones: Milestones::default(),
            earlier: Vec::new(),
            merged_into: None,
            asked_at: None,
            open_runs: 0,
        }
    }

    fn counts(firing: u64, stale: u64, resolved: u64) -> Counts {
        Counts { firing, stale, resolved }
    }

    #[test]
    fn only_explicit_resolution_of_all_alerts_clears_an_incident() {
        for (counts, is_cleared) in [
            (counts(0, 0, 2), true),
            (counts(0, 1, 2), false),
            (counts(1, 0, 2), false),
            (counts(0, 1, 0), false),
            (counts(0, 0, 0), false),
        ] {
            assert_eq!(counts.are_cleared(), is_cleared, "{counts:?}");
        }
    }

    #[test]
    fn after_the_quiet_time_it_resolves_unless_there_is_doubt() {
        let cleared = counts(0, 0, 1);
        let plain = incident(Phase::Monitoring);
        let with = |change: fn(&mut Incident)| {
            let mut changed = plain.clone();
            change(&mut changed);
            changed
        };
        let person = |incident: &mut Incident| incident.origin = Origin::Person(PersonId("ada".to_owned()));
        for (incident, counts, expected) in [
            (plain.clone(), cleared, AfterQuiet::Resolve),
            (plain.clone(), counts(1, 0, 1), AfterQuiet::Nothing),
            (plain.clone(), counts(0, 0, 0), AfterQuiet::Nothing),
            (with(|it| it.phase = Phase::Resolved), cleared, AfterQuiet::Nothing),
            (with(|it| it.phase = Phase::Mitigating), cleared, AfterQuiet::Nothing),
            (with(|it| it.severity = Severity::Sev1), cleared, AfterQuiet::Ask(vec![Doubt::WorstSeverity])),
            (with(person), cleared, AfterQuiet::Ask(vec![Doubt::DeclaredByPerson])),
            (with(|it| it.phase = Phase::Triage), counts(0, 1, 1), AfterQuiet::Ask(vec![Doubt::StaleAlerts])),
            (with(|it| it.truncated = 3), cleared, AfterQuiet::Ask(vec![Doubt::TruncatedAlerts])),
            (with(|it| it.open_runs = 1), cleared, AfterQuiet::Ask(vec![Doubt::OpenRun])),
            (
                with(|it| {
                    it.open_runs = 1;
                    it.asked_at = Some(Time::from_millis(1));
                }),
                cleared,
                AfterQuiet::Nothing,
            ),
        ] {
            assert_eq!(after_quiet(&incident, counts), expected, "{incident:?} {counts:?}");
        }
    }

    #[test]
    fn a_fire_returns_reopens_or_opens_anew() {
        let settings = Settings::default();
        for (phase, minute, expected) in [
            (Phase::Triage, 90, OnFire::Stay),
            (Phase::Mitigating, 90, OnFire::Stay),
            (Phase::Monitoring, 90, OnFire::Return(Phase::Mitigating)),
            (Phase::Resolved, 30, OnFire::Reopen(Phase::Mitigating)),
            (Phase::Resolved, 31, OnFire::OpenNew),
            (Phase::Closed, 1, OnFire::OpenNew),
            (Phase::Declined, 1, OnFire::OpenNew),
            (Phase::Merged, 1, OnFire::OpenNew),
        ] {
            assert_eq!(on_fire(&incident(phase), at(minute), &settings), expected, "{phase} at {minute}");
        }
    }

    #[test]
    fn a_declined_alert_stays_quiet_until_it_resolves_or_gets_worse() {
        let declined = incident(Phase::Declined);
        for (is_quiet, severity, expected) in [
            (true, Severity::Sev2, true),
            (true, Severity::Sev4, true),
            (true, Severity::Sev1, false),
            (false, Severity::Sev2, false),
        ] {
            assert_eq!(stays_quiet(&declined, is_quiet, severity), expected, "{is_quiet} {severity}");
        }
        assert!(!stays_quiet(&incident(Phase::Triage), true, Severity::Sev2));
    }

    #[test]
    fn moving_back_takes_milestones_back() {
        use crate::domain::{
            incidents::{Mark, Milestone},
            people::Actor,
            timeline::{Chain, EntryRef},
        };
        let mut incident = incident(Phase::Mitigating);
        let entry = EntryRef { chain: Chain::System, seq: 1 };
        for milestone in [Milestone::Mitigated, Milestone::Resolved] {
            incident.milestones.set(milestone, Mark::new(at(1), Actor::Bot, at(1), entry));
        }
        assert_eq!(incident.move_to(Phase::Resolved, at(2)), []);
        assert_eq!(incident.move_to(Phase::Monitoring, at(3)), [Milestone::Resolved]);
        assert_eq!(incident.move_to(incident.returns_to(), at(4)), [Milestone::Mitigated]);
        assert_eq!((incident.phase, incident.phase_since), (Phase::Mitigating, at(4)));
        incident.move_to(Phase::Closed, at(5));
        assert_eq!(incident.move_to(Phase::Triage, at(6)), [Milestone::Mitigated, Milestone::Resolved]);
    }
}
