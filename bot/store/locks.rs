//! Who holds a target, who keeps a service for themselves, and how long a runbook leaves a target alone.

use super::{Bind, Reader, Result, Row, Tx, ahead};
use crate::domain::{
    ids::{AlertKey, RunId},
    locks::ServiceLock,
    people::PersonId,
    runbooks::plan::Target,
    runs::guards::Charge,
    time::Time,
};

/// The locks that are still to be written.
#[derive(Default)]
pub(super) struct Later(Vec<Taken>);

/// A lock that a run takes.
pub(super) struct Taken {
    target: Target,
    run: RunId,
    at: Time,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Taken> {
        std::mem::take(&mut self.0)
    }
}

pub(super) const TAKE: &str = "insert into locks (service, environment, run, at) values ($1, $2, $3, $4)";

impl Taken {
    pub(super) fn row(&self) -> [Bind<'_>; 4] {
        [(&self.target.service).into(), (&self.target.environment).into(), self.run.0.into(), self.at.into()]
    }
}

/// Takes the lock of a target that nobody holds, as [`standing`] says. Where somebody does, nothing of the transaction is
/// kept.
pub fn take(tx: &mut Tx, target: &Target, run: RunId, now: Time) {
    tx.ahead().forget_target(target);
    tx.later().locks.0.push(Taken { target: target.clone(), run, at: now });
}

/// What keeps a runbook from a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The run that holds the target.
    pub holder: Option<RunId>,
    /// The pause that was charged last to the runbook on the target.
    pub charged: Option<Charge>,
}

/// What keeps this runbook from this target.
pub async fn standing(reader: &mut Reader, runbook: &str, target: &Target) -> Result<Standing> {
    if let Some(standing) = reader.ahead().standing(runbook, target) {
        return Ok(standing.clone());
    }
    let row = reader
        .row(
            "select l.run as holder, c.level as charge_level, c.at as charged_at, c.until as charged_until, \
             c.alert as charged_for from (select 1 as one) as o \
             left join locks l on l.service = $2 and l.environment = $3 \
             left join cooldowns c on c.runbook = $1 and c.service = $2 and c.environment = $3",
            &[runbook.into(), (&target.service).into(), (&target.environment).into()],
        )
        .await?;
    row.as_ref().map_or(Ok(Standing { holder: None, charged: None }), stands)
}

/// What a row with a holder and a charge says.
pub(super) fn stands(row: &Row) -> Result<Standing> {
    let charged = match row.opt_int("charge_level")? {
        Some(level) => Some(Charge {
            level: u32::try_from(level).unwrap_or(0),
            at: row.time("charged_at")?,
            until: row.time("charged_until")?,
            alert: row.opt_text("charged_for")?.map(AlertKey),
        }),
        None => None,
    };
    Ok(Standing { holder: row.opt_int("holder")?.map(RunId), charged })
}

/// Lets go of everything that the run holds.
pub async fn release(tx: &mut Tx, run: RunId) -> Result<()> {
    tx.execute("delete from locks where run = $1", &[run.0.into()]).await?;
    Ok(())
}

/// Writes a lock on a service, in the place of the one that it had.
pub async fn lock_service(tx: &mut Tx, lock: &ServiceLock) -> Result<()> {
    tx.execute(
        "insert into service_locks (service, owner, reason, at, until) values ($1, $2, $3, $4, $5) \
         on conflict (service) do update set owner = excluded.owner, reason = excluded.reason, at = excluded.at, \
         until = excluded.until",
        &[(&lock.service).into(), (&lock.owner.0).into(), (&lock.reason).into(), lock.at.into(), lock.until.into()],
    )
    .await?;
    Ok(())
}

/// Takes the lock from a service.
pub async fn unlock_service(tx: &mut Tx, service: &str) -> Result<()> {
    tx.execute("delete from service_locks where service = $1", &[service.into()]).await?;
    Ok(())
}

/// The lock of a service.
pub async fn of_service(reader: &mut Reader, service: &str) -> Result<Option<ServiceLock>> {
    Ok(of_services(reader).await?.into_iter().find(|lock| lock.service == service))
}

/// Every lock on a service, the one that ends first in front.
pub async fn of_services(reader: &mut Reader) -> Result<Vec<ServiceLock>> {
    let rows = ahead::table(reader, "service_locks", "select * from service_locks order by until, service").await?;
    rows.iter().map(service_lock).collect()
}

fn service_lock(row: &Row) -> Result<ServiceLock> {
    Ok(ServiceLock {
        service: row.text("service")?,
        owner: PersonId(row.text("owner")?),
        reason: row.text("reason")?,
        at: row.time("at")?,
        until: row.time("until")?,
    })
}

/// Charges a pause to this runbook on this target.
pub async fn charge(tx: &mut Tx, runbook: &str, target: &Target, charge: &Charge) -> Result<()> {
    tx.ahead().forget_target(target);
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
