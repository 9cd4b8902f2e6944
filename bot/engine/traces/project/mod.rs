//! Makes spans of what a decision committed. The journal is read for the times of attempts and questions.
//!
//! A long thing, an incident or a run, begins with a short span that everything else stands under, for a span that waited
//! for the end would be missing from the trace just while people look at it; another one tells the whole length at the end.

mod incidents;
mod runs;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Arrival, Decided, step};
use crate::{
    domain::{
        alerts::Batch,
        ids::RunId,
        incidents::Member,
        runs::Event,
        time::Time,
        timeline::{Chain, Entry},
        traces::{Happening, Kind, Remote, Span, SpanId, Subject, Trace, Value},
    },
    store::{self, Reader, timeline},
};

/// How many entries of one decision are looked at in each timeline.
const MOST: i64 = 1_000;
/// How many of them a span names; OpenTelemetry's usual limit.
const NAMED: usize = 128;
/// How many alerts of a delivery are named.
const ALERTS: usize = 8;

/// The spans of a decision.
pub(super) async fn spans(reader: &mut Reader, instance: &str, decided: &Decided) -> store::Result<Vec<Span>> {
    let mut spans = Vec::new();
    for (subject, entries) in subjects(reader, decided).await? {
        let trace = Trace::of(instance, subject);
        let mut scene = Scene { instance, trace, subject, decided, entries: &entries, links: Vec::new(), spans };
        scene.tell_incident(reader).await?;
        let runs = scene.tell_runs(reader).await?;
        if !decided.is_recalled && !entries.is_empty() {
            scene.tell_decision(&runs);
        }
        spans = scene.spans;
    }
    Ok(spans)
}

/// What the decision is about, with its entries.
async fn subjects(reader: &mut Reader, decided: &Decided) -> store::Result<BTreeMap<Subject, Vec<Entry>>> {
    let mut ranges: BTreeMap<Chain, (i64, i64)> = BTreeMap::new();
    for entry in &decided.told {
        let range = ranges.entry(entry.chain).or_insert((entry.seq, entry.seq));
        *range = (range.0.min(entry.seq), range.1.max(entry.seq));
    }
    let mut subjects: BTreeMap<Subject, Vec<Entry>> = BTreeMap::new();
    for (chain, range) in ranges {
        for entry in timeline::range(reader, chain, range, MOST).await? {
            let subject = match chain {
                Chain::Incident(incident) => Some(Subject::Incident(incident)),
                Chain::System => entry.event::<Event>().and_then(|event| event.run()).map(Subject::Run),
            };
            if let Some(subject) = subject {
                subjects.entry(subject).or_default().push(entry);
            }
        }
    }
    if let Some((run, _)) = &decided.ended {
        let incident = store::runs::incident_of(reader, *run).await?;
        subjects.entry(Subject::of_run(*run, incident)).or_default();
    }
    Ok(subjects)
}

/// What entries about an alert have in common.
#[derive(Deserialize)]
struct OfAlert {
    alert: Member,
}

/// A decision as far as one trace shows it.
struct Scene<'a> {
    instance: &'a str,
    trace: Trace,
    subject: Subject,
    decided: &'a Decided,
    entries: &'a [Entry],
    /// The other traces that it has to do with.
    links: Vec<Remote>,
    spans: Vec<Span>,
}

impl Scene<'_> {
    /// A span of this trace.
    fn span(&self, id: SpanId, name: impl Into<String>, times: (Time, Time)) -> Span {
        Span::new(self.trace.id, id, name, times).with("firewarden.subject", self.subject.to_string())
    }

    /// The deliveries that had a part in it, and the decision itself with what it wrote.
    fn tell_decision(&mut self, runs: &BTreeSet<RunId>) {
        let mut told = String::new();
        if let Some(first) = self.entries.first() {
            told = first.reference.to_string();
        }
        let mut parents = BTreeSet::new();
        for (number, (batch, arrival)) in self.decided.deliveries.iter().enumerate() {
            if let Some(span) = self.delivery(&format!("{told}/{number}"), batch, *arrival) {
                parents.insert(span.id);
                self.spans.push(span);
            }
        }
        let is_of_run = self.entries.iter().all(|entry| entry.event::<Event>().is_some());
        if let Some(run) = runs.first().filter(|_| is_of_run && runs.len() == 1) {
            parents.insert(self.trace.run(*run));
        }
        let parent = parents.first().copied().filter(|_| parents.len() == 1).unwrap_or(self.trace.root);
        let id = self.trace.span(&["decision", &told]);
        let mut span = self.span(id, "decide", (self.decided.begun, self.decided.done)).under(parent);
        span.links.append(&mut self.links);
        span.happenings.extend(self.entries.iter().take(NAMED).map(|entry| Happening {
            name: entry.draft.kind.clone(),
            at: entry.at,
            attributes: vec![
                ("firewarden.entry", entry.reference.to_string().into()),
                ("firewarden.actor", entry.draft.actor.to_string().into()),
            ],
        }));
        let entries = i64::try_from(self.entries.len()).unwrap_or(i64::MAX);
        self.spans.push(span.with("firewarden.input", self.decided.what.as_str()).with("firewarden.entries", entries));
    }

    /// A delivery, if what it says of alerts is told here.
    fn delivery(&self, name: &str, batch: &Batch, arrival: Arrival) -> Option<Span> {
        let replicas = &self.decided.rules.alerts.replica_labels;
        let keys: BTreeSet<_> = batch.signals.iter().map(|signal| replicas.key(&signal.labels)).collect();
        let alerts: Vec<Member> = self
            .entries
            .iter()
            .filter_map(|entry| serde_json::from_str::<OfAlert>(&entry.draft.body).ok())
            .map(|told| told.alert)
            .filter(|alert| keys.contains(&alert.key))
            .collect();
        if alerts.is_empty() {
            return None;
        }
        let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
        let names = names.into_iter().take(ALERTS).collect::<Vec<_>>().join(", ");
        let id = self.trace.span(&["intake", name]);
        let mut span = self.span(id, "intake", (arrival.at, self.decided.done)).under(self.trace.root);
        span.links.extend(arrival.from);
        let count = |count: usize| Value::Number(i64::try_from(count).unwrap_or(i64::MAX));
        Some(
            span.kind(Kind::Server)
                .with("firewarden.source", batch.source.as_str())
                .with("firewarden.alerts", names)
                .with("firewarden.alerts.told", count(alerts.len()))
                .with("firewarden.alerts.delivered", count(batch.signals.len())),
        )
    }
}
