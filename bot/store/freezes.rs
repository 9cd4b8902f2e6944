//! Freezes that people ordered.

use super::{Reader, Result, Tx, ahead, row::json};
use crate::domain::freezes::Freeze;

/// Writes a freeze, in the place of the one that its service had.
pub async fn order(tx: &mut Tx, freeze: &Freeze) -> Result<()> {
    tx.execute(
        "insert into freezes (service, until, reason, actor, at) values ($1, $2, $3, $4, $5) \
         on conflict (service) do update set until = excluded.until, reason = excluded.reason, \
         actor = excluded.actor, at = excluded.at",
        &[
            (&freeze.service).into(),
            freeze.until.into(),
            (&freeze.reason).into(),
            (&json(&freeze.actor)?).into(),
            freeze.at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Takes the freeze of this service away. Says whether there was one.
pub async fn lift(tx: &mut Tx, service: &str) -> Result<bool> {
    Ok(tx.execute("delete from freezes where service = $1", &[service.into()]).await? > 0)
}

/// Every freeze that was ordered and not lifted, the one that ends first in front.
pub async fn standing(reader: &mut Reader) -> Result<Vec<Freeze>> {
    let sql = "select service, until, reason, actor, at from freezes order by until, service";
    let rows = ahead::table(reader, "freezes", sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Freeze {
                service: row.text("service")?,
                until: row.time("until")?,
                reason: row.text("reason")?,
                actor: row.json("actor")?,
                at: row.time("at")?,
            })
        })
        .collect()
}
