//! Decides what happens and makes it happen.
//!
//! Everything from outside arrives as an [`Input`] and is decided in one transaction that carries the change, its
//! timeline entries and the work it causes. Workers claim that work and reach the world through [`ports`]. In each
//! feature `decide.rs` has a transaction and no ports, and `work.rs` has ports and no transaction.

pub mod alerts;
pub mod chat;
pub mod cluster;
pub mod context;
pub mod decide;
pub mod deployments;
pub mod features;
pub mod freezes;
pub mod incidents;
pub mod locks;
pub mod operations;
pub mod ports;
pub mod refusal;
pub mod retention;
pub mod reviews;
pub mod rules;
pub mod runs;
pub mod signs;
pub mod silences;
pub mod standby;
pub mod timers;
pub mod traces;
#[cfg(test)]
pub(crate) mod trial;

use std::sync::{Arc, PoisonError, RwLock, Weak};

use self::{
    alerts::{Receipt, lane::Lane},
    chat::{Call, Command, Does, Reply, START},
    decide::Occurrence,
    ports::Clock,
    traces::{Arrival, Followed, Traces},
};
pub use self::{
    context::{Context, View},
    decide::{Answer, Input},
    refusal::{Refusal, Stop},
    rules::Rules,
    signs::Signs,
};
use crate::{
    domain::{alerts::Batch, time::Time},
    store::{Reader, Store},
};

/// The bot without its connections to the world: the store, the clock and the rules in force.
pub struct Engine {
    store: Store,
    clock: Arc<dyn Clock>,
    rules: RwLock<Arc<Rules>>,
    signs: Signs,
    traces: Option<Traces>,
    lane: Lane,
}

impl Engine {
    /// An engine over this store that decides by these rules. To be called inside a tokio runtime.
    pub fn new(store: Store, clock: Arc<dyn Clock>, rules: Rules) -> Arc<Self> {
        Self::seen(store, clock, rules, None)
    }

    /// The same, whose work is shown in traces if there is somebody to look at them.
    pub fn seen(store: Store, clock: Arc<dyn Clock>, rules: Rules, traces: Option<Traces>) -> Arc<Self> {
        let signs = Signs::default();
        let rules = Rules { signs: signs.clone(), ..rules };
        Arc::new_cyclic(|engine| Self {
            store,
            clock,
            rules: RwLock::new(Arc::new(rules)),
            signs,
            traces,
            lane: Lane::to(Weak::clone(engine)),
        })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clock by which everything is decided.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the bot is, as far as the store cannot tell.
    pub fn signs(&self) -> &Signs {
        &self.signs
    }

    /// Where spans are noted, if anybody looks at traces.
    pub fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// Puts other rules in force, for every decision from then on.
    pub fn adopt(&self, rules: Rules) {
        let rules = Rules { signs: self.signs.clone(), ..rules };
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Decides on an input; the answer means that the decision is durable.
    pub async fn submit(&self, input: Input) -> crate::store::Result<Answer> {
        self.submit_from(input, Vec::new()).await
    }

    /// The same for deliveries of alerts, each with when it came in if that is to be shown.
    async fn submit_from(&self, input: Input, arrivals: Vec<Option<Arrival>>) -> crate::store::Result<Answer> {
        let (occurrence, followed) = self.occurrence(input, arrivals);
        let answer = self.store.decide(occurrence).await?;
        self.note(followed);
        Ok(answer)
    }

    /// An input as it is decided on at this moment, with what is to be noted of it.
    fn occurrence(&self, input: Input, arrivals: Vec<Option<Arrival>>) -> (Occurrence, Option<Followed>) {
        let mut occurrence = Occurrence { input, now: self.now(), rules: self.rules(), told: None };
        let followed = self.traces.is_some().then(|| Traces::follow(&mut occurrence, arrivals));
        (occurrence, followed)
    }

    /// Notes a decision that was committed, if anybody looks at traces.
    fn note(&self, followed: Option<Followed>) {
        if let (Some(traces), Some(followed)) = (&self.traces, followed) {
            traces.decided(followed, self.now());
        }
    }

    /// Takes what a source says of alerts; the receipt means that it is durable.
    pub async fn receive(&self, batch: Batch) -> crate::store::Result<Receipt> {
        self.receive_from(batch, None).await
    }

    /// The same, with when and from where it came in, if that is to be shown.
    pub async fn receive_from(&self, batch: Batch, arrival: Option<Arrival>) -> crate::store::Result<Receipt> {
        self.lane.receive(batch, arrival).await
    }

    /// Reads one consistent state.
    pub async fn read(&self) -> crate::store::Result<Reader> {
        self.store.read().await
    }

    /// Runs a command for somebody. The outer error is a fault of the store, the inner one what the person is told.
    ///
    /// A command that only reads does not wait for the writer and works while nothing can be written.
    pub async fn command(&self, command: &'static Command, call: Call) -> crate::store::Result<Result<Reply, Refusal>> {
        if let Err(refusal) = command.permits(&call.caller, &self.rules()) {
            return Ok(Err(refusal));
        }
        let look = match command.does {
            Does::Reads(look) => Some(look),
            Does::Offers(look, _) => Some(look).filter(|_| call.args.text(START).is_none()),
            Does::Acts(_) => None,
        };
        if let Some(look) = look {
            let rules = self.rules();
            let mut reader = self.read().await?;
            let mut view = View { reader: &mut reader, now: self.now(), rules: &rules };
            return Stop::sort(look(&mut view, &call).await);
        }
        match self.submit(Input::Command(command, call)).await? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Received(_) | Answer::Run(_) | Answer::Silences(_) | Answer::Deployment(_) | Answer::Done => {
                Err(crate::store::Fault::defect("a command was not replied to"))
            }
        }
    }
}
