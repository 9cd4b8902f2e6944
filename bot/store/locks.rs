//! Who holds a target, and how long a runbook leaves it alone.

use super::{Reader, Result, Tx};
use crate::domain::{
    ids::{AlertKey, RunId},
    runbooks::plan::Target,
    runs::guards::Charge,
    time::Time,
};

/// Takes the target's lock, unless another run holds it: then that one is named and nothing is changed.
pub async fn take(tx: &mut Tx, target: &Target, run: RunId, now: Time) -> Result<Option<RunId>> {
    tx.execute(
        "insert into locks (service, environment, run, at) values ($1, $2, $3, $4) \
         on conflict (service, environment) do nothing",
        &[(&target.service).into(), (&target.environment).into(), run.0.into(), now.into()],
    )
    .await?;
    Ok(holder(tx, target).await?.filter(|holder| *holder != run))
}

/// Who holds the target.
pub async fn holder(reader: &mut Reader, target: &Target) -> Result<Option<RunId>> {
    let row = reader
        .row(
            "select run from locks where service = $1 and environment = $2",
            &[(&target.service).into(), (&target.environment).into()],
        )
        .await?;
    row.map(|row| Ok(RunId(row.int("run")?))).transpose()
}

/// Lets go of everything that the run holds.
pub async fn release(tx: &mut Tx, run: RunId) -> Result<()> {
    tx.execute("delete from locks where run = $1", &[run.0.into()]).await?;
    Ok(())
}

/// The pause that was charged last to this runbook on this target.
pub async fn cooldown(reader: &mut Reader, runbook: &str, target: &Target) -> Result<Option<Charge>> {
    let row = reader
        .row(
            "select level, at, until, alert from cooldowns where runbook = $1 and service = $2 and environment = $3",
            &[runbook.into(), (&target.service).into(), (&target.environment).into()],
        )
        .await?;
    row.map(|row| {
        Ok(Charge {
            level: u32::try_from(row.int("level")?).unwrap_or(0),
            at: row.time("at")?,
            until: row.time("until")?,
            alert: row.opt_text("alert")?.map(AlertKey),
        })
    })
    .transpose()
}

/// Charges a pause to this runbook on this target.
pub async fn charge(tx: &mut Tx, runbook: &str, target: &Target, charge: &Charge) -> Result<()> {
    tx.execute(
        "insert into cooldowns (runbook, service, environment, level, at, until, alert) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (runbook, service, environment) do update set \
         level = excluded.level, at = excluded.at, until = excluded.until, alert = excluded.alert",
        &[
            runbook.into(),
            (&target.service).into(),
            (&target.environment).into(),
            i64::from(charge.level).into(),
            charge.at.into(),
            charge.until.into(),
            charge.alert.as_ref().map(|key| key.0.as_str()).into(),
        ],
    )
    .await?;
    Ok(())
}
