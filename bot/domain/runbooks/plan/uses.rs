//! What a runbook makes of the values it is given: which outputs later steps read, and which services it is aimed at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Group, InputKind, InputSource, Plan, Step, Target, template_of};
use crate::domain::runbooks::{
    Condition,
    actions::{self, Kind},
    template,
};

impl Plan {
    /// The fields of a step's output that its undo or later steps read; `None` if none reads any of it. Fields are empty
    /// if it is only read as a whole.
    pub fn reads_of(&self, path: &str) -> Option<BTreeSet<String>> {
        let (steps, path) = (self.every_step(), template_of(path));
        let (at, step) = steps.iter().enumerate().find(|(_, step)| step.path == path)?;
        let name = step.output.as_ref()?;
        let mut paths = Vec::new();
        step.undo.iter().for_each(|undo| in_call(&undo.action, &undo.with, &mut paths));
        steps.iter().skip(at + 1).for_each(|later| in_step(later, &mut paths));
        self.outputs.values().for_each(|text| in_condition(text, &mut paths));
        let mut read = paths.into_iter().filter(|path| path.first() == Some(name)).peekable();
        read.peek()?;
        Some(read.filter_map(|path| path.into_iter().nth(1)).collect())
    }

    /// Whether the word stands anywhere in the runbook: what it certainly does not read need not be gathered for it.
    pub fn speaks_of(&self, word: &str) -> bool {
        serde_json::to_string(self).is_ok_and(|text| text.contains(word))
    }

    /// The services that a person or a label chose with these inputs: what the file itself fixes is left out.
    pub fn aimed_at<'v>(&self, inputs: &'v BTreeMap<String, Value>, target: &'v Target) -> Vec<&'v str> {
        let open = self.inputs.iter().filter(|input| matches!(input.source, InputSource::Given { .. }));
        let open: Vec<_> = open.map(|input| (&input.name, &input.kind)).collect();
        let services = open.iter().filter(|(_, kind)| **kind == InputKind::Service);
        let mut aimed: Vec<&str> = services.filter_map(|(name, _)| inputs.get(*name)?.as_str()).collect();
        let read = template::variables(&self.target.service).unwrap_or_default();
        if read.iter().filter_map(|path| path.first()).any(|root| open.iter().any(|(name, _)| *name == root)) {
            aimed.push(&target.service);
        }
        aimed
    }
}

fn in_step(step: &Step, paths: &mut Vec<Vec<String>>) {
    in_call(&step.action, &step.with, paths);
    let conditions = step.when.iter().chain(step.until.as_ref().map(|until| &until.holds)).chain(step.touches.values());
    conditions.for_each(|text| in_condition(text, paths));
    if let Some(Group::ForEach(each)) = &step.group {
        in_condition(&each.items, paths);
    }
    step.undo.iter().for_each(|undo| in_call(&undo.action, &undo.with, paths));
    if let Some(probe) = &step.probe {
        in_call(&probe.call.action, &probe.call.with, paths);
        std::iter::once(&probe.found)
            .chain(&probe.failed)
            .chain(probe.output.values())
            .for_each(|text| in_condition(text, paths));
    }
}

/// The fields of an action: its expressions, and templates in all others.
fn in_call(action: &str, with: &Value, paths: &mut Vec<Vec<String>>) {
    let kind = |name: &str| {
        let spec = actions::named(action)?;
        spec.fields.iter().find(|field| field.name == name).map(|field| field.kind)
    };
    let groups = with.as_array().map_or(std::slice::from_ref(with), Vec::as_slice);
    for (name, value) in groups.iter().filter_map(Value::as_object).flatten() {
        match (kind(name), value) {
            (Some(Kind::Condition | Kind::ConditionOver(_)), Value::String(text)) => in_condition(text, paths),
            (Some(Kind::Extract(_)), Value::Object(expressions)) => {
                expressions.values().filter_map(Value::as_str).for_each(|text| in_condition(text, paths));
            }
            (_, value) => in_templates(value, paths),
        }
    }
}

fn in_templates(tree: &Value, paths: &mut Vec<Vec<String>>) {
    match tree {
        Value::String(text) if template::is_template(text) => {
            paths.extend(template::variables(text).unwrap_or_default());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::Array(items) => items.iter().for_each(|item| in_templates(item, paths)),
        Value::Object(fields) => fields.values().for_each(|value| in_templates(value, paths)),
    }
}

fn in_condition(text: &str, paths: &mut Vec<Vec<String>>) {
    if let Ok(condition) = Condition::compile(text) {
        paths.extend(condition.variables());
    }
}
