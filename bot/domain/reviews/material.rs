//! Related incidents, what the bot said, and what else the review rests on.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    document::LINES,
    facts::{Facts, Said},
};
use crate::domain::{duration, incidents::Event, runs, timeline::Entry};

/// Another incident that belongs to the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelatedLine {
    /// Its name.
    pub incident: String,
    /// What it is to this one: `earlier`, `merged into this one`, `continues this one`.
    pub relation: &'static str,
    /// What was wrong, if it is known.
    pub title: Option<String>,
    /// Where it stands, if that is known.
    pub phase: Option<String>,
    /// Its action items.
    pub items: Vec<RelatedItem>,
    /// The entry that names it, and the one that brought it where it stands.
    pub cites: Vec<String>,
}

/// An action item of another incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelatedItem {
    /// What is to be done.
    pub what: String,
    /// Who does it, if that was said.
    pub owner: Option<String>,
    /// Until when, if that was said.
    pub due: Option<String>,
    /// The note that it was written down in.
    pub cites: Vec<String>,
}

/// What the bot said about the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Communications {
    /// Each message.
    pub posts: Vec<PostLine>,
    /// How many are left out here.
    pub more: usize,
}

/// A message of the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostLine {
    /// When it was committed.
    pub at: String,
    /// The channel.
    pub channel: String,
    /// Whether it was a page.
    pub is_page: bool,
    /// Its first line.
    pub words: String,
    /// How long it was under way; unknown if it was not delivered.
    pub after: Option<String>,
    /// The message.
    pub cites: Vec<String>,
}

/// What the review rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Material {
    /// Each alert, with its labels.
    pub alerts: Vec<AlertLine>,
    /// How many alerts are left out here.
    pub more_alerts: usize,
    /// Each runbook that ran.
    pub runbooks: Vec<RunbookLine>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the alert")]
pub struct AlertLine {
    pub name: String,
    pub labels: String,
    pub source: String,
    pub episode: u32,
    pub cites: Vec<String>,
}

/// A runbook that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the run")]
pub struct RunbookLine {
    pub runbook: String,
    pub run: String,
    pub plan_hash: String,
    pub cites: Vec<String>,
}

/// Every incident that the timeline names.
pub fn related(facts: &Facts, said: &[(&Entry, Said)]) -> Vec<RelatedLine> {
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for (entry, said) in said {
        let Some((id, relation)) = relation(said) else { continue };
        if !seen.insert((id, relation)) {
            continue;
        }
        let known = facts.related.iter().find(|related| related.id == id);
        let mut cites = vec![entry.reference.to_string()];
        cites.extend(known.map(|known| known.from.to_string()));
        lines.push(RelatedLine {
            incident: id.to_string(),
            relation,
            title: known.map(|known| known.title.clone()),
            phase: known.map(|known| known.phase.to_string()),
            items: known.map_or_else(Vec::new, |known| {
                let items = known.items.iter().map(|(item, from)| RelatedItem {
                    what: item.what.clone(),
                    owner: item.owner.clone(),
                    due: item.due.clone(),
                    cites: vec![from.to_string()],
                });
                items.collect()
            }),
            cites,
        });
    }
    lines
}

/// The incident that an entry names, and what it is to this one.
pub fn relation(said: &Said) -> Option<(crate::domain::ids::IncidentId, &'static str)> {
    match said {
        Said::Incident(Event::LinkedToEarlier { earlier }) => Some((*earlier, "earlier")),
        Said::Incident(Event::MergedFrom { from, .. }) => Some((*from, "merged into this one")),
        Said::Incident(Event::MergedInto { into }) => Some((*into, "continues this one")),
        Said::Incident(_) | Said::Run(_) | Said::Other => None,
    }
}

/// What the bot said.
pub fn communications(facts: &Facts) -> Communications {
    let posts = facts.posts.iter().take(LINES).map(|post| PostLine {
        at: post.created_at.long(),
        channel: post.channel.clone(),
        is_page: post.is_page,
        words: post.words.clone(),
        after: post.sent_at.map(|sent| duration::human(sent.since(post.created_at))),
        cites: vec![format!("POST-{}", post.id)],
    });
    Communications { posts: posts.collect(), more: facts.posts.len().saturating_sub(LINES) }
}

/// What the review rests on.
pub fn material(said: &[(&Entry, Said)]) -> Material {
    let mut seen = BTreeSet::new();
    let mut alerts = Vec::new();
    let mut runbooks = Vec::new();
    for (entry, said) in said {
        let cites = vec![entry.reference.to_string()];
        match said {
            Said::Incident(Event::AlertFired { alert, .. }) if seen.insert((alert.key.clone(), alert.episode)) => {
                alerts.push(AlertLine {
                    name: alert.name.clone(),
                    labels: alert.labels.clone(),
                    source: alert.source.clone(),
                    episode: alert.episode,
                    cites,
                });
            }
            Said::Run(runs::Event::RunTriggered { run, runbook, plan_hash, .. }) => runbooks.push(RunbookLine {
                runbook: runbook.clone(),
                run: run.to_string(),
                plan_hash: plan_hash.clone(),
                cites,
            }),
            Said::Incident(_) | Said::Run(_) | Said::Other => {}
        }
    }
    let more_alerts = alerts.len().saturating_sub(LINES);
    alerts.truncate(LINES);
    Material { alerts, more_alerts, runbooks }
}

/// The newest entry that brought an incident where it stands.
pub fn standing<'a>(said: &[(&'a Entry, Said)]) -> Option<&'a Entry> {
    let moves = |_: &Entry, said: &Said| match said {
        Said::Incident(event) => matches!(
            event,
            Event::IncidentOpened { .. }
                | Event::IncidentDeclared { .. }
                | Event::PhaseMoved { .. }
                | Event::IncidentDeclined { .. }
                | Event::MergedInto { .. }
        ),
        Said::Run(_) | Said::Other => false,
    };
    super::lines::last(said, moves)
}
