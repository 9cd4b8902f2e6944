//! The rules of runs as tables: what follows from which journal, and which guard refuses when.

use std::{collections::BTreeMap, path::Path, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::domain::{
    ids::RunId,
    runbooks::{self, plan::Plan},
    runs::{
        Event, Journal, Next, Pass, Reason, RunState, Situation, StepKey, StepRecord, StepState, Verdict,
        next::{self, ROUNDS},
    },
    time::Time,
    timeline::Event as _,
};

mod lanes;
mod people;

const PLAN: &str = r#"
name: table
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - { name: read, action: http, with: { url: "http://x/" }, retry: { attempts: 3, backoff: { first: 10s, factor: 2, max: 1m }, jitter: 0 } }
  - name: probed
    action: http
    with: { method: POST, url: "http://x/" }
    timeout: 1m
    probe: { action: http, with: { url: "http://x/" }, settle: 60s, found: "size(output.json.made) > 0" }
    undo: { action: http, with: { method: POST, url: "http://x/undo" } }
  - { name: repeatable, action: http, with: { method: POST, url: "http://x/" }, timeout: 1m, repeat: safe }
  - name: last
    action: http
    with: { method: POST, url: "http://x/" }
    timeout: 1m
    undo: { action: http, with: { method: POST, url: "http://x/undo" } }
"#;

fn plan() -> Plan {
    runbooks::read(Path::new("table.yaml"), PLAN.as_bytes()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1_000)
}

fn record(path: &str, pass: Pass, attempt: u32, state: StepState) -> StepRecord {
    StepRecord {
        key: StepKey::new(path, pass, attempt),
        seq: 0,
        state,
        epoch: 1,
        about: (pass == Pass::Probe).then_some(1),
        effect: format!("key-{attempt}"),
        action: "http".to_owned(),
        system: None,
        with: Value::Null,
        before: Value::Null,
        output: Value::Null,
        error: None,
        may_have_changed: false,
        verdict: None,
        due_at: None,
        question: None,
        started: at(0),
        ended: (state != StepState::Intent).then_some(at(0)),
    }
}

fn journal(records: impl IntoIterator<Item = StepRecord>) -> Journal {
    let records = records.into_iter().enumerate();
    Journal(records.map(|(index, it)| StepRecord { seq: i64::try_from(index).unwrap() + 1, ..it }).collect())
}

fn done(path: &str) -> StepRecord {
    record(path, Pass::Do, 1, StepState::Done)
}

fn with(verdict: Verdict, record: StepRecord) -> StepRecord {
    StepRecord { verdict: Some(verdict), ..record }
}

fn only(mut found: Vec<Next>) -> Next {
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn ahead(journal: &Journal, now: Time, epoch: i64) -> Next {
    only(next::forward(&Situation {
        plan: &plan(),
        journal,
        now,
        epoch,
        may_overlap: false,
        seed: "seed",
        deadline: None,
    }))
}

fn begin(path: &str, attempt: u32, same_as: Option<u32>) -> Next {
    Next::Begin { path: path.to_owned(), attempt, same_as }
}

#[test]
fn steps_follow_each_other() {
    assert_eq!(ahead(&journal([]), at(0), 1), begin("1", 1, None));
    assert_eq!(ahead(&journal([done("1")]), at(0), 1), begin("2", 1, None));
    let skipped = record("2", Pass::Do, 1, StepState::Skipped);
    assert_eq!(ahead(&journal([done("1"), skipped]), at(0), 1), begin("3", 1, None));
    assert_eq!(ahead(&journal(["1", "2", "3", "4"].map(done)), at(0), 1), Next::Done);
}

#[test]
fn a_certain_failure_is_retried_after_growing_pauses_and_then_counts() {
    let failed = |attempt| record("1", Pass::Do, attempt, StepState::Failed);
    assert_eq!(ahead(&journal([failed(1)]), at(0), 1), Next::Wait(at(10)));
    assert_eq!(ahead(&journal([failed(1)]), at(10), 1), begin("1", 2, None));
    assert_eq!(ahead(&journal([failed(1), failed(2)]), at(10), 1), Next::Wait(at(20)));
    let refused = with(Verdict::Refused, failed(1));
    assert_eq!(
        ahead(&journal([refused]), at(99), 1),
        Next::Fail(StepKey::new("1", Pass::Do, 1)),
        "a refusal stays one"
    );
    let all = [failed(1), failed(2), failed(3)];
    assert_eq!(ahead(&journal(all.clone()), at(99), 1), Next::Fail(StepKey::new("1", Pass::Do, 3)));
    let [first, second, third] = all;
    let anew = journal([first, second, with(Verdict::Retry, third)]);
    assert_eq!(ahead(&anew, at(99), 1), begin("1", 4, None), "somebody wants it tried anew");
}

#[test]
fn what_may_have_changed_something_is_not_retried_by_itself() {
    let partly = StepRecord { may_have_changed: true, ..record("4", Pass::Do, 1, StepState::Failed) };
    let journal = journal([done("1"), done("2"), done("3"), partly]);
    assert_eq!(ahead(&journal, at(99), 1), Next::Fail(StepKey::new("4", Pass::Do, 1)));
}

#[test]
fn what_may_have_changed_something_is_tried_again_as_the_same_effect() {
    let text = PLAN.replace("repeat: safe }", "repeat: safe, retry: { attempts: 3, jitter: 0 } }");
    let plan = runbooks::read(Path::new("table.yaml"), text.as_bytes()).unwrap();
    let failed = |attempt, may_have_changed, verdict| StepRecord {
        may_have_changed,
        verdict,
        effect: "one".to_owned(),
        ..record("3", Pass::Do, attempt, StepState::Failed)
    };
    let doubt = StepRecord { effect: "one".to_owned(), ..record("3", Pass::Do, 1, StepState::InDoubt) };
    let retry = Some(Verdict::Retry);
    // By itself, and because somebody wants it.
    let table = [
        (vec![failed(1, true, None)], begin("3", 2, Some(1))),
        (vec![failed(1, true, retry)], begin("3", 2, Some(1))),
        (vec![failed(1, false, None)], begin("3", 2, None)),
        (vec![failed(1, false, retry)], begin("3", 2, None)),
        // The second certainly did not happen, but nobody knows of the first.
        (vec![doubt.clone(), failed(2, false, None)], begin("3", 3, Some(2))),
        (vec![doubt, failed(2, false, retry)], begin("3", 3, Some(2))),
    ];
    for (records, expected) in table {
        let journal = journal([done("1"), done("2")].into_iter().chain(records));
        let situation = Situation {
            plan: &plan,
            journal: &journal,
            now: at(99),
            epoch: 1,
            may_overlap: false,
            seed: "seed",
            deadline: None,
        };
        assert_eq!(next::forward(&situation), [expected], "{journal:#?}");
    }
}

#[test]
fn an_intent_of_this_worker_is_in_flight_and_one_of_an_earlier_is_in_doubt() {
    let intent = || record("2", Pass::Do, 1, StepState::Intent);
    assert_eq!(ahead(&journal([done("1"), intent()]), at(0), 1), Next::InFlight);
    let look = Next::Probe { path: "2".to_owned(), attempt: 1, about: 1 };
    assert_eq!(ahead(&journal([done("1"), intent()]), at(0), 2), look);
}

#[test]
fn looks_are_settle_apart_and_two_prove_absence() {
    let doubt = record("2", Pass::Do, 1, StepState::InDoubt);
    let absent = |attempt, second| {
        let look = record("2", Pass::Probe, attempt, StepState::Done);
        with(Verdict::Absent, StepRecord { started: at(second), ended: Some(at(second)), ..look })
    };
    let one = journal([done("1"), doubt.clone(), absent(1, 0)]);
    assert_eq!(ahead(&one, at(59), 1), Next::Look(at(60)));
    assert_eq!(ahead(&one, at(60), 1), Next::Probe { path: "2".to_owned(), attempt: 2, about: 1 });
    assert!(!one.is_absent("2", 1, Duration::from_mins(1)));
    let early = journal([done("1"), doubt.clone(), absent(1, 0), absent(2, 59)]);
    assert!(!early.is_absent("2", 1, Duration::from_mins(1)));
    let two = journal([done("1"), doubt, absent(1, 0), absent(2, 60)]);
    assert!(two.is_absent("2", 1, Duration::from_mins(1)));
    let proved = with(Verdict::Absent, record("2", Pass::Do, 1, StepState::Failed));
    assert_eq!(ahead(&journal([done("1"), proved]), at(99), 1), begin("2", 2, Some(1)), "under the same key");
}

#[test]
fn a_look_that_cannot_be_made_ends_with_people() {
    let doubt = record("2", Pass::Do, 1, StepState::InDoubt);
    let broken = |attempt| record("2", Pass::Probe, attempt, StepState::Failed);
    let journal = journal([done("1"), doubt, broken(1), broken(2), broken(3)]);
    assert_eq!(ahead(&journal, at(999), 1), Next::Settle(StepKey::new("2", Pass::Do, 1)));
}

#[test]
fn a_repeatable_step_is_sent_again_a_few_times_and_never_beside_another_worker() {
    let doubt = |attempt| record("3", Pass::Do, attempt, StepState::InDoubt);
    let before = || vec![done("1"), done("2")];
    let once = journal(before().into_iter().chain([doubt(1)]));
    assert_eq!(ahead(&once, at(99), 1), begin("3", 2, Some(1)));
    let often = journal(before().into_iter().chain((1..).map(doubt).take(ROUNDS)));
    assert!(matches!(ahead(&often, at(999), 1), Next::Settle(_)));
    let plan = plan();
    let overlapping = Situation {
        plan: &plan,
        journal: &once,
        now: at(99),
        epoch: 2,
        may_overlap: true,
        seed: "seed",
        deadline: None,
    };
    assert!(matches!(only(next::forward(&overlapping)), Next::Settle(_)));
}

#[test]
fn what_has_neither_probe_nor_repeat_is_put_before_people_at_once() {
    let doubt = record("4", Pass::Do, 1, StepState::InDoubt);
    let journal = journal([done("1"), done("2"), done("3"), doubt]);
    assert_eq!(ahead(&journal, at(0), 1), Next::Settle(StepKey::new("4", Pass::Do, 1)));
}

#[test]
fn undo_goes_back_over_what_stands() {
    let back = |records: Vec<StepRecord>| {
        let (plan, journal) = (plan(), journal(records));
        let situation = Situation {
            plan: &plan,
            journal: &journal,
            now: at(9),
            epoch: 1,
            may_overlap: false,
            seed: "seed",
            deadline: None,
        };
        next::backward(&situation)
    };
    let all = || ["1", "2", "3", "4"].map(done).to_vec();
    assert_eq!(back(all()), Next::Undo { path: "4".to_owned(), attempt: 1 });
    let undone = |path: &str, state| record(path, Pass::Undo, 1, state);
    let mut one = all();
    one.push(undone("4", StepState::Done));
    assert_eq!(back(one.clone()), Next::Undo { path: "2".to_owned(), attempt: 1 });
    one.push(undone("2", StepState::Failed));
    assert_eq!(back(one.clone()), Next::Stuck(StepKey::new("2", Pass::Undo, 1)));
    one.pop();
    one.push(undone("2", StepState::InDoubt));
    assert_eq!(back(one), Next::Settle(StepKey::new("2", Pass::Undo, 1)));
    assert_eq!(back(vec![done("1")]), Next::Undone, "reading leaves nothing to take back");
    let proved = with(Verdict::Absent, record("2", Pass::Do, 1, StepState::Failed));
    assert_eq!(back(vec![done("1"), proved]), Next::Undone, "what did not happen is not taken back");
}

#[test]
fn words_and_codes_read_back() {
    for reason in Reason::ALL {
        assert_eq!(reason.code().parse(), Ok(*reason));
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.code()));
    }
    for state in RunState::ALL {
        assert_eq!(state.word().parse(), Ok(*state));
        assert!(!(state.is_over() && state.needs_people()));
    }
}

#[test]
fn an_event_reads_back_and_starts_with_a_verb() {
    let event = Event::StepIntended {
        run: RunId(7),
        step: StepKey::new("4", Pass::Do, 2),
        name: "roll back".to_owned(),
        action: "http".to_owned(),
        changes: true,
        with: json!({ "url": "http://x/" }),
        before: Value::Null,
        effect: "fw-1".to_owned(),
    };
    let written = serde_json::to_value(&event).unwrap();
    assert_eq!(written["kind"], "step_intended");
    assert_eq!(event.sentence(), "began `roll back`, attempt 2");
    assert_eq!(serde_json::from_value::<Event>(written).unwrap(), event);
}

fn any_record() -> impl Strategy<Value = StepRecord> {
    let states =
        [StepState::Intent, StepState::Done, StepState::Failed, StepState::Skipped, StepState::InDoubt].to_vec();
    let verdicts =
        [Verdict::Retry, Verdict::Skip, Verdict::Absent, Verdict::Abort, Verdict::NotYet, Verdict::Happened].to_vec();
    let passes = [Pass::Do, Pass::Undo, Pass::Probe].to_vec();
    (
        1..5_u8,
        prop::sample::select(passes),
        prop::sample::select(states),
        prop::option::of(prop::sample::select(verdicts)),
        0..100_i64,
        any::<bool>(),
    )
        .prop_map(|(path, pass, state, verdict, started, may_have_changed)| StepRecord {
            verdict,
            may_have_changed,
            started: at(started),
            ..record(&path.to_string(), pass, 1, state)
        })
}

proptest! {
    /// Whatever the journal holds, there is an answer, it never begins an attempt that stands already, and a step in
    /// doubt that may not be repeated is never begun again.
    #[test]
    fn no_journal_leads_astray(records in prop::collection::vec(any_record(), 0..12), now in 0..1_000_i64) {
        let mut counts: BTreeMap<(String, Pass), u32> = BTreeMap::new();
        let records = records.into_iter().map(|mut it| {
            let count = counts.entry((it.key.path.clone(), it.key.pass)).or_default();
            *count += 1;
            it.key.attempt = *count;
            it
        });
        let journal = journal(records.collect::<Vec<_>>());
        let plan = plan();
        for may_overlap in [false, true] {
            let situation = Situation { plan: &plan, journal: &journal, now: at(now), epoch: 2, may_overlap, seed: "s", deadline: None };
            if let Next::Begin { path, attempt, .. } = only(next::forward(&situation)) {
                prop_assert!(journal.at(&StepKey::new(&path, Pass::Do, attempt)).is_none());
                let last = journal.last(&path, Pass::Do).map(|last| last.state);
                let is_unknown = matches!(last, Some(StepState::InDoubt | StepState::Intent));
                prop_assert!(!is_unknown || path == "1" || (path == "3" && !may_overlap), "{path}");
            }
            if let Next::Undo { path, attempt } = next::backward(&situation) {
                prop_assert!(journal.at(&StepKey::new(&path, Pass::Undo, attempt)).is_none());
            }
        }
    }
}
