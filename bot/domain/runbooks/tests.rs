//! Files that are right, files that are wrong, and files that are neither.

use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use serde_json::json;

use super::{
    Plan, Scope, inputs,
    plan::{Class, InputSource, Retry, trigger_key},
    read, tested,
};

const SHIPPED: [(&str, &str); 14] = [
    ("rollback-service.yaml", include_str!("../../../runbooks/rollback-service.yaml")),
    ("scale-service.yaml", include_str!("../../../runbooks/scale-service.yaml")),
    ("restart-service.yaml", include_str!("../../../runbooks/restart-service.yaml")),
    ("kubernetes-roll-back.yaml", include_str!("../../../runbooks/kubernetes-roll-back.yaml")),
    ("kubernetes-scale-out.yaml", include_str!("../../../runbooks/kubernetes-scale-out.yaml")),
    ("kubernetes-restart.yaml", include_str!("../../../runbooks/kubernetes-restart.yaml")),
    ("cordon-node.yaml", include_str!("../../../runbooks/cordon-node.yaml")),
    ("github-roll-back.yaml", include_str!("../../../runbooks/github-roll-back.yaml")),
    ("kubernetes-scale.yaml", include_str!("../../../runbooks/kubernetes-scale.yaml")),
    ("kubernetes-scale-in.yaml", include_str!("../../../runbooks/kubernetes-scale-in.yaml")),
    ("fail-over.yaml", include_str!("../../../runbooks/fail-over.yaml")),
    ("flip-flag.yaml", include_str!("../../../runbooks/flip-flag.yaml")),
    ("collect-diagnostics.yaml", include_str!("../../../runbooks/collect-diagnostics.yaml")),
    ("drain-node.yaml", include_str!("../../../runbooks/drain-node.yaml")),
];

const SMALL: &str = r#"
name: small
trigger: { chat: {} }
inputs:
  service: { type: service, const: checkout }
  count: { type: integer, min: 1, max: 9, default: 2 }
  extent: { type: choice, choices: [small, large], default: small }
target: { service: "{{ service }}", environment: production }
approval: { before: write, by: ["role:on-call"], binds: [seen.json] }
steps:
  - { name: look, action: http, with: { url: "http://a/b" }, output: seen }
  - name: write
    action: http
    with: { method: POST, url: "http://a/b", body: { n: "{{ count }}" } }
    timeout: 10s
    repeat: safe
"#;

fn small() -> String {
    SMALL.to_owned()
}

/// The problems of a file, as people see them.
fn problems(text: &str) -> Vec<String> {
    match read(Path::new("a.yaml"), text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn plan(text: &str) -> Plan {
    read(Path::new("a.yaml"), text.as_bytes()).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    })
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_shipped_runbook_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if tested(&path).is_some() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        names.push(format!("{}.yaml", plan(&text).name));
        assert_eq!(path.file_name().unwrap().to_str(), names.last().map(String::as_str));
    }
    names.sort();
    let mut shipped: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    shipped.sort_unstable();
    assert_eq!(names, shipped);
}

#[test]
fn a_plan_survives_storage_and_its_hash_tells_it_apart() {
    for (name, text) in SHIPPED {
        let plan = plan(text);
        let stored = serde_json::to_string(&plan).unwrap();
        let read_back: Plan = serde_json::from_str(&stored).unwrap();
        assert_eq!(read_back, plan, "{name}");
        assert_eq!(read_back.hash(), plan.hash());
        let mut other = plan.clone();
        other.steps[0].name.push('!');
        assert_ne!(other.hash(), plan.hash());
    }
}

#[test]
fn the_rollback_reads_before_it_asks_and_can_be_found_and_taken_back() {
    let plan = plan(SHIPPED[0].1);
    let deploy = plan.first_mutation().unwrap();
    assert_eq!(plan.approval.as_ref().unwrap().before, deploy.path);
    let Class::Mutates(handling) = deploy.class else { panic!("{deploy:?}") };
    assert!(handling.probed && handling.undoable && !handling.repeatable);
    assert_eq!(plan.steps.iter().filter(|step| step.marks.is_some()).count(), 1);
    let probe = deploy.probe.as_ref().unwrap();
    let listed = json!([{"key": null, "id": "d-1"}, {"key": "K", "id": "d-2", "version": "v41"}]);
    let scope =
        Scope::new().with("step", json!({"key": "K"})).with("response", json!({"json": {"deployments": listed}}));
    let made = super::condition::evaluate(probe.call.with["extract"]["made"].as_str().unwrap(), &scope).unwrap();
    let scope = scope.with("output", json!({ "made": made }));
    assert_eq!(super::condition::holds(&probe.found, &scope), Ok(true));
    assert_eq!(super::condition::evaluate(&probe.output["id"], &scope), Ok(json!("d-2")));
}

#[test]
fn wrong_guards_are_refused_at_their_place() {
    let guarded = |lines: &str| problems(&small().replace("approval: {", &format!("guards:\n{lines}approval: {{")));
    assert_eq!(
        guarded("  concurrency: { key: \"{{ servce }}\", when_busy: skip }\n"),
        ["a.yaml:10:23: `servce` is not known here: there is no `servce`\n  hint: did you mean `service`?"]
    );
    assert_eq!(
        guarded("  concurrency: { key: \"{{ service }}\", limit: 0, when_busy: wait }\n"),
        [
            "a.yaml:10:47: `limit` must be a whole number from 1 to 1000",
            "a.yaml:10:61: `wait` cannot be `when_busy`\n  hint: known here: `attach`, `queue`, `skip`",
        ]
    );
    assert_eq!(
        guarded("  breaker: { after: 3, of: fails }\n  allow_in_freeze: true\n"),
        [
            "a.yaml:10:12: `breaker` has no `open_for`\n  hint: say how long it stays open, e.g. `open_for: 1h`",
            "a.yaml:10:28: `fails` cannot be `of`\n  hint: known here: `failed`, `failed_or_ineffective`",
            "a.yaml:11:3: `allow_in_freeze` is not a key of `guards`\n  hint: did you mean `allowed_in_freeze`?",
        ]
    );
    let aborting = small().replace("binds: [seen.json] }", "binds: [seen.json], abort_when: \"!alert.fireing\" }");
    assert_eq!(
        problems(&aborting),
        ["a.yaml:9:82: `alert.fireing` is not known here: `alert` has no `fireing`\n  hint: did you mean `firing`?"]
    );
    let touching = small().replace("    repeat: safe\n", "    repeat: safe\n    touches: { pods: -1, nodes: 3 }\n");
    let told = problems(&touching);
    assert!(told.iter().any(|it| it.contains("`nodes` is not a key of `touches`")), "{told:?}");
    assert!(told.iter().any(|it| it.contains("`pods` must be text")), "{told:?}");
}

#[test]
fn a_verification_says_what_it_needs() {
    let verified = |with: &str| {
        problems(&format!("{}  - {{ name: prove, action: prometheus.wait, with: {{ {with} }} }}\n", small()))
    };
    let fields = "query: up, good: \"value > 0.5\"";
    assert_eq!(verified(&format!("{fields}, for: 1m, timeout: 5m")), Vec::<String>::new());
    for (with, told) in [
        ("query: up, for: 1m, timeout: 5m", "has no `good`"),
        (&*format!("{fields}, for: 5m, timeout: 5m"), "`for` is not shorter than `timeout`"),
        (&*format!("{fields}, for: 1m, timeout: 24h, every: 1s"), "would look 86400 times"),
        (&*format!("{fields}, for: 1m, timeout: 5m, traffic: {{ query: rps }}"), "`traffic` has no `min`"),
        (&*format!("{fields}, for: \"{{{{ count }}}}m\", timeout: 5m"), "`for` must be a length of time"),
        ("query: up, good: \"valu > 1\", for: 1m, timeout: 5m", "did you mean `value`?"),
    ] {
        let problems = verified(with);
        assert!(problems.iter().any(|it| it.contains(told)), "{with}: {problems:?}");
    }
}

#[test]
fn a_command_gives_what_the_runbook_takes() {
    let of_chat = |chat: &str| problems(&small().replace("chat: {}", &format!("chat: {chat}")));
    assert_eq!(of_chat("{ command: restart, when: \"catalog.repository != ''\" }"), Vec::<String>::new());
    for (chat, told) in [
        ("{ command: rolback }", "did you mean `rollback`?"),
        ("{ command: scale }", "`/scale` says how many `replicas`, and the runbook takes none"),
        ("{ when: \"mode == 'ask'\" }", "`when` is for a command, and there is none"),
        ("{ command: restart, when: \"catalog.repo != ''\" }", "repo"),
    ] {
        let problems = of_chat(chat);
        assert!(problems.iter().any(|it| it.contains(told)), "{chat}: {problems:?}");
    }
    let asks = small().replace("max: 9, default: 2 }", "max: 9 }").replace("chat: {}", "chat: { command: restart }");
    let told = "`/restart` does not know what `count` is\n  hint: give it a `default`; `/restart` gives `service`, `environment`";
    assert!(problems(&asks).iter().any(|it| it.contains(told)), "{:?}", problems(&asks));
}

#[test]
fn a_call_of_the_same_family_takes_from_its_step_what_it_needs() {
    const DEPLOY: &str = r#"
name: roll-back
trigger: { chat: {} }
inputs: { good: { type: text }, live: { type: text } }
target: { service: checkout, environment: production }
approval: { before: roll back, by: ["role:on-call"] }
steps:
  - name: roll back
    action: github.deploy
    with: { repo: acme/checkout, environment: production, sha: "{{ good }}", expect_live: "{{ live }}", task: release }
    timeout: 10m
    probe: { action: github.find_deployment, settle: 60s }
    undo: { action: github.deploy, with: { sha: "{{ live }}", expect_live: "{{ good }}" } }
    output: made
  - { name: tell, action: announce, with: { text: "{{ made.state }}" } }
"#;
    let plan = plan(DEPLOY);
    let (probe, undo) = (plan.steps[0].probe.as_ref().unwrap(), plan.steps[0].undo.as_ref().unwrap());
    let shared = json!({ "repo": "acme/checkout", "environment": "production" });
    assert_eq!(probe.call.with, shared, "what it needs not is not taken");
    assert_eq!((&undo.with["repo"], &undo.with["environment"]), (&shared["repo"], &shared["environment"]));
    assert_eq!((&undo.with["sha"], undo.with.get("task")), (&json!("{{ live }}"), None));
    assert_eq!((probe.found.as_str(), probe.failed.as_deref()), ("output.found", Some("output.failed")));
    assert_eq!(probe.output["state"], "output.state", "a look gives what the step would have given");

    let of_another = DEPLOY.replace("github.find_deployment,", "http, with: { url: \"http://a\" },");
    assert_eq!(
        problems(&of_another),
        ["a.yaml:12:12: `probe` has no `found`\n  hint: give the condition over `output` that says that it happened"]
    );
    let wrong = DEPLOY
        .replace("acme/checkout", "checkout")
        .replace("\"{{ good }}\", expect_live: \"{{ live", "abc123, expect_live: \"{{ live");
    let found = problems(&wrong).join("\n");
    for expected in [
        "`checkout` cannot be `repo`\n  hint: write it as `owner/name`",
        "`abc123` cannot be `sha`\n  hint: write all of its 40 digits",
    ] {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_step_that_changes_something_says_what_to_do_about_doubt() {
    let bare = small().replace("    timeout: 10s\n    repeat: safe\n", "");
    assert_eq!(
        problems(&bare),
        [
            "a.yaml:12:5: step `write` changes something and does not say what to do about it\n  hint: add `undo`, `probe`, \
             `repeat: safe` or `irreversible: true`; or `reads_only: true` if it changes nothing",
            "a.yaml:12:5: step `write` changes something and has no `timeout`\n  hint: say when its outcome is in doubt, \
             e.g. `timeout: 2m`",
        ]
    );
}

#[test]
fn all_problems_of_a_file_are_found_at_once_with_their_places() {
    let wrong = small()
        .replace("action: http, with: { url: \"http://a/b\" }", "action: htp, with: { url: \"http://a/b\" }")
        .replace("    timeout: 10s", "    timout: 10s")
        .replace("{{ count }}", "{{ cuont }}")
        .replace("role:on-call", "on-call")
        .replace("name: small", "name: Small Thing");
    let found = problems(&wrong).join("\n");
    for expected in [
        "a.yaml:2:7: `Small Thing` cannot be the name of a runbook",
        ":11:27: there is no action `htp`\n  hint: did you mean `http`?",
        ": `timout` is not a key of a step\n  hint: did you mean `timeout`?",
        ": `cuont` is not known here: there is no `cuont`\n  hint: did you mean `count`?",
        ": `on-call` is neither a role nor a person\n  hint: write `role:on-call` or `person:ana`",
        ": step `write` changes something and has no `timeout`",
    ] {
        assert!(found.contains(expected), "{expected}\n---\n{found}");
    }
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    let text = small();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        problems(&text.replace(from, to)).join("\n")
    };
    for (found, expected) in [
        (with("by: [\"role:on-call\"]", "by: []"), "nobody may answer"),
        (with("before: write", "before: wrote"), "did you mean `write`?"),
        (with("binds: [seen.json]", "binds: [sean.json]"), "did you mean `seen`?"),
        (with("binds: [seen.json]", "binds: [seen.jsn]"), "did you mean `json`?"),
        (with("binds: [seen.json]", "when: \"seen.status > limit\""), "there is no `limit`"),
        (with("binds: [seen.json]", "when: \"seen.status >\""), "this is not a condition"),
        (with("output: seen", "output: count"), "`count` is already the name of an input"),
        (with("output: seen", "output: alert"), "cannot be the name of an output"),
        (with("name: look", "name: write"), "two steps are named `write`"),
        (with("service: { type: service", "alert: { type: service"), "cannot be the name of an input"),
        (with("const: checkout", "const: checkout, label: service"), "fixed by `const`"),
        (with("default: 2", "default: 20"), "give a whole number from 1 to 9"),
        (with("default: small", "default: smal"), "did you mean `small`?"),
        (with("trigger: { chat: {} }", "trigger: {}"), "nothing starts this runbook"),
        (with("chat: {}", "alert: { match: [\"a=b=\"\"] }"), "not the YAML"),
        (with("chat: {}", "alert: { match: [] }"), "every alert would start"),
        (with("service: \"{{ service }}\"", "service: \"{{ alert.labels.service }}\""), "there is no `alert`"),
        (with("timeout: 10s", "timeout: 2h"), "at most `1h`"),
        (with("timeout: 10s", "timeout: soon"), "must be a length of time"),
        (with("repeat: safe", "repeat: yes"), "`repeat`"),
        (with("repeat: safe", "undo: { action: http, with: { url: \"http://a\" } }"), "`undo` changes nothing"),
        (with("approval: {", "approvals: {"), "did you mean `approval`?"),
        (with("name: small\n", "name: small\nmode: askk\n"), "did you mean `ask`?"),
        (with("output: seen }", "until: \"output.json == 1\" , output: seen }"), "needs `every` and `timeout`"),
        (
            with("output: seen }", "until: \"seen.status == 1\", every: 1s, timeout: 24h, output: seen }"),
            "every: 1m27s",
        ),
        (with("{ n: \"{{ count }}\" }", "{ n: { secret: \"{{ extent }}\" } }"), "cannot be the name of a secret"),
        (with("url: \"http://a/b\", body", "uri: \"http://a/b\", body"), "did you mean `url`?"),
    ] {
        assert!(found.contains(expected), "{expected}\n---\n{found}");
    }
}

#[test]
fn no_value_can_become_part_of_a_program() {
    let step = |with: &str| {
        let step = format!("  - {{ name: run, action: shell, with: {with}, reads_only: true }}\n");
        problems(&small().replace("steps:\n", &format!("steps:\n{step}"))).join("\n")
    };
    assert_eq!(step("{ argv: [echo, \"{{ count }}\"] }"), "");
    assert_eq!(step("{ script: 'echo \"$N\"', env: { N: \"{{ count }}\", T: { secret: token } } }"), "");
    assert!(step("{ script: 'echo {{ count }}' }").contains("a template cannot stand in a script"));
    assert!(step("{ argv: [sh, -c, 'echo {{ count }}'] }").contains("the text that `sh` runs"));
    assert!(step("{ argv: [\"{{ count }}\"] }").contains("cannot choose the program"));
    assert!(step("{ argv: [a], script: b }").contains("both"));
    assert!(step("{ env: { A: b } }").contains("nothing to run"));
}

#[test]
fn nothing_changes_before_people_agreed() {
    let early = small().replace(
        "steps:\n",
        "steps:\n  - { name: early, action: http, with: { method: PUT, url: \"http://a\" }, timeout: 1s, repeat: safe }\n",
    );
    assert!(problems(&early).join("\n").contains("step `early` changes something before anybody was asked"));
    let early = early.replace("name: small\n", "name: small\nmode: auto\n");
    assert!(problems(&early).join("\n").contains("before anybody was asked"), "whatever the mode");
    let nobody = small().replace("approval: { before: write, by: [\"role:on-call\"], binds: [seen.json] }\n", "");
    assert!(problems(&nobody).join("\n").contains("somebody must agree"));
    assert_eq!(problems(&nobody.replace("name: small\n", "name: small\nmode: auto\n")), Vec::<String>::new());
}

#[test]
fn inputs_come_from_constants_people_labels_and_defaults() {
    let text = small().replace("default: 2", "default: 2, label: wanted");
    let plan = plan(&text);
    let resolved =
        |given: &[(&str, &str)], labels: &[(&str, &str)]| inputs::resolve(&plan, &texts(given), &texts(labels));
    assert_eq!(resolved(&[], &[]).unwrap()["count"], json!(2));
    assert_eq!(resolved(&[], &[("wanted", "3"), ("service", "evil")]).unwrap()["count"], json!(3));
    assert_eq!(resolved(&[("count", "4")], &[("wanted", "3")]).unwrap()["count"], json!(4));
    assert_eq!(resolved(&[], &[("service", "evil")]).unwrap()["service"], json!("checkout"));
    for (given, labels, what, hint) in [
        (&[("service", "x")][..], &[][..], "Cannot set `service` of `small`: the runbook fixes it", "it is always"),
        (&[("cuont", "1")], &[], "Cannot start `small`: it has no input `cuont`", "did you mean `count`?"),
        (&[("count", "ten")], &[], "Cannot start `small`: `ten` is not a value of `count`", "from 1 to 9"),
        (&[], &[("wanted", "99")], "`99` is not a value of `count` (label `wanted`)", "from 1 to 9"),
        (&[("extent", "larg")], &[], "`larg` is not a value of `extent`", "did you mean `large`?"),
    ] {
        let problem = resolved(given, labels).unwrap_err();
        assert!(problem.what.contains(what), "{problem:?}");
        assert!(problem.hint.as_deref().is_some_and(|said| said.contains(hint)), "{problem:?}");
    }
}

#[test]
fn the_target_and_the_key_of_a_run_follow_from_inputs_and_cause() {
    let plan = plan(&small());
    assert!(plan.inputs.iter().any(|input| matches!(input.source, InputSource::Const(_))));
    let target = plan.target(&Scope::new().with("service", "checkout")).unwrap();
    assert_eq!(target.to_string(), "checkout/production");
    assert!(plan.target(&Scope::new()).is_err());
    let key = trigger_key("small", &target, "episode-1");
    assert_eq!(key, trigger_key("small", &target, "episode-1"));
    assert_ne!(key, trigger_key("small", &target, "episode-2"));
}

#[test]
fn an_alert_starts_what_all_matchers_name() {
    let (plan, chat_only) = (plan(SHIPPED[0].1), plan(&small()));
    let fires = |labels: &[(&str, &str)]| plan.trigger.fires_on(&labels.iter().copied().collect());
    assert!(fires(&[("alertname", "CheckoutErrorRate"), ("severity", "page"), ("instance", "a")]));
    assert!(!fires(&[("alertname", "CheckoutErrorRate"), ("severity", "info")]));
    assert!(!chat_only.trigger.fires_on(&[("alertname", "CheckoutErrorRate")].into_iter().collect()));
}

#[test]
fn pauses_grow_to_their_limit_and_attempts_end() {
    let seconds = std::time::Duration::from_secs;
    let retry = Retry { attempts: 4, first: seconds(2), factor: 3.0, max: seconds(10), jitter: 0.5 };
    let pauses: Vec<_> = (1..=4).map(|failed| retry.pause(failed, 0.0)).collect();
    assert_eq!(pauses, [Some(seconds(2)), Some(seconds(6)), Some(seconds(10)), None]);
    assert_eq!(retry.pause(1, 1.0), Some(seconds(1)));
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(read(Path::new("a.yaml"), &bytes));
    }

    #[test]
    fn no_change_of_a_shipped_file_breaks_the_reader(
        which in 0..SHIPPED.len(),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..30, "[ -~\n]{0,12}"), 1..6),
    ) {
        let mut text: Vec<char> = SHIPPED[which].1.chars().collect();
        for (at, length, instead) in cuts {
            let from = at.index(text.len().max(1)).min(text.len());
            let to = (from + length).min(text.len());
            text.splice(from..to, instead.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(problems) = read(Path::new("a.yaml"), text.as_bytes()) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn no_exchange_of_lines_breaks_the_reader(
        which in 0..SHIPPED.len(),
        swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..8),
    ) {
        let mut lines: Vec<&str> = SHIPPED[which].1.lines().collect();
        for (one, other) in swaps {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
        }
        drop(read(Path::new("a.yaml"), lines.join("\n").as_bytes()));
    }
}
