//! `incident.update`: says how bad the run's incident is, what is wrong, or something worth noting, once.

use serde_json::Value;

use super::text;
use crate::{
    domain::{runbooks::plan::Step, runs::StepRecord, severity::Severity},
    engine::{
        incidents::acts::{self, Update},
        runs::{Outcome, advance::Went, case::Case, finish},
    },
    store,
};

pub(in crate::engine::runs) async fn begin(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
) -> store::Result<Went> {
    let outcome = match wanted(&record.with) {
        Ok(update) => match case.run.incident {
            Some(incident) => {
                let actor = case.itself();
                acts::update(case.context, incident, &actor, update).await?;
                Outcome::Done(Value::Null)
            }
            // Started by hand for no incident: there is nothing to say it of.
            None => Outcome::Done(Value::from("the run belongs to no incident")),
        },
        Err(why) => Outcome::Refused(why),
    };
    finish::at_once(case, step, record, outcome).await?;
    Ok(Went::On)
}

fn wanted(with: &Value) -> Result<Update, String> {
    Ok(Update {
        severity: text(with, "severity").map(str::parse::<Severity>).transpose()?,
        summary: text(with, "summary").map(str::to_owned),
        note: text(with, "note").map(str::to_owned),
    })
}
