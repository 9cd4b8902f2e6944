//! Standing orders to change nothing.

use super::{Reader, Result, Tx, ahead, row::json};
use crate::domain::{people::Actor, time::Time};

/// The scope of a halt that covers everything.
pub const EVERYTHING: &str = "*";

/// An order to change nothing, until somebody lifts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The service, or [`EVERYTHING`].
    pub scope: String,
    /// Why, in the words of who ordered it.
    pub reason: String,
    /// Who ordered it.
    pub actor: Actor,
    /// Since when.
    pub at: Time,
}

/// Orders a halt; an order that stands already keeps its reason and time. Says whether it is new.
pub async fn order(tx: &mut Tx, halt: &Halt) -> Result<bool> {
    let changed = tx
        .execute(
            "insert into halts (scope, reason, actor, at) values ($1, $2, $3, $4) on conflict (scope) do nothing",
            &[(&halt.scope).into(), (&halt.reason).into(), (&json(&halt.actor)?).into(), halt.at.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Lifts the halt of this scope. Says whether there was one.
pub async fn lift(tx: &mut Tx, scope: &str) -> Result<bool> {
    Ok(tx.execute("delete from halts where scope = $1", &[scope.into()]).await? > 0)
}

/// Every halt that stands.
pub async fn standing(reader: &mut Reader) -> Result<Vec<Halt>> {
    let rows = ahead::table(reader, "halts", "select scope, reason, actor, at from halts order by at, scope").await?;
    rows.iter()
        .map(|row| {
            Ok(Halt {
                scope: row.text("scope")?,
                reason: row.text("reason")?,
                actor: row.json("actor")?,
                at: row.time("at")?,
            })
        })
        .collect()
}
