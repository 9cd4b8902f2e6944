//! Questions that runs put to people, with the answers that count.

use super::{Reader, Result, Row, Tx, row::json};
use crate::domain::{
    ids::{ApprovalId, RunId},
    runs::Approval,
};

/// Adds a question and gives its name; the name in it is not looked at.
pub async fn add(tx: &mut Tx, approval: &Approval) -> Result<ApprovalId> {
    let row = tx
        .row(
            "insert into approvals (id, run, asks, path, revision, epoch, question, approvers, people, bound, state, \
             answers, asked_at, expires_at, decided_at) values ((select coalesce(max(id), 0) + 1 from approvals), \
             $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) returning id",
            &[
                approval.run.0.into(),
                (&json(&approval.asks)?).into(),
                (&approval.path).into(),
                approval.revision.into(),
                approval.epoch.into(),
                (&approval.question).into(),
                (&json(&approval.by)?).into(),
                i64::from(approval.count).into(),
                (&json(&approval.bound)?).into(),
                approval.state.word().into(),
                (&json(&approval.answers)?).into(),
                approval.asked_at.into(),
                approval.expires_at.into(),
                approval.decided_at.into(),
            ],
        )
        .await?;
    Ok(ApprovalId(row.map_or(Ok(0), |row| row.int("id"))?))
}

/// Writes where a question stands.
pub async fn save(tx: &mut Tx, approval: &Approval) -> Result<()> {
    tx.execute(
        "update approvals set state = $2, answers = $3, decided_at = $4, revision = $5 where id = $1",
        &[
            approval.id.0.into(),
            approval.state.word().into(),
            (&json(&approval.answers)?).into(),
            approval.decided_at.into(),
            approval.revision.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The question of this name.
pub async fn by_id(reader: &mut Reader, id: ApprovalId) -> Result<Option<Approval>> {
    let row = reader.row("select * from approvals where id = $1", &[id.0.into()]).await?;
    row.as_ref().map(approval).transpose()
}

/// The question that was put last, if there ever was one.
pub async fn newest(reader: &mut Reader) -> Result<Option<ApprovalId>> {
    let row = reader.row("select max(id) as id from approvals", &[]).await?;
    row.map_or(Ok(None), |row| Ok(row.opt_int("id")?.map(ApprovalId)))
}

/// The questions of a run, oldest first.
pub async fn of_run(reader: &mut Reader, run: RunId) -> Result<Vec<Approval>> {
    let rows = reader.rows("select * from approvals where run = $1 order by id", &[run.0.into()]).await?;
    rows.iter().map(approval).collect()
}

/// Every question that waits for an answer, oldest first.
pub async fn open(reader: &mut Reader) -> Result<Vec<Approval>> {
    let rows = reader.rows("select * from approvals where state = 'open' order by id", &[]).await?;
    rows.iter().map(approval).collect()
}

fn approval(row: &Row) -> Result<Approval> {
    Ok(Approval {
        id: ApprovalId(row.int("id")?),
        run: RunId(row.int("run")?),
        asks: row.json("asks")?,
        path: row.text("path")?,
        revision: row.int("revision")?,
        epoch: row.int("epoch")?,
        question: row.text("question")?,
        by: row.json("approvers")?,
        count: u32::try_from(row.int("people")?).unwrap_or(1),
        bound: row.json("bound")?,
        state: row.parsed("state")?,
        answers: row.json("answers")?,
        asked_at: row.time("asked_at")?,
        expires_at: row.time("expires_at")?,
        decided_at: row.opt_time("decided_at")?,
    })
}
