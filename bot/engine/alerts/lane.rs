//! The lane before the store: deliveries that wait together are decided together, and each is answered by itself.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};

use super::Receipt;
use crate::{
    domain::alerts::Batch,
    engine::{Answer, Engine, Input},
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
    batch: Batch,
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
    pub(in crate::engine) async fn receive(&self, batch: Batch) -> Result<Receipt> {
        let stopping = || Fault::new(FaultKind::Stopping, "");
        let (sender, receipt) = oneshot::channel();
        self.queue.send(Waiting { batch, sender }).await.map_err(|_| stopping())?;
        receipt.await.map_err(|_| stopping())?
    }
}

async fn take(engine: Weak<Engine>, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, QUEUE).await > 0 {
        let Some(engine) = engine.upgrade() else { return };
        while !waiting.is_empty() {
            let together: Vec<Waiting> = waiting.drain(..fitting(&waiting)).collect();
            let (batches, senders): (Vec<_>, Vec<_>) = together.into_iter().map(|one| (one.batch, one.sender)).unzip();
            decide(&engine, batches, senders).await;
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

async fn decide(engine: &Arc<Engine>, batches: Vec<Batch>, senders: Vec<oneshot::Sender<Result<Receipt>>>) {
    let answer = engine.submit(Input::Alerts(batches)).await;
    let fault = match answer {
        Ok(Answer::Received(receipts)) => {
            for (sender, receipt) in senders.into_iter().zip(receipts) {
                // A sender that went away sends again; what it said is durable all the same.
                drop(sender.send(Ok(receipt)));
            }
            return;
        }
        Ok(Answer::Reply(_) | Answer::Run(_) | Answer::Done) => Fault::defect("alerts were not answered with receipts"),
        Err(fault) => fault,
    };
    for sender in senders {
        drop(sender.send(Err(fault.clone())));
    }
}
