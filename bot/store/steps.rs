//! The journals of runs: every attempt of every step, with what came of it.

use std::collections::HashMap;

use super::{Bind, Reader, Result, Row, Tx, row::json};
use crate::domain::{
    ids::{ApprovalId, RunId},
    runs::{Journal, Pass, StepKey, StepRecord, Verdict},
};

/// The attempts that are still to be written, each as it stands.
#[derive(Default)]
pub(super) struct Later(HashMap<(RunId, StepKey), Put>);

/// An attempt as it is written.
pub(super) struct Put {
    run: RunId,
    record: StepRecord,
    fields: String,
    before: String,
    output: String,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Put> {
        self.0.drain().map(|(_, put)| put).collect()
    }
}

pub(super) const PUT: &str = "insert into steps (run, path, pass, attempt, seq, state, epoch, about, effect, action, fields, \
     before, output, error, may_have_changed, verdict, due_at, question, started_at, ended_at, system) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
     on conflict (run, path, pass, attempt) do update set state = excluded.state, output = excluded.output, \
     error = excluded.error, may_have_changed = excluded.may_have_changed, verdict = excluded.verdict, \
     due_at = excluded.due_at, question = excluded.question, ended_at = excluded.ended_at";

impl Put {
    pub(super) fn row(&self) -> [Bind<'_>; 21] {
        let record = &self.record;
        [
            self.run.0.into(),
            (&record.key.path).into(),
            record.key.pass.word().into(),
            i64::from(record.key.attempt).into(),
            record.seq.into(),
            record.state.word().into(),
            record.epoch.into(),
            record.about.map(i64::from).into(),
            (&record.effect).into(),
            (&record.action).into(),
            (&self.fields).into(),
            (&self.before).into(),
            (&self.output).into(),
            record.error.as_deref().into(),
            record.may_have_changed.into(),
            record.verdict.map(Verdict::word).into(),
            record.due_at.into(),
            record.question.map(|question| question.0).into(),
            record.started.into(),
            record.ended.into(),
            record.system.as_deref().into(),
        ]
    }
}

/// Writes an attempt as it stands: a new one, or what became of one. What was intended never changes.
#[expect(clippy::unused_async, reason = "when the store writes what it is given is its own affair")]
pub async fn put(tx: &mut Tx, run: RunId, record: &StepRecord) -> Result<()> {
    let (fields, before, output) = (json(&record.with)?, json(&record.before)?, json(&record.output)?);
    let put = Put { run, record: record.clone(), fields, before, output };
    tx.ahead().forget_journal(run);
    tx.later().steps.0.insert((run, record.key.clone()), put);
    Ok(())
}

/// The journal of a run.
pub async fn journal(reader: &mut Reader, id: RunId) -> Result<Journal> {
    if let Some(journal) = reader.ahead().take_journal(id) {
        return journal;
    }
    let rows = reader.rows("select * from steps where run = $1 order by seq", &[id.0.into()]).await?;
    Ok(Journal(rows.iter().map(step).collect::<Result<_>>()?))
}

/// The journals of those of these runs, a JSON list of numbers, that have one; each if it can be read.
pub(super) async fn journals(reader: &mut Reader, runs: &str) -> Result<HashMap<RunId, Result<Journal>>> {
    let rows = reader
        .rows(
            "select * from steps where run in (select cast(value as bigint) from json_each($1)) order by run, seq",
            &[runs.into()],
        )
        .await?;
    let mut journals = HashMap::new();
    for row in &rows {
        let journal = journals.entry(RunId(row.int("run")?)).or_insert_with(|| Ok(Journal::default()));
        match (journal.as_mut(), step(row)) {
            (Ok(Journal(steps)), Ok(step)) => steps.push(step),
            (Ok(_), Err(fault)) => *journal = Err(fault),
            (Err(_), _) => {}
        }
    }
    Ok(journals)
}

fn step(row: &Row) -> Result<StepRecord> {
    let attempt = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(StepRecord {
        key: StepKey {
            path: row.text("path")?,
            pass: row.parsed::<Pass>("pass")?,
            attempt: attempt(row.int("attempt")?),
        },
        seq: row.int("seq")?,
        state: row.parsed("state")?,
        epoch: row.int("epoch")?,
        about: row.opt_int("about")?.map(attempt),
        effect: row.text("effect")?,
        action: row.text("action")?,
        system: row.opt_text("system")?,
        with: row.json("fields")?,
        before: row.json("before")?,
        output: row.json("output")?,
        error: row.opt_text("error")?,
        may_have_changed: row.is("may_have_changed")?,
        verdict: row.opt_text("verdict")?.map(|_| row.parsed("verdict")).transpose()?,
        due_at: row.opt_time("due_at")?,
        question: row.opt_int("question")?.map(ApprovalId),
        started: row.time("started_at")?,
        ended: row.opt_time("ended_at")?,
    })
}
