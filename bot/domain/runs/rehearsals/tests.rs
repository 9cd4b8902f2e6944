//! Tests of tests: what is right is read, and what is wrong is told with its place.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;

use super::{Gives, StartedBy, has, read};
use crate::domain::{
    diagnostic::Diagnostic,
    runbooks::{self, Plan},
    runs::RunState,
};

const RUNBOOK: &str = r#"
name: back
mode: auto
trigger: { chat: {} }
inputs: { to: { type: text, default: v1 } }
target: { service: checkout, environment: production }
steps:
  - name: what is live
    action: http
    with: { url: "http://a/version" }
  - name: go back
    action: shell
    with: { argv: [deploy, "{{ to }}"] }
    timeout: 1m
    probe: { action: http, with: { url: "http://a/{{ step.key }}" }, settle: 1s, found: "output.status == 200" }
  - name: how it is
    action: prometheus.wait
    with: { query: errors, good: "value < 1", for: 1m, timeout: 5m, by: ["role:on-call"] }
"#;

fn plan() -> Plan {
    runbooks::read(Path::new("back.yaml"), RUNBOOK.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"))
}

fn problems(text: &str) -> Vec<Diagnostic> {
    read(Path::new("back.test.yaml"), text.as_bytes(), &plan(), &BTreeMap::new()).unwrap_err()
}

#[test]
fn a_test_says_what_sets_it_off_what_is_met_and_what_comes_of_it() {
    let text = r"
world:
  what is live: { json: { live: v2 } }
tests:
  - name: it goes back
    inputs: { to: v3 }
    world:
      go back: { stdout: done, found: { status: 200 }, absent: { status: 404 } }
      how it is: [{ value: none }, { value: 0.5, traffic: 3 }]
    expect:
      outcome: done
      steps: [what is live, { go back: { argv: [deploy, v3] } }, how it is]
  - name: it is refused
    alert: { alertname: Errors, port: 8080 }
    agree: false
    world: { go back: { unknown: reset, happened: true } }
    expect: { outcome: held, reason: step_failed }
";
    let tests = read(Path::new("back.test.yaml"), text.as_bytes(), &plan(), &BTreeMap::new()).unwrap();
    let [first, second] = tests.as_slice() else { panic!("{tests:?}") };
    assert_eq!(first.started_by, StartedBy::Person([("to".to_owned(), "v3".to_owned())].into()));
    assert_eq!(first.world.len(), 3, "what is said for all counts for each");
    assert_eq!(first.world["go back"].answers, [Gives::Program { exit: 0, stdout: json!("done") }]);
    assert!(first.world["go back"].sights.is_some());
    assert_eq!(first.world["how it is"].answers.len(), 2);
    assert_eq!(first.expects.steps.as_ref().unwrap()[1].with, json!({ "argv": ["deploy", "v3"] }));
    assert_eq!((second.expects.outcome, second.people.agree), (RunState::Held, false));
    let unknown = Gives::Unknown { why: "reset".to_owned(), happened: Some(json!(null)) };
    assert_eq!(second.world["go back"].answers, [unknown]);
}

#[test]
fn every_problem_has_its_place_and_a_hint() {
    for (text, place, what, hint) in [
        ("test: []\n", (1, 1), "`test` is not a key of the file", "did you mean `tests`?"),
        (
            "tests:\n  - name: a\n    expect: { outcome: don }\n",
            (3, 24),
            "cannot be the outcome",
            "did you mean `done`?",
        ),
        ("tests:\n  - name: a\n", (2, 5), "a test has no `expect`", "outcome: done"),
        (
            "tests:\n  - name: a\n    world: { go bak: { exit: 0 } }\n    expect: { outcome: done }\n",
            (3, 14),
            "there is no step `go bak`",
            "did you mean `go back`?",
        ),
        (
            "tests:\n  - name: a\n    world: { go back: { status: 0 } }\n    expect: { outcome: done }\n",
            (3, 25),
            "`status` is not a key of what `go back` meets",
            "",
        ),
        (
            "tests:\n  - name: a\n    world: { go back: { exit: 0, found: { status: 200 } } }\n    expect: { outcome: done }\n",
            (3, 23),
            "only one of `found` and `absent`",
            "what the probe sees",
        ),
        (
            "tests:\n  - name: a\n    inputs: { too: v1 }\n    expect: { outcome: done }\n",
            (3, 13),
            "`back` has no input `too`",
            "did you mean `to`?",
        ),
        (
            "tests:\n  - name: a\n    expect: { outcome: done, steps: [what is life] }\n",
            (3, 38),
            "there is no step `what is life`",
            "did you mean `what is live`?",
        ),
        (
            "tests:\n  - name: a\n    alert: { env: a }\n    expect: { outcome: done }\n",
            (3, 12),
            "no `alertname`",
            "alertname:",
        ),
        (
            "tests:\n  - { name: a, expect: { outcome: done } }\n  - { name: a, expect: { outcome: done } }\n",
            (3, 5),
            "there is a test `a` already",
            "a name of its own",
        ),
        ("tests: []\n", (1, 1), "there is no test", "`tests:`"),
    ] {
        let found = problems(text);
        let problem = found.iter().find(|problem| problem.what.contains(what));
        let problem = problem.unwrap_or_else(|| panic!("`{what}` is told of {text}: {found:?}"));
        let at = problem.place.map(|place| (place.line, place.column));
        assert_eq!(at, Some(place), "{problem}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{problem}");
    }
}

#[test]
fn what_is_not_said_of_a_value_may_be_anything() {
    let value = json!({ "a": { "b": 1, "c": [1, { "d": 2, "e": 3 }] } });
    assert!(has(&value, &json!(null)) && has(&value, &json!({ "a": { "c": [1, { "d": 2 }] } })));
    assert!(!has(&value, &json!({ "a": { "b": 2 } })) && !has(&value, &json!({ "a": { "c": [1] } })));
    assert!(!has(&value, &json!({ "x": 1 })));
}
