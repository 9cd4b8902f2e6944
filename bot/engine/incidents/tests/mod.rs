//! A bot to try incidents on: over a real file, with a clock that is moved by hand.

mod alerts;
mod people;

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{
        alerts::{Batch, Labels, Says, Signal},
        ids::IncidentId,
        incidents::{Event, Grouping, Incident, Milestone, Phase, Role},
        people::{Actor, Capability, PersonId},
        routes::Route,
        severity::Severity,
        time::Time,
        timeline::{Chain, Entry, verify},
    },
    engine::{
        Context, Input, Rules, View,
        chat::{Card, Line, Message, Subject},
        features,
        trial::Trial,
    },
    store,
};

const MINUTE: Duration = Duration::from_mins(1);

fn rules() -> Rules {
    let file: toml::Table = toml::from_str(
        r#"
        [[route]]
        name = "shop"
        match = ['team="shop"']
        service = { label = "service" }
        environment = "production"
        severity = { label = "severity", default = "SEV2" }
        channel = "shop"
        page = ["role:on-call"]
        group_by = []
        "#,
    )
    .unwrap();
    let mut rules = Rules {
        routes: file["route"].clone().try_into().unwrap(),
        default_route: Route::fallback(),
        default_channel: "ops".to_owned(),
        ..Rules::default()
    };
    for (person, role) in [("ada", "on-call"), ("grace", "on-call"), ("guest", "reader")] {
        rules.people.known.insert(PersonId(person.to_owned()), [role.to_owned()].into());
    }
    rules.people.roles.insert("on-call".to_owned(), Capability::Operate);
    rules.people.roles.insert("reader".to_owned(), Capability::View);
    rules
}

/// A bot with alerts, people and a clock.
struct World(Trial);

impl World {
    async fn new() -> Self {
        Self(Trial::new(rules()).await)
    }

    fn now(&self) -> Time {
        self.0.engine.now()
    }

    /// One delivery about these alerts of the shop; each is a name and a severity.
    async fn send(&self, alerts: &[(&str, &str)], says: Says, truncated: u64) {
        let now = self.now();
        let signals = alerts.iter().map(|(name, severity)| Signal {
            source: "prometheus".to_owned(),
            labels: Labels::from_iter([
                ("alertname", *name),
                ("severity", *severity),
                ("service", "checkout"),
                ("team", "shop"),
            ]),
            annotations: [("summary".to_owned(), format!("{name} is high"))].into(),
            says,
            starts_at: Some(now - MINUTE),
            generator_url: None,
        });
        let batch = Batch { source: "prometheus".to_owned(), signals: signals.collect(), truncated, source_key: None };
        self.0.engine.submit(Input::Alerts(vec![Arc::new(batch)])).await.unwrap();
    }

    async fn fires(&self, name: &str) {
        self.send(&[(name, "SEV2")], Says::Firing { ends_at: None }, 0).await;
    }

    async fn clears(&self, name: &str) {
        self.send(&[(name, "SEV2")], Says::Resolved { at: Some(self.now()) }, 0).await;
    }

    /// Lets time pass and fires every timer that is due then.
    async fn pass(&self, length: Duration) {
        let until = self.now() + length;
        loop {
            let mut reader = self.0.engine.read().await.unwrap();
            let next = store::timers::earliest(&mut reader).await.unwrap().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.0.clock.pass(next.since(self.now()));
            let due = store::timers::due(&mut reader, self.now(), 10).await.unwrap();
            drop(reader);
            for due in due {
                self.0.engine.submit(Input::Due(due)).await.unwrap();
            }
        }
        self.0.clock.pass(until.since(self.now()));
    }

    async fn count_runs(&self, change: i64) {
        let count = CountRuns { change, now: self.now(), rules: self.0.engine.rules() };
        self.0.engine.store().decide(count).await.unwrap();
    }

    async fn says(&self, person: &str, line: &str) -> String {
        match self.0.says(person, line).await {
            Ok(reply) => plain(&reply.message),
            Err(refusal) => refusal.to_string(),
        }
    }

    async fn incident(&self, id: i64) -> Incident {
        let mut reader = self.0.engine.read().await.unwrap();
        store::incidents::by_id(&mut reader, IncidentId(id)).await.unwrap().unwrap()
    }

    async fn phase(&self, id: i64) -> Phase {
        self.incident(id).await.phase
    }

    async fn how_many(&self) -> usize {
        let mut reader = self.0.engine.read().await.unwrap();
        let filter = store::incidents::Filter { with_over: true, ..Default::default() };
        store::incidents::list(&mut reader, filter, 1000).await.unwrap().len()
    }

    async fn entries(&self, id: i64) -> Vec<Entry> {
        let mut reader = self.0.engine.read().await.unwrap();
        store::timeline::entries(&mut reader, Chain::Incident(IncidentId(id))).await.unwrap()
    }

    async fn events(&self, id: i64) -> Vec<Event> {
        self.entries(id).await.iter().filter_map(Entry::event).collect()
    }

    async fn card(&self, id: i64) -> Card {
        let rules = self.0.engine.rules();
        let mut reader = self.0.engine.read().await.unwrap();
        let mut view = View { reader: &mut reader, now: self.now(), rules: &rules };
        features::card(&mut view, &Subject::Incident(IncidentId(id))).await.unwrap().unwrap()
    }

    /// Every message so far: whether it is a page, and what it says.
    async fn posts(&self) -> Vec<(bool, String)> {
        let mut reader = self.0.engine.read().await.unwrap();
        let posts = store::posts::newest(&mut reader, 1000).await.unwrap();
        posts.iter().map(|post| (post.is_page, plain(&serde_json::from_value(post.body.clone()).unwrap()))).collect()
    }
}

struct CountRuns {
    change: i64,
    now: Time,
    rules: Arc<Rules>,
}

impl store::Decision for CountRuns {
    type Answer = ();

    async fn decide(&self, tx: &mut store::Tx) -> store::Result<()> {
        let mut context = Context { tx, now: self.now, rules: &self.rules, told: None };
        super::decide::count_runs(&mut context, IncidentId(1), self.change).await.map(drop)
    }
}

fn plain(message: &Message) -> String {
    let title = message.card.iter().map(|card| card.title.plain());
    let whom = Some(message.notify.plain()).filter(|whom| !whom.is_empty()).map(|whom| format!("for {whom}"));
    message.lines.iter().map(Line::plain).chain(title).chain(whom).collect::<Vec<_>>().join("\n")
}

fn labels(card: &Card) -> Vec<&str> {
    card.controls.iter().flatten().map(|button| button.label.as_str()).collect()
}
