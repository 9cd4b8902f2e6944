//! What steps read: asked of the world as a run would ask it, once.

use serde_json::{Map, Value, json};

use super::walk::{Walk, Way, told};
use crate::{
    domain::{
        duration,
        ids::RunId,
        runbooks::{condition, plan::Step, scope::Scope},
        runs::{
            Pass, Reason, StepKey,
            outlook::{Comes, Foreseen},
        },
    },
    engine::{
        Stop,
        runs::{
            Outcome, Work,
            actions::{self, Inside, deployments::Ask},
        },
    },
};

impl Walk<'_> {
    /// Does what a step does that changes nothing, and gives its output if that is known.
    pub(super) async fn read(
        &mut self,
        step: &Step,
        scope: &Scope,
        way: &Way,
        seen: &mut Foreseen,
    ) -> Result<Option<Value>, Stop> {
        match actions::named(&step.action).and_then(actions::Action::inside) {
            Some(Inside::Assert) => Ok(self.assert(step, scope, seen)),
            Some(Inside::Set) => Ok(self.set(step, scope, seen)),
            Some(Inside::Wait) => {
                waits(seen, "it lets the time pass");
                Ok(Some(Value::Null))
            }
            Some(Inside::Ask) => {
                waits(seen, "people are asked");
                Ok(None)
            }
            // What is said and noted is for people and the log: nothing of it is done.
            Some(Inside::Announce | Inside::IncidentUpdate) => Ok(Some(Value::Null)),
            Some(Inside::Ledger(ask)) => self.ledger(step, ask, way, seen).await,
            Some(Inside::Runbook) => Ok(None),
            None => self.outside(step, scope, way, seen).await,
        }
    }

    /// The conditions that can be decided already.
    fn assert(&mut self, step: &Step, scope: &Scope, seen: &mut Foreseen) -> Option<Value> {
        let single = [step.with.clone()];
        let claims = step.with.as_array().map_or(single.as_slice(), Vec::as_slice);
        let open_of =
            |claim: &Value| self.unknown.of_condition(claim.get("that").and_then(Value::as_str).unwrap_or_default());
        let (known, open): (Vec<&Value>, Vec<&Value>) = claims.iter().partition(|claim| open_of(claim).is_empty());
        if let Some(why) = actions::assert::broken(&json!(known), scope) {
            self.stop(step, Reason::Assertion, why, seen);
            return None;
        }
        if let Some(first) = open.first() {
            seen.comes = Comes::Later;
            seen.note = Some(told(&open_of(first)));
            return Some(Value::Null);
        }
        seen.comes = Comes::Read;
        seen.note = Some("it holds".to_owned());
        Some(Value::Null)
    }

    fn set(&mut self, step: &Step, scope: &Scope, seen: &mut Foreseen) -> Option<Value> {
        let none = Map::new();
        let names = step.with.get("values").and_then(Value::as_object).unwrap_or(&none);
        let texts = names.values().filter_map(Value::as_str);
        let open = texts.map(|text| self.unknown.of_condition(text)).find(|open| !open.is_empty());
        if let Some(open) = open {
            seen.comes = Comes::Later;
            seen.note = Some(told(&open));
            return None;
        }
        match actions::evaluated(names, scope) {
            Ok(values) => {
                seen.comes = Comes::Read;
                seen.output = Some(values.clone());
                Some(values)
            }
            Err(why) => {
                self.stop(step, Reason::StepFailed, why, seen);
                None
            }
        }
    }

    async fn ledger(&mut self, step: &Step, ask: Ask, way: &Way, seen: &mut Foreseen) -> Result<Option<Value>, Stop> {
        if self.is_later(step, way, seen) {
            return Ok(None);
        }
        let mut reader = self.world.store.read().await?;
        let outcome = actions::deployments::look(&mut reader, (&self.target, self.now), ask, &seen.with).await?;
        Ok(self.came(step, outcome, seen))
    }

    async fn outside(
        &mut self,
        step: &Step,
        scope: &Scope,
        way: &Way,
        seen: &mut Foreseen,
    ) -> Result<Option<Value>, Stop> {
        if self.is_later(step, way, seen) {
            return Ok(None);
        }
        let work = Work {
            key: StepKey::new(&step.path, Pass::Do, 1),
            action: step.action.clone(),
            with: seen.with.clone(),
            scope: scope.clone(),
            changes: false,
            timeout: step.timeout,
            effect: String::new(),
            run: RunId(0),
            epoch: 0,
            store: String::new(),
        };
        let outcome = actions::act(self.world.ports, &work).await;
        let Some(until) = &step.until else { return Ok(self.came(step, outcome, seen)) };
        let longest = duration::compact(until.timeout);
        let output = match outcome {
            Outcome::Done(output) => output,
            Outcome::Failed { why, .. }
            | Outcome::Unsuccessful { why, .. }
            | Outcome::Refused(why)
            | Outcome::OutOfBounds(why)
            | Outcome::Unknown(why)
                if until.asks =>
            {
                waits(seen, &format!("one look: nothing can be told, {why}; it waits for up to {longest}"));
                return Ok(None);
            }
            other @ (Outcome::Failed { .. }
            | Outcome::Unsuccessful { .. }
            | Outcome::Refused(_)
            | Outcome::OutOfBounds(_)
            | Outcome::Unknown(_)
            | Outcome::Halted) => {
                return Ok(self.came(step, other, seen));
            }
        };
        seen.output = Some(output.clone());
        if until.asks {
            if output.get("seen").and_then(Value::as_str) == Some("bad") {
                self.stop(step, Reason::VerificationBad, format!("{}: measured {}", step.name, output["value"]), seen);
            } else {
                waits(seen, &format!("one look; it waits for up to {longest}"));
            }
            return Ok(None);
        }
        let mut looked = scope.clone().with("output", output.clone());
        if let Some(name) = &step.output {
            looked.set(name.clone(), output.clone());
        }
        match condition::holds(&until.holds, &looked) {
            Ok(true) => {
                seen.comes = Comes::Read;
                Ok(Some(output))
            }
            Ok(false) => {
                waits(seen, &format!("`{}` does not hold yet; it waits for up to {longest}", until.holds));
                Ok(None)
            }
            Err(error) => {
                self.stop(step, Reason::StepFailed, format!("{}: {error}", step.name), seen);
                Ok(None)
            }
        }
    }

    /// Whether what the step reads is another thing by the time it reads it, or is not known enough to be asked for.
    fn is_later(&mut self, step: &Step, way: &Way, seen: &mut Foreseen) -> bool {
        let open = self.unknown.of_tree(&step.with);
        if let Some(changed) = &way.changed {
            seen.note = Some(format!("it looks after {changed:?} has changed something"));
        } else if !open.is_empty() {
            seen.note = Some(told(&open));
        } else {
            return false;
        }
        seen.comes = Comes::Later;
        true
    }

    /// What came of a look.
    fn came(&mut self, step: &Step, outcome: Outcome, seen: &mut Foreseen) -> Option<Value> {
        match outcome {
            Outcome::Done(output) => {
                seen.comes = Comes::Read;
                seen.output = Some(output.clone());
                Some(output)
            }
            Outcome::Failed { why, .. }
            | Outcome::Unsuccessful { why, .. }
            | Outcome::Refused(why)
            | Outcome::OutOfBounds(why)
            | Outcome::Unknown(why) => {
                self.stop(step, Reason::StepFailed, format!("{}: {why}", step.name), seen);
                None
            }
            Outcome::Halted => None,
        }
    }
}

fn waits(seen: &mut Foreseen, why: &str) {
    seen.comes = Comes::Waits;
    seen.note = Some(why.to_owned());
}
