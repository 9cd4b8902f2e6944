//! What a change leaves on its object: who made it, in which epoch, for which step, and what the step told.
//!
//! They are written together with the change, so they are there if and only if it is.

use serde_json::Value;

use crate::engine::{cluster::Notes, runs::Work};

/// The run, and the store that keeps it: two bots may both have a `RUN-1`.
pub(super) const RUN: &str = "firewarden.dev/run";
/// The epoch in which the worker had taken the run over.
pub(super) const EPOCH: &str = "firewarden.dev/epoch";
/// The idempotency key of the effect.
pub(super) const STEP: &str = "firewarden.dev/step";
/// What the step told, so that it can tell the same when its answer was lost.
pub(super) const OUTPUT: &str = "firewarden.dev/output";
/// What all of them begin with.
pub(super) const PREFIX: &str = "firewarden.dev/";

/// What the marks of an object say to a step.
#[derive(Debug, PartialEq)]
pub(super) enum Marked {
    /// Nothing.
    Otherwise,
    /// The step was done, and told this.
    Done(Value),
    /// A later worker of the same run was here: whoever reads this is not to change anything any more.
    Followed(String),
}

/// What the annotations of these objects say to this step.
pub(super) fn of(work: &Work, objects: &[Notes]) -> Marked {
    let run = run(work);
    let epochs = objects.iter().filter(|notes| notes.get(RUN) == Some(&run)).filter_map(|notes| notes.get(EPOCH));
    let newest = epochs.filter_map(|epoch| epoch.parse::<i64>().ok()).max();
    if let Some(epoch) = newest.filter(|epoch| *epoch > work.epoch) {
        let why = format!(
            "another worker has followed this one: {} was here in epoch {epoch}, and this one is of epoch {}",
            work.run, work.epoch
        );
        return Marked::Followed(why);
    }
    match objects.iter().find(|notes| notes.get(STEP) == Some(&work.effect)) {
        Some(notes) => {
            let output = notes.get(OUTPUT).and_then(|output| serde_json::from_str(output).ok());
            Marked::Done(output.unwrap_or_default())
        }
        None => Marked::Otherwise,
    }
}

/// What this step leaves on the object.
pub(super) fn for_step(work: &Work, output: &Value) -> Notes {
    let marks =
        [(RUN, run(work)), (EPOCH, work.epoch.to_string()), (STEP, work.effect.clone()), (OUTPUT, output.to_string())];
    marks.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn run(work: &Work) -> String {
    format!("{}.{}", work.run, work.store)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::domain::{
        ids::RunId,
        runbooks::scope::Scope,
        runs::{Pass, StepKey},
    };

    fn work(epoch: i64, effect: &str, store: &str) -> Work {
        Work {
            key: StepKey::new("1", Pass::Do, 1),
            action: "kubernetes.scale".to_owned(),
            with: Value::Null,
            scope: Scope::new(),
            changes: true,
            timeout: Duration::from_secs(30),
            effect: effect.to_owned(),
            run: RunId(1),
            epoch,
            store: store.to_owned(),
        }
    }

    #[test]
    fn a_worker_reads_what_was_done_and_that_it_was_followed() {
        let output = json!({ "before": 3, "replicas": 6 });
        let marked = [Notes::new(), for_step(&work(2, "fw-a", "here"), &output)];
        assert_eq!(of(&work(2, "fw-a", "here"), &marked), Marked::Done(output.clone()));
        assert_eq!(of(&work(3, "fw-a", "here"), &marked), Marked::Done(output), "whoever follows finds it done");
        assert_eq!(of(&work(2, "fw-b", "here"), &marked), Marked::Otherwise);
        assert!(matches!(of(&work(1, "fw-a", "here"), &marked), Marked::Followed(_)), "also where it is the same step");
        assert_eq!(of(&work(1, "fw-b", "elsewhere"), &marked), Marked::Otherwise, "another bot has epochs of its own");
        assert_eq!(of(&work(1, "fw-a", "here"), &[]), Marked::Otherwise);
    }
}
