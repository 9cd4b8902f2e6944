//! Guards whose reading fails, what a measured value can be compared with, and guards of lanes and of runs that runs start.

use std::time::Duration;

use super::{
    bench::{Bench, Kill, rules},
    children::{INNER, OUTER},
    lanes::lanes,
    plans::TWICE,
};
use crate::{
    domain::{
        runbooks::{Scope, condition},
        runs::{Reason, RunState},
    },
    store::{self, Decision, Tx},
};

/// Writes rows as no version of the program would.
struct Spoil(&'static str);

impl Decision for Spoil {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        tx.execute(self.0, &[]).await.map(drop)
    }
}

/// A lock that cannot be read may be one that keeps everybody out.
#[tokio::test]
async fn what_cannot_be_read_refuses() {
    let bench = Bench::new(rules(&[TWICE])).await;
    let freeze = "insert into freezes (service, until, reason, actor, at) values ('other', 1, 'x', '{', 1)";
    bench.trial.engine.store().decide(Spoil(freeze)).await.unwrap();
    let refused = bench.says("chief", "/runbook run runbook:twice").await.unwrap_err();
    assert!(refused.to_string().contains("the reason is `guard_unreadable`"), "{refused}");
    bench.trial.engine.store().decide(Spoil("delete from freezes")).await.unwrap();
    bench.says("chief", "/runbook run runbook:twice").await.unwrap();
}

/// Whoever writes `value > 5` means the same as `value > 5.0`.
#[test]
fn a_measured_value_is_compared_with_any_number() {
    let scope = Scope::new().with("value", 5.5);
    for text in ["value > 5", "value > 5.0", "value < 6 && value != 0"] {
        assert_eq!(condition::holds(text, &scope), Ok(true), "{text}");
    }
    assert!(condition::holds("value > 5", &Scope::new().with("value", serde_json::Value::Null)).is_err());
}

/// The lanes of one run heed a limit like several runs, and one that waits for room holds no other up.
#[tokio::test]
async fn lanes_wait_for_room_in_a_system() {
    let mut rules = rules(&[&lanes()]);
    rules.limits.insert("http:service".to_owned(), 1);
    let mut bench = Bench::new(rules).await;
    bench.says("ana", "/runbook run lanes").await.unwrap();
    bench.work_until(Some((Kill::BeforeActing, 0))).await;
    assert_eq!(bench.journal(1).await.0.iter().filter(|record| record.is_open()).count(), 1);
    assert_eq!(bench.run(1).await.hold.map(|hold| hold.reason), Some(Reason::Bulkhead));
    let mut bench = bench.restart().await;
    bench.pass(Duration::from_mins(2)).await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(bench.world.service().effects.len(), 8);
}

/// A run that is started by one with the same key does not wait for it: neither would ever end.
#[tokio::test]
async fn a_run_that_waits_for_another_holds_the_place_for_it() {
    let guarded = |text: &str| {
        text.replacen("mode: auto", "mode: auto\nguards: { concurrency: { key: shared, when_busy: queue } }", 1)
    };
    let mut bench = Bench::new(rules(&[&guarded(OUTER), &guarded(INNER)])).await;
    bench.says("ana", "/runbook run outer").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
}
