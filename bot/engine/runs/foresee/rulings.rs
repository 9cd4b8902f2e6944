//! What stands between a run and what it would do: guards, people, budgets, bans, and the runs that it would start.

use serde_json::Value;

use super::{
    Origin, World, given_by, outlook,
    walk::{Walk, Way, told},
};
use crate::{
    domain::{
        duration,
        people::{Actor, PersonId},
        runbooks::{
            condition,
            plan::{Approver, Mode, Plan, Step},
            scope::Scope,
        },
        runs::{
            Reason,
            breaker::Standing,
            budgets::{self, Cost},
            guards::{self, Facts, Moment, Refused},
            outlook::{Asking, Comes, Foreseen, Ruling, Stopped},
        },
        time::Time,
    },
    engine::{
        Stop, View,
        runs::{
            actions::{self, Inside},
            approve::EXPIRES,
            child::DEEPEST,
            facts, guard,
            judge::{self, Aim, Verdict},
            start::Wish,
        },
    },
    store::{Reader, budgets as spendings, guards as asked},
};

/// What the guards say as a run starts.
pub(super) struct Start {
    pub(super) rulings: Vec<Ruling>,
    pub(super) breaker: Standing,
}

impl Start {
    /// Why the run would not start, if it would not.
    pub(super) fn refused(&self) -> Option<Stopped> {
        let first = self.rulings.iter().find(|ruling| !ruling.holds)?;
        Some(Stopped::at(None, Refused::new(first.code, first.detail.clone())))
    }
}

/// What the guards say of a run that would start at this moment.
pub(super) async fn at_start(
    world: World<'_>,
    plan: &Plan,
    aim: &mut Aim,
    origin: &Origin,
    now: Time,
) -> Result<Start, Stop> {
    let mut reader = world.store.read().await?;
    let mut rulings = Vec::new();
    if origin.mode != Mode::Observe {
        rulings.extend(beside(&mut reader, (plan, origin.mode), aim).await?);
    }
    let target = &aim.target;
    let mut view = View { reader: &mut reader, now, rules: world.rules };
    let about = facts::Subject {
        started_at: None,
        run: None,
        holder: None,
        plan,
        target,
        cause: None,
        requester: origin.requester.as_ref(),
        mode: origin.mode,
    };
    let halted = facts::halted(&mut view, &target.service).await?;
    let facts = facts::of(&mut view, about, (halted, None)).await?;
    let is_halt_file_there = (world.ports.is_halt_file_there)();
    let facts =
        if origin.mode == Mode::Observe { judge::only_looking(facts) } else { Facts { is_halt_file_there, ..facts } };
    let of_guards = guards::rulings(&plan.guards, Moment::Start, &facts, now).into_iter();
    rulings.extend(of_guards.map(|(code, why)| Ruling { code, holds: why.is_none(), detail: why.unwrap_or_default() }));
    Ok(Start { rulings, breaker: facts.breaker })
}

/// What other runs that are at work mean for this one, if it looks at others at all.
async fn beside(reader: &mut Reader, planned: (&Plan, Mode), aim: &mut Aim) -> Result<Option<Ruling>, Stop> {
    let shares = aim.together.is_some();
    let ruling = |code, holds, detail| Some(Ruling { code, holds, detail });
    Ok(match judge::beside(reader, planned, aim, ("", &[])).await? {
        Verdict::Start if !shares => None,
        Verdict::Start => ruling(Reason::Concurrency, true, String::new()),
        Verdict::Queue(at_work) => {
            let first = at_work.first().map(ToString::to_string).unwrap_or_default();
            ruling(Reason::Concurrency, true, format!("it would wait for {first}"))
        }
        Verdict::Attach(run) => ruling(Reason::Attached, false, format!("it would count for {run}")),
        Verdict::Refuse(refused) => ruling(refused.reason, false, refused.detail),
    })
}

impl Walk<'_> {
    /// Who is asked before the step, if anybody is.
    pub(super) fn gate(&mut self, step: &Step, scope: &Scope, seen: &mut Foreseen) {
        let declared = self.plan.approval.as_ref();
        let is_here = !step.reads() || declared.is_some_and(|approval| approval.before == step.path);
        if !is_here || self.approval.as_ref().is_some_and(|asking| asking.is_certain) {
            return;
        }
        let when = declared.and_then(|approval| approval.when.as_ref());
        let open = when.map(|when| self.unknown.of_condition(when)).unwrap_or_default();
        let (is_certain, why) = match (self.breaker, when) {
            (Standing::HalfOpen { failures }, _) => {
                (true, format!("its last {failures} runs failed or did not help: the breaker is half open"))
            }
            (_, Some(_)) if !open.is_empty() => (seen.comes == Comes::Runs, told(&open)),
            (_, Some(when)) if condition::holds(when, scope).unwrap_or(true) => (true, format!("`{when}` holds")),
            (_, None) if self.mode == Mode::Ask => (true, "the mode is `ask`".to_owned()),
            _ => return,
        };
        let is_certain = is_certain && open.is_empty() && seen.comes == Comes::Runs;
        let by: Vec<Approver> = declared.map(|approval| approval.by.clone()).unwrap_or_default();
        let bound = declared.iter().flat_map(|approval| &approval.binds);
        self.approval = Some(Asking {
            before: step.path.clone(),
            name: seen.name.clone(),
            is_certain,
            why,
            people: self.people(&by),
            by: by.iter().map(ToString::to_string).collect(),
            count: declared.map_or(1, |approval| approval.count),
            bound: bound.map(|path| (path.clone(), self.unknown.value(path, scope))).collect(),
            expires: duration::compact(declared.map_or(EXPIRES, |approval| approval.expires)),
            abort_when: declared.and_then(|approval| approval.abort_when.clone()),
        });
        let abort = declared.and_then(|approval| approval.abort_when.as_ref());
        if let Some(abort) = abort.filter(|abort| self.unknown.of_condition(abort).is_empty()) {
            match condition::holds(abort, scope) {
                Ok(false) => {}
                Ok(true) => self.stop(step, Reason::AbortCondition, format!("`{abort}` holds"), seen),
                Err(error) => self.stop(step, Reason::AbortCondition, error.to_string(), seen),
            }
        }
    }

    /// Those who may agree, as far as the configuration names them.
    fn people(&self, by: &[Approver]) -> Vec<String> {
        let may = |person: &PersonId, roles: &std::collections::BTreeSet<String>| {
            by.iter().any(|approver| match approver {
                Approver::Role(role) => roles.contains(role),
                Approver::Person(name) => person.0 == *name,
            })
        };
        let known = self.world.rules.people.known.iter();
        let counted = known.filter(|(person, roles)| self.requester.as_ref() != Some(*person) && may(person, roles));
        counted.map(|(person, _)| person.to_string()).collect()
    }

    /// What keeps the step from its change, or what it would start.
    pub(super) async fn change(
        &mut self,
        step: &Step,
        scope: &Scope,
        way: &mut Way,
        seen: &mut Foreseen,
    ) -> Result<(), Stop> {
        if seen.comes == Comes::Stops {
            return Ok(());
        }
        if actions::named(&step.action).and_then(actions::Action::inside) == Some(Inside::Runbook) {
            return self.start(step, way, seen).await;
        }
        let mut reader = self.world.store.read().await?;
        let banned = guard::version_is_banned(&mut reader, &self.target, (&step.action, &seen.with)).await?;
        if let Some(refused) = banned {
            self.stop(step, refused.reason, refused.detail, seen);
            return Ok(());
        }
        if let Some(why) = self.over_budget(&mut reader, step, scope, seen).await? {
            self.stop(step, Reason::Budget, why, seen);
            return Ok(());
        }
        let limit = seen.system.as_ref().and_then(|system| Some((system, *self.world.rules.limits.get(system)?)));
        if let Some((system, limit)) = limit
            && asked::in_flight(&mut reader, system).await? >= i64::from(limit)
        {
            seen.note = Some(format!("it would wait: {limit} in flight to `{system}` (`{}`)", Reason::Bulkhead));
        }
        way.changed = Some(seen.name.clone());
        Ok(())
    }

    /// Whether the budget of the service has too little left for the step, after those before it.
    async fn over_budget(
        &mut self,
        reader: &mut Reader,
        step: &Step,
        scope: &Scope,
        seen: &mut Foreseen,
    ) -> Result<Option<String>, Stop> {
        let service = &self.target.service;
        let Some(budget) = guard::budget(self.world.rules, service) else { return Ok(None) };
        let open = step.touches.values().map(|text| self.unknown.of_condition(text)).find(|open| !open.is_empty());
        if let Some(open) = open {
            seen.note = Some(format!("what it takes from the budget: {}", told(&open)));
            return Ok(None);
        }
        let cost = match guard::cost(step, &budget, scope) {
            Ok(cost) => cost,
            Err(why) => return Ok(Some(why)),
        };
        let spent = spendings::spent(reader, service, self.now - budgets::WINDOW, "").await?;
        let sum = |one: Cost, other: Cost| Cost {
            steps: one.steps + other.steps,
            pods: one.pods + other.pods,
            percent: one.percent + other.percent,
        };
        let why = budget.exceeded(sum(spent, self.spent), cost);
        self.spent = sum(self.spent, cost);
        Ok(why)
    }

    /// What the run would do that the step starts.
    async fn start(&mut self, step: &Step, way: &mut Way, seen: &mut Foreseen) -> Result<(), Stop> {
        let name = seen.with.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let open = self.unknown.of_tree(&step.with);
        if !open.is_empty() {
            seen.note = Some(format!("what it starts: {}", told(&open)));
            way.changed = Some(seen.name.clone());
            return Ok(());
        }
        let Some(plan) = self.world.rules.runs.runbooks.get(&name) else {
            self.stop(step, Reason::StepFailed, format!("{}: there is no runbook `{name}`", step.name), seen);
            return Ok(());
        };
        if self.depth >= DEEPEST {
            let why = format!("{}: more than {DEEPEST} runs would wait for each other", step.name);
            self.stop(step, Reason::StepFailed, why, seen);
            return Ok(());
        }
        let requested_by = self.requester.clone().map_or(Actor::Bot, Actor::Person);
        let wish = Wish { given: given_by(&seen.with), ..Wish::new(plan, requested_by, String::new()) };
        let aim = match judge::aim(self.world.rules, &wish) {
            Ok(aim) => aim,
            Err(why) => {
                self.stop(
                    step,
                    Reason::StepFailed,
                    format!("{}: {}: {why}", step.name, Reason::BadInputs.words()),
                    seen,
                );
                return Ok(());
            }
        };
        let origin = Origin {
            requester: self.requester.clone(),
            mode: plan.mode.min(self.mode),
            depth: self.depth + 1,
            changed: way.changed.clone(),
            spent: self.spent,
        };
        let (starts, spent) = Box::pin(outlook(self.world, plan, aim, origin)).await?;
        self.spent = spent;
        if !starts.changes().is_empty() {
            way.changed = Some(seen.name.clone());
        }
        if let Some(stopped) = &starts.refused {
            let why = format!("{}: `{name}` would be refused, {}: {}", step.name, stopped.code, stopped.detail);
            self.stop(step, Reason::StepFailed, why, seen);
        }
        seen.starts = Some(Box::new(starts));
        Ok(())
    }
}
