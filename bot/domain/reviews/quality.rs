//! What people still have to write, seeded by facts, and what the draft itself lacks.

use std::time::Duration;

use serde::Serialize;

use super::{
    facts::{ActionItem, Facts, Said},
    lines::{self, Line},
    milestones,
    timeline::Gap,
    wording,
};
use crate::domain::{
    duration,
    incidents::{Event, Milestone},
    runs,
    timeline::Entry,
};

/// A message that was under way longer than this was late.
pub const LATE: Duration = Duration::from_mins(1);

/// Facts beside the questions that only people can answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lessons {
    /// Beside what went well.
    pub well: Vec<Line>,
    /// Beside what went badly.
    pub badly: Vec<Line>,
    /// Beside where luck helped.
    pub lucky: Vec<Line>,
    /// Beside what surprised people.
    pub surprised: Vec<Line>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Items {
    /// Action items with an owner and a due date.
    pub ready: Vec<Item>,
    /// Those that lack one of the two.
    pub unready: Vec<Item>,
}

/// An action item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is to be done.
    pub what: String,
    /// Who does it.
    pub owner: Option<String>,
    /// Until when.
    pub due: Option<String>,
    /// What it lacks: `owner and due date`.
    pub missing: String,
    /// The note that it was written down in.
    pub cites: Vec<String>,
}

/// What the draft lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// What is not known.
    pub missing: Vec<&'static str>,
    /// Key times whose entry is not in the record.
    pub unsupported: Vec<&'static str>,
    /// Silences in the log while the incident was open.
    pub gaps: Vec<Gap>,
    /// What the bot itself delivered late, or not at all.
    pub late: Vec<Late>,
    /// Notes whose words may read as blame.
    pub wording: Vec<Wording>,
    /// How many alerts a source left out and names nowhere.
    pub truncated: u64,
    /// The entries that say so.
    pub truncated_cites: Vec<String>,
    /// Whether nothing of all this is the case.
    pub is_clean: bool,
}

/// A message that came late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Late {
    /// Whether it was a page.
    pub is_page: bool,
    /// The channel.
    pub channel: String,
    /// When it was committed.
    pub at: String,
    /// How long it was under way; unknown if it was not delivered.
    pub after: Option<String>,
    /// The message.
    pub cites: Vec<String>,
}

/// A note whose words may read as blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wording {
    /// The words.
    pub words: String,
    /// The note.
    pub cites: Vec<String>,
}

/// Whether the entry is worth a look when people ask what contributed.
pub fn is_factor(_: &Entry, said: &Said) -> bool {
    match said {
        Said::Run(event) => matches!(
            event,
            runs::Event::RunRefused { .. }
                | runs::Event::StepFailed { .. }
                | runs::Event::StepInDoubt { .. }
                | runs::Event::RunHeld { .. }
                | runs::Event::ApprovalVoided { .. }
                | runs::Event::ApprovalWithdrawn { .. }
                | runs::Event::ApprovalExpired { .. }
        ),
        Said::Incident(event) => matches!(event, Event::AlertFlapping { .. } | Event::AlertSilent { .. }),
        Said::Other => false,
    }
}

/// Facts beside the questions that only people can answer.
pub fn lessons(said: &[(&Entry, Said)]) -> Lessons {
    use runs::Event as Run;
    Lessons {
        well: lines::of(said, |_, said| match said {
            Said::Run(Run::RunEnded { state, .. }) => *state == runs::RunState::Done,
            Said::Incident(Event::MilestoneSet { milestone, .. }) => *milestone == Milestone::Mitigated,
            Said::Incident(Event::Acknowledged {}) => true,
            Said::Incident(_) | Said::Run(_) | Said::Other => false,
        }),
        badly: lines::of(said, |_, said| match said {
            Said::Run(event) => matches!(
                event,
                Run::StepFailed { .. } | Run::RunHeld { .. } | Run::ApprovalExpired { .. } | Run::RunRefused { .. }
            ),
            Said::Incident(event) => matches!(event, Event::MilestoneVoided { .. }),
            Said::Other => false,
        }),
        lucky: lines::of(said, |_, said| matches!(said, Said::Run(Run::StepProbed { .. } | Run::RunAttached { .. }))),
        surprised: lines::of(said, |_, said| match said {
            Said::Run(event) => matches!(event, Run::StepInDoubt { .. } | Run::ApprovalVoided { .. }),
            Said::Incident(Event::AlertFired { is_again, .. }) => *is_again,
            Said::Incident(event) => matches!(event, Event::AlertFlapping { .. } | Event::AlertSilent { .. }),
            Said::Other => false,
        }),
    }
}

/// Action items that were written down as notes.
pub fn items(said: &[(&Entry, Said)]) -> Items {
    let items = said.iter().filter_map(|(entry, said)| match said {
        Said::Incident(Event::Noted { text }) => {
            let item = ActionItem::read(text)?;
            Some(Item {
                missing: item.missing().join(" and "),
                what: item.what,
                owner: item.owner,
                due: item.due,
                cites: vec![entry.reference.to_string()],
            })
        }
        Said::Incident(_) | Said::Run(_) | Said::Other => None,
    });
    let (ready, unready) = items.partition(|item| item.missing.is_empty());
    Items { ready, unready }
}

/// What the draft lacks.
pub fn quality(facts: &Facts, said: &[(&Entry, Said)], gaps: Vec<Gap>) -> Quality {
    let incident = &facts.incident;
    let times = &incident.milestones;
    let missing = [
        (times.at(Milestone::Started).is_none(), "when the impact began"),
        (times.at(Milestone::Acknowledged).is_none(), "who took it first, and when"),
        (times.at(Milestone::Mitigated).is_none(), "when the impact stopped"),
        (times.at(Milestone::Resolved).is_none(), "when it was over"),
        (incident.lead().is_none(), "who led the response"),
        (incident.service.is_none(), "which service was affected"),
        (incident.environment.is_none(), "which environment was affected"),
        (incident.phase.is_open(), "how it ends: the incident is not over"),
    ];
    let newest = facts.entries.last().map(|entry| entry.at);
    let late = facts.posts.iter().filter_map(|post| {
        let length = post.sent_at.map(|sent| sent.since(post.created_at));
        // One that is still under way is late if the log has gone on for so long without it.
        let waited = newest.map_or(Duration::ZERO, |newest| newest.since(post.created_at));
        (length.unwrap_or(waited) > LATE).then(|| Late {
            is_page: post.is_page,
            channel: post.channel.clone(),
            at: post.created_at.long(),
            after: length.map(duration::human),
            cites: vec![format!("POST-{}", post.id)],
        })
    });
    let wording = said.iter().filter_map(|(entry, said)| {
        let words = wording::blaming(human_words(said)?);
        let cites = vec![entry.reference.to_string()];
        (!words.is_empty()).then(|| Wording { words: words.join(", "), cites })
    });
    let mut quality = Quality {
        missing: missing.into_iter().filter_map(|(is_missing, what)| is_missing.then_some(what)).collect(),
        unsupported: Milestone::ALL
            .into_iter()
            .filter(|milestone| milestones::is_unsupported(facts, *milestone))
            .map(Milestone::word)
            .collect(),
        gaps: gaps.into_iter().filter(|gap| gap.is_open).collect(),
        late: late.take(super::document::LINES).collect(),
        wording: wording.collect(),
        truncated: incident.truncated,
        truncated_cites: lines::of(said, |_, said| matches!(said, Said::Incident(Event::AlertsTruncated { .. })))
            .into_iter()
            .flat_map(|line| line.cites)
            .collect(),
        is_clean: false,
    };
    quality.is_clean = quality.missing.is_empty()
        && quality.unsupported.is_empty()
        && quality.gaps.is_empty()
        && quality.late.is_empty()
        && quality.wording.is_empty()
        && quality.truncated == 0;
    quality
}

/// What a person wrote in their own words, if the entry holds such.
fn human_words(said: &Said) -> Option<&str> {
    match said {
        Said::Incident(Event::Noted { text }) => Some(text),
        Said::Incident(Event::PhaseMoved { reason, .. } | Event::SeverityChanged { reason, .. }) => reason.as_deref(),
        Said::Incident(Event::IncidentDeclined { reason, .. }) | Said::Run(runs::Event::HaltOrdered { reason, .. }) => {
            Some(reason)
        }
        Said::Incident(_) | Said::Run(_) | Said::Other => None,
    }
}
