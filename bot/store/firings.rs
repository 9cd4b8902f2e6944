//! How often alerts fired that start a runbook only when they fire often.

use super::{Result, Tx};
use crate::domain::{ids::IncidentId, time::Time};

/// Notes that an alert of the incident fired for a runbook, and says how often that was since a moment, this time included.
/// What was before that moment is forgotten.
pub async fn count(tx: &mut Tx, runbook: &str, incident: IncidentId, (since, now): (Time, Time)) -> Result<i64> {
    tx.execute(
        "delete from firings where runbook = $1 and incident = $2 and at <= $3",
        &[runbook.into(), incident.0.into(), since.into()],
    )
    .await?;
    tx.execute(
        "insert into firings (runbook, incident, at, times) values ($1, $2, $3, 1) \
         on conflict (runbook, incident, at) do update set times = firings.times + 1",
        &[runbook.into(), incident.0.into(), now.into()],
    )
    .await?;
    let row = tx
        .row(
            "select cast(sum(times) as bigint) as number from firings where runbook = $1 and incident = $2",
            &[runbook.into(), incident.0.into()],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int("number"))
}
