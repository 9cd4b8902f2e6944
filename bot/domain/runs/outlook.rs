//! What a run would do, found out without doing it: its steps with their values, what the guards say, who would be asked.
//!
//! The hash is over what would be done, not over when or what was read by the way: the same plan has the same hash.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::{
    runbooks::plan::{Mode, Plan, Target, WhenUndone, canonical},
    runs::{Reason, guards::Refused},
};

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// The runbook.
    pub runbook: String,
    /// The hash of the runbook, as a run stores it.
    pub runbook_hash: String,
    /// What it mutates.
    pub target: Target,
    /// How far it goes by itself.
    pub mode: Mode,
    /// The values of its inputs.
    pub inputs: BTreeMap<String, Value>,
    /// What the guards say as it starts.
    pub guards: Vec<Ruling>,
    /// Who is asked, if anybody is.
    pub approval: Option<Asking>,
    /// What it does, in order.
    pub steps: Vec<Foreseen>,
    /// What follows a failure before anything was changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before_mutation: Vec<Foreseen>,
    /// What follows a failure after something was changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_mutation: Vec<Foreseen>,
    /// What follows every end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Foreseen>,
    /// When what was done is taken back after a failure.
    pub undo: WhenUndone,
    /// How long it may take.
    pub timeout: Option<String>,
    /// Why it would be refused or fail, and at which step; nothing if it would run.
    pub refused: Option<Stopped>,
    /// SHA-256 of what would be done, in hexadecimal.
    pub hash: String,
}

/// What a guard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruling {
    /// Its code, as `/why` shows it.
    pub code: Reason,
    /// Whether it holds.
    pub holds: bool,
    /// What is known beyond that.
    pub detail: String,
}

/// Why a run would not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// Why.
    pub code: Reason,
    /// What is known beyond the code.
    pub detail: String,
    /// The path of the step at which it would stop, if it would start at all.
    pub step: Option<String>,
}

impl Stopped {
    /// It stops at this place, or does not start.
    pub fn at(step: Option<&str>, refused: Refused) -> Self {
        Self { code: refused.reason, detail: refused.detail, step: step.map(str::to_owned) }
    }
}

/// The agreement that a run would wait for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asking {
    /// Path of the step that waits.
    pub before: String,
    /// The same by its name.
    pub name: String,
    /// Whether it is certain that people are asked; else what decides it is not known yet.
    pub is_certain: bool,
    /// Why people are asked.
    pub why: String,
    /// Who may agree; everybody who may operate, if nobody is named.
    pub by: Vec<String>,
    /// Those of them whom the configuration knows by name.
    pub people: Vec<String>,
    /// How many different people must agree.
    pub count: u32,
    /// The values that the agreement is for.
    pub bound: BTreeMap<String, Value>,
    /// How long the question stands.
    pub expires: String,
    /// The condition under which it is withdrawn.
    pub abort_when: Option<String>,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comes {
    /// It only reads, and was read for the plan.
    Read,
    /// It only reads, after something is changed: what it finds is known then.
    Later,
    /// It would run.
    Runs,
    /// It would wait, for a time or for people or for something to be so.
    Waits,
    /// It is left out, for its condition does not hold.
    Skipped,
    /// Whether it runs depends on what is not known yet.
    Open,
    /// The mode lets nothing be changed: it would only be told.
    Observed,
    /// The run would stop here.
    Stops,
    /// The run would have stopped before.
    Unreached,
    /// It only follows a failure, or the end.
    Aside,
}

/// A step as it would be done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreseen {
    /// Its place: `2`, `3.west.1`, `4[pod-7].1`; `4[].1` of a list that is not known yet.
    pub path: String,
    /// What people read.
    pub name: String,
    /// What it does.
    pub action: String,
    /// What becomes of it.
    pub comes: Comes,
    /// Whether it changes something.
    pub changes: bool,
    /// What is known beyond that.
    pub note: Option<String>,
    /// The action's fields, as far as their values are known; secrets by their names.
    pub with: Value,
    /// The condition that decides whether it is done.
    pub when: Option<String>,
    /// How long one attempt may take.
    pub timeout: Option<String>,
    /// What is done where nobody knows whether it happened, and how it is taken back; nothing of a step that reads.
    pub handling: Vec<&'static str>,
    /// How it is taken back.
    pub undo: Option<Called>,
    /// How it is found out whether it happened.
    pub probe: Option<Called>,
    /// The system that it reaches, by the name that `[limits]` has for it.
    pub system: Option<String>,
    /// How much it touches, for budgets.
    pub touches: BTreeMap<String, Value>,
    /// What was read.
    pub output: Option<Value>,
    /// The milestone that its success sets.
    pub marks: Option<&'static str>,
    /// The lanes within it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<Lane>,
    /// What the run that it starts would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Box<Outlook>>,
    /// Whether what the steps after it read of it is known.
    #[serde(skip)]
    pub is_known: bool,
}

/// An action with its fields, beside the step's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Called {
    /// The action.
    pub action: String,
    /// Its fields, as far as their values are known.
    pub with: Value,
}

/// One of the lanes of a step: a branch, or what is done for an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lane {
    /// The branch, or the item.
    pub name: String,
    /// What is done in it.
    pub steps: Vec<Foreseen>,
}

impl Outlook {
    /// The same with its hash.
    #[must_use]
    pub fn sealed(self) -> Self {
        let text = canonical(&self.essence());
        Self { hash: hex::encode(Sha256::digest(text.as_bytes())), ..self }
    }

    /// What makes it this plan and no other: no moments, no words, nothing that was read and is not used.
    fn essence(&self) -> Value {
        let rulings: Vec<Value> = self.guards.iter().map(|it| json!([it.code, it.holds])).collect();
        let approval = self.approval.as_ref().map(|asking| {
            json!([
                asking.before,
                asking.is_certain,
                asking.by,
                asking.count,
                asking.bound,
                asking.expires,
                asking.abort_when
            ])
        });
        let aside = [&self.before_mutation, &self.after_mutation, &self.finally].map(|steps| essences(steps));
        json!({
            "runbook": [self.runbook, self.runbook_hash], "target": self.target, "mode": self.mode, "inputs": self.inputs,
            "guards": rulings, "approval": approval, "steps": essences(&self.steps), "aside": aside, "undo": self.undo,
            "timeout": self.timeout, "refused": self.refused.as_ref().map(|stopped| json!([stopped.code, stopped.step])),
        })
    }

    /// The same with every text as this makes it.
    #[must_use]
    pub fn each_text(mut self, make: &dyn Fn(&str) -> String) -> Self {
        self.inputs.values_mut().for_each(|value| in_tree(value, make));
        self.guards.iter_mut().for_each(|ruling| ruling.detail = make(&ruling.detail));
        if let Some(asking) = &mut self.approval {
            asking.bound.values_mut().for_each(|value| in_tree(value, make));
        }
        if let Some(stopped) = &mut self.refused {
            stopped.detail = make(&stopped.detail);
        }
        for steps in [&mut self.steps, &mut self.before_mutation, &mut self.after_mutation, &mut self.finally] {
            for step in steps {
                step.each_text(make);
            }
        }
        self
    }

    /// Every step that would change something, with those of the runs that it starts.
    pub fn changes(&self) -> Vec<&Foreseen> {
        let mut all = Vec::new();
        gather(&self.steps, &mut all);
        all
    }

    /// What a plan of this runbook starts from.
    pub fn begun(plan: &Plan, target: Target, mode: Mode, inputs: BTreeMap<String, Value>) -> Self {
        Self {
            runbook: plan.name.clone(),
            runbook_hash: plan.hash(),
            target,
            mode,
            inputs,
            guards: Vec::new(),
            approval: None,
            steps: Vec::new(),
            before_mutation: Vec::new(),
            after_mutation: Vec::new(),
            finally: Vec::new(),
            undo: plan.undo,
            timeout: plan.timeout.map(crate::domain::duration::compact),
            refused: None,
            hash: String::new(),
        }
    }
}

impl Foreseen {
    fn each_text(&mut self, make: &dyn Fn(&str) -> String) {
        in_tree(&mut self.with, make);
        let calls = [&mut self.undo, &mut self.probe].into_iter().flatten();
        calls.for_each(|call| in_tree(&mut call.with, make));
        self.touches.values_mut().chain(&mut self.output).for_each(|value| in_tree(value, make));
        if let Some(note) = &mut self.note {
            *note = make(note);
        }
        self.lanes.iter_mut().flat_map(|lane| &mut lane.steps).for_each(|step| step.each_text(make));
        if let Some(starts) = self.starts.take() {
            self.starts = Some(Box::new(starts.each_text(make)));
        }
    }
}

fn in_tree(value: &mut Value, make: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = make(text),
        Value::Array(items) => items.iter_mut().for_each(|item| in_tree(item, make)),
        Value::Object(fields) => fields.values_mut().for_each(|field| in_tree(field, make)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn gather<'o>(steps: &'o [Foreseen], all: &mut Vec<&'o Foreseen>) {
    for step in steps {
        if step.changes && matches!(step.comes, Comes::Runs | Comes::Open) && step.starts.is_none() {
            all.push(step);
        }
        step.lanes.iter().for_each(|lane| gather(&lane.steps, all));
        if let Some(starts) = &step.starts {
            gather(&starts.steps, all);
        }
    }
}

fn essences(steps: &[Foreseen]) -> Vec<Value> {
    let of = |step: &Foreseen| {
        let lanes: Vec<Value> = step.lanes.iter().map(|lane| json!([lane.name, essences(&lane.steps)])).collect();
        json!([
            step.path,
            step.action,
            step.comes,
            step.with,
            step.when,
            step.timeout,
            step.handling,
            step.undo,
            step.probe,
            step.touches,
            lanes,
            step.starts.as_ref().map(|starts| starts.essence()),
        ])
    };
    steps.iter().map(of).collect()
}
