//! Random ways through lanes, with crashes at any point: everything is done once, in its order, and taken back in reverse.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{at, record};
use crate::domain::{
    runbooks::{self, plan::Plan},
    runs::{Journal, Next, Pass, Situation, StepKey, StepRecord, StepState, Verdict, next, values::frozen},
};

const PLAN: &str = r#"
name: lanes
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: one, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe, undo: &undo { action: http, with: { method: POST, url: "http://x/u" } } }
  - name: each
    for_each: "[1, 2, 3]"
    concurrency: 2
    steps:
      - { name: a, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe, undo: *undo }
      - name: both
        parallel:
          left: [{ name: b, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe, undo: *undo }]
          right: [{ name: c, action: http, with: { url: "http://x/" } }]
      - { name: d, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe, undo: *undo }
  - { name: last, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe, undo: *undo }
"#;

fn plan() -> Plan {
    runbooks::read(Path::new("lanes.yaml"), PLAN.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A worker that does what is next, in any order, and is sometimes killed.
struct Walk {
    plan: Plan,
    journal: Journal,
    epoch: i64,
    now: i64,
}

impl Walk {
    fn nexts(&self, pass: Pass) -> Vec<Next> {
        let situation = Situation {
            plan: &self.plan,
            journal: &self.journal,
            now: at(self.now),
            epoch: self.epoch,
            may_overlap: false,
            seed: "s",
            deadline: None,
        };
        if pass == Pass::Undo { vec![next::backward(&situation)] } else { next::forward(&situation) }
    }

    fn note(&mut self, path: &str, pass: Pass, attempt: u32, state: StepState) {
        let output = if path == "2" { frozen(json!([1, 2, 3])).unwrap() } else { Value::Null };
        let seq = i64::try_from(self.journal.0.len()).unwrap() + 1;
        let (started, epoch) = (at(self.now), self.epoch);
        self.journal.0.push(StepRecord { seq, epoch, output, started, ..record(path, pass, attempt, state) });
    }

    fn end(&mut self, key: &StepKey, state: StepState) {
        let now = at(self.now);
        let open = self.journal.0.iter_mut().find(|record| record.key == *key).unwrap();
        (open.state, open.ended) = (state, Some(now));
    }

    /// The worker is killed: what it had begun is in doubt, and reads are read anew.
    fn crash(&mut self) {
        self.epoch += 1;
        let open: Vec<StepKey> = self.open().into_iter().map(|record| record.key.clone()).collect();
        for key in open {
            if self.plan.step(&key.path).unwrap().reads() {
                self.end(&key, StepState::Failed);
                let read = self.journal.0.iter_mut().find(|record| record.key == key).unwrap();
                read.verdict = Some(Verdict::Retry);
            } else {
                self.end(&key, StepState::InDoubt);
            }
        }
    }

    fn open(&self) -> Vec<&StepRecord> {
        self.journal.0.iter().filter(|record| record.is_open()).collect()
    }
}

proptest! {
    #[test]
    fn everything_is_done_once_and_taken_back_in_reverse(choices in prop::collection::vec(any::<u16>(), 400), undo_at in 0_usize..60) {
        let mut walk = Walk { plan: plan(), journal: Journal::default(), epoch: 1, now: 0 };
        let mut crashes = 0;
        for (turn, choice) in choices.iter().map(|choice| usize::from(*choice)).enumerate() {
            let found = walk.nexts(Pass::Do);
            prop_assert!(!found.is_empty());
            if found == [Next::Done] {
                break;
            }
            if turn >= undo_at && walk.open().is_empty() {
                break;
            }
            walk.now += 30;
            let works: Vec<&Next> = found.iter().filter(|next| next.is_work()).collect();
            let lanes: std::collections::BTreeSet<&str> = walk.open().iter().filter_map(|it| it.key.path.split(']').next()).collect();
            prop_assert!(lanes.len() <= 2, "{lanes:?}");
            // Two crashes: what may be repeated is, so often and no more.
            if choice % 11 == 0 && crashes < 2 {
                crashes += 1;
                walk.crash();
            } else if choice % 2 == 0 && !works.is_empty() {
                let Next::Begin { path, attempt, .. } = works[choice / 2 % works.len()].clone() else {
                    return Err(TestCaseError::fail(format!("{works:?}")));
                };
                let holds = walk.plan.step(&path).unwrap().group.is_some();
                prop_assert!(walk.journal.at(&StepKey::new(&path, Pass::Do, attempt)).is_none());
                walk.note(&path, Pass::Do, attempt, if holds { StepState::Done } else { StepState::Intent });
            } else if let Some(key) = { let open = walk.open(); open.get(choice / 2 % open.len().max(1)).map(|it| it.key.clone()) } {
                walk.end(&key, StepState::Done);
            }
        }
        let mut done: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
        for record in walk.journal.0.iter().filter(|record| record.state == StepState::Done) {
            done.entry(&record.key.path).or_insert((record.seq, 0)).1 += 1;
        }
        prop_assert!(done.values().all(|(_, times)| *times == 1), "{done:?}");
        let order = |before: &str, after: &str| match (done.get(before), done.get(after)) {
            (Some((first, _)), Some((then, _))) => first < then,
            (None, then) => then.is_none(),
            (Some(_), None) => true,
        };
        for lane in ["2[1]", "2[2]", "2[3]"] {
            let of = |after: &str| format!("{lane}{after}");
            let pairs = [("", ".1"), (".1", ".2.left.1"), (".2.left.1", ".3"), (".2.right.1", ".3")];
            prop_assert!(pairs.iter().skip(1).all(|(before, after)| order(&of(before), &of(after))));
            prop_assert!(order("2", &of(".1")) && order(&of(".3"), "3"));
        }
        // And back.
        let stands: Vec<String> = walk.journal.changed(&walk.plan).into_iter().filter(|step| walk.journal.stands(step)).map(|step| step.path).collect();
        let mut undone = Vec::new();
        while let [Next::Undo { path, attempt }] = &walk.nexts(Pass::Undo)[..] {
            let (path, attempt) = (path.clone(), *attempt);
            walk.note(&path, Pass::Undo, attempt, StepState::Done);
            undone.push(path);
            prop_assert!(undone.len() < 50);
        }
        undone.reverse();
        prop_assert_eq!(undone, stands);
        prop_assert_eq!(walk.nexts(Pass::Undo), [Next::Undone]);
    }
}
