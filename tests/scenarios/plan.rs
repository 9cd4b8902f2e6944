//! `firewarden runbook plan`: what a run would do is known before anybody lets it, and finding it out changes nothing.

use std::fs;

use firewarden::store;
use serde_json::Value;

use crate::world::{
    Config, World, alert,
    metrics::{Gives, Metrics},
    shell::{Ended, Shell, run_in},
};

/// A plan, as somebody at a shell in the bot's folder sees it.
fn plan(world: &World, arguments: &[&str]) -> Ended {
    run_in(world.folder(), &[&["runbook", "plan"], arguments].concat(), &[])
}

fn as_json(world: &World, arguments: &[&str]) -> Value {
    let ended = plan(world, &[arguments, &["--json"]].concat());
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "it says `{part}`:\n{text}");
    }
}

/// The steps of a plan by their names, those of lanes and of other runs among them.
fn step<'p>(plan: &'p Value, name: &str) -> &'p Value {
    fn find<'p>(steps: &'p Value, name: &str) -> Option<&'p Value> {
        steps.as_array().into_iter().flatten().find_map(|step| {
            let lanes = step["lanes"].as_array().into_iter().flatten();
            let within = || lanes.clone().find_map(|lane| find(&lane["steps"], name));
            let own = || (step["name"] == name).then_some(step);
            own().or_else(within).or_else(|| find(&step["starts"]["steps"], name))
        })
    }
    let parts = ["steps", "before_mutation", "after_mutation", "finally"];
    parts.iter().find_map(|part| find(&plan[part], name)).unwrap_or_else(|| panic!("no step `{name}` in {plan:#}"))
}

/// Whoever may not see what they agree to agrees blindly; and whoever only looks must not leave a trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_shows_what_would_run_with_its_values_and_changes_nothing() {
    let world = World::start_with(Config::default()).await;
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutLatency").service("checkout")).await;
    world.sees("/incident list", "INC-1").await;
    let before = world.service.calls_of("POST", "/deployments");

    let first = plan(&world, &["rollback-service"]);
    assert_eq!(first.code, 0, "{first:?}");
    says(
        &first.out,
        &[
            "Plan of `rollback-service` on `checkout/production`, mode `ask`",
            "hold     `halt_file`, `halted`, ",
            ", `cooldown`, `max_runs`, ",
            "Approval before `roll back`: the mode is `ask`",
            "1 of `role:on-call` (ana, ben), within 15m",
            "agreed to: live.version = v43",
            "agreed to: good.version = v42",
            "what is live  [http]  was read",
            "would it help  [assert]  was read",
            "roll back  [http]  CHANGES",
            "by\":\"firewarden <run.id: known once it runs>\"",
            "\"version\":\"v42\"",
            "timeout 2m · probe · undo",
            "undo: http",
            "errors are gone  [http]  reads later",
            "it looks after \"roll back\" has changed something",
            "checkout is back on <deployment.version: known after \"roll back\">; v43 is held",
            "Verdict: it would run once people agree",
        ],
    );
    let without_ana = plan(&world, &["rollback-service", "--as", "ana", "--target", "checkout/production"]);
    says(&without_ana.out, &["1 of `role:on-call` (ben)"]);

    let hash = |ended: &Ended| ended.out.lines().find(|line| line.starts_with("Plan: sha256:")).map(str::to_owned);
    let again = plan(&world, &["rollback-service"]);
    assert!(hash(&first).is_some_and(|line| line.len() == 13 + 64), "{first:?}");
    assert_eq!(hash(&first), hash(&again), "the same plan has the same hash");
    world.service.checkout.release("v44", true);
    let other = plan(&world, &["rollback-service"]);
    says(&other.out, &["live.version = v44"]);
    assert_ne!(hash(&first), hash(&other), "another plan has another one");

    assert_eq!(world.service.calls_of("POST", "/deployments"), before, "nothing was deployed");
    let world = world.finish().await;
    let store = world.store().await;
    let mut reader = store.read().await.unwrap();
    assert_eq!(store::runs::newest(&mut reader, 10).await.unwrap(), [], "no run was noted");
    let told = store::timeline::entries(&mut reader, firewarden::domain::timeline::Chain::System).await.unwrap();
    assert!(told.iter().all(|entry| !entry.draft.text.contains("rollback-service")), "{told:?}");
    drop(reader);
    store.close().await;

    let log = || run_in(world.folder(), &["verify"], &[]).out;
    let written = log();
    let stopped = plan(&world, &["rollback-service"]);
    assert_eq!(stopped.code, 0, "no bot has to run for it: {stopped:?}");
    assert!(written.contains("as it was written") && written == log(), "it leaves no entry: {}", log());
}

/// "It would be refused" is worth something only with the same code that the run itself would have ended with.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_would_be_refused_says_by_which_code() {
    let shipped = Config::default().shipped(&["rollback-service", "restart-service", "kubernetes-scale-out"]);
    let world = World::start_with(shipped.with("[budgets.checkout]\nsteps = 0\n")).await;
    let refused = |code: &str, exit: i32| {
        let ended = plan(&world, &["restart-service"]);
        assert_eq!(ended.code, exit, "{ended:?}");
        says(&ended.err, &["`restart-service` would be refused", &format!("`{code}`")]);
        says(&ended.out, &[&format!("Verdict: `{code}`")]);
        ended
    };
    let budget = refused("budget", 1);
    says(&budget.err, &["at step 3", "0 of 0 steps that change something are spent"]);
    says(&budget.out, &["restart it  [http]  STOPS", "it serves again  [http]  not reached"]);

    world.does("ana", "/freeze service:checkout until:1h reason:\"end of the quarter\"").await;
    let frozen = refused("frozen", 1);
    says(&frozen.out, &["refuses  `frozen`: end of the quarter"]);
    world.does("ana", "/unfreeze service:checkout").await;

    world.does("ana", "/lock service:checkout for:1h reason:mine").await;
    refused("service_locked", 1);
    let mine = plan(&world, &["restart-service", "--as", "ana"]);
    says(&mine.out, &["`service_locked`, `target_locked`"]);
    assert!(!mine.err.contains("service_locked"), "{}", mine.err);
    world.does("ana", "/unlock service:checkout").await;

    let halt = run_in(world.folder(), &["halt", "--reason", "stop"], &[]);
    assert!(halt.code == 0 && world.halt_file().exists(), "{halt:?}");
    refused("halt_file", 1);
    let lifted = run_in(world.folder(), &["halt", "--lift", "on"], &[]);
    assert_eq!(lifted.code, 0, "{lifted:?}");

    // Nothing is new, so there is nothing to go back from: an assertion says so before anything is changed.
    let assertion = plan(&world, &["rollback-service"]);
    assert_eq!(assertion.code, 1, "{assertion:?}");
    says(&assertion.err, &["`assertion`", "no_recent_change"]);
    for (arguments, what) in [
        (&["rollback-servise"][..], "did you mean `rollback-service`?"),
        (&["restart-service", "--input", "service=cart"], "the runbook fixes it"),
        (&["restart-service", "--input", "nonsense"], "write it as `--input name=value`"),
        (&["restart-service", "--target", "cart/production"], "it is aimed at `checkout/production`"),
        (&["kubernetes-scale-out", "--input", "more=99"], "`99` is not a value of `more`"),
    ] {
        let ended = plan(&world, arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
        says(&ended.err, &[what]);
    }
    world.finish().await;
}

/// A run of the same runbook that is at work would take the wish up: a second one is not started.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_sees_the_run_that_is_at_work() {
    let world = World::start_with(Config::default()).await;
    world.service.checkout.release("v43", true);
    world.does("ana", "/runbook run runbook:rollback-service").await;
    world.sees("/runbook show name:RUN-1", "waiting for people").await;
    let attached = plan(&world, &["rollback-service"]);
    assert_eq!(attached.code, 1, "{attached:?}");
    says(&attached.err, &["`attached`", "it would count for RUN-1"]);
    world.does("ben", "/runbook cancel run:RUN-1").await;
    world.sees("/runbook show name:RUN-1", "cancelled").await;
    world.finish().await;
}

/// Everything that the language has, with what is known of it and what is not.
const WHOLE: &str = r#"
name: whole
mode: auto
trigger: { chat: {} }
timeout: 1h
inputs:
  api: { type: text, const: "API" }
  more: { type: integer, min: 1, max: 5, default: 2 }
  service: { type: service }
target: { service: "{{ service }}", environment: production }
undo: auto
approval:
  before: scale out
  when: "ratio.value > 0.02"
  by: ["role:on-call"]
  binds: [live.replicas, more]
  abort_when: "ratio.value > 0.9"
steps:
  - name: how it is
    parallel:
      errors:
        - name: how bad it is
          action: prometheus.query
          with: { query: errors_ratio }
          output: ratio
      pods:
        - name: how many there are
          action: kubernetes.read
          with: { namespace: shop, name: checkout }
          output: live
  - name: names
    action: set
    with: { values: { wanted: "live.replicas + more", reasons: "['one', 'two']" } }
    output: names
  - name: only in staging
    when: "target.environment == 'staging'"
    action: announce
    with: { text: "staging" }
  - name: scale out
    action: kubernetes.scale
    with: { namespace: shop, name: checkout, by: "{{ more }}", expect: "{{ live.replicas }}", max: 20 }
    timeout: 1m
    repeat: safe
    touches: { pods: more }
    undo: { action: kubernetes.scale, with: { namespace: shop, name: checkout, replicas: "{{ scaled.before }}" } }
    output: scaled
  - name: each reason
    for_each: names.reasons
    as: reason
    concurrency: 2
    steps:
      - name: restart it
        action: http
        with: { method: POST, url: "{{ api }}/restart", body: { why: "{{ reason }}", of: "{{ scaled.replicas }}" } }
        timeout: 1m
        repeat: safe
        irreversible: true
        output: restarted
  - name: each pod
    for_each: "scaled.replicas > 3 ? ['a', 'b'] : ['a']"
    as: pod
    steps:
      - name: tell it
        action: announce
        with: { text: "{{ pod }}" }
  - name: if it grew
    when: "scaled.replicas > 3"
    action: announce
    with: { text: "it grew" }
  - name: the other one
    action: runbook
    with: { name: other, inputs: { why: "more than {{ live.replicas }}" } }
    irreversible: true
  - name: it is good
    action: prometheus.wait
    with: { query: errors_ratio, good: "value < 0.01", bad: "value > 0.5", for: 1m, timeout: 5m }
on_failure:
  before_mutation:
    - name: nothing was done
      action: announce
      with: { text: "stopped for {{ failure.reason }}" }
  after_mutation:
    - name: something was done
      action: announce
      with: { text: "stopped for {{ failure.reason }}" }
finally:
  - name: at last
    action: announce
    with: { text: "it is {{ ending.state }}" }
"#;

/// What another run would do is part of what one does.
const OTHER: &str = r#"
name: other
mode: auto
trigger: { chat: {} }
inputs: { api: { type: text, const: "API" }, why: { type: text } }
target: { service: checkout, environment: staging }
steps:
  - name: what runs there
    action: http
    with: { url: "{{ api }}/version", headers: { authorization: { secret: deploy } } }
    output: there
  - name: restart that
    action: http
    with: { method: POST, url: "{{ api }}/restart", body: { why: "{{ why }}" } }
    timeout: 1m
    repeat: safe
    irreversible: true
"#;

/// A plan that leaves out what it does not know, or guesses it, is found out at the worst time.
#[tokio::test(flavor = "multi_thread")]
async fn branches_lists_other_runs_and_ends_are_shown_as_far_as_they_are_known() {
    let metrics = Metrics::start().await;
    metrics.gives("errors_ratio", Gives::One("0.05"));
    let secrets = "[secrets]\ndirectory = \"secrets\"\n";
    let config = Config::default().runbook(WHOLE).runbook(OTHER).with(&format!("{}{secrets}", metrics.section()));
    let world = World::start_with(config).await;
    fs::write(world.folder().join("secrets/deploy"), "hunter2-hunter2").unwrap();

    let whole = ["whole", "--target", "checkout/production", "--input", "more=3"];
    let text = plan(&world, &whole);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(!text.out.contains("hunter2"), "{}", text.out);
    says(&text.out, &["starts `other` on `checkout/staging`, mode `auto`", "At every end", "{\"secret\":\"deploy\"}"]);

    let plan = as_json(&world, &whole);
    let comes = |name: &str| step(&plan, name)["comes"].as_str().unwrap().to_owned();
    let replicas = step(&plan, "how many there are")["output"]["replicas"].as_i64().unwrap();
    for (name, wanted) in [
        ("how bad it is", "read"),
        ("how many there are", "read"),
        ("names", "read"),
        ("only in staging", "skipped"),
        ("scale out", "runs"),
        ("restart it (one)", "runs"),
        ("restart it (two)", "runs"),
        ("tell it", "open"),
        ("if it grew", "open"),
        ("what runs there", "later"),
        ("restart that", "runs"),
        ("it is good", "later"),
        ("nothing was done", "aside"),
        ("something was done", "aside"),
        ("at last", "aside"),
    ] {
        assert_eq!(comes(name), wanted, "{name}: {:#}", step(&plan, name));
    }
    assert_eq!(step(&plan, "names")["output"]["wanted"], replicas + 3);
    let scale = step(&plan, "scale out");
    assert_eq!((&scale["with"]["by"], &scale["with"]["expect"]), (&Value::from(3), &Value::from(replicas)));
    assert_eq!((&scale["system"], &scale["touches"]["pods"]), (&Value::from("kubernetes"), &Value::from(3)));
    assert_eq!(scale["undo"]["with"]["replicas"], "<scaled.before: known after \"scale out\">");
    assert_eq!(scale["handling"], serde_json::json!(["repeat: safe", "undo"]));
    let body = &step(&plan, "restart it (two)")["with"]["body"];
    assert_eq!(body["why"], "two");
    assert_eq!(body["of"], "<scaled.replicas: known after \"scale out\">");
    assert_eq!(step(&plan, "restart that")["with"]["body"]["why"], format!("more than {replicas}"));
    says(step(&plan, "if it grew")["note"].as_str().unwrap(), &["known after \"scale out\""]);
    assert_eq!(step(&plan, "at last")["with"]["text"], "it is <ending.state: known at the end>");
    let asking = &plan["approval"];
    assert_eq!(
        (&asking["is_certain"], &asking["bound"]["live.replicas"]),
        (&Value::from(true), &Value::from(replicas))
    );
    assert_eq!((&plan["undo"], &plan["timeout"]), (&Value::from("auto"), &Value::from("1h")));

    // Good enough that nobody is asked; and so bad that what people were asked for would be withdrawn.
    metrics.gives("errors_ratio", Gives::One("0.01"));
    assert_eq!(as_json(&world, &whole)["approval"], Value::Null);
    metrics.gives("errors_ratio", Gives::One("0.95"));
    assert_eq!(as_json(&world, &whole)["refused"]["code"], "abort_condition");
    metrics.gives("errors_ratio", Gives::Fails(503));
    let failed = as_json(&world, &whole);
    assert_eq!((&failed["refused"]["code"], &failed["refused"]["step"]), (&"step_failed".into(), &"1.errors.1".into()));
    assert_eq!(world.service.calls_of("POST", "/restart"), 0);
    assert_eq!(world.cluster.replicas("checkout").await, replicas);
    world.finish().await;
}

/// Where there is no store there is nothing to hold a plan against.
#[test]
fn a_plan_needs_a_store() {
    let shell = Shell::new();
    shell.write("firewarden.toml", "");
    shell.write(
        "runbooks/a.yaml",
        "name: a\ntrigger: { chat: {} }\ntarget: { service: a, environment: b }\nsteps:\n  - name: wait\n    action: wait\n    with: { for: 1s }\n",
    );
    let ended = shell.runs(&["runbook", "plan", "a"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    says(&ended.err, &["There is no store at `firewarden.db`"]);
}
