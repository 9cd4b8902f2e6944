//! Whatever is killed and lost, in whatever order: what must hold holds.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{
    bench::{Bench, Fate, Kill, rules},
    plans::{ROLLBACK, TWICE},
};
use crate::domain::runs::{Pass, RunState, StepState};

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::AnswerLost), Just(Fate::RequestLost), Just(Fate::Refused(409)), Just(Fate::Refused(503))]
}

fn kills() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((any::<bool>(), 0..6_usize), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// No step that may not be repeated is made twice unless two looks or a person said that it did not happen; every
    /// intent ends; nothing is sent while halted; undo goes back in reverse.
    #[test]
    fn nothing_that_may_not_be_repeated_happens_twice(
        kills in kills(),
        fates in prop::collection::vec(fate(), 0..4),
        is_probed in any::<bool>(),
        halts_after in 0..5_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story(kills, fates, is_probed, halts_after));
    }
}

async fn story(kills: Vec<(bool, usize)>, fates: Vec<Fate>, is_probed: bool, halts_after: usize) {
    let mut bench = Bench::new(rules(&[if is_probed { ROLLBACK } else { TWICE }])).await;
    bench.world.service().fates.extend(fates);
    bench.alert("Errors", true).await;
    for (index, (is_before, nth)) in kills.into_iter().enumerate() {
        let kill = if is_before { Kill::BeforeActing } else { Kill::BeforeWriting };
        if index == halts_after {
            bench.says("chief", "/halt reason:test").await.unwrap();
            let sent = bench.world.service().sent.len();
            bench = bench.restart().await;
            bench.pass(Duration::from_mins(3)).await;
            assert_eq!(bench.world.service().sent.len(), sent, "nothing is sent while halted");
            bench.says("chief", "/halt lift:fixed").await.unwrap();
            if bench.run(1).await.state == RunState::Held {
                bench.says("chief", "/runbook answer RUN-1 retry").await.unwrap();
            }
        }
        approve(&bench).await;
        bench.work_until(Some((kill, nth))).await;
        bench = bench.restart().await;
        bench.trial.clock.pass(Duration::from_secs(61));
    }
    for _ in 0..8 {
        bench.pass(Duration::from_mins(2)).await;
        approve(&bench).await;
        let (run, journal) = (bench.run(1).await, bench.journal(1).await);
        let answer = if run.state == RunState::InDoubt {
            // The person looks at the service before they answer.
            let doubt = journal.0.iter().rfind(|record| record.state == StepState::InDoubt).unwrap();
            let happened = bench.world.service().effects.iter().any(|(key, _)| *key == doubt.effect);
            if happened { "happened" } else { "did-not-happen" }
        } else if run.state == RunState::Held {
            if journal.undoable(&run.plan).next().is_some() { "undo" } else { "retry" }
        } else if run.state == RunState::Stuck {
            "release"
        } else {
            continue;
        };
        bench.says("bo", &format!("/runbook answer RUN-1 {answer}")).await.unwrap();
    }
    let (run, journal) = (bench.run(1).await, bench.journal(1).await);
    assert!(run.state.is_over(), "{:?} {:?} {journal:#?}", run.state, run.hold);
    for record in &journal.0 {
        assert_ne!(record.state, StepState::Intent, "{record:#?}");
    }
    // What may not be repeated happened once for each key, and each version once for each pass.
    let mut by_version: BTreeMap<String, usize> = BTreeMap::new();
    for (_, version) in &bench.world.service().effects {
        *by_version.entry(version.clone()).or_default() += 1;
    }
    by_version.remove("three");
    let most = by_version.iter().find(|(_, count)| **count > 1);
    assert_eq!(most, None, "{journal:#?}");
    let undone: Vec<&str> = journal
        .0
        .iter()
        .filter(|record| record.key.pass == Pass::Undo && record.state == StepState::Done)
        .map(|record| record.key.path.as_str())
        .collect();
    assert!(undone.is_sorted_by(|earlier, later| earlier > later), "{undone:?}");
}

async fn approve(bench: &Bench) {
    if bench.run(1).await.state != RunState::Approval {
        return;
    }
    let open = {
        let mut reader = bench.trial.engine.read().await.unwrap();
        crate::store::approvals::open(&mut reader).await.unwrap()
    };
    for approval in open {
        bench.says("ana", &format!("/runbook answer {} approve", approval.id)).await.unwrap();
    }
}
