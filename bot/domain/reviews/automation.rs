//! What the automation did: each run with its approvals, steps, outputs and end, read from the log alone.

use serde::Serialize;

use super::{
    facts::{Said, values},
    lines::Line,
};
use crate::domain::{
    incidents,
    runs::{Event, Pass, StepKey, approvals::shown},
    timeline::Entry,
};

/// The most values of one output that are printed.
const VALUES: usize = 12;

/// Names under which an output tells which version of something runs.
const VERSIONS: [&str; 8] = ["version", "sha", "commit", "release", "revision", "image", "tag", "deployment"];

/// A run, from its trigger to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStory {
    /// Its name.
    pub run: String,
    /// The runbook.
    pub runbook: String,
    /// What it was to change.
    pub target: Option<String>,
    /// How far it went by itself.
    pub mode: Option<String>,
    /// How it started.
    pub started: Option<Line>,
    /// Its steps, its questions to people and what they made of it, in order.
    pub acts: Vec<Act>,
    /// What it measured for the incident.
    pub verified: Vec<Line>,
    /// How it ended.
    pub ended: Option<Line>,
    /// Where it ended, in a word.
    pub state: Option<String>,
    /// The first entry of it.
    pub cites: Vec<String>,
}

/// Something that a run did: one of these.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Act {
    /// It worked on a step.
    pub step: Option<StepStory>,
    /// It asked people.
    pub approval: Option<ApprovalStory>,
    /// It stood still or went on.
    pub turn: Option<Line>,
}

/// A question with its answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalStory {
    /// Its name.
    pub approval: String,
    /// How it was asked.
    pub asked: Line,
    /// What was asked.
    pub question: String,
    /// What is agreed to.
    pub bound: Vec<Pair>,
    /// What came of it.
    pub answers: Vec<Line>,
}

/// A value with its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Its path.
    pub name: String,
    /// The value.
    pub value: String,
}

/// An attempt at a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepStory {
    /// Its name.
    pub name: String,
    /// The action, where it is known.
    pub action: Option<String>,
    /// Whether it was taken back.
    pub is_undo: bool,
    /// Whether it was only looked for.
    pub is_probe: bool,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Whether it changes something outside.
    pub changes: bool,
    /// When it was first heard of.
    pub at: String,
    /// What became of it.
    pub outcome: &'static str,
    /// Why, if it did not just happen.
    pub detail: Option<String>,
    /// What came of it.
    pub values: Vec<Pair>,
    /// Its entries.
    pub cites: Vec<String>,
    #[serde(skip)]
    key: StepKey,
    #[serde(skip)]
    output: serde_json::Value,
}

/// A version that was live or was made live near the incident, as a step told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The run that learned of it.
    pub run: String,
    /// The step.
    pub step: String,
    /// Whether that step made the change itself.
    pub is_ours: bool,
    /// When the step told.
    pub at: String,
    /// What it told.
    pub values: Vec<Pair>,
    /// Its entries.
    pub cites: Vec<String>,
}

/// Every run that the log names, in the order of their first entries.
pub fn stories(said: &[(&Entry, Said)]) -> Vec<RunStory> {
    let mut stories: Vec<RunStory> = Vec::new();
    for (entry, said) in said {
        match said {
            Said::Run(event) => {
                if let Some(story) = event.run().map(|run| story(&mut stories, run.to_string(), entry)) {
                    story.read(entry, event);
                }
            }
            Said::Incident(incidents::Event::MilestoneSet { .. }) => {
                let actor = entry.draft.actor.to_string();
                if let Some(story) = stories.iter_mut().find(|story| story.run == actor) {
                    story.verified.push(Line::of(entry));
                }
            }
            Said::Incident(_) | Said::Other => {}
        }
    }
    stories
}

/// Versions that steps told of.
pub fn changes(stories: &[RunStory]) -> Vec<Change> {
    let mut changes = Vec::new();
    for story in stories {
        let steps = story.acts.iter().filter_map(|act| act.step.as_ref());
        for step in steps.filter(|step| step.outcome == "done" && !step.is_probe) {
            let tells = |name: &str| VERSIONS.contains(&name.rsplit('.').next().unwrap_or(name));
            if values(&step.output, VALUES).iter().any(|(name, _)| tells(name)) {
                changes.push(Change {
                    run: story.run.clone(),
                    step: step.name.clone(),
                    is_ours: step.changes,
                    at: step.at.clone(),
                    values: step.values.clone(),
                    cites: step.cites.clone(),
                });
            }
        }
    }
    changes
}

/// Whether something was refused.
pub fn is_refusal(_: &Entry, said: &Said) -> bool {
    matches!(said, Said::Run(Event::RunRefused { .. } | Event::ApprovalNotCounted { .. }))
}

/// Whether somebody ordered that nothing be changed, or took that back.
pub fn is_halt(_: &Entry, said: &Said) -> bool {
    matches!(said, Said::Run(Event::HaltOrdered { .. } | Event::HaltLifted { .. }))
}

fn story<'a>(stories: &'a mut Vec<RunStory>, run: String, entry: &Entry) -> &'a mut RunStory {
    let index = stories.iter().position(|story| story.run == run).unwrap_or_else(|| {
        stories.push(RunStory {
            run,
            runbook: "unknown".to_owned(),
            target: None,
            mode: None,
            started: None,
            acts: Vec::new(),
            verified: Vec::new(),
            ended: None,
            state: None,
            cites: vec![entry.reference.to_string()],
        });
        stories.len() - 1
    });
    &mut stories[index]
}

impl RunStory {
    fn read(&mut self, entry: &Entry, event: &Event) {
        match event {
            Event::RunTriggered { runbook, target, mode, .. } => {
                self.runbook.clone_from(runbook);
                self.target = Some(target.clone());
                self.mode = Some(mode.word().to_owned());
                self.started = Some(Line::of(entry));
            }
            Event::StepIntended { step, name, action, changes, .. } => {
                let story = self.step(entry, step, name);
                story.action = Some(action.clone());
                story.changes = *changes;
            }
            Event::StepDone { step, name, changes, output, .. } => {
                let story = self.step(entry, step, name);
                story.changes |= *changes;
                story.ends("done", None, output);
            }
            Event::StepFailed { step, name, changes, error, .. } => {
                let story = self.step(entry, step, name);
                story.changes |= *changes;
                story.ends("failed", Some(error), &serde_json::Value::Null);
            }
            Event::StepSkipped { step, name, why, .. } => {
                self.step(entry, step, name).ends("skipped", Some(why), &serde_json::Value::Null);
            }
            Event::StepObserved { step, name, action, with, .. } => {
                let story = self.step(entry, step, name);
                story.action = Some(action.clone());
                story.ends("only observed", None, with);
            }
            Event::StepInDoubt { step, name, why, .. } => {
                self.step(entry, step, name).ends("in doubt", Some(why), &serde_json::Value::Null);
            }
            Event::StepProbed { step, name, found, .. } => {
                let outcome = if *found { "found" } else { "not found" };
                self.step(entry, step, name).ends(outcome, None, &serde_json::Value::Null);
            }
            Event::StepSettled { step, name, happened, output, .. } => {
                let outcome = if *happened { "done" } else { "did not happen" };
                self.step(entry, step, name).ends(outcome, Some("settled after it was in doubt"), output);
            }
            Event::ApprovalAsked { approval, question, bound, .. } => {
                let bound = bound.iter().map(|(path, value)| Pair { name: path.clone(), value: shown(value) });
                let approval = ApprovalStory {
                    approval: approval.to_string(),
                    asked: Line::of(entry),
                    question: question.clone(),
                    bound: bound.collect(),
                    answers: Vec::new(),
                };
                self.acts.push(Act { approval: Some(approval), ..Act::default() });
            }
            Event::ApprovalGiven { approval, .. }
            | Event::ApprovalRejected { approval, .. }
            | Event::ApprovalNotCounted { approval, .. }
            | Event::ApprovalVoided { approval, .. }
            | Event::ApprovalExpired { approval, .. }
            | Event::ApprovalWithdrawn { approval, .. }
            | Event::QuestionAnswered { approval, .. } => {
                let name = approval.to_string();
                let mut asked = self.acts.iter_mut().rev().filter_map(|act| act.approval.as_mut());
                match asked.find(|story| story.approval == name) {
                    Some(story) => story.answers.push(Line::of(entry)),
                    None => self.acts.push(Act { turn: Some(Line::of(entry)), ..Act::default() }),
                }
            }
            Event::RunAttached { .. }
            | Event::RunQueued { .. }
            | Event::StepDelayed { .. }
            | Event::RunHeld { .. }
            | Event::RunResumed { .. }
            | Event::UndoAsked { .. }
            | Event::ChildStarted { .. }
            | Event::PauseAsked { .. }
            | Event::RunPaused { .. }
            | Event::FailureMet { .. }
            | Event::CancelAsked { .. } => self.acts.push(Act { turn: Some(Line::of(entry)), ..Act::default() }),
            Event::RunEnded { runbook, target, state, .. } => {
                self.runbook.clone_from(runbook);
                self.target = Some(target.clone());
                self.state = Some(state.words().to_owned());
                self.ended = Some(Line::of(entry));
            }
            Event::LanesBegun { .. }
            | Event::RunRefused { .. }
            | Event::HaltOrdered { .. }
            | Event::HaltLifted { .. } => {}
        }
    }

    /// The story of this attempt; an entry of it is one more that it comes from.
    fn step(&mut self, entry: &Entry, key: &StepKey, name: &str) -> &mut StepStory {
        let is_it = |act: &Act| act.step.as_ref().is_some_and(|step| step.key == *key);
        let index = self.acts.iter().position(is_it).unwrap_or_else(|| {
            self.acts.push(Act::default());
            self.acts.len() - 1
        });
        let story = self.acts[index].step.get_or_insert_with(|| StepStory {
            name: name.to_owned(),
            action: None,
            is_undo: key.pass == Pass::Undo,
            is_probe: key.pass == Pass::Probe,
            attempt: key.attempt,
            changes: false,
            at: entry.at.long(),
            outcome: "begun, its end unknown",
            detail: None,
            values: Vec::new(),
            cites: Vec::new(),
            key: key.clone(),
            output: serde_json::Value::Null,
        });
        story.cites.push(entry.reference.to_string());
        story
    }
}

impl StepStory {
    fn ends(&mut self, outcome: &'static str, detail: Option<&str>, output: &serde_json::Value) {
        self.outcome = outcome;
        self.detail = detail.map(str::to_owned);
        self.output = output.clone();
        self.values = values(output, VALUES).into_iter().map(|(name, value)| Pair { name, value }).collect();
    }
}
