//! `assert`: stops the run unless every condition holds. A condition that has no answer does not hold.

use serde_json::Value;

use super::text;
use crate::{
    domain::{
        runbooks::{condition, plan::Step, scope::Scope},
        runs::StepRecord,
    },
    engine::runs::{Outcome, advance::Went, case::Case, finish},
    store,
};

pub(in crate::engine::runs) async fn begin(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
    scope: &Scope,
) -> store::Result<Went> {
    let outcome = match broken(&record.with, scope) {
        None => Outcome::Done(Value::Null),
        Some(why) => Outcome::Refused(why),
    };
    finish::at_once(case, step, record, outcome).await?;
    Ok(Went::On)
}

/// The first condition that does not hold, with the reason that the runbook gives for it.
pub(in crate::engine::runs) fn broken(with: &Value, scope: &Scope) -> Option<String> {
    let single = [with.clone()];
    let claims = with.as_array().map_or(single.as_slice(), Vec::as_slice);
    claims.iter().find_map(|claim| {
        let (that, reason) = (text(claim, "that").unwrap_or_default(), text(claim, "else").unwrap_or_default());
        match condition::holds(that, scope) {
            Ok(true) => None,
            Ok(false) => Some(format!("{reason}: `{that}` does not hold")),
            Err(error) => Some(format!("{reason}: {error}")),
        }
    })
}
