//! The lane before the store: deliveries that wait together are decided together, and each is answered by itself.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};

use super::Receipt;
use crate::{
    domain::alerts::Batch,
    engine::{Answer, Engine, Input, traces::Arrival},
    store::{Fault, FaultKind, Result},
};

/// How many deliveries may wait; more senders wait for a place.
const QUEUE: usize = 1_024;
/// How many alerts are decided on together; a single delivery may hold more.
const TOGETHER: usize = 2_000;

/// The way in for alerts.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Lane {
    queue: mpsc::Sender<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    arrival: Option<Arrival>,
    sender: oneshot::Sender<Result<Receipt>>,
}

impl Lane {
    /// A lane that leads to this engine, as long as the engine lives.
    pub(in crate::engine) fn to(engine: Weak<Engine>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(take(engine, waiting));
        Self { queue }
    }

    /// Takes a delivery; the receipt means that it is durable.
    pub(in crate::engine) async fn receive(&self, batch: Batch, arrival: Option<Arrival>) -> Result<Receipt> {
        let stopping = || Fault::new(FaultKind::Stopping, "");
        let (sender, receipt) = oneshot::channel();
        self.queue.send(Waiting { batch: Arc::new(batch), arrival, sender }).await.map_err(|_| stopping())?;
        receipt.await.map_err(|_| stopping())?
    }
}

async fn take(engine: Weak<Engine>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, QUEUE).await > 0 {
        let Some(engine) = engine.upgrade() else { return };
        while !waiting.is_empty() {
            let together: Vec<Waiting> = waiting.drain(..fitting(&waiting)).collect();
            decide(&engine, together).await;
        }
    }
}

/// How many of the first deliveries are decided on together.
fn fitting(waiting: &[Waiting]) -> usize {
    let mut alerts = 0;
    let fit = waiting.iter().take_while(|one| {
        alerts += one.batch.signals.len();
        alerts <= TOGETHER
    });
    fit.count().max(1)
}

/// Decides on deliveries together; on each alone if one of them cannot be decided on.
async fn decide(engine: &Engine, waiting: Vec<Waiting>) {
    let batches = waiting.iter().map(|one| Arc::clone(&one.batch)).collect();
    let arrivals = arrivals(engine, &waiting);
    match submit(engine, batches, arrivals).await {
        Err(fault) if fault.kind == FaultKind::Defect && waiting.len() > 1 => {
            for Waiting { batch, arrival, sender } in waiting {
                let receipt =
                    submit(engine, vec![batch], vec![arrival]).await.map(|receipts| receipts.first().copied());
                answer(sender, receipt);
            }
        }
        Err(fault) => {
            for one in waiting {
                answer(one.sender, Err(fault.clone()));
            }
        }
        Ok(receipts) => {
            let mut receipts = receipts.into_iter();
            for one in waiting {
                answer(one.sender, Ok(receipts.next()));
            }
        }
    }
}

/// Answers a sender. One that went away sends again; what it said is durable all the same.
fn answer(sender: oneshot::Sender<Result<Receipt>>, receipt: Result<Option<Receipt>>) {
    let missing = || Fault::defect("a delivery was not answered with a receipt");
    drop(sender.send(receipt.and_then(|receipt| receipt.ok_or_else(missing))));
}

/// When each came in; nothing if nobody looks at it.
fn arrivals(engine: &Engine, waiting: &[Waiting]) -> Vec<Option<Arrival>> {
    if engine.traces().is_some() { waiting.iter().map(|one| one.arrival).collect() } else { Vec::new() }
}

async fn submit(engine: &Engine, batches: Vec<Arc<Batch>>, arrivals: Vec<Option<Arrival>>) -> Result<Vec<Receipt>> {
    match engine.submit_from(Input::Alerts(batches), arrivals).await? {
        Answer::Received(receipts) => Ok(receipts),
        Answer::Reply(_) | Answer::Run(_) | Answer::Silences(_) | Answer::Deployment(_) | Answer::Done => {
            Ok(Vec::new())
        }
    }
}
