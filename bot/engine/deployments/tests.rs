//! What the ledger makes of what is reported, tried over a real file with a clock that is moved by hand.

use std::{path::Path, sync::Arc, time::Duration};

use super::Answer;
use crate::{
    domain::{
        alerts::{Batch, Labels, Says, Signal},
        catalog,
        deployments::{About, ChangeKind, Delivery, Fate, Ledger, Report, Seen, State},
        ids::{DeploymentId, IncidentId},
        people::{Capability, PersonId},
        routes::Route,
        time::Time,
        timeline::{Chain, verify},
    },
    engine::{self, Input, Rules, rules::Scope, trial::Trial},
    store::{self, deployments, timers},
};

const MINUTE: Duration = Duration::from_mins(1);
const CATALOG: &str =
    "services:\n  checkout:\n    repository: acme/checkout\n    environments: { production: , staging: }\n";

/// A bot with a catalog, and ana, who is on call.
struct World(Trial);

impl World {
    async fn new() -> Self {
        let catalog = catalog::read(Path::new("services.yaml"), CATALOG.as_bytes(), |_| Ok(())).unwrap();
        let mut rules = Rules {
            default_route: Route::fallback(),
            default_channel: "ops".to_owned(),
            catalog: Arc::new(catalog),
            ..Rules::default()
        };
        rules.people.known.insert(PersonId("ana".to_owned()), ["on-call".to_owned()].into());
        rules.people.roles.insert("on-call".to_owned(), Capability::Operate);
        rules.scopes.insert("theirs".to_owned(), Scope { services: Some(["other".to_owned()].into()), runbooks: None });
        Self(Trial::new(rules).await)
    }

    fn now(&self) -> Time {
        self.0.engine.now()
    }

    async fn delivers(&self, source: &str, key: Option<&str>, report: Option<Report>) -> Answer {
        let delivery = Delivery { source: source.to_owned(), source_key: key.map(str::to_owned), report };
        let answer = self.0.engine.submit(Input::Deployment(delivery)).await.unwrap();
        let engine::Answer::Deployment(answer) = answer else { panic!("{answer:?}") };
        answer
    }

    /// GitHub says how far its deployment of this number came.
    async fn github(&self, id: u32, sha: &str, state: State) -> Answer {
        self.delivers("github", None, Some(Report::Deployment(Box::new(seen(id, sha, state))))).await
    }

    async fn ledger(&self) -> Ledger {
        let mut reader = self.0.engine.read().await.unwrap();
        deployments::ledger(&mut reader, "checkout", "production").await.unwrap()
    }

    async fn fires(&self, name: &str) {
        let signal = Signal {
            source: "prom".to_owned(),
            labels: Labels::from_iter([("alertname", name), ("service", "checkout"), ("environment", "production")]),
            annotations: std::collections::BTreeMap::new(),
            says: Says::Firing { ends_at: None },
            starts_at: Some(self.now()),
            generator_url: None,
        };
        let batch = Batch { source: "prom".to_owned(), signals: vec![signal], truncated: 0, source_key: None };
        self.0.engine.submit(Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
    }

    /// Fires what is due.
    async fn due(&self) {
        let mut reader = self.0.engine.read().await.unwrap();
        for due in timers::due(&mut reader, self.now(), 100).await.unwrap() {
            self.0.engine.submit(Input::Due(due)).await.unwrap();
        }
    }

    async fn log(&self, chain: Chain) -> Vec<String> {
        let mut reader = self.0.engine.read().await.unwrap();
        let entries = store::timeline::entries(&mut reader, chain).await.unwrap();
        verify(&entries).unwrap();
        entries.into_iter().map(|entry| entry.draft.text).collect()
    }

    async fn said(&self) -> String {
        let mut reader = self.0.engine.read().await.unwrap();
        let posts = store::posts::newest(&mut reader, 100).await.unwrap();
        posts.iter().map(|post| post.body.to_string()).collect()
    }
}

fn seen(id: u32, sha: &str, state: State) -> Seen {
    Seen {
        about: About::Repository { name: "acme/checkout".to_owned(), service: None },
        environment: "production".to_owned(),
        sha: sha.to_owned(),
        version: None,
        state,
        at: None,
        by: Some("ben".to_owned()),
        url: None,
        migration: Some(false),
        external: Some(format!("github:acme/checkout:{id}")),
        key: None,
    }
}

fn taken() -> Answer {
    Answer::Taken(vec!["checkout".to_owned()])
}

#[tokio::test]
async fn a_deployment_is_one_row_however_often_and_late_it_is_reported() {
    let world = World::new().await;
    assert_eq!(world.github(1, "v41", State::Pending).await, taken());
    world.0.clock.pass(MINUTE);
    world.github(1, "v41", State::Succeeded).await;
    let log = world.log(Chain::System).await;
    assert_eq!(log.len(), 2, "{log:?}");
    for late in [State::Pending, State::Failed, State::Succeeded] {
        world.0.clock.pass(MINUTE);
        world.github(1, "v41", late).await;
    }
    assert_eq!(world.log(Chain::System).await, log, "nothing is told that is not news");
    let ledger = world.ledger().await;
    assert_eq!(ledger.deployments().len(), 1);
    let live = ledger.live().unwrap();
    assert_eq!((live.since(), live.by.as_deref()), (world.now() - 3 * MINUTE, Some("ben")));
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_answered_and_changes_nothing() {
    let world = World::new().await;
    let report = |state| Some(Report::Deployment(Box::new(Seen { external: None, ..seen(0, "v41", state) })));
    for _ in 0..2 {
        assert_eq!(world.delivers("ci", Some("delivery-1"), report(State::Pending)).await, taken());
    }
    assert_eq!(world.delivers("ci", Some("delivery-1"), None).await, taken(), "the first answer stands");
    assert_eq!(world.ledger().await.deployments().len(), 1);
    // Without names of its own a deployer is understood by what it says.
    world.delivers("ci", None, report(State::Pending)).await;
    world.delivers("ci", None, report(State::Succeeded)).await;
    world.delivers("ci", None, report(State::Succeeded)).await;
    assert_eq!(world.ledger().await.deployments().len(), 1);
    world.delivers("ci", None, report(State::Pending)).await;
    assert_eq!(world.ledger().await.deployments().len(), 2, "the same version is deployed again");
}

#[tokio::test]
async fn what_is_of_no_service_or_beyond_a_sources_scope_is_not_noted() {
    let world = World::new().await;
    let elsewhere = |environment: &str, name: &str| {
        let about = About::Repository { name: name.to_owned(), service: None };
        let environment = environment.to_owned();
        Some(Report::Deployment(Box::new(Seen { about, environment, ..seen(1, "v41", State::Succeeded) })))
    };
    for report in [elsewhere("production", "acme/other"), elsewhere("preview-7", "acme/checkout")] {
        assert_eq!(world.delivers("github", None, report).await, Answer::Ignored("not_in_catalog".to_owned()));
    }
    assert_eq!(world.delivers("github", None, None).await, Answer::Ignored("other_event".to_owned()));
    let theirs = world.delivers("theirs", None, elsewhere("production", "acme/checkout")).await;
    assert_eq!(theirs, Answer::OutOfScope("checkout".to_owned()));
    assert!(world.ledger().await.deployments().is_empty());
    assert!(world.log(Chain::System).await.is_empty());
}

#[tokio::test]
async fn an_incident_is_told_what_changed_before_and_what_changes_while_it_is_open() {
    let world = World::new().await;
    let merge = |number: u32| Report::Change {
        about: About::Repository { name: "acme/checkout".to_owned(), service: None },
        kind: ChangeKind::Merge,
        what: format!("#{number} faster"),
        at: None,
        by: Some("ben".to_owned()),
        url: None,
        external: format!("github:acme/checkout:pull:{number}"),
    };
    world.github(1, "v41", State::Succeeded).await;
    world.0.clock.pass(40 * MINUTE);
    world.delivers("github", None, Some(merge(7))).await;
    world.delivers("github", None, Some(merge(7))).await;
    world.0.clock.pass(90 * MINUTE);
    world.github(2, "v42", State::Succeeded).await;
    world.0.clock.pass(10 * MINUTE);
    world.fires("Errors").await;
    let log = world.log(Chain::Incident(IncidentId(1))).await;
    let near: Vec<&String> = log.iter().filter(|text| text.contains("near in time, not a cause")).collect();
    assert_eq!(near.len(), 3, "v41 is too long ago: {log:?}");
    assert!(near[0].starts_with("counted DEP-2 of `v42` as not good: `INC-1` opened"), "{near:?}");
    assert!(near[1].contains("a merge of `checkout` at"), "{near:?}");
    assert!(near[2].contains("`10 min 0 s` before it opened, by `ben`: `v42 succeeded`"), "{near:?}");
    assert_eq!(
        world.ledger().await.fate(world.ledger().await.live().unwrap(), world.now()),
        Fate::Incident(IncidentId(1))
    );

    world.0.clock.pass(MINUTE);
    world.github(3, "v41", State::Succeeded).await;
    let log = world.log(Chain::Incident(IncidentId(1))).await;
    assert!(log.last().unwrap().contains(": `v41 succeeded` (near in time, not a cause)"), "{log:?}");
    assert!(world.said().await.contains("near in time"), "people in its thread see it");
    let ledger = world.ledger().await;
    let left = ledger.deployments().iter().find(|deployment| deployment.sha == "v42").unwrap();
    assert_eq!(left.rolled_back_by, Some(DeploymentId(3)));
}

#[tokio::test]
async fn an_incident_that_somebody_declares_is_told_too_and_one_that_is_declined_counts_for_nothing() {
    let world = World::new().await;
    world.github(1, "v41", State::Succeeded).await;
    world.0.clock.pass(5 * MINUTE);
    world.0.says("ana", "/incident declare title:slow service:checkout environment:production").await.unwrap();
    world.due().await;
    let log = world.log(Chain::Incident(IncidentId(1))).await;
    assert!(log.iter().any(|text| text.contains("`v41 succeeded`")), "{log:?}");
    let fate = async || {
        let ledger = world.ledger().await;
        ledger.fate(ledger.live().unwrap(), world.now())
    };
    assert_eq!(fate().await, Fate::Incident(IncidentId(1)));
    world.0.says("ana", "/incident decline incident:INC-1 reason:nothing").await.unwrap();
    world.0.clock.pass(30 * MINUTE);
    assert_eq!(fate().await, Fate::Good);
    world.0.clock.pass(300 * MINUTE);
    world.fires("Errors").await;
    let log = world.log(Chain::Incident(IncidentId(2))).await;
    assert!(
        log.iter().any(|text| text == "found no change of `checkout` reported in the `2 h 0 min` before it opened"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_banned_version_that_somebody_deploys_is_told_once() {
    let world = World::new().await;
    world.github(1, "v41", State::Succeeded).await;
    let line = "service:checkout environment:production sha:v42 reason:\"it leaks\"";
    world.0.says("ana", &format!("/version ban {line}")).await.unwrap();
    assert!(world.0.says("ana", &format!("/version ban {line}")).await.is_err());
    world.github(2, "v42", State::Pending).await;
    world.github(2, "v42", State::Succeeded).await;
    let told = |log: &[String]| log.iter().filter(|text| text.contains("although it is banned (`it leaks`)")).count();
    assert_eq!(told(&world.log(Chain::System).await), 1);
    assert!(world.said().await.contains("although it is banned"));
    world.0.says("ana", &format!("/version unban {line}")).await.unwrap();
    world.github(3, "v42", State::Succeeded).await;
    assert_eq!(told(&world.log(Chain::System).await), 1);
    assert!(world.0.says("ana", &format!("/version unban {line}")).await.is_err());
}
