//! Whether the store is a copy that came into the place of another: the bot holds everything before it goes on from one.
//!
//! A restored store is another one. Its identity is new, so that no effect and no message of it can be taken for one of
//! the store that it was copied from.

use serde::{Deserialize, Serialize};

use super::{Decision, Reader, Result, Tx, row::json, runs};
use crate::domain::time::Time;

/// A copy that came into the place of another store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When the copy was made, if that is known.
    pub made_at: Option<Time>,
    /// What it was made from, such as the name of a file.
    pub from: String,
    /// Who restored it.
    pub by: String,
    /// When it was restored.
    pub at: Time,
}

/// Gives the store another identity and remembers that nothing is to go on from it by itself.
pub async fn mark(tx: &mut Tx, restored: &Restored) -> Result<()> {
    let id = uuid::Uuid::now_v7().to_string();
    let mark = json(restored)?;
    tx.execute(
        "update instance set id = $1, restored = $2, revisions_from = $3",
        &[(&id).into(), (&mark).into(), restored.at.into()],
    )
    .await?;
    Ok(())
}

/// Where the revisions of questions begin: past all those of the store that this one was copied from.
pub async fn revisions_from(reader: &mut Reader) -> Result<i64> {
    let row = reader.row("select revisions_from from instance", &[]).await?;
    row.map_or(Ok(1), |row| row.int("revisions_from"))
}

/// The copy that nobody has dealt with yet.
pub async fn unseen(reader: &mut Reader) -> Result<Option<Restored>> {
    match reader.row("select restored from instance where restored is not null", &[]).await? {
        Some(row) => Ok(Some(row.json("restored")?)),
        None => Ok(None),
    }
}

/// It was dealt with: what would have gone on by itself is held.
pub async fn seen(tx: &mut Tx) -> Result<()> {
    tx.execute("update instance set restored = null", &[]).await?;
    Ok(())
}

/// What a copy would have said, and nobody knows whether it was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsaid {
    /// Messages, pages among them.
    pub messages: u64,
    /// Pages.
    pub pages: u64,
}

/// Takes back what waits to be said: messages are never sent, cards are shown anew only when they change.
pub async fn fall_silent(tx: &mut Tx, why: &str, now: Time) -> Result<Unsaid> {
    let waiting = tx
        .rows("update posts set state = 'expired', trouble = $1 where state = 'waiting' returning lane", &[why.into()])
        .await?;
    let mut unsaid = Unsaid::default();
    for row in waiting {
        unsaid.messages += 1;
        unsaid.pages += u64::from(row.int("lane")? == 0);
    }
    tx.execute("update posts set told_at = $1 where state = 'refused' and told_at is null", &[now.into()]).await?;
    tx.execute("update cards set shown = wanted where wanted > shown", &[]).await?;
    tx.execute("update cards set told_at = $1 where trouble is not null and told_at is null", &[now.into()]).await?;
    Ok(unsaid)
}

/// The store is a copy that was put in its place by other means than this program's.
#[derive(Debug, Clone)]
pub struct Adopt(pub Restored);

impl Decision for Adopt {
    /// The identity that it had.
    type Answer = String;

    async fn decide(&self, tx: &mut Tx) -> Result<String> {
        let before = runs::instance(tx).await?;
        mark(tx, &self.0).await?;
        Ok(before)
    }
}
