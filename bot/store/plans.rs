//! What runs follow. Runs of the same version of a runbook share a row, which a process reads once.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use super::{Fault, Reader, Result, Tx, row::json};
use crate::domain::runbooks::plan::Plan;

/// How many plans are kept at hand; when there are more, all are read anew.
const AT_HAND: usize = 256;

/// Plans by their hashes, under which they never change.
static READ: LazyLock<Mutex<HashMap<String, Arc<Plan>>>> = LazyLock::new(Mutex::default);

/// Writes a plan with this hash, unless it is there.
pub(super) async fn put(tx: &mut Tx, plan: &Plan, hash: &str) -> Result<()> {
    if !tx.ahead().has_plan(hash) {
        let sql = "insert into plans (hash, plan) values ($1, $2) on conflict (hash) do nothing";
        tx.execute(sql, &[hash.into(), (&json(plan)?).into()]).await?;
        tx.ahead().keep_plan(hash.to_owned());
    }
    Ok(())
}

/// The plan with this hash.
pub(super) async fn by_hash(reader: &mut Reader, hash: &str) -> Result<Arc<Plan>> {
    let at_hand = || READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = at_hand().get(hash) {
        return Ok(Arc::clone(plan));
    }
    let row = reader.row("select plan from plans where hash = $1", &[hash.into()]).await?;
    let row = row.ok_or_else(|| Fault::defect(format!("there is no plan `{hash}`")))?;
    let plan: Arc<Plan> = Arc::new(row.json("plan")?);
    let mut at_hand = at_hand();
    if at_hand.len() >= AT_HAND {
        at_hand.clear();
    }
    at_hand.insert(hash.to_owned(), Arc::clone(&plan));
    Ok(plan)
}

/// Takes away what no run follows any more.
pub(super) async fn forget(tx: &mut Tx) -> Result<()> {
    let sql = "delete from plans where not exists (select 1 from runs where runs.plan_hash = plans.hash)";
    tx.execute(sql, &[]).await.map(drop)
}
