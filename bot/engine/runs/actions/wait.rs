//! `wait`: lets time pass. It is a row with a moment, so a restart neither shortens nor prolongs it.

use super::length;
use crate::{
    domain::runs::{Reason, RunState, StepRecord},
    engine::runs::{
        advance::{self, Went},
        case::Case,
    },
    store,
};

pub(in crate::engine::runs) async fn begin(case: &mut Case<'_, '_>, mut record: StepRecord) -> store::Result<Went> {
    let length = match length(&record.with, "for") {
        Ok(length) => length,
        Err(why) => return advance::fail(case, Reason::NoValue, &record.key.path, &why).await,
    };
    let due = case.now() + length;
    record.due_at = Some(due);
    case.note(record).await?;
    case.rest(RunState::Waiting, Some(due)).await?;
    Ok(Went::Rests)
}
