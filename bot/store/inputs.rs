//! Remembers which inputs were taken, so that one which arrives twice is answered, not done again.

use std::time::Duration;

use super::{Result, Tx};
use crate::domain::time::Time;

/// How long an input is remembered: longer than any sender here repeats one.
pub const REMEMBERED: Duration = Duration::from_hours(48);

/// The answer that this input got when it came first, if it came before.
pub async fn answered(tx: &mut Tx, source_key: &str) -> Result<Option<String>> {
    let row = tx.row("select answer from inputs where source_key = $1", &[source_key.into()]).await?;
    row.map(|row| row.text("answer")).transpose()
}

/// Remembers the answer, and forgets inputs that are older than [`REMEMBERED`].
pub async fn remember(tx: &mut Tx, source_key: &str, now: Time, answer: &str) -> Result<()> {
    tx.execute("delete from inputs where at < $1", &[(now - REMEMBERED).into()]).await?;
    tx.execute(
        "insert into inputs (source_key, at, answer) values ($1, $2, $3)",
        &[source_key.into(), now.into(), answer.into()],
    )
    .await?;
    Ok(())
}
