//! Made-up incidents on which the check tries templates: one with everything in it, and one in which nothing happened.

use std::time::Duration;

use serde_json::{Value, json};

use super::facts::{ActionItem, Facts, Post, Related};
use crate::domain::{
    deployments,
    ids::{AlertKey, ApprovalId, IncidentId, RunId},
    incidents::{Event, Grouping, Incident, Mark, Member, Milestone, Milestones, Origin, Phase, Role},
    people::{Actor, PersonId},
    runbooks::plan::Mode,
    runs::{self, Pass, Reason, RunState, StepKey},
    severity::Severity,
    time::Time,
    timeline::{Chain, Draft, Entry, EntryRef, chained},
};

/// Incidents that between them reach every part of the templates.
pub(super) fn all() -> [Facts; 2] {
    [release(), empty()]
}

/// An incident that a person declared and in which nothing else happened.
pub(super) fn empty() -> Facts {
    let mut log = Log::new(IncidentId(8));
    let title = "Something is slow".to_owned();
    let declared =
        Event::IncidentDeclared { title, severity: Severity::Sev3, service: None, environment: None, started: None };
    log.says(0, &person("ana"), &declared);
    log.facts(Incident { title: "Something is slow".to_owned(), ..incident(8) })
}

/// A bad release that a run rolled back, with whatever else can happen.
pub(super) fn release() -> Facts {
    let mut log = Log::new(IncidentId(7));
    let (source, ana, bo) = (Actor::Source("prometheus".to_owned()), person("ana"), person("bo"));
    let opened = Event::IncidentOpened {
        title: "Checkout answers with errors".to_owned(),
        severity: Severity::Sev2,
        service: Some("checkout".to_owned()),
        environment: Some("production".to_owned()),
        route: "checkout".to_owned(),
        reason: "matched".to_owned(),
        started: Some(at(-40)),
    };
    let opening = log.says(0, &source, &opened);
    log.says(0, &source, &fired(at(-40), false));
    log.says(0, &Actor::Bot, &Event::Paged { who: vec!["role:on-call".to_owned()], reason: "opened".to_owned() });
    log.says(1, &Actor::Bot, &Event::LinkedToEarlier { earlier: IncidentId(3) });
    rolls_back(&mut log, &ana);
    let verified = log.says(
        300,
        &run(),
        &Event::MilestoneSet {
            milestone: Milestone::Mitigated,
            value: at(240),
            from: None,
            replaced: None,
            confirmed: Some(at(300)),
        },
    );
    log.says(301, &run(), &ended(1, RunState::Done, Reason::Completed));
    let cleared = log.says(320, &source, &Event::AlertCleared { alert: alert(), at: at(310) });
    log.says(320, &Actor::Bot, &moved(Phase::Investigating, Phase::Monitoring, Some("alerts_cleared")));
    log.says(400, &bo, &Event::RoleTaken { role: Role::Lead, person: PersonId("bo".to_owned()), before: None });
    let merged = deployments::Event::ChangeNearby {
        change: deployments::ChangeKind::Merge,
        service: "checkout".to_owned(),
        environment: None,
        what: "#9 Faster carts".to_owned(),
        at: at(405),
        by: Some("ana".to_owned()),
        url: None,
        before_ms: None,
    };
    log.says(410, &Actor::Bot, &merged);
    log.says(420, &bo, &Event::Noted { text: "The new cache key was not in the load test".to_owned() });
    let item = "action: Put the cache key into the load test owner:bo due:2026-12-01";
    log.says(421, &bo, &Event::Noted { text: item.to_owned() });
    log.says(422, &bo, &Event::Noted { text: "action: Alert earlier".to_owned() });
    log.says(423, &bo, &Event::SeverityChanged { from: Severity::Sev2, to: Severity::Sev3, reason: None });
    log.says(1_500, &Actor::Bot, &moved(Phase::Monitoring, Phase::Resolved, Some("quiet")));
    let acknowledged = log.entries.iter().find(|entry| entry.draft.kind == "acknowledged");
    let acknowledged = acknowledged.map_or(opening, |entry| entry.reference);
    let mut milestones = Milestones::default();
    let mark = |second, by: &Actor, from| Mark::new(at(second), by.clone(), at(second), from);
    milestones.set(Milestone::Started, mark(-40, &source, opening).at_the_latest());
    milestones.set(Milestone::Detected, mark(0, &source, opening));
    milestones.set(Milestone::Declared, mark(0, &source, opening));
    milestones.set(Milestone::Acknowledged, mark(45, &ana, acknowledged));
    milestones.set(Milestone::Mitigated, mark(240, &run(), verified).confirmed(at(300)));
    milestones.set(Milestone::Resolved, mark(310, &source, cleared).confirmed(at(1_500)));
    let mut facts = log.facts(Incident {
        title: "Checkout answers with errors".to_owned(),
        severity: Severity::Sev3,
        peak_severity: Severity::Sev2,
        phase: Phase::Resolved,
        service: Some("checkout".to_owned()),
        environment: Some("production".to_owned()),
        origin: Origin::Alert,
        roles: [(Role::Lead, PersonId("bo".to_owned()))].into(),
        milestones,
        earlier: vec![IncidentId(3)],
        ..incident(7)
    });
    facts.posts = vec![post(1, true, Some(1)), post(2, false, Some(95))];
    facts.related = vec![Related {
        id: IncidentId(3),
        title: "Checkout answers slowly".to_owned(),
        phase: Phase::Closed,
        entries: 9,
        from: EntryRef { chain: Chain::Incident(IncidentId(3)), seq: 9 },
        items: vec![(
            ActionItem { what: "Add a canary".to_owned(), owner: Some("ana".to_owned()), due: None },
            EntryRef { chain: Chain::Incident(IncidentId(3)), seq: 8 },
        )],
    }];
    facts
}

fn rolls_back(log: &mut Log, ana: &Actor) {
    let key = |path: &str, attempt| StepKey::new(path, Pass::Do, attempt);
    let id = RunId(1);
    let target = "checkout in production".to_owned();
    let triggered = runs::Event::RunTriggered {
        run: id,
        runbook: "rollback-service".to_owned(),
        plan_hash: "5d41402abc4b2a76".to_owned(),
        target: target.clone(),
        mode: Mode::Ask,
        by_alert: Some("CheckoutErrorRate".to_owned()),
    };
    log.says(1, &Actor::Source("prometheus".to_owned()), &triggered);
    let refused = runs::Event::RunRefused {
        runbook: "scale-service".to_owned(),
        target,
        reason: Reason::TargetLocked,
        detail: String::new(),
    };
    log.says(1, &Actor::Bot, &refused);
    log.step(2, (&key("1", 1), "what is live", false), &json!({ "version": "v42", "since": "2026-11-23T03:05:00Z" }));
    log.step(3, (&key("2", 1), "what was good", false), &json!({ "version": "v41" }));
    let bound: std::collections::BTreeMap<String, Value> =
        [("live.version".to_owned(), json!("v42")), ("good.version".to_owned(), json!("v41"))].into();
    let asked = runs::Event::ApprovalAsked {
        run: id,
        approval: ApprovalId(1),
        question: "May it roll back?".to_owned(),
        by: vec!["role:on-call".to_owned()],
        count: 1,
        bound: bound.clone(),
        expires_at: at(900),
    };
    log.says(3, &run(), &asked);
    log.says(45, ana, &Event::Acknowledged {});
    log.says(50, ana, &runs::Event::ApprovalGiven { run: id, approval: ApprovalId(1), missing: 0, bound });
    let failed = runs::Event::StepFailed {
        run: id,
        step: key("3", 1),
        name: "roll back".to_owned(),
        changes: true,
        error: "connection refused".to_owned(),
        will_retry_at: Some(at(55)),
    };
    log.intends(51, (&key("3", 1), "roll back", true));
    log.says(52, &run(), &failed);
    log.step(55, (&key("3", 2), "roll back", true), &json!({ "id": 12, "version": "v41" }));
    log.says(
        60,
        &run(),
        &runs::Event::RunHeld {
            run: id,
            runbook: "rollback-service".to_owned(),
            reason: Reason::Halted,
            detail: String::new(),
            done: vec!["roll back".to_owned()],
        },
    );
    log.says(70, ana, &runs::Event::RunResumed { run: id, answer: "retry".to_owned(), step: None });
    log.step(240, (&key("4", 1), "errors are gone", false), &json!({ "errors": 0.001, "traffic": 31.5 }));
}

/// A log that is being written.
struct Log {
    id: IncidentId,
    entries: Vec<Entry>,
}

impl Log {
    fn new(id: IncidentId) -> Self {
        Self { id, entries: Vec::new() }
    }

    fn says(&mut self, second: i64, actor: &Actor, event: &impl crate::domain::timeline::Event) -> EntryRef {
        let mut draft = Draft::new(actor.clone(), event);
        if matches!(actor, Actor::Source(_)) {
            draft = draft.source_at(at(second - 20));
        }
        let seq = i64::try_from(self.entries.len() + 1).unwrap_or(i64::MAX);
        let reference = EntryRef { chain: Chain::Incident(self.id), seq };
        let previous = self.entries.last().map_or(String::new(), |entry| entry.hash.clone());
        let hash = chained(&previous, reference, at(second), &draft);
        self.entries.push(Entry { reference, at: at(second), draft, hash });
        reference
    }

    fn intends(&mut self, second: i64, (step, name, changes): (&StepKey, &str, bool)) {
        let intended = runs::Event::StepIntended {
            run: RunId(1),
            step: step.clone(),
            name: name.to_owned(),
            action: "http".to_owned(),
            changes,
            with: Value::Null,
            before: Value::Null,
            effect: String::new(),
        };
        self.says(second, &run(), &intended);
    }

    fn step(&mut self, second: i64, of: (&StepKey, &str, bool), output: &Value) {
        self.intends(second, of);
        let (step, name, changes) = of;
        let done = runs::Event::StepDone {
            run: RunId(1),
            step: step.clone(),
            name: name.to_owned(),
            changes,
            output: output.clone(),
            took_ms: 900,
        };
        self.says(second + 1, &run(), &done);
    }

    fn facts(self, incident: Incident) -> Facts {
        Facts { incident, entries: self.entries, posts: Vec::new(), related: Vec::new() }
    }
}

/// So many seconds after 2026-11-23 03:10:00 UTC.
fn at(second: i64) -> Time {
    let start = Time::from_millis(1_795_403_400_000);
    let length = Duration::from_secs(second.unsigned_abs());
    if second < 0 { start - length } else { start + length }
}

fn run() -> Actor {
    Actor::Run(RunId(1))
}

fn person(name: &str) -> Actor {
    Actor::Person(PersonId(name.to_owned()))
}

fn alert() -> Member {
    Member {
        key: AlertKey("a1".to_owned()),
        name: "CheckoutErrorRate".to_owned(),
        labels: "{alertname=\"CheckoutErrorRate\", env=\"production\", service=\"checkout\"}".to_owned(),
        episode: 1,
        source: "prometheus".to_owned(),
    }
}

fn fired(starts_at: Time, is_again: bool) -> Event {
    Event::AlertFired {
        alert: alert(),
        severity: Severity::Sev2,
        grouping: Grouping::NewGroup,
        is_again,
        starts_at: Some(starts_at),
    }
}

fn moved(from: Phase, to: Phase, reason: Option<&str>) -> Event {
    Event::PhaseMoved { from, to, reason: reason.map(str::to_owned) }
}

fn ended(number: i64, state: RunState, reason: Reason) -> runs::Event {
    runs::Event::RunEnded {
        run: RunId(number),
        runbook: "rollback-service".to_owned(),
        target: "checkout in production".to_owned(),
        state,
        reason,
        detail: String::new(),
    }
}

fn post(id: i64, is_page: bool, after: Option<i64>) -> Post {
    Post {
        id,
        channel: "ops".to_owned(),
        is_page,
        words: "Checkout answers with errors".to_owned(),
        created_at: at(0),
        sent_at: after.map(at),
    }
}

fn incident(number: i64) -> Incident {
    Incident {
        id: IncidentId(number),
        title: String::new(),
        summary: String::new(),
        severity: Severity::Sev3,
        peak_severity: Severity::Sev3,
        phase: Phase::Triage,
        phase_since: at(0),
        prior_phase: None,
        service: None,
        environment: None,
        route: None,
        group: None,
        channel: "ops".to_owned(),
        runbooks: Vec::new(),
        pages: Vec::new(),
        origin: Origin::Person(PersonId("ana".to_owned())),
        opened_at: at(0),
        last_fired_at: None,
        truncated: 0,
        roles: [].into(),
        milestones: Milestones::default(),
        earlier: Vec::new(),
        merged_into: None,
        asked_at: None,
        open_runs: 0,
    }
}
