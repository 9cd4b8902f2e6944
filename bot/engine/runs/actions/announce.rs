//! `announce`: says something, exactly once, through the outbox of the same transaction.

use serde_json::Value;

use super::text;
use crate::{
    domain::{runbooks::plan::Step, runs::StepRecord},
    engine::{
        chat::{
            Line, Message,
            outbox::{self, Post},
        },
        runs::{Outcome, advance::Went, case::Case, finish},
    },
    store,
};

pub(in crate::engine::runs) async fn begin(
    case: &mut Case<'_, '_>,
    step: &Step,
    record: StepRecord,
) -> store::Result<Went> {
    let words = text(&record.with, "text").unwrap_or_default().to_owned();
    let line = Line::text(words).and(format!(" ({})", case.run.id));
    match text(&record.with, "channel").map(str::to_owned) {
        None => case.say(Message::line(line), false).await?,
        Some(channel) => {
            let post = Post { channel, incident: None, message: Message::line(line), is_page: false, expires_at: None };
            outbox::post(case.context, post).await?;
        }
    }
    finish::at_once(case, step, record, Outcome::Done(Value::Null)).await?;
    Ok(Went::On)
}
