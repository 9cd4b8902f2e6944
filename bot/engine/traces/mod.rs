//! Shows in a trace viewer what became of an alert, up to the last effect. Off unless a collector is configured.
//!
//! Spans are made from what is committed, by a worker of its own: whoever decides or acts only leaves a note in a bounded
//! queue, and waits for nothing. Where the queue is full, or the collector does not take them, spans are dropped and
//! counted. Without a collector there is no queue, no note and no wrapper: every place asks [`Engine::traces`] first.

mod outside;
mod project;
pub mod work;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

pub use self::outside::around;
use super::{Engine, Input, Rules, decide::Occurrence, runs};
use crate::{
    domain::{
        alerts::Batch,
        ids::{IncidentId, RunId},
        runs::StepKey,
        time::Time,
        timeline::EntryRef,
        traces::{Kind, Remote, Span, SpanId, Subject, Trace},
    },
    store::{self, Store},
};

/// How many decisions may wait to be made into spans.
const DECISIONS: usize = 256;
/// How many spans may wait to be sent.
const SPANS: usize = 8_192;

/// Where spans are noted. Cloning it is cheap.
#[derive(Clone)]
pub struct Traces {
    instance: Arc<str>,
    decisions: mpsc::Sender<Decided>,
    spans: mpsc::Sender<Span>,
}

/// What was noted and is not sent yet.
pub struct Backlog {
    decisions: mpsc::Receiver<Decided>,
    spans: mpsc::Receiver<Span>,
    /// When the process before this one could write last.
    heard: Option<Time>,
}

/// When a delivery came in, and from which span of its sender.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When its head was there.
    pub at: Time,
    /// What its `traceparent` names.
    pub from: Option<Remote>,
}

/// The entries that a decision wrote, in its last run.
#[derive(Debug, Default)]
pub struct Told(Mutex<Vec<EntryRef>>);

impl Told {
    /// Forgets an earlier run of the decision.
    pub(super) fn anew(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes an entry.
    pub(super) fn add(&self, entry: EntryRef) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    fn take(&self) -> Vec<EntryRef> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A decision that was committed.
#[derive(Clone)]
struct Decided {
    /// What was decided on, in few words.
    what: String,
    begun: Time,
    done: Time,
    told: Vec<EntryRef>,
    /// The attempt that it heard the end of.
    ended: Option<(RunId, StepKey)>,
    deliveries: Vec<(Arc<Batch>, Arrival)>,
    rules: Arc<Rules>,
    /// Whether it was decided by an earlier process, which may have told of it.
    is_recalled: bool,
}

/// A decision that is followed until it is committed, as far as it is known before.
#[derive(Clone)]
pub(super) struct Followed {
    decided: Decided,
    told: Arc<Told>,
}

impl Traces {
    /// Where spans about this store are noted, and what takes them from there. To be called before anything is written.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of(store: &Store) -> store::Result<(Self, Backlog)> {
        let mut reader = store.read().await?;
        let instance = store::runs::instance(&mut reader).await?.into();
        // Where another process leads, it is there to tell of what it wrote.
        let heard = if store.lead().is_ours() { store::last_heard(&mut reader).await? } else { None };
        let (decisions, decided) = mpsc::channel(DECISIONS);
        let (spans, noted) = mpsc::channel(SPANS);
        Ok((Self { instance, decisions, spans }, Backlog { decisions: decided, spans: noted, heard }))
    }

    /// The identity of the store.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The trace of this subject.
    pub fn trace(&self, subject: Subject) -> Trace {
        Trace::of(&self.instance, subject)
    }

    /// Notes a span.
    pub fn note(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            dropped(1, "queue_full");
        }
    }

    /// Notes that the chat took a message by now, or refused it.
    pub(super) fn delivered(&self, delivery: Delivery, is_taken: bool, now: Time) {
        let Some(incident) = delivery.incident else { return };
        let trace = self.trace(Subject::Incident(incident));
        let parent = delivery.run.map_or(trace.root, |run| trace.run(run));
        let id = trace.span(&["delivery", delivery.kind, &delivery.name]);
        let span = Span::new(trace.id, id, format!("deliver {}", delivery.kind), (delivery.since, now)).under(parent);
        let span = span.with("firewarden.message", delivery.name).with("firewarden.channel", delivery.channel);
        self.note(span.kind(Kind::Producer).failed(!is_taken));
    }

    /// What is noted of an occurrence once it is decided on.
    pub(super) fn follow(occurrence: &mut Occurrence, arrivals: Vec<Option<Arrival>>) -> Followed {
        let input = &occurrence.input;
        let deliveries = match input {
            Input::Alerts(batches) => {
                let arrived = batches.iter().zip(arrivals);
                arrived.filter_map(|(batch, arrival)| Some((Arc::clone(batch), arrival?))).collect()
            }
            Input::Opened
            | Input::Started { .. }
            | Input::DeafSince(_)
            | Input::Command(..)
            | Input::Edited(_)
            | Input::Due(_)
            | Input::Run(_)
            | Input::Silences(_)
            | Input::Deployment(_) => Vec::new(),
        };
        let (what, ended) = (named(input), ended(input));
        let (begun, rules) = (occurrence.now, Arc::clone(&occurrence.rules));
        let (done, told) = (begun, Vec::new());
        let decided = Decided { what, begun, done, told, ended, deliveries, rules, is_recalled: false };
        let told = Arc::new(Told::default());
        occurrence.told = Some(Arc::clone(&told));
        Followed { decided, told }
    }

    /// Notes what came of a decision that was committed by this time.
    pub(super) fn decided(&self, followed: Followed, done: Time) {
        let decided = Decided { done, told: followed.told.take(), ..followed.decided };
        if decided.told.is_empty() && decided.ended.is_none() {
            return;
        }
        if let Err(full) = self.decisions.try_send(decided) {
            dropped(full.into_inner().told.len().max(1), "queue_full");
        }
    }

    /// Makes an effect of a step: what it asks of others stands under the step's span, and tells them of it.
    pub(super) async fn within<T>(
        &self,
        engine: &Engine,
        (run, key): (RunId, &StepKey),
        acting: impl Future<Output = T>,
    ) -> T {
        let incident = async { store::runs::incident_of(&mut engine.read().await?, run).await };
        // What cannot be read now is no reason not to act.
        let incident = incident.await.unwrap_or_default();
        let trace = self.trace(Subject::of_run(run, incident));
        outside::within(trace, step(&trace, run, key), acting).await
    }
}

/// A message on its way to the chat.
pub(super) struct Delivery {
    /// `post`, `page` or `card`.
    pub(super) kind: &'static str,
    /// Its name in the outbox, with its revision if it has some.
    pub(super) name: String,
    /// The channel's name in the configuration.
    pub(super) channel: String,
    /// The incident that it belongs to.
    pub(super) incident: Option<IncidentId>,
    /// The run that it is about, if it is a run's card.
    pub(super) run: Option<RunId>,
    /// Since when it is committed.
    pub(super) since: Time,
}

fn step(trace: &Trace, run: RunId, key: &StepKey) -> SpanId {
    trace.span(&[&run.to_string(), &key.to_string()])
}

/// Counts spans that nobody will see.
fn dropped(count: usize, why: &'static str) {
    metrics::counter!("firewarden_traces_dropped_total", "why" => why).increment(count as u64);
}

fn named(input: &Input) -> String {
    match input {
        Input::Opened | Input::Started { .. } => "start".to_owned(),
        Input::DeafSince(_) => "after a deafness".to_owned(),
        Input::Alerts(_) => "alerts".to_owned(),
        Input::Command(command, _) => format!("/{}", command.path.join(" ")),
        Input::Edited(_) => "edit".to_owned(),
        Input::Due(due) => format!("timer {}", due.kind),
        Input::Run(_) => "run".to_owned(),
        Input::Silences(_) => "silence".to_owned(),
        Input::Deployment(_) => "deployment".to_owned(),
    }
}

fn ended(input: &Input) -> Option<(RunId, StepKey)> {
    match input {
        Input::Run(runs::Input::Step(step)) => step.outcome.as_ref().map(|(key, _)| (step.run, key.clone())),
        Input::Run(
            runs::Input::Orphan
            | runs::Input::Claim { .. }
            | runs::Input::Renew { .. }
            | runs::Input::LetGo { .. }
            | runs::Input::Leave { .. }
            | runs::Input::Webhook(_),
        )
        | Input::Opened
        | Input::Started { .. }
        | Input::DeafSince(_)
        | Input::Alerts(_)
        | Input::Command(..)
        | Input::Edited(_)
        | Input::Due(_)
        | Input::Silences(_)
        | Input::Deployment(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::runs::Pass, engine::trial::Trial};

    /// Nobody takes anything from the queues: whoever decides does not notice.
    #[tokio::test]
    async fn a_full_queue_holds_nobody_up() {
        let trial = Trial::new(Rules::default()).await;
        let (traces, mut backlog) = Traces::of(trial.engine.store()).await.unwrap();
        let (store, clock) = (trial.engine.store().clone(), Arc::clone(trial.engine.clock()));
        let engine = Engine::seen(store, clock, Rules::default(), Some(traces.clone()));
        for _ in 0..=DECISIONS {
            let outcome = Some((StepKey::new("1", Pass::Do, 1), runs::Outcome::Halted));
            let (run, owner) = (RunId(1), "nobody".to_owned());
            let step = runs::Step { run, epoch: 1, owner, outcome, is_halt_file_there: false, in_hand: None };
            engine.submit(Input::Run(runs::Input::Step(step))).await.unwrap();
        }
        assert_eq!(backlog.decisions.len(), DECISIONS);
        let trace = traces.trace(Subject::Run(RunId(1)));
        for number in 0..=SPANS {
            let id = trace.span(&[&number.to_string()]);
            traces.note(Span::new(trace.id, id, "a span", (engine.now(), engine.now())));
        }
        let mut noted = Vec::new();
        assert_eq!(backlog.spans.recv_many(&mut noted, 2 * SPANS).await, SPANS);
    }
}
