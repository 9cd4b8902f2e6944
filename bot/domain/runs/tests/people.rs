//! Guards, cooldowns and the answers of people as tables.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::at;
use crate::domain::{
    ids::{AlertKey, ApprovalId, RunId},
    people::{Person, PersonId},
    runbooks::{
        plan::{Approver, Cooldown, Guards, MaxRuns, StillFiring},
        scope::Scope,
    },
    runs::{
        Approval, ApprovalState,
        approvals::{Asks, Given, NotCounted},
        breaker::Standing,
        guards::{Charge, Facts, Firing, LONGEST_COOLDOWN, Moment, charge, evaluate},
    },
    time::Time,
};

fn guards() -> Guards {
    let hour = Duration::from_hours(1);
    Guards {
        still_firing: Some(StillFiring::FirstMutation),
        cooldown: Some(Cooldown { length: hour, factor: 2.0, max: hour * 24 }),
        max_runs: Some(MaxRuns { count: 2, per: hour }),
        ..Guards::default()
    }
}

#[test]
fn each_guard_refuses_with_its_own_code_where_it_applies() {
    use Moment::{FirstMutation, LaterMutation, Start, Undo};
    const ALWAYS: &[Moment] = &[Start, FirstMutation, LaterMutation];
    const OPEN: Standing = Standing::Open { failures: 3, until: Time::EPOCH };
    let clear = Facts { firing: Some(Firing::Yes), ..Facts::default() };
    let charged = Charge { level: 0, at: at(0), until: at(100), alert: None };
    let table: [(Facts, &str, &[Moment]); 13] = [
        (
            Facts { is_halt_file_there: true, ..clear.clone() },
            "halt_file",
            &[Start, FirstMutation, LaterMutation, Undo],
        ),
        (Facts { halted: Some("x".into()), ..clear.clone() }, "halted", &[Start, FirstMutation, LaterMutation, Undo]),
        (Facts { unreadable: Some("x".into()), ..clear.clone() }, "guard_unreadable", ALWAYS),
        (Facts { frozen: Some("x".into()), ..clear.clone() }, "frozen", ALWAYS),
        (Facts { service_locked: Some("x".into()), ..clear.clone() }, "service_locked", ALWAYS),
        (Facts { breaker: OPEN, ..clear.clone() }, "breaker_open", &[Start, FirstMutation]),
        (Facts { locked_by: Some(RunId(2)), ..clear.clone() }, "target_locked", &[Start, FirstMutation, LaterMutation]),
        (Facts { is_flapping: true, ..clear.clone() }, "flapping", &[Start, FirstMutation]),
        (Facts { firing: Some(Firing::No), ..clear.clone() }, "still_firing", &[Start, FirstMutation]),
        (Facts { firing: Some(Firing::Silent), ..clear.clone() }, "still_firing", &[Start, FirstMutation]),
        (Facts { charged: Some(charged), ..clear.clone() }, "cooldown", &[Start, FirstMutation]),
        (Facts { runs_in_window: 2, ..clear.clone() }, "max_runs", &[Start, FirstMutation]),
        (Facts { lacks_approvers: true, ..clear.clone() }, "no_approvers", &[Start, FirstMutation]),
    ];
    for moment in [Start, FirstMutation, LaterMutation, Undo] {
        assert_eq!(evaluate(&guards(), moment, &clear, at(0)), Ok(()));
        for (facts, code, refusing) in &table {
            let refused = evaluate(&guards(), moment, facts, at(0)).err().map(|refused| refused.reason.code());
            assert_eq!(refused, refusing.contains(&moment).then_some(*code), "{moment:?} {facts:?}");
        }
    }
    let to_the_end = Guards { still_firing: Some(StillFiring::End), ..guards() };
    let over = Facts { firing: Some(Firing::No), ..clear };
    assert!(evaluate(&to_the_end, LaterMutation, &over, at(0)).is_err());
    let frozen = Facts { frozen: Some("x".into()), firing: Some(Firing::Yes), ..Facts::default() };
    let allowed = Guards { allowed_in_freeze: true, ..guards() };
    assert_eq!(evaluate(&allowed, Start, &frozen, at(0)), Ok(()));
}

#[test]
fn a_cooldown_doubles_while_the_alert_comes_back_and_ends_at_a_day() {
    let cooldown = Cooldown { length: Duration::from_mins(30), factor: 2.0, max: LONGEST_COOLDOWN * 9 };
    let key = AlertKey("a".to_owned());
    let mut before: Option<Charge> = None;
    let mut now = at(0);
    let mut minutes = Vec::new();
    for _ in 0..8 {
        let charge = charge(before.as_ref(), &cooldown, Some(&key), now);
        minutes.push(charge.until.since(charge.at).as_secs() / 60);
        now = charge.until + Duration::from_mins(1);
        before = Some(charge);
    }
    assert_eq!(minutes, [30, 60, 120, 240, 480, 960, 1440, 1440]);
    let other = charge(before.as_ref(), &cooldown, Some(&AlertKey("b".to_owned())), now);
    assert_eq!(other.level, 0, "another alert starts over");
    let later = charge(before.as_ref(), &cooldown, Some(&key), now + LONGEST_COOLDOWN);
    assert_eq!(later.level, 0, "a quiet day starts over");
}

fn approval() -> Approval {
    Approval {
        id: ApprovalId(1),
        run: RunId(1),
        asks: Asks::Approval,
        path: "2".to_owned(),
        revision: 1,
        epoch: 1,
        question: "May it?".to_owned(),
        by: vec![Approver::Role("on-call".to_owned()), Approver::Person("cy".to_owned())],
        count: 2,
        bound: [("live.sha".to_owned(), json!("a")), ("good".to_owned(), json!(1))].into(),
        state: ApprovalState::Open,
        answers: Vec::new(),
        asked_at: at(0),
        expires_at: at(60),
        decided_at: None,
    }
}

fn person(name: &str, roles: &[&str]) -> Person {
    Person { id: PersonId(name.to_owned()), roles: roles.iter().map(|role| (*role).to_owned()).collect() }
}

#[test]
fn an_answer_counts_once_for_each_person_who_is_asked() {
    let mut approval = approval();
    let ana = person("ana", &["on-call"]);
    assert_eq!(approval.counts(&ana, Some(&ana.id), at(1)), Err(NotCounted::Requester));
    assert_eq!(approval.counts(&ana, None, at(60)), Err(NotCounted::Expired));
    assert_eq!(approval.counts(&person("dee", &["dev"]), None, at(1)), Err(NotCounted::NotAsked));
    assert_eq!(approval.counts(&person("cy", &[]), None, at(1)), Ok(()));
    assert_eq!(approval.counts(&ana, None, at(1)), Ok(()));
    approval.answers.push(Given { person: ana.id.clone(), answer: "approve".to_owned(), at: at(1) });
    assert_eq!(approval.counts(&ana, None, at(1)), Err(NotCounted::Twice));
    assert_eq!(approval.missing(), 1);
    approval.answers.push(Given { person: ana.id.clone(), answer: "approve".to_owned(), at: at(2) });
    assert_eq!(approval.missing(), 1, "people count, not answers");
    approval.state = ApprovalState::Given;
    assert_eq!(approval.counts(&person("cy", &[]), None, at(1)), Err(NotCounted::Decided(ApprovalState::Given)));
}

#[test]
fn drift_names_what_was_and_what_is() {
    let approval = approval();
    let same = Scope::new().with("live", json!({ "sha": "a" })).with("good", 1);
    assert!(approval.drift(&same).is_empty());
    let moved = Scope::new().with("live", json!({ "sha": "b" }));
    let paths: BTreeMap<String, Value> = approval.drift(&moved).into_iter().map(|it| (it.path, it.is)).collect();
    assert_eq!(paths, [("good".to_owned(), Value::Null), ("live.sha".to_owned(), json!("b"))].into());
}
