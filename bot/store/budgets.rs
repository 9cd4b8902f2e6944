//! What was spent of the budgets of services.

use super::{Reader, Result, Tx};
use crate::domain::{ids::RunId, runs::budgets::Cost, time::Time};

/// What was spent on a service since this moment, without this effect.
pub async fn spent(reader: &mut Reader, service: &str, since: Time, without: &str) -> Result<Cost> {
    let row = reader
        .row(
            "select cast(coalesce(sum(steps), 0) as bigint) as steps, cast(coalesce(sum(pods), 0) as bigint) as pods, \
             cast(coalesce(sum(percent), 0) as bigint) as percent from spendings \
             where service = $1 and at > $2 and effect <> $3",
            &[service.into(), since.into(), without.into()],
        )
        .await?;
    row.map_or(Ok(Cost::default()), |row| {
        Ok(Cost { steps: row.int("steps")?, pods: row.int("pods")?, percent: row.int("percent")? })
    })
}

/// Takes the cost of an effect from a service's budget, once however often the effect is tried.
pub async fn spend(tx: &mut Tx, (service, run): (&str, RunId), effect: &str, cost: Cost, now: Time) -> Result<()> {
    tx.execute(
        "insert into spendings (effect, service, run, at, steps, pods, percent) values ($1, $2, $3, $4, $5, $6, $7) \
         on conflict (effect) do nothing",
        &[
            effect.into(),
            service.into(),
            run.0.into(),
            now.into(),
            cost.steps.into(),
            cost.pods.into(),
            cost.percent.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Forgets what was spent before this moment.
pub async fn forget(tx: &mut Tx, before: Time) -> Result<()> {
    tx.execute("delete from spendings where at < $1", &[before.into()]).await?;
    Ok(())
}
