//! `wait`: lets time pass. It is a row with a moment, so a restart neither shortens nor prolongs it.

use super::length;
use crate::{
    domain::runs::{Reason, StepRecord},
    engine::runs::{
        advance::{self, Went},
        case::Case,
    },
    store,
};

pub(in crate::engine::runs) async fn begin(case: &mut Case<'_, '_>, mut record: StepRecord) -> store::Result<Went> {
    let length = match length(&record.with, "for") {
        Ok(length) => length,
        Err(why) => return Ok(advance::fail(Reason::NoValue, &record.key.path, &why)),
    };
    let due = case.now() + length;
    record.due_at = Some(due);
    case.note(record).await?;
    Ok(Went::On)
}
