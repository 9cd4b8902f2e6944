//! The phases of an incident and the moves between them.
//!
//! Any person may move an incident forward or back. Declining and merging are acts of their own, and a merged incident
//! lives on in the other one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where an incident stands. Those that lead from its opening to its end are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is open and nobody has looked yet.
    Triage,
    /// Somebody looks for what is wrong.
    Investigating,
    /// Something is being done about it.
    Mitigating,
    /// Its alerts have cleared, or a person says that the impact stopped; it is watched.
    Monitoring,
    /// It is over.
    Resolved,
    /// It is over and dealt with.
    Closed,
    /// It was none; its alerts stay quiet until they resolve.
    Declined,
    /// It goes on in another incident.
    Merged,
}

/// Why an incident cannot be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immovable {
    /// It is there already.
    AlreadyThere,
    /// It goes on in another incident.
    IsMerged,
    /// That phase is reached by declining or merging, not by a move.
    IsAnAct,
}

impl Phase {
    /// All of them.
    pub const ALL: [Phase; 8] = [
        Phase::Triage,
        Phase::Investigating,
        Phase::Mitigating,
        Phase::Monitoring,
        Phase::Resolved,
        Phase::Closed,
        Phase::Declined,
        Phase::Merged,
    ];

    /// The words of those that a person may move an incident to.
    pub const PLACES: &[&str] = &["triage", "investigating", "mitigating", "monitoring", "resolved", "closed"];

    /// The word for it, as it is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Triage => "triage",
            Phase::Investigating => "investigating",
            Phase::Mitigating => "mitigating",
            Phase::Monitoring => "monitoring",
            Phase::Resolved => "resolved",
            Phase::Closed => "closed",
            Phase::Declined => "declined",
            Phase::Merged => "merged",
        }
    }

    /// Whether the incident is not over yet.
    pub fn is_open(self) -> bool {
        self <= Phase::Monitoring
    }

    /// Whether somebody still works on what is wrong, as opposed to watching or being done.
    pub fn is_working(self) -> bool {
        self < Phase::Monitoring
    }

    /// Whether a person may move an incident from here to there.
    pub fn may_move(self, to: Phase) -> Result<(), Immovable> {
        match (self, to) {
            (Phase::Merged, _) => Err(Immovable::IsMerged),
            (from, to) if from == to => Err(Immovable::AlreadyThere),
            (_, Phase::Declined | Phase::Merged) => Err(Immovable::IsAnAct),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|phase| phase.word() == text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is not a phase such as `investigating`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_moves_forward_and_back_but_not_out_of_a_merge() {
        use Phase::*;
        for (from, to, expected) in [
            (Triage, Mitigating, Ok(())),
            (Mitigating, Triage, Ok(())),
            (Triage, Closed, Ok(())),
            (Resolved, Monitoring, Ok(())),
            (Declined, Triage, Ok(())),
            (Monitoring, Monitoring, Err(Immovable::AlreadyThere)),
            (Triage, Declined, Err(Immovable::IsAnAct)),
            (Resolved, Merged, Err(Immovable::IsAnAct)),
            (Merged, Triage, Err(Immovable::IsMerged)),
            (Merged, Merged, Err(Immovable::IsMerged)),
        ] {
            assert_eq!(from.may_move(to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn every_place_is_a_phase_and_every_word_reads_back() {
        assert!(Phase::PLACES.iter().all(|word| word.parse::<Phase>().is_ok()));
        for phase in Phase::ALL {
            assert_eq!(phase.word().parse(), Ok(phase));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.word());
        }
        assert!("Größe".parse::<Phase>().is_err());
    }
}
