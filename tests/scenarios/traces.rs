//! Traces: one from the alert to the last effect, whatever happens to the bot and to the collector in between.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::world::{
    Config, Fault, Moment, Which, World, alert,
    collector::{Collector, Seen},
    config, http, until,
};

const MINUTE: Duration = Duration::from_mins(1);
/// The span of whoever sends the alert.
const SENDER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A world that a collector watches.
async fn watched(config: Config) -> (World, Collector) {
    let collector = Collector::start().await;
    let world = World::prepare_at_noon(config.with(&collector.config())).await;
    Collector::keep_secret(world.folder());
    world.bot.start().await;
    (world, collector)
}

/// The trace of the incident, as its card names it.
async fn linked(world: &World) -> String {
    let card = world.sees("/incident show incident:INC-1", "https://traces.example/trace/").await;
    let rest = card.split_once("https://traces.example/trace/").unwrap().1;
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// Who asks at night what the automation did, and when, sees it in one picture, although the bot was killed in the middle
/// of it: nothing that it remembers makes the picture, only what it wrote down.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_from_the_alert_to_the_last_effect_across_a_kill() {
    let (world, collector) = watched(Config::default()).await;
    world.service.checkout.release("v43", true);
    let body = world.alertmanager().body("firing", &[&alert("CheckoutErrorRate").service("checkout")]);
    let delivery = http().post(format!("{}/webhooks/alertmanager", world.url())).bearer_auth(config::SOURCE_TOKEN);
    let delivered = delivery.header("traceparent", SENDER).json(&body).send().await.unwrap();
    assert_eq!(delivered.status(), 202);
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    collector.sees("the read before the question", |span| span.name == "would it help").await;

    let bot = world.bot.clone();
    let strike = Fault::Strike(Arc::new(move || bot.kill()));
    world.service.plan(Which::Next("POST", "/deployments"), Moment::After, strike);
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    assert!(until(20, async || !world.bot.is_alive()).await, "the bot is killed by its own request");
    let before: BTreeSet<String> = collector.spans().into_iter().map(|span| span.id).collect();

    world.restart().await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    let trace = linked(&world).await;
    world.finish().await;

    let spans = collector.spans();
    let foreign: Vec<&Seen> = spans.iter().filter(|span| span.trace != trace).collect();
    assert!(foreign.is_empty(), "there is one trace, the one that the card links to: {foreign:#?}");
    let known: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let loose: Vec<&Seen> = spans.iter().filter(|span| !known.contains(span.parent.as_str())).collect();
    assert!(loose.len() == 1 && loose[0].name == "incident", "all hangs together:\n{}", collector.drawn());
    let one = |name: &str, attribute: &str, value: &str| {
        let mut found = spans.iter().filter(|span| span.name == name && span.is(attribute) == value);
        let missing = || panic!("`{name}` with {attribute}={value}:\n{}", collector.drawn());
        found.next().cloned().unwrap_or_else(missing)
    };
    let intake = one("intake", "firewarden.alerts", "CheckoutErrorRate");
    assert_eq!(intake.links, ["4bf92f3577b34da6a3ce929d0e0e4736"], "it comes from its sender's trace");
    let decided = one("decide", "firewarden.input", "alerts");
    assert!(decided.parent == intake.id && decided.happenings.contains(&"run_triggered".to_owned()), "{decided:?}");
    let run = one("run rollback-service", "firewarden.run", "RUN-1");
    let read = one("what is live", "firewarden.state", "done");
    let call = one("GET", "http.response.status_code", "200");
    assert!(read.parent == run.id && !call.is_failed, "{call:?}");
    assert!(one("question", "firewarden.answer", "approval_given").parent == run.id);

    // What the kill cut in two: begun by one process, ended by the other.
    let cut = one("roll back", "firewarden.state", "in_doubt");
    assert!(cut.is_failed && cut.parent == run.id && !before.contains(&cut.id), "{cut:?}");
    assert!(one("roll back", "firewarden.state", "found").start >= cut.end);
    assert!(one("roll back: settled", "firewarden.state", "done").parent == cut.id);
    assert!(one("errors are gone", "firewarden.state", "done").start >= cut.end);
    let ended = one("run rollback-service: ended", "firewarden.state", "done");
    assert!(ended.start <= cut.start && ended.end >= cut.end, "{ended:?}");
    for subject in ["INC-1 ", "RUN-1 "] {
        let is_shown = |span: &&Seen| span.name == "deliver card" && span.is("firewarden.message").starts_with(subject);
        assert!(spans.iter().filter(is_shown).any(|span| !before.contains(&span.id)), "the card of {subject}");
    }
}

/// What a runbook sets off elsewhere can be found from the incident, and the incident from there.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_calls_is_told_of_its_span() {
    let collector = Collector::start().await;
    let text = format!(
        "name: join\nmode: auto\ntrigger: {{ chat: {{}} }}\ntarget: {{ service: checkout, environment: production }}\n\
         steps:\n  - name: ask a neighbor\n    action: http\n    with: {{ method: POST, url: \"{}/join?key=s3cret\" }}\n    \
         timeout: 5s\n    repeat: safe\n  - name: ask a program\n    action: shell\n    with: {{ script: 'echo \
         \"$TRACEPARENT\"' }}\n    timeout: 5s\n    repeat: safe\n    output: said\n",
        collector.url()
    );
    let world = World::prepare_at_noon(Config::default().with(&collector.config()).runbook(text.leak())).await;
    Collector::keep_secret(world.folder());
    world.bot.start().await;
    world.does("ana", "/runbook run runbook:join").await;
    world.run_comes_to("RUN-1", "done", MINUTE).await;
    let world = world.finish().await;

    let neighbor = collector.sees("the call of the neighbor", |span| span.name == "POST").await;
    assert_eq!(collector.joined(), [format!("00-{}-{}-01", neighbor.trace, neighbor.id)]);
    let program = collector.sees("the program", |span| span.name == "program").await;
    let (_, journal) = world.run(1).await;
    let said = journal.0.iter().find_map(|record| record.output["stdout"].as_str());
    assert_eq!(said, Some(format!("00-{}-{}-01", program.trace, program.id).as_str()));
    assert_eq!(neighbor.trace, program.trace, "a run without an incident is a trace by itself");
    let top = collector.sees("on top", |span| span.parent.is_empty()).await;
    assert_eq!(top.name, "run join");
    assert!(!collector.drawn().contains("s3cret"), "{}", collector.drawn());
}

/// Whoever runs a collector need not fear for the bot: it counts what it could not send, and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_holds_nothing_up() {
    let (world, collector) = watched(Config::default()).await;
    collector.is_down(true);
    world.service.checkout.release("v43", true);
    world.alertmanager().fires(&alert("CheckoutErrorRate").service("checkout")).await;
    world.run_comes_to("RUN-1", "waiting for people", MINUTE).await;
    world.does("ben", "/runbook answer question:APR-1 answer:approve").await;
    world.run_comes_to("RUN-1", "done", 5 * MINUTE).await;
    let dropped = async || {
        let metrics = http().get(format!("{}/metrics", world.url())).send().await.unwrap().text().await.unwrap();
        metrics.contains("firewarden_traces_dropped_total{why=\"collector\"}")
    };
    assert!(until(20, dropped).await, "what was not sent is counted");
    assert!(collector.spans().is_empty());

    collector.is_down(false);
    world.does("ana", "/incident note incident:INC-1 text:later").await;
    collector.sees("told once the collector is back", |span| span.happenings.contains(&"noted".to_owned())).await;
    let is_told = async || world.bot.log().contains("the collector of traces takes spans again");
    assert!(until(20, is_told).await, "{}", world.bot.log());
    world.finish().await;
}
