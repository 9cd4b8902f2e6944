//! Steps that hold others: branches side by side, and the same steps for each item of a list.

use std::time::Duration;

use super::bench::{Bench, Fate, Kill, rules};
use crate::{
    domain::runs::{Event, Pass, Reason, RunState, StepState},
    engine::runs::cards,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Deploys for each of three pods, two steps for each, then in two branches.
pub(super) fn lanes() -> String {
    let deploy = |name: &str, version: &str| {
        format!(
            r#"{{ name: {name}, action: http, with: {{ method: POST, url: "http://service/deployments", body: {{ version: "{version}" }} }}, timeout: 1m,
              probe: {{ action: http, with: {{ url: "http://service/deployments", extract: {{ made: "response.json.deployments.filter(d, has(d.key) && d.key == step.key)" }} }},
                       settle: 10s, found: "size(output.made) > 0" }},
              undo: {{ action: http, with: {{ method: POST, url: "http://service/deployments", body: {{ version: "undo {version}" }} }} }} }}"#
        )
    };
    format!(
        r#"
name: lanes
mode: auto
trigger: {{ chat: {{}} }}
target: {{ service: checkout, environment: production }}
steps:
  - {{ name: which, action: set, with: {{ values: {{ pods: "['a', 'b', 'c']" }} }}, output: there }}
  - name: all pods
    for_each: there.pods
    as: pod
    concurrency: 2
    output: results
    steps:
      - {{ name: note it, action: set, with: {{ values: {{ seen: "pod" }} }}, output: noted }}
      - {}
      - {}
  - name: regions
    parallel:
      west: [{}]
      east: [{}]
  - {{ name: tell, action: announce, with: {{ text: "{{{{#each results}}}}{{{{ key }}}}={{{{ outputs.noted.seen }}}} {{{{/each}}}}" }} }}
"#,
        deploy("first", "{{ pod }}1"),
        deploy("second", "{{ noted.seen }}2"),
        deploy("go west", "west"),
        deploy("go east", "east"),
    )
}

fn versions(bench: &Bench) -> Vec<String> {
    bench.world.service().effects.iter().map(|(_, version)| version.clone()).collect()
}

/// Killed at any effect, before or after it, each happens once, and each lane goes on from where it was.
#[tokio::test]
async fn lanes_survive_a_kill_at_any_effect() {
    for kind in [Kill::BeforeActing, Kill::BeforeWriting] {
        for number in 0.. {
            let mut bench = Bench::new(rules(&[&lanes()])).await;
            bench.says("ana", "/runbook run lanes").await.unwrap();
            let killed = bench.work_until(Some((kind, number))).await;
            let mut bench = bench.restart().await;
            bench.pass(MINUTE).await;
            bench.stands(RunState::Done, None).await;
            let mut done = versions(&bench);
            done.sort();
            assert_eq!(done, ["a1", "a2", "b1", "b2", "c1", "c2", "east", "west"], "{kind:?} {number}");
            if killed.is_none() {
                assert_eq!(number, 8);
                break;
            }
        }
    }
}

/// Two items are worked on at the same time and no third, and what follows waits for all.
#[tokio::test]
async fn no_more_lanes_are_at_work_than_are_allowed() {
    let mut bench = Bench::new(rules(&[&lanes()])).await;
    bench.says("ana", "/runbook run lanes").await.unwrap();
    bench.work_until(Some((Kill::BeforeActing, 0))).await;
    let open = |journal: &crate::domain::runs::Journal| -> Vec<String> {
        journal.0.iter().filter(|record| record.is_open()).map(|record| record.key.path.clone()).collect()
    };
    assert_eq!(open(&bench.journal(1).await), ["2[a].2", "2[b].2"]);
    let card = cards::of_run(&bench.run(1).await, &bench.journal(1).await, bench.trial.engine.now());
    let shown = format!("{card:?}");
    assert!(shown.contains("3 items, 2 steps done, 2 at work") && shown.contains("2[b].2. "), "{shown}");
    let mut bench = bench.restart().await;
    bench.pass(MINUTE).await;
    bench.stands(RunState::Done, None).await;
    let journal = bench.journal(1).await;
    let began = |path: &str| journal.of(path, Pass::Do).next().unwrap().seq;
    assert!(began("2[c].2") > began("2[a].3").min(began("2[b].3")), "the third waits for a place");
    assert!(began("3.west.1") > began("2[c].3"));
}

/// When one lane fails nothing is begun in the others, what is in flight ends, and Undo goes back over all that happened.
#[tokio::test]
async fn a_failure_in_one_lane_holds_all_and_undo_goes_back_in_reverse() {
    let mut bench = Bench::new(rules(&[&lanes()])).await;
    bench.world.service().fates.push_back(Fate::Refused(422));
    bench.says("ana", "/runbook run lanes").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    assert_eq!(versions(&bench), ["b1"], "what was in flight is watched to its end, and nothing follows");
    bench.says("ana", "/run retry RUN-1").await.unwrap();
    bench.world.service().fates.extend([Fate::Refused(422)]);
    bench.work().await;
    bench.stands(RunState::Held, Some(Reason::StepFailed)).await;
    let done = versions(&bench);
    bench.says("ana", "/runbook answer RUN-1 undo").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Undone, None).await;
    let all = versions(&bench);
    let undone: Vec<&str> = all[done.len()..].iter().filter_map(|version| version.strip_prefix("undo ")).collect();
    let journal = bench.journal(1).await;
    let mut began: Vec<_> = journal.0.iter().filter(|it| it.key.pass == Pass::Undo).collect();
    began.sort_by_key(|record| record.seq);
    let order: Vec<i64> = began
        .iter()
        .map(|undo| journal.of(&undo.key.path, Pass::Do).rfind(|it| it.state == StepState::Done).unwrap().seq)
        .collect();
    assert!(order.windows(2).all(|pair| pair[0] > pair[1]), "{order:?}");
    let mut reversed = done.clone();
    reversed.sort();
    let mut sorted = undone.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, reversed, "each is taken back, once, from what was captured for its item");
}

/// A list that cannot be read stops the run; one without items is done at once.
#[tokio::test]
async fn a_list_is_frozen_when_its_step_begins() {
    let none = lanes().replace("['a', 'b', 'c']", "[]");
    let mut bench = Bench::new(rules(&[&none])).await;
    bench.says("ana", "/runbook run lanes").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["west", "east"]);
    let text = lanes().replace("['a', 'b', 'c']", "'abc'");
    let mut bench = Bench::new(rules(&[&text])).await;
    bench.says("ana", "/runbook run lanes").await.unwrap();
    bench.work().await;
    let run = bench.run(1).await;
    assert_eq!((run.state, run.reason), (RunState::Failed, Some(Reason::NoValue)));
}

/// What the steps of a list give is read by what follows, item by item, and the timeline names the items.
#[tokio::test]
async fn the_results_of_a_list_are_read_after_it() {
    let mut bench = Bench::new(rules(&[&lanes()])).await;
    bench.alert("Errors", true).await;
    bench.says("ana", "/runbook run lanes incident:INC-1").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    let journal = bench.journal(1).await;
    assert_eq!(journal.last("4", Pass::Do).unwrap().with["text"], "a=a b=b c=c ");
    let events = bench.events().await;
    let named = events.iter().any(|event| matches!(event, Event::StepDone { name, .. } if name == "first (b)"));
    let begun =
        events.iter().any(|event| matches!(event, Event::LanesBegun { lanes, .. } if lanes == &["a", "b", "c"]));
    assert!(named && begun, "{events:#?}");
}

/// A question in one lane does not keep the others; while one is asked another's wait ends.
#[tokio::test]
async fn a_question_in_one_lane_does_not_keep_the_others() {
    let text = r#"
name: asks
mode: auto
trigger: { chat: {} }
target: { service: checkout, environment: production }
steps:
  - name: both
    parallel:
      ask:
        - { name: may it, action: ask, with: { question: "May it?", by: ["role:on-call"], expires: 10m } }
        - { name: answered, action: http, with: { method: POST, url: "http://service/deployments", body: { version: answered } }, timeout: 1m, repeat: safe }
      wait:
        - { name: a while, action: wait, with: { for: 1m } }
        - { name: waited, action: http, with: { method: POST, url: "http://service/deployments", body: { version: waited } }, timeout: 1m, repeat: safe }
"#;
    let mut bench = Bench::new(rules(&[text])).await;
    bench.says("ana", "/runbook run asks").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Approval, None).await;
    bench.pass(2 * MINUTE).await;
    assert_eq!(versions(&bench), ["waited"]);
    bench.stands(RunState::Approval, None).await;
    bench.says("bo", "/runbook answer APR-1 choose choice:yes").await.unwrap();
    bench.work().await;
    bench.stands(RunState::Done, None).await;
    assert_eq!(versions(&bench), ["waited", "answered"]);
}
