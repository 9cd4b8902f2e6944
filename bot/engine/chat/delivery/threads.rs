//! The thread of an incident: opened under its card, and done without where that does not work.
//!
//! A thread is a convenience. What belongs in it waits a little for it, then stands in the channel; opening it is tried
//! again by itself and holds up nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Lane, load::Row, settle::Settled};
use crate::{
    domain::{ids::IncidentId, time::Time},
    engine::{chat::Subject, ports::Undelivered},
    store::{self, cards, cards::Shown},
};

/// How long what belongs in a thread waits for it.
const PATIENCE: Duration = Duration::from_mins(1);
/// Tried again after this long when the chat could not be reached.
const SOON: Duration = Duration::from_secs(5);
/// Tried again after this long when the chat forbids it, or has lost the thread.
const LATE: Duration = Duration::from_mins(10);

/// Where something stands that belongs in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stands {
    /// In this thread.
    In(String),
    /// In the channel.
    InChannel,
    /// Nowhere yet: the thread will be there soon.
    NotYet,
}

/// Threads that could not be opened, and who waits for them.
#[derive(Default)]
pub(super) struct Threads(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the subject of the card under which it belongs.
    closed: HashMap<String, Closed>,
    /// Since when a row waits for its thread.
    waiting: HashMap<Row, Time>,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    until: Time,
    is_soon: bool,
}

impl Threads {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When threads are tried to be opened again.
    pub(super) fn tried_again(&self) -> Vec<Time> {
        self.known().closed.values().map(|closed| closed.until).collect()
    }

    fn close(&self, subject: &str, until: Time, is_soon: bool) {
        self.known().closed.insert(subject.to_owned(), Closed { until, is_soon });
    }

    /// Whether the row has waited for its thread as long as it should; counted from the first time it is asked.
    fn is_patient(&self, row: &Row, now: Time) -> bool {
        let mut known = self.known();
        let since = *known.waiting.entry(row.clone()).or_insert(now);
        now.since(since) < PATIENCE
    }

    /// The row has been dealt with.
    pub(super) fn forget(&self, row: &Row) {
        self.known().waiting.remove(row);
    }
}

impl Lane {
    /// Where a row stands that belongs in the thread of an incident.
    pub(super) async fn stands(&self, row: &Row, incident: IncidentId) -> store::Result<Stands> {
        let mut reader = self.engine.read().await?;
        let card = cards::about(&mut reader, &Subject::Incident(incident).to_string()).await?;
        drop(reader);
        let Some(card) = card else { return Ok(Stands::InChannel) };
        let stands = match self.thread_under(&card).await {
            Stands::NotYet if !self.threads.is_patient(row, self.engine.now()) => Stands::InChannel,
            stands @ (Stands::In(_) | Stands::InChannel | Stands::NotYet) => stands,
        };
        Ok(stands)
    }

    /// The thread under an incident's card, opened if it is not open.
    pub(super) async fn thread_under(&self, card: &Shown) -> Stands {
        if let Some(thread) = &card.thread {
            return Stands::In(thread.clone());
        }
        let Some(message) = &card.message else {
            return if card.wanted > card.shown { Stands::NotYet } else { Stands::InChannel };
        };
        let now = self.engine.now();
        let closed = self.threads.known().closed.get(&card.subject).copied();
        if let Some(closed) = closed.filter(|closed| closed.until > now) {
            return if closed.is_soon { Stands::NotYet } else { Stands::InChannel };
        }
        let (pause, why) = match self.chat.open_thread(message, &card.subject).await {
            Ok(thread) => {
                self.threads.known().closed.remove(&card.subject);
                self.ledger.settle(&self.engine, Settled::Threaded(card.subject.clone(), thread.clone())).await;
                return Stands::In(thread);
            }
            Err(Undelivered::Wait(pause)) => {
                self.threads.close(&card.subject, now + pause, true);
                return Stands::NotYet;
            }
            Err(Undelivered::Unreachable(_)) => {
                self.threads.close(&card.subject, now + SOON, true);
                return Stands::NotYet;
            }
            Err(Undelivered::Forbidden(why) | Undelivered::Refused(why)) => (LATE, why),
            Err(Undelivered::Gone) => (LATE, "the message is gone".to_owned()),
        };
        tracing::warn!(subject = card.subject, why, "no thread can be opened; its messages go into the channel");
        self.threads.close(&card.subject, now + pause, false);
        Stands::InChannel
    }

    /// The chat has lost a thread: what belongs in it stands in the channel for a while, then a new one is tried.
    pub(super) async fn thread_is_gone(&self, incident: IncidentId, thread: &str) {
        let subject = Subject::Incident(incident).to_string();
        tracing::warn!(subject, "the thread is gone; its messages go into the channel");
        self.threads.close(&subject, self.engine.now() + LATE, false);
        self.ledger.settle(&self.engine, Settled::ThreadGone(subject, thread.to_owned())).await;
    }

    /// Tries once more to open the threads that could not be opened before.
    pub(super) async fn open_threads(&self, now: Time) -> store::Result<()> {
        let due: Vec<String> = {
            let mut known = self.threads.known();
            known.waiting.retain(|_, since| now.since(*since) < PATIENCE * 10);
            let due = known.closed.iter().filter(|(_, closed)| closed.until <= now);
            due.map(|(subject, _)| subject.clone()).collect()
        };
        for subject in due {
            let mut reader = self.engine.read().await?;
            let card = cards::about(&mut reader, &subject).await?;
            drop(reader);
            match card.filter(|card| card.thread.is_none() && card.message.is_some()) {
                Some(card) => drop(self.thread_under(&card).await),
                None => drop(self.threads.known().closed.remove(&subject)),
            }
        }
        Ok(())
    }
}
