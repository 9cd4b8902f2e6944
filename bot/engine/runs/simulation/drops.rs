//! The worker itself, with its tasks, dropped at whatever await it has come to, again and again.
//!
//! When it is dropped is real time, so a seed gives the same runbooks, faults and answers, and not the same moment.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Simulation,
    promises::Who,
    seeds::{asked, in_threads, usual},
};
use crate::engine::runs::work::work;

/// How many of these there are for each of the other simulations.
const SHARE: u64 = 4;
/// How long the last worker may take on the real clock.
const PATIENCE: Duration = Duration::from_mins(1);

impl Simulation {
    /// Lets the real worker drive everything for so long, while time passes and people answer. Says whether all is over.
    async fn drives(&mut self, length: Duration) -> bool {
        let (engine, stop) = (Arc::clone(&self.trial.engine), CancellationToken::new());
        let working = tokio::spawn(work(engine, Arc::clone(&self.ports), stop));
        let people = async {
            loop {
                // Whoever has something to do comes to it first.
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.timers().await;
                let around = self.around(Who::Other);
                self.observe(&around, false).await;
                self.people_clear_up().await;
                if self.at_work().is_empty() {
                    return;
                }
                self.trial.clock.pass(Duration::from_secs(2));
                self.target.arrive();
            }
        };
        let is_over = tokio::time::timeout(length, people).await.is_ok();
        working.abort();
        drop(working.await);
        is_over
    }

    async fn is_dropped_again_and_again(&mut self) {
        self.is_watched = false;
        let faults = self.faults;
        self.target.state().faults = Some((self.dice.clone(), faults));
        for _ in 0..self.dice.between(1, 3) {
            self.starts().await;
        }
        for _ in 0..self.dice.between(2, 6) {
            let length = self.dice.millis(1, 60);
            if self.drives(length).await {
                self.starts().await;
            }
            self.restart().await;
        }
        self.target.state().faults = None;
        assert!(self.drives(PATIENCE).await, "the runs do not come to their end");
        self.promises.at_the_end(&self.target.state());
        self.promises.replayed();
    }
}

/// What is in flight when a worker is gone stands in the journal, wherever it was: no change is lost or made twice.
#[test]
fn a_worker_that_is_dropped_anywhere_keeps_what_is_promised() {
    let count = asked("FIREWARDEN_SIMULATIONS").unwrap_or_else(usual).div_ceil(SHARE);
    let first = asked("FIREWARDEN_SEED").unwrap_or(1);
    in_threads((first, count), async |simulation| simulation.is_dropped_again_and_again().await);
}
