//! What a review says, section by section, ready for the templates.
//!
//! Every statement carries the entries that it comes from. What is not known is absent here and printed as unknown.

use serde::Serialize;

use super::{
    automation::{self, Change, RunStory},
    facts::{Facts, Said},
    lines::{self, Known, Line},
    material::{self, Communications, Material, RelatedLine},
    milestones::{self, KeyTime, MeasureLine},
    quality::{self, Items, Lessons, Quality},
    timeline::{self, Day},
};
use crate::domain::{
    deployments,
    incidents::{Event, Milestone, Phase, Role},
    people::Actor,
    timeline::Entry,
};

/// A whole review. Its fields are what templates may name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields bear the names of the sections, in their order")]
pub struct Document {
    pub incident: String,
    pub title: String,
    pub header: Header,
    pub summary: Summary,
    pub impact: Impact,
    pub times: Vec<KeyTime>,
    pub measures: Vec<MeasureLine>,
    pub detection: Detection,
    pub nearby: Vec<Line>,
    pub changes: Vec<Change>,
    pub response: Response,
    pub automation: Automation,
    pub resolution: Vec<Line>,
    pub timeline: Vec<Day>,
    pub factors: Vec<Line>,
    pub lessons: Lessons,
    pub items: Items,
    pub related: Vec<RelatedLine>,
    pub communications: Communications,
    pub quality: Quality,
    pub material: Material,
}

/// What stands at the top.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Header {
    /// How bad it is.
    pub severity: Option<Known>,
    /// How bad it was at its worst, if it is not as bad any more.
    pub peak_severity: Option<Known>,
    /// Where it stands.
    pub phase: Option<Known>,
    /// Whether it is over, so that the record is complete.
    pub is_over: bool,
    /// The affected service.
    pub service: Option<Known>,
    /// The affected environment.
    pub environment: Option<Known>,
    /// Who leads.
    pub lead: Option<Known>,
    /// How many entries it was drafted from.
    pub entries: usize,
    /// The newest of them.
    pub through: Option<String>,
    /// The hash of that one, which covers all before it.
    pub hash: Option<String>,
}

/// The incident in a few lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How it began.
    pub opened: Option<Line>,
    /// When the impact began.
    pub started: Option<Known>,
    /// Whether it may have begun before.
    pub is_started_bound: bool,
    /// Who took it first.
    pub acknowledged: Option<Known>,
    /// What each run came to.
    pub runs: Vec<RunLine>,
    /// When the impact stopped.
    pub mitigated: Option<Known>,
    /// When it was over.
    pub resolved: Option<Known>,
}

/// A run in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the run's story")]
pub struct RunLine {
    pub run: String,
    pub runbook: String,
    pub target: Option<String>,
    pub state: Option<String>,
    pub cites: Vec<String>,
}

/// What it did to others, as far as the log knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Impact {
    /// From its beginning to its end, with the formula.
    pub window: Option<MeasureLine>,
    /// Every change of the severity.
    pub severities: Vec<Line>,
}

/// How it was noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detection {
    /// What made it known: the first alert, or the declaration.
    pub first: Option<Line>,
    /// Later alerts, and what became of them.
    pub alerts: Vec<Line>,
    /// How many of them are left out here.
    pub more: usize,
}

/// Who did what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response {
    /// Every role that somebody took, in order.
    pub roles: Vec<Line>,
    /// The first act of each person.
    pub joined: Vec<Line>,
    /// Whom the bot paged.
    pub pages: Vec<Line>,
}

/// What the automation did and did not do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Automation {
    /// Each run.
    pub runs: Vec<RunStory>,
    /// Runs that were not started.
    pub refusals: Vec<Line>,
    /// Orders to change nothing.
    pub halts: Vec<Line>,
}

/// The most lines of a list that is not the timeline.
pub const LINES: usize = 40;

impl Document {
    /// What the facts say.
    pub fn of(facts: &Facts) -> Self {
        let said = facts.said();
        let runs = automation::stories(&said);
        let (timeline, gaps) = timeline::days(facts, &said);
        let times = milestones::key_times(facts);
        let measures = milestones::measures(facts);
        let changes = automation::changes(&runs);
        Self {
            incident: facts.incident.id.to_string(),
            title: facts.incident.title.clone(),
            header: header(facts, &said),
            summary: summary(facts, &said, &runs),
            impact: impact(&said, &measures),
            detection: detection(&said),
            response: response(&said),
            automation: Automation {
                refusals: lines::of(&said, automation::is_refusal),
                halts: lines::of(&said, automation::is_halt),
                runs,
            },
            resolution: lines::of(&said, is_resolution),
            factors: lines::of(&said, quality::is_factor),
            lessons: quality::lessons(&said),
            items: quality::items(&said),
            related: material::related(facts, &said),
            communications: material::communications(facts),
            quality: quality::quality(facts, &said, gaps),
            material: material::material(&said),
            times,
            measures,
            nearby: lines::of(&said, is_nearby),
            changes,
            timeline,
        }
    }
}

/// Whether an entry tells of changes near in time, or of none.
fn is_nearby(entry: &Entry, said: &Said) -> bool {
    let is_near = |event| {
        matches!(
            event,
            deployments::Event::ChangeNearby { .. }
                | deployments::Event::NoChangeNearby { .. }
                | deployments::Event::BannedDeployed { .. }
        )
    };
    *said == Said::Other && entry.event::<deployments::Event>().is_some_and(is_near)
}

fn header(facts: &Facts, said: &[(&Entry, Said)]) -> Header {
    let incident = &facts.incident;
    let origin = lines::last(said, is_origin);
    let known = |value: String, from: Option<&Entry>| from.map(|entry| Known::new(value, entry));
    let severity = lines::last(said, |_, said| matches!(said, Said::Incident(Event::SeverityChanged { .. })));
    let phase = lines::last(said, |_, said| match said {
        Said::Incident(Event::PhaseMoved { to, .. }) => *to == incident.phase,
        Said::Incident(Event::IncidentDeclined { .. }) => incident.phase == Phase::Declined,
        Said::Incident(Event::MergedInto { .. }) => incident.phase == Phase::Merged,
        Said::Incident(_) | Said::Run(_) | Said::Other => false,
    });
    let lead = lines::last(said, |_, said| matches!(said, Said::Incident(Event::RoleTaken { role: Role::Lead, .. })));
    let peak = lines::last(said, |_, said| match said {
        Said::Incident(Event::SeverityChanged { from, to, .. }) => (*from).max(*to) == incident.peak_severity,
        Said::Incident(_) | Said::Run(_) | Said::Other => false,
    });
    let newest = facts.entries.last();
    Header {
        severity: known(incident.severity.to_string(), severity.or(origin)),
        peak_severity: known(incident.peak_severity.to_string(), peak.or(origin))
            .filter(|_| incident.peak_severity != incident.severity),
        phase: known(incident.phase.to_string(), phase.or(origin)),
        is_over: !incident.phase.is_open(),
        service: incident.service.clone().and_then(|service| known(service, origin)),
        environment: incident.environment.clone().and_then(|environment| known(environment, origin)),
        lead: incident.lead().and_then(|person| known(person.to_string(), lead)),
        entries: facts.entries.len(),
        through: newest.map(|entry| entry.reference.to_string()),
        hash: newest.map(|entry| entry.hash.clone()),
    }
}

fn summary(facts: &Facts, said: &[(&Entry, Said)], runs: &[RunStory]) -> Summary {
    let time = |milestone| milestones::known(facts, milestone);
    let started = facts.incident.milestones.mark(Milestone::Started);
    Summary {
        opened: lines::last(said, is_origin).map(Line::of),
        started: time(Milestone::Started),
        is_started_bound: started.is_some_and(crate::domain::incidents::Mark::is_bound),
        acknowledged: time(Milestone::Acknowledged),
        runs: runs
            .iter()
            .map(|story| RunLine {
                run: story.run.clone(),
                runbook: story.runbook.clone(),
                target: story.target.clone(),
                state: story.state.clone(),
                cites: story.ended.as_ref().map_or_else(|| story.cites.clone(), |line| line.cites.clone()),
            })
            .collect(),
        mitigated: time(Milestone::Mitigated),
        resolved: time(Milestone::Resolved),
    }
}

fn impact(said: &[(&Entry, Said)], measures: &[MeasureLine]) -> Impact {
    Impact {
        window: measures.iter().find(|measure| measure.name == "TTM").cloned(),
        severities: lines::of(said, |_, said| matches!(said, Said::Incident(Event::SeverityChanged { .. }))),
    }
}

fn detection(said: &[(&Entry, Said)]) -> Detection {
    let is_alert = |_: &Entry, said: &Said| match said {
        Said::Incident(event) => matches!(
            event,
            Event::AlertFired { .. }
                | Event::AlertCleared { .. }
                | Event::AlertSilent { .. }
                | Event::AlertHeardAgain { .. }
                | Event::AlertFlapping { .. }
                | Event::AlertSteady { .. }
                | Event::AlertKeptQuiet { .. }
                | Event::AlertsTruncated { .. }
        ),
        Said::Run(_) | Said::Other => false,
    };
    let is_first = |_: &Entry, said: &Said| {
        matches!(said, Said::Incident(Event::AlertFired { .. } | Event::IncidentDeclared { .. }))
    };
    let first = said.iter().find(|(entry, said)| is_first(entry, said)).map(|(entry, _)| Line::of(entry));
    let mut alerts = lines::all(said, is_alert);
    alerts.retain(|line| first.as_ref().is_none_or(|first| first.cites != line.cites));
    let more = alerts.len().saturating_sub(LINES);
    alerts.truncate(LINES);
    Detection { first, alerts, more }
}

fn response(said: &[(&Entry, Said)]) -> Response {
    let mut seen = std::collections::BTreeSet::new();
    let joined = said.iter().filter(|(entry, _)| match &entry.draft.actor {
        Actor::Person(person) => seen.insert(person.clone()),
        Actor::Source(_) | Actor::Run(_) | Actor::Bot => false,
    });
    Response {
        joined: joined.map(|(entry, _)| Line::of(entry)).collect(),
        roles: lines::of(said, |_, said| matches!(said, Said::Incident(Event::RoleTaken { .. }))),
        pages: lines::of(said, |_, said| matches!(said, Said::Incident(Event::Paged { .. }))),
    }
}

fn is_origin(_: &Entry, said: &Said) -> bool {
    matches!(said, Said::Incident(Event::IncidentOpened { .. } | Event::IncidentDeclared { .. }))
}

fn is_resolution(_: &Entry, said: &Said) -> bool {
    match said {
        Said::Incident(event) => match event {
            Event::PhaseMoved { .. }
            | Event::MilestoneVoided { .. }
            | Event::ResolutionAsked { .. }
            | Event::IncidentDeclined { .. }
            | Event::MergedInto { .. } => true,
            Event::MilestoneSet { milestone, .. } => matches!(milestone, Milestone::Mitigated | Milestone::Resolved),
            Event::IncidentOpened { .. }
            | Event::IncidentDeclared { .. }
            | Event::AlertFired { .. }
            | Event::AlertCleared { .. }
            | Event::AlertSilent { .. }
            | Event::AlertHeardAgain { .. }
            | Event::AlertFlapping { .. }
            | Event::AlertSteady { .. }
            | Event::AlertKeptQuiet { .. }
            | Event::AlertsTruncated { .. }
            | Event::Paged { .. }
            | Event::SeverityChanged { .. }
            | Event::Acknowledged {}
            | Event::Joined {}
            | Event::RoleTaken { .. }
            | Event::Noted { .. }
            | Event::SummaryChanged { .. }
            | Event::MergedFrom { .. }
            | Event::LinkedToEarlier { .. } => false,
        },
        Said::Run(_) | Said::Other => false,
    }
}
