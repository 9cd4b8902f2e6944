//! `wait`: lets time pass. It is a row with a moment, so a restart neither shortens nor prolongs it.

use std::time::Duration;

use super::text;
use crate::{
    domain::{
        duration,
        runs::{RunState, StepRecord},
    },
    engine::runs::{advance::Went, case::Case},
    store,
};

pub(in crate::engine::runs) async fn begin(case: &mut Case<'_, '_>, mut record: StepRecord) -> store::Result<Went> {
    let length = text(&record.with, "for").and_then(|text| duration::parse(text).ok()).unwrap_or(Duration::ZERO);
    let due = case.now() + length;
    record.due_at = Some(due);
    case.note(record).await?;
    case.rest(RunState::Waiting, Some(due)).await?;
    Ok(Went::Rests)
}
