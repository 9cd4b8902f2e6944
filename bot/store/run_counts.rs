//! How many runs there are of each runbook, and where they stand.

use super::{Reader, Result, Row};
use crate::domain::{runs::RunState, time::Time};

/// How many runs of a runbook stand so, and since when the oldest of them was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The runbook's name.
    pub runbook: String,
    /// Where they stand.
    pub state: RunState,
    /// How many there are, with those that have left.
    pub number: i64,
    /// When the oldest of those that are there was started; the epoch if all have left.
    pub since: Time,
}

/// How many runs there are of each runbook in each state, with those that have left for files.
pub async fn counts(reader: &mut Reader) -> Result<Vec<Count>> {
    let rows = reader
        .rows(
            "select runbook, state, cast(sum(number) as bigint) as number, coalesce(min(since), 0) as since from \
             (select runbook, state, count(*) as number, min(started_at) as since from runs group by runbook, state \
             union all select runbook, state, number, null as since from runs_left) as counted \
             group by runbook, state order by runbook, state",
            &[],
        )
        .await?;
    let count = |row: &Row| {
        Ok(Count {
            runbook: row.text("runbook")?,
            state: row.parsed("state")?,
            number: row.int("number")?,
            since: row.time("since")?,
        })
    };
    rows.iter().map(count).collect()
}
