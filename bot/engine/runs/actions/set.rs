//! `set`: gives names to values that expressions make of others.

use serde_json::{Map, Value};

use super::evaluated;
use crate::{
    domain::{
        runbooks::{plan::Step, scope::Scope},
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
    let none = Map::new();
    let names = record.with.get("values").and_then(Value::as_object).unwrap_or(&none);
    let outcome = match evaluated(names, scope) {
        Ok(values) => Outcome::Done(values),
        Err(why) => Outcome::Refused(why),
    };
    finish::at_once(case, step, record, outcome).await?;
    Ok(Went::On)
}
