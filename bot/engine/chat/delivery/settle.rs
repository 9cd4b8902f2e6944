//! Writes down what became of each message, and keeps in mind what could not be written yet.
//!
//! A chat that took a message must not get it again because the store is full: only the writing is tried again.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::load::Row;
use crate::{
    domain::time::Time,
    engine::Engine,
    store::{self, Decision, Tx, cards, posts},
};

/// What became of a message, or of a thread.
#[derive(Debug, Clone)]
pub(super) enum Settled {
    PostSent(i64, String),
    PostExpired(i64),
    PostRefused(i64, String),
    CardShown(String, i64, String),
    NothingToShow(String, i64),
    CardGone(String),
    CardRefused(String, i64, String),
    Threaded(String, String),
    ThreadGone(String, String),
}

impl Settled {
    fn row(&self) -> Option<Row> {
        match self {
            Settled::PostSent(id, _) | Settled::PostExpired(id) | Settled::PostRefused(id, _) => Some(Row::Post(*id)),
            Settled::CardShown(subject, ..)
            | Settled::NothingToShow(subject, _)
            | Settled::CardGone(subject)
            | Settled::CardRefused(subject, ..) => Some(Row::Card(subject.clone())),
            Settled::Threaded(..) | Settled::ThreadGone(..) => None,
        }
    }
}

/// What could not be written yet, in its order.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Vec<Settled>>);

impl Ledger {
    fn open(&self) -> MutexGuard<'_, Vec<Settled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    /// Rows that are dealt with although the store does not say so yet.
    pub(super) fn rows(&self) -> HashSet<Row> {
        self.open().iter().filter_map(Settled::row).collect()
    }

    /// Writes what became of something, at once if that is possible.
    pub(super) async fn settle(&self, engine: &Engine, what: Settled) {
        if let Err(fault) = write(engine, what.clone()).await {
            let mut open = self.open();
            if open.is_empty() {
                tracing::error!(%fault, "what became of a message cannot be written; that is tried again");
            }
            open.push(what);
        }
    }

    /// Writes what could not be written before, up to the first fault.
    pub(super) async fn settle_all(&self, engine: &Engine) {
        loop {
            let Some(first) = self.open().first().cloned() else { return };
            if write(engine, first).await.is_err() {
                return;
            }
            self.open().remove(0);
        }
    }
}

async fn write(engine: &Engine, what: Settled) -> store::Result<()> {
    engine.store().decide(Settle { what, now: engine.now() }).await
}

struct Settle {
    what: Settled,
    now: Time,
}

impl Decision for Settle {
    type Answer = ();

    async fn decide(&self, tx: &mut Tx) -> store::Result<()> {
        match &self.what {
            Settled::PostSent(id, name) => posts::sent(tx, *id, name, self.now).await,
            Settled::PostExpired(id) => posts::expired(tx, *id).await,
            Settled::PostRefused(id, why) => posts::refused(tx, *id, why).await,
            Settled::CardShown(subject, revision, message) => cards::shown(tx, subject, *revision, message).await,
            Settled::NothingToShow(subject, revision) => cards::nothing(tx, subject, *revision).await,
            Settled::CardGone(subject) => cards::gone(tx, subject, self.now).await,
            Settled::CardRefused(subject, revision, why) => cards::refused(tx, subject, *revision, why).await,
            Settled::Threaded(subject, thread) => cards::threaded(tx, subject, thread).await,
            Settled::ThreadGone(subject, thread) => cards::thread_gone(tx, subject, thread).await,
        }
    }
}
