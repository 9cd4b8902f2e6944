//! Goes through the steps of a runbook in the order of a run, and says of each what becomes of it.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{Origin, World};
use crate::{
    domain::{
        duration,
        people::PersonId,
        runbooks::{
            condition,
            plan::{Call, Class, Group, Mark, Mode, Plan, Step, Target, named},
            scope::Scope,
            unknown::Unknown,
        },
        runs::{
            Journal, Pass, Reason, StepKey, StepRecord, StepState,
            breaker::Standing,
            budgets::Cost,
            guards::Refused,
            outlook::{Asking, Called, Comes, Foreseen, Lane, Stopped},
            values::{frozen, keys},
        },
        time::Time,
    },
    engine::{
        Stop,
        runs::{actions, guard, render},
    },
};

/// What is known while the steps are gone through.
pub(super) struct Walk<'w> {
    pub(super) world: World<'w>,
    pub(super) plan: &'w Plan,
    pub(super) target: Target,
    pub(super) mode: Mode,
    pub(super) now: Time,
    pub(super) requester: Option<PersonId>,
    pub(super) breaker: Standing,
    pub(super) depth: usize,
    /// The first thing at which the run would stop.
    pub(super) refused: Option<Stopped>,
    /// Who would be asked, from the step on that asks.
    pub(super) approval: Option<Asking>,
    /// What the steps have taken from the budget.
    pub(super) spent: Cost,
    pub(super) unknown: Unknown,
    base: Scope,
    journal: Journal,
    changed: Option<String>,
}

/// Where steps stand: the beginning of their paths in the plan, and of their places; and what came before them.
#[derive(Clone, Default)]
pub(super) struct Way {
    path: String,
    place: String,
    /// The step that has changed something by then.
    pub(super) changed: Option<String>,
    /// Whether they only follow a failure or the end.
    pub(super) is_aside: bool,
    /// Whether it is not known yet if, or for what, they are done.
    pub(super) is_open: bool,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        world: World<'w>,
        plan: &'w Plan,
        (inputs, target): (BTreeMap<String, Value>, Target),
        (origin, breaker): (Origin, Standing),
        now: Time,
    ) -> Self {
        let Origin { requester, mode, depth, changed, spent } = origin;
        let mut base = Scope::new();
        base.extend(inputs);
        let by = requester.as_ref().map_or_else(|| "firewarden".to_owned(), ToString::to_string);
        base.set("run", json!({ "runbook": plan.name, "requested_by": by }));
        base.set("target", json!({ "service": target.service, "environment": target.environment }));
        base.set("mode", mode.word());
        base.set("now", now.to_string());
        let catalog = &world.rules.catalog;
        if let Some(entry) = catalog.entry(&target.service, &target.environment) {
            base.set("catalog", entry);
        }
        if plan.speaks_of("services") {
            base.set("services", catalog.values());
        }
        let mut unknown = Unknown::default();
        for (path, when) in
            [("run.id", "once it runs"), ("run.started_at", "once it runs"), ("step.key", "when the step begins")]
        {
            unknown.add(path, format!("known {when}"));
        }
        for path in ["failure", "ending"] {
            unknown.add(path, "known at the end");
        }
        let (refused, approval, journal) = (None, None, Journal::default());
        Self {
            world,
            plan,
            target,
            mode,
            now,
            requester,
            breaker,
            depth,
            refused,
            approval,
            spent,
            unknown,
            base,
            journal,
            changed,
        }
    }

    /// The steps that the run is for.
    pub(super) async fn main(&mut self) -> Result<Vec<Foreseen>, Stop> {
        let mut way = Way { changed: self.changed.clone(), ..Way::default() };
        let plan = self.plan;
        self.steps(&plan.steps, &mut way).await
    }

    /// Steps that only follow a failure, or the end.
    pub(super) async fn aside(&mut self, steps: &[Step]) -> Result<Vec<Foreseen>, Stop> {
        let mut way = Way { is_aside: true, ..Way::default() };
        self.steps(steps, &mut way).await
    }

    fn steps<'a>(&'a mut self, steps: &'a [Step], way: &'a mut Way) -> BoxFuture<'a, Result<Vec<Foreseen>, Stop>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for step in steps {
                let place = format!("{}{}", way.place, step.path.get(way.path.len()..).unwrap_or_default());
                let step = step.placed(&place);
                let seen = self.one(&step, way).await?;
                all.push(seen);
            }
            Ok(all)
        })
    }

    async fn one(&mut self, step: &Step, way: &mut Way) -> Result<Foreseen, Stop> {
        let scope = self.scope(step);
        let mut seen = blank(step);
        self.decide(step, &scope, way, &mut seen);
        self.show(step, &scope, &mut seen);
        if seen.comes == Comes::Skipped {
            return Ok(seen);
        }
        let is_live = matches!(seen.comes, Comes::Runs | Comes::Open) && !way.is_aside;
        if is_live && self.mode != Mode::Observe {
            self.gate(step, &scope, &mut seen);
        }
        if seen.comes == Comes::Observed {
            way.changed = Some(seen.name.clone());
        }
        let output = match &step.group {
            Some(group) => self.lanes(step, group, (&scope, way), &mut seen).await?,
            None if seen.changes => {
                if is_live {
                    self.change(step, &scope, way, &mut seen).await?;
                }
                None
            }
            None if seen.comes == Comes::Runs => self.read(step, &scope, way, &mut seen).await?,
            None => None,
        };
        self.note(step, output, &mut seen);
        Ok(seen)
    }

    /// What becomes of the step, as far as its condition and what came before decide it.
    fn decide(&mut self, step: &Step, scope: &Scope, way: &Way, seen: &mut Foreseen) {
        seen.comes = if self.refused.is_some() {
            Comes::Unreached
        } else if way.is_aside {
            Comes::Aside
        } else if way.is_open {
            Comes::Open
        } else if seen.changes && self.mode == Mode::Observe {
            Comes::Observed
        } else {
            Comes::Runs
        };
        let Some(when) = step.when.as_ref().filter(|_| self.refused.is_none()) else { return };
        let open = self.unknown.of_condition(when);
        if !open.is_empty() {
            if seen.comes == Comes::Runs {
                seen.comes = Comes::Open;
            }
            seen.note = Some(told(&open));
            return;
        }
        match condition::holds(when, scope) {
            Ok(true) => {}
            Ok(false) => {
                seen.comes = Comes::Skipped;
                seen.note = Some("its condition does not hold".to_owned());
            }
            Err(error) if way.is_aside => seen.note = Some(error.to_string()),
            Err(error) => self.stop(step, Reason::NoValue, error.to_string(), seen),
        }
    }

    /// Fills in the values, as far as they are known.
    fn show(&mut self, step: &Step, scope: &Scope, seen: &mut Foreseen) {
        let mut unknown = self.unknown.clone();
        if seen.changes || seen.comes != Comes::Runs {
            unknown.add("now", "known when the step begins");
        }
        match render::shown(&step.action, &step.with, scope, &unknown) {
            Ok(with) => seen.with = with,
            Err(what) if seen.comes == Comes::Runs => self.stop(step, Reason::NoValue, what, seen),
            Err(what) => seen.note = seen.note.take().or(Some(what)),
        }
        let reaches = actions::named(&step.action).is_some_and(|action| action.inside().is_none());
        seen.system = (reaches && step.group.is_none()).then(|| guard::system(step, &seen.with)).flatten();
        if let Some(name) = &step.output {
            unknown.add(name.clone(), known_after(step));
        }
        let called = |call: &Call| Called {
            action: call.action.clone(),
            with: render::shown(&call.action, &call.with, scope, &unknown).unwrap_or_else(|_| call.with.clone()),
        };
        seen.undo = step.undo.as_ref().map(called);
        seen.probe = step.probe.as_ref().map(|probe| called(&probe.call));
        for (part, text) in &step.touches {
            let open = unknown.of_condition(text);
            let value = match condition::evaluate(text, scope) {
                Ok(value) if open.is_empty() => value,
                Ok(_) | Err(_) if !open.is_empty() => Value::from(format!("{text}: {}", told(&open))),
                Ok(value) => value,
                Err(error) => Value::from(error.to_string()),
            };
            seen.touches.insert(part.clone(), value);
        }
    }

    /// Goes through what stands within a step.
    async fn lanes(
        &mut self,
        step: &Step,
        group: &Group,
        (scope, way): (&Scope, &mut Way),
        seen: &mut Foreseen,
    ) -> Result<Option<Value>, Stop> {
        let lane_of = |name: &str, path: String, place: String, way: &Way| {
            (name.to_owned(), Way { path, place, is_open: way.is_open || seen.comes == Comes::Open, ..way.clone() })
        };
        let mut lanes: Vec<(String, Way, &[Step])> = Vec::new();
        let mut opened = Some(Value::Null);
        match group {
            Group::Parallel(branches) => {
                for branch in branches {
                    let place = format!("{}.{}", step.path, branch.name);
                    let path = format!("{}.{}", crate::domain::runbooks::plan::template_of(&step.path), branch.name);
                    let (name, lane) = lane_of(&branch.name, path, place, way);
                    lanes.push((name, lane, &branch.steps));
                }
            }
            Group::ForEach(each) => {
                let path = format!("{}[]", crate::domain::runbooks::plan::template_of(&step.path));
                let open = self.unknown.of_condition(&each.items);
                let items = condition::evaluate(&each.items, scope).map_err(|error| error.to_string()).and_then(frozen);
                match items {
                    Ok(ref items) if open.is_empty() => {
                        for key in keys(items) {
                            let (name, lane) = lane_of(&key, path.clone(), format!("{}[{key}]", step.path), way);
                            lanes.push((name, lane, &each.steps));
                        }
                        opened = Some(items.clone());
                    }
                    Err(ref why) if open.is_empty() && seen.comes == Comes::Runs => {
                        self.stop(step, Reason::NoValue, why.clone(), seen);
                        opened = None;
                    }
                    Ok(_) | Err(_) => {
                        self.unknown.add(each.name.clone(), "known with the list");
                        let why = items.err().filter(|_| open.is_empty()).unwrap_or_else(|| told(&open));
                        seen.note = Some(format!("for each of `{}`: {why}", each.items));
                        let (name, lane) = lane_of("each", path, format!("{}[]", step.path), way);
                        lanes.push((name, Way { is_open: true, ..lane }, &each.steps));
                        opened = None;
                    }
                }
            }
        }
        if let Some(opened) = opened.clone() {
            self.record(step, opened);
        }
        let mut changed = false;
        for (name, mut lane, steps) in lanes {
            let steps = self.steps(steps, &mut lane).await?;
            changed |= lane.changed != way.changed;
            seen.lanes.push(Lane { name, steps });
        }
        if changed {
            way.changed = Some(named(&step.name, &step.path));
        }
        let is_known = opened.is_some() && seen.lanes.iter().flat_map(|lane| &lane.steps).all(|step| step.is_known);
        Ok(opened.filter(|_| is_known))
    }

    /// Notes what is known of the step's output from here on.
    fn note(&mut self, step: &Step, output: Option<Value>, seen: &mut Foreseen) {
        let Some(name) = &step.output else {
            seen.is_known = step.group.is_none() || output.is_some();
            return;
        };
        seen.is_known = output.is_some();
        if let Some(output) = output {
            self.unknown.remove(name);
            if step.group.is_none() {
                self.record(step, output);
            }
            return;
        }
        let when = match seen.comes {
            Comes::Stops => format!("unknown, for the run stops at {:?}", step.name),
            Comes::Unreached => format!("unknown, for the run stops before {:?}", step.name),
            Comes::Open => format!("{}, if it runs", known_after(step)),
            Comes::Read
            | Comes::Later
            | Comes::Runs
            | Comes::Waits
            | Comes::Skipped
            | Comes::Observed
            | Comes::Aside => known_after(step),
        };
        self.unknown.add(name.clone(), when);
    }

    /// The run would stop at this step.
    pub(super) fn stop(&mut self, step: &Step, code: Reason, detail: impl Into<String>, seen: &mut Foreseen) {
        let detail = detail.into();
        seen.comes = Comes::Stops;
        seen.note = Some(format!("{code}: {detail}"));
        if self.refused.is_none() {
            self.refused = Some(Stopped::at(Some(&step.path), Refused::new(code, detail)));
        }
    }

    /// The values that the step sees.
    fn scope(&self, step: &Step) -> Scope {
        let mut scope = self.base.clone();
        scope.extend(self.journal.outputs(self.plan, None, &step.path));
        scope.extend(self.journal.items(self.plan, &step.path));
        scope.with("step", json!({ "name": step.name, "path": step.path }))
    }

    /// Writes down what the steps after it see.
    fn record(&mut self, step: &Step, output: Value) {
        let seq = self.journal.0.last().map_or(1, |last| last.seq + 1);
        self.journal.0.push(StepRecord {
            key: StepKey::new(&step.path, Pass::Do, 1),
            seq,
            state: StepState::Done,
            epoch: 0,
            about: None,
            effect: String::new(),
            action: step.action.clone(),
            system: None,
            with: Value::Null,
            before: Value::Null,
            output,
            error: None,
            may_have_changed: false,
            verdict: None,
            due_at: None,
            question: None,
            started: self.now,
            ended: Some(self.now),
        });
    }
}

/// When the output of a step is known that is not done for the plan.
pub(super) fn known_after(step: &Step) -> String {
    format!("known after {:?}", named(&step.name, &step.path))
}

/// What is not known yet, in words.
pub(super) fn told(open: &BTreeMap<String, String>) -> String {
    open.iter().map(|(path, when)| format!("`{path}` is {when}")).collect::<Vec<_>>().join(", ")
}

/// The step with all that its values do not decide.
fn blank(step: &Step) -> Foreseen {
    let handling = match step.class {
        Class::Reads => Vec::new(),
        Class::Mutates(handling) => {
            let words = [
                (handling.repeatable, "repeat: safe"),
                (handling.probed, "probe"),
                (handling.undoable, "undo"),
                (handling.irreversible, "irreversible"),
            ];
            words.into_iter().filter_map(|(is_so, word)| is_so.then_some(word)).collect()
        }
    };
    let longest = step.until.as_ref().map_or(step.timeout, |until| until.timeout);
    let has_timeout =
        step.group.is_none() && actions::named(&step.action).is_some_and(|action| action.inside().is_none());
    Foreseen {
        path: step.path.clone(),
        name: named(&step.name, &step.path),
        action: step.action.clone(),
        comes: Comes::Runs,
        changes: !step.reads(),
        note: None,
        with: step.with.clone(),
        when: step.when.clone(),
        timeout: has_timeout.then(|| duration::compact(longest)),
        handling,
        undo: None,
        probe: None,
        system: None,
        touches: BTreeMap::new(),
        output: None,
        marks: step.marks.map(|Mark::Mitigated| "mitigated"),
        lanes: Vec::new(),
        starts: None,
        is_known: true,
    }
}
