//! What starts runbooks beside people and single alerts.

use std::{collections::BTreeSet, time::Duration};

use super::bench::{Bench, rules};
use crate::{
    domain::{
        runs::{Event, Reason, RunState},
        timeline::Chain,
    },
    engine::{
        self,
        rules::Scope,
        runs::{Answer, Input, Started, Webhook},
    },
};

const MINUTE: Duration = Duration::from_mins(1);

/// A runbook that changes nothing, started by this.
fn small(name: &str, trigger: &str) -> String {
    format!(
        r#"
name: {name}
mode: auto
trigger: {trigger}
inputs: {{ service: {{ type: service, label: service, default: checkout }} }}
target: {{ service: "{{{{ service }}}}", environment: production }}
steps:
  - {{ name: tell, action: announce, with: {{ text: "{name} of {{{{ service }}}}" }} }}
"#
    )
}

/// How many times a reason was given for not starting something, in an incident's timeline or the system's.
async fn refusals(bench: &Bench, chain: Chain, reason: Reason) -> usize {
    let entries = bench.entries(chain).await;
    let events = entries.iter().filter_map(crate::domain::timeline::Entry::event::<Event>);
    events.filter(|event| matches!(event, Event::RunRefused { reason: given, .. } if *given == reason)).count()
}

const FIRST: Chain = Chain::Incident(crate::domain::ids::IncidentId(1));

/// One instance is nothing; three in ten minutes are, and the ones before are told.
#[tokio::test]
async fn alerts_that_fire_often_start_it() {
    let trigger = "{ alert: { match: ['alertname=~\"Errors.*\"'], after: { count: 3, within: 10m } } }";
    let mut bench = Bench::new(rules(&[&small("often", trigger)])).await;
    for (turn, name) in ["Errors1", "Errors2", "Errors3", "Errors4"].into_iter().enumerate() {
        bench.alert(name, true).await;
        bench.work().await;
        assert_eq!(bench.runs().await.len(), usize::from(turn == 3), "{name}");
        // Between the first and the second is more than the window.
        bench.pass(if turn == 0 { 11 * MINUTE } else { 4 * MINUTE }).await;
    }
    assert_eq!(refusals(&bench, FIRST, Reason::TooFew).await, 3);
}

/// What is over by then needs nobody; what goes on starts it.
#[tokio::test]
async fn an_alert_has_to_go_on_firing() {
    let text = small("later", "{ alert: { match: ['alertname=\"Errors\"'], delay: 2m } }");
    for goes_on in [true, false] {
        let mut bench = Bench::new(rules(&[&text])).await;
        bench.alert("Errors", true).await;
        bench.work().await;
        assert_eq!((bench.runs().await.len(), refusals(&bench, FIRST, Reason::Delayed).await), (0, 1));
        bench.pass(MINUTE).await;
        if !goes_on {
            bench.alert("Errors", false).await;
        }
        let mut bench = bench.restart().await;
        bench.pass(2 * MINUTE).await;
        assert_eq!(bench.runs().await.len(), usize::from(goes_on));
        assert_eq!(refusals(&bench, FIRST, Reason::StillFiring).await, usize::from(!goes_on));
    }
}

/// An incident that gets worse, or that somebody moves on, starts what belongs to that, once.
#[tokio::test]
async fn an_incident_starts_what_it_reaches() {
    let worse = small("worse", "{ incident: { severity: SEV1 } }");
    let moved = small("moved", "{ incident: { phase: mitigating } }");
    let mut bench = Bench::new(rules(&[&worse, &moved])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    let names = async |bench: &Bench| -> Vec<String> {
        bench.runs().await.into_iter().rev().map(|run| run.plan.name.clone()).collect()
    };
    assert_eq!(names(&bench).await, Vec::<String>::new());
    bench.says("chief", "/incident severity incident:INC-1 severity:SEV1").await.unwrap();
    bench.work().await;
    bench.says("chief", "/incident severity incident:INC-1 severity:SEV2").await.unwrap();
    bench.says("chief", "/incident severity incident:INC-1 severity:SEV1").await.unwrap();
    bench.work().await;
    assert_eq!(names(&bench).await, ["worse"], "once");
    for phase in ["mitigating", "investigating", "mitigating"] {
        bench.pass(MINUTE).await;
        bench.says("chief", &format!("/incident phase incident:INC-1 phase:{phase}")).await.unwrap();
        bench.work().await;
    }
    assert_eq!(names(&bench).await, ["worse", "moved", "moved"], "each time that it is reached");
    assert!(bench.runs().await.iter().all(|run| run.incident.is_some()));
}

/// The clock starts a runbook once for each of its times, over restarts; what was missed is run late or left out, and told.
#[tokio::test]
async fn the_clock_starts_it_once_for_each_time() {
    let trigger =
        |missed: &str| format!("{{ schedule: {{ cron: '*/10 * * * *', zone: Europe/Berlin, missed: {missed} }} }}");
    let late = small("late", &trigger("run"));
    let left = small("left", &trigger("skip")).replace("service: checkout", "service: other");
    let mut bench = Bench::new(rules(&[&late, &left])).await;
    bench.trial.engine.submit(engine::Input::Started { leads: true }).await.unwrap();
    let count = async |bench: &Bench, name: &str| bench.runs().await.iter().filter(|run| run.plan.name == name).count();
    bench.pass(10 * MINUTE).await;
    assert_eq!((count(&bench, "late").await, count(&bench, "left").await), (1, 1));
    // Down for three times, and started twice.
    bench.trial.clock.pass(35 * MINUTE);
    let bench = bench.restart().await;
    bench.trial.engine.submit(engine::Input::Started { leads: true }).await.unwrap();
    let mut bench = bench.restart().await;
    bench.trial.engine.submit(engine::Input::Started { leads: true }).await.unwrap();
    bench.work().await;
    assert_eq!((count(&bench, "late").await, count(&bench, "left").await), (2, 1));
    assert_eq!(refusals(&bench, Chain::System, Reason::Missed).await, 2);
    bench.pass(10 * MINUTE).await;
    assert_eq!((count(&bench, "late").await, count(&bench, "left").await), (3, 2));
}

/// The end of one run starts the next, and a circle is broken and told.
#[tokio::test]
async fn the_end_of_a_run_starts_another() {
    let first = small("first", "{ chat: {}, run: { runbook: second, ended: done } }");
    let second = small("second", "{ run: { runbook: first, ended: done } }");
    let never = small("never", "{ run: { runbook: first, ended: failed } }");
    let mut bench = Bench::new(rules(&[&first, &second, &never])).await;
    bench.says("ana", "/runbook run first").await.unwrap();
    bench.work().await;
    let runs = bench.runs().await;
    let names: Vec<&str> = runs.iter().rev().map(|run| run.plan.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(runs.iter().all(|run| run.state == RunState::Done));
    assert_eq!(refusals(&bench, Chain::System, Reason::Circular).await, 1);
}

/// What the end of a run starts is about the alert that started the run, as it is by then.
#[tokio::test]
async fn what_the_end_of_a_run_starts_heeds_its_alert() {
    let first = small("first", "{ alert: { match: ['alertname=\"Errors\"'] } }");
    let guards = "guards:\n  still_firing: { until: first_mutation }\n";
    let second = small("second", "{ run: { runbook: first, ended: done } }") + guards;
    let mut bench = Bench::new(rules(&[&first, &second])).await;
    bench.alert("Errors", true).await;
    bench.work().await;
    let runs = bench.runs().await;
    let stand: Vec<_> = runs.iter().rev().map(|run| (run.plan.name.as_str(), run.state)).collect();
    assert_eq!(stand, [("first", RunState::Done), ("second", RunState::Done)]);
}

/// A source starts only what its configuration names, and one delivery is one run.
#[tokio::test]
async fn a_source_starts_only_what_names_it() {
    let mut rules = rules(&[&small("asked", "{ webhook: {} }"), &small("closed", "{ chat: {} }")]);
    let named: BTreeSet<String> = ["asked".to_owned(), "closed".to_owned()].into();
    rules.scopes.insert("deployer".to_owned(), Scope { runbooks: Some(named), ..Scope::default() });
    rules.scopes.insert("anything".to_owned(), Scope::default());
    let mut bench = Bench::new(rules).await;
    let ask = async |bench: &Bench, source: &str, runbook: &str| {
        let webhook = Webhook {
            source: source.to_owned(),
            runbook: runbook.to_owned(),
            inputs: [("service".to_owned(), "cart".to_owned())].into(),
            key: Some("delivery-1".to_owned()),
        };
        let Answer::Started(started) = bench.submit(Input::Webhook(webhook)).await else { panic!("it is answered") };
        started
    };
    assert!(matches!(ask(&bench, "deployer", "asked").await, Some(Started::New(_))));
    bench.work().await;
    assert!(matches!(ask(&bench, "deployer", "asked").await, Some(Started::Attached(_))), "the same delivery");
    for (source, runbook) in [("deployer", "closed"), ("anything", "asked"), ("unknown", "asked"), ("deployer", "gone")]
    {
        assert_eq!(ask(&bench, source, runbook).await, None, "{source} {runbook}");
    }
    let runs = bench.runs().await;
    assert_eq!((runs.len(), runs[0].target.service.as_str()), (1, "cart"));
}
