//! `firewarden runbook test`: what a runbook does is tried where it is written, with every crash that it can meet.

use std::fs;

use crate::world::{
    config,
    shell::{Ended, Shell},
};

/// A runbook that goes back, looks for what it began, and says so.
const RUNBOOK: &str = r#"
name: back
mode: ask
trigger:
  alert: { match: ['alertname="Errors"'] }
  chat: {}
inputs: { to: { type: text, default: v1 } }
target: { service: checkout, environment: production }
approval: { before: go back, by: ["role:on-call"], count: 2 }
steps:
  - name: what is live
    action: deployments.live
    output: live
  - name: how it is
    action: prometheus.query
    with: { query: errors }
    output: errors
  - name: is it bad
    action: assert
    with: [{ that: "errors.value > 0.1", else: it_is_well }]
  - name: go back
    action: shell
    with: { argv: [deploy, "{{ to }}", "{{ step.key }}"], extract: { id: json.id } }
    timeout: 1m
    probe:
      action: shell
      with: { argv: [deployed, "{{ step.key }}"], expect_exit: [0, 1] }
      settle: 1s
      found: "output.exit == 0"
      output: { id: "7" }
    undo: { action: shell, with: { argv: [deploy, "{{ live.version }}"] } }
    output: gone
  - name: let it settle
    action: wait
    with: { for: 5m }
  - name: what do people say
    action: ask
    with: { question: Is it better?, choices: [better, worse], by: ["person:ada"], expires: 1h }
    output: said
  - name: each of them
    for_each: "['one', 'two']"
    as: which
    steps:
      - name: tell
        action: shell
        when: "said.answer == 'better'"
        with: { argv: [tell, "{{ which }}", "{{ catalog.repository }}"] }
        timeout: 10s
        repeat: safe
        irreversible: true
"#;

const TESTS: &str = r"
services:
  checkout: { repository: acme/checkout }
deployments:
  - { sha: 42bbbb, version: v42, ago: 2h }
world:
  how it is: { value: 0.5 }
  go back: { stdout: { id: 7 }, found: { exit: 0 }, absent: { exit: 1 } }
  tell: { exit: 0 }
tests:
  - name: it goes back and tells everybody
    alert: { alertname: Errors }
    expect:
      outcome: done
      steps:
        - what is live
        - how it is
        - is it bad
        - go back: { argv: [deploy, v1, null] }
        - let it settle
        - what do people say
        - each of them
        - tell (one): { argv: [tell, one, acme/checkout] }
        - tell (two)
  - name: it tells nobody that it is worse
    inputs: { to: v3 }
    answers: { what do people say: worse }
    expect: { outcome: done }
  - name: nothing is done while all is well
    alert: { alertname: Errors }
    world: { how it is: { value: 0.01 } }
    expect: { outcome: refused, steps: [what is live, how it is] }
";

fn shell(runbook: &str, tests: &str) -> Shell {
    let shell = Shell::new();
    shell.write("runbooks/back.yaml", runbook);
    shell.write("runbooks/back.test.yaml", tests);
    shell
}

#[track_caller]
fn fails(shell: &Shell, parts: &[&str]) -> Ended {
    let ended = shell.runs(&["runbook", "test", "runbooks/back.test.yaml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    for part in parts {
        assert!(ended.err.contains(part), "it says `{part}`:\n{}\n{}", ended.out, ended.err);
    }
    ended
}

/// Whoever copies a shipped runbook has to see that it does what it says, before and after they have changed it.
#[test]
fn every_shipped_runbook_has_tests_that_pass_with_every_kill() {
    let shell = Shell::new();
    let mut runbooks = 0;
    for file in fs::read_dir(config::shipped_runbooks()).unwrap().map(Result::unwrap) {
        let name = file.file_name().to_string_lossy().into_owned();
        shell.write(&format!("runbooks/{name}"), &fs::read_to_string(file.path()).unwrap());
        if let Some(runbook) = name.strip_suffix(".yaml").filter(|stem| stem.strip_suffix(".test").is_none()) {
            runbooks += 1;
            let tests = config::shipped_runbooks().join(format!("{runbook}.test.yaml"));
            assert!(tests.is_file(), "`{name}` has tests");
        }
    }
    let ended = shell.runs(&["runbook", "test"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.out.matches(".test.yaml").count(), runbooks, "{}", ended.out);
    assert!(!ended.out.contains("FAILED") && ended.out.contains("all as expected"), "{}", ended.out);
    let rollback = "the version before is put back once somebody agrees (killed 8 times)";
    assert!(ended.out.contains(rollback), "{}", ended.out);
}

/// What a runbook has of the language is played by the rules of a run, in no time, and reaches nothing outside.
#[test]
fn people_time_the_ledger_and_the_world_are_played() {
    let shell = shell(RUNBOOK, TESTS);
    let ended = shell.runs(&["runbook", "test", "runbooks/back.test.yaml"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    for part in ["ok      it goes back and tells everybody (killed 8 times)", "tests 3, ", "all as expected"] {
        assert!(ended.out.contains(part), "it says `{part}`: {}", ended.out);
    }
    let checked = shell.runs(&["runbook", "check", "runbooks/back.yaml", "runbooks/back.test.yaml"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.out.contains("runbooks/back.test.yaml is in order: `back`, tests 3"), "{}", checked.out);
}

/// A test that cannot fail proves nothing.
#[test]
fn what_is_not_as_expected_is_told_with_its_place() {
    let wrong = TESTS.replace("steps: [what is live, how it is] }", "steps: [what is live, how it is, is it bad] }");
    fails(
        &shell(RUNBOOK, &wrong),
        &["runbooks/back.test.yaml:32:", "`is it bad` was not done", "hint: done were: `what is live`, `how it is`"],
    );
    let wrong = TESTS.replace("argv: [deploy, v1, null]", "argv: [deploy, v9, null]");
    fails(&shell(RUNBOOK, &wrong), &["`go back` was done with", "[\"deploy\",\"v9\",null]"]);
    let wrong = TESTS.replacen("outcome: done", "outcome: held", 1);
    fails(&shell(RUNBOOK, &wrong), &["runbooks/back.test.yaml:11:", "it is `done`, `completed`, not `held`"]);
    let wrong = TESTS.replace("  tell: { exit: 0 }\n", "");
    fails(&shell(RUNBOOK, &wrong), &["the test does not say what `tell` meets", "hint: say under `world`"]);
    let wrong = TESTS.replace(", found: { exit: 0 }, absent: { exit: 1 }", "");
    let ended = fails(
        &shell(RUNBOOK, &wrong),
        &["killed right before `go back`", "the test does not say what the probe of `go back` sees"],
    );
    assert!(ended.out.contains("FAILED  it goes back"), "{}", ended.out);
    let wrong = TESTS.replace("alertname: Errors", "alertname: Others");
    fails(&shell(RUNBOOK, &wrong), &["no run was started: the alert does not set it off"]);
    let wrong = TESTS.replace("  go back: {", "  go bak: {");
    fails(&shell(RUNBOOK, &wrong), &["back.test.yaml:8:3: there is no step `go bak`", "hint: did you mean `go back`?"]);
    let missing = Shell::new();
    missing.write("alone.test.yaml", TESTS);
    let ended = missing.runs(&["runbook", "test", "alone.test.yaml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("there is no runbook beside it"), "{}", ended.err);
    let nothing = missing.runs(&["runbook", "test"]);
    assert!(nothing.code == 1 && nothing.err.contains("Cannot read the folder `runbooks`"), "{nothing:?}");
}

/// The reason why runbooks are killed in their tests: a probe that cannot tell lets a step be done twice.
#[test]
fn a_step_that_a_kill_repeats_is_found_out() {
    // What was begun is looked for, and the look says that it is not there although it is.
    let blind = TESTS.replace("found: { exit: 0 }", "found: { exit: 1 }");
    fails(
        &shell(RUNBOOK, &blind),
        &["killed right after `go back`", "`go back` was done 2 times", "hint: let its `probe` find it by `step.key`"],
    );
}
