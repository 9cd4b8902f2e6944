//! Delivers what decisions wanted said: every post once and in order, every card at its newest revision.
//!
//! A row is marked after the chat took its message; a crash in between sends it again with the same nonce. Pages have a
//! lane of their own, so nothing slow stands in their way. While the chat is down, it is tried with one message at a
//! time, ever more seldom, and nothing is dropped but what has expired.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Message, Subject};
use crate::{
    domain::time::Time,
    engine::{
        Engine, View, features,
        ports::{Chat, Place, Undelivered},
    },
    store::{
        self, Decision, Tx, Wake,
        cards::{self, Shown},
        posts::{self, Post},
    },
};

/// How many cards are looked at together.
const CARDS: i64 = 50;
/// Looked at again after this long even if nothing woke it.
const AT_LEAST: Duration = Duration::from_secs(30);
/// The first and the longest pause after the chat could not be reached.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Delivers one lane until it is told to stop.
pub async fn work(engine: Arc<Engine>, chat: Arc<dyn Chat>, is_page: bool, stop: CancellationToken) {
    let mut lane = Lane { engine, chat, is_page, paused: HashMap::new(), failures: 0 };
    while !stop.is_cancelled() {
        let engine = Arc::clone(&lane.engine);
        let woken = engine.store().woken(if is_page { Wake::Pages } else { Wake::Delivery });
        let passed = tokio::select! {
            passed = lane.pass() => passed,
            () = stop.cancelled() => return,
        };
        let until = passed.unwrap_or_else(|fault| {
            tracing::error!(%fault, "the outbox cannot be worked on");
            engine.now() + PAUSES.0
        });
        tokio::select! {
            () = engine.clock().sleep_until(until) => {}
            () = woken => {}
            () = stop.cancelled() => {}
        }
    }
}

struct Lane {
    engine: Arc<Engine>,
    chat: Arc<dyn Chat>,
    is_page: bool,
    /// Channels that asked to wait, or all of them under the empty name, and until when.
    paused: HashMap<String, Time>,
    /// How often in a row the chat could not be reached.
    failures: u32,
}

/// What is to be delivered to one channel, in its order.
#[derive(Default)]
struct Load {
    cards: Vec<Shown>,
    post: Option<Post>,
}

impl Lane {
    /// Delivers what can be delivered and says when to look again.
    async fn pass(&mut self) -> store::Result<Time> {
        loop {
            let now = self.engine.now();
            self.paused.retain(|_, until| *until > now);
            let loads = self.loads().await?;
            if loads.is_empty() {
                return Ok(self.earliest(now));
            }
            let lane: &Lane = self;
            let outcomes = join_all(loads.iter().map(|(channel, load)| lane.deliver(channel, load))).await;
            let mut moved = false;
            for ((channel, _), outcome) in loads.iter().zip(outcomes) {
                moved |= self.note(channel, outcome?, now);
            }
            if !moved {
                return Ok(self.earliest(now));
            }
        }
    }

    async fn loads(&self) -> store::Result<HashMap<String, Load>> {
        let mut loads: HashMap<String, Load> = HashMap::new();
        if self.paused.contains_key("") {
            return Ok(loads);
        }
        let mut reader = self.engine.read().await?;
        for card in cards::next(&mut reader, self.is_page, CARDS).await? {
            loads.entry(card.channel.clone()).or_default().cards.push(card);
        }
        for post in posts::next(&mut reader, self.is_page).await? {
            let channel = post.channel.clone();
            loads.entry(channel).or_default().post = Some(post);
        }
        loads.retain(|channel, _| !self.paused.contains_key(channel));
        if self.failures > 0 {
            // One message finds out whether the chat is back; the rest waits for it.
            let first = loads.into_iter().next();
            loads = first.into_iter().map(|(channel, load)| (channel, load.first())).collect();
        }
        Ok(loads)
    }

    /// When something may be tried again that cannot be tried at `now`.
    fn earliest(&self, now: Time) -> Time {
        let paused = self.paused.values().copied().min();
        paused.map_or(now + AT_LEAST, |until| until.min(now + AT_LEAST))
    }

    /// Delivers a channel's load up to the first trouble; says whether anything was settled, and the trouble.
    async fn deliver(&self, channel: &str, load: &Load) -> store::Result<(bool, Option<Undelivered>)> {
        let mut settled = false;
        for card in &load.cards {
            match self.show(card).await? {
                Ok(()) => settled = true,
                Err(trouble) => return Ok((settled, Some(trouble))),
            }
        }
        if let Some(post) = &load.post {
            match self.say(channel, post).await? {
                Ok(said) => settled |= said,
                Err(trouble) => return Ok((settled, Some(trouble))),
            }
        }
        Ok((settled, None))
    }

    /// Remembers how it went with a channel; says whether to look again at once.
    fn note(&mut self, channel: &str, (settled, trouble): (bool, Option<Undelivered>), now: Time) -> bool {
        match trouble {
            None => self.failures = 0,
            Some(Undelivered::Wait(pause)) => {
                self.failures = 0;
                tracing::warn!(channel, ?pause, "the chat asks to wait");
                self.paused.insert(channel.to_owned(), now + pause);
            }
            Some(Undelivered::Unreachable(why)) => {
                self.failures = self.failures.saturating_add(1);
                let doubled = PAUSES.0.saturating_mul(1_u32.checked_shl(self.failures - 1).unwrap_or(u32::MAX));
                let pause = doubled.min(PAUSES.1);
                tracing::warn!(channel, why, ?pause, failures = self.failures, "the chat cannot be reached");
                self.paused.insert(String::new(), now + pause);
            }
            Some(Undelivered::Gone | Undelivered::Refused(_)) => {}
        }
        settled
    }

    async fn show(&self, card: &Shown) -> store::Result<Result<(), Undelivered>> {
        let Ok(subject) = card.subject.parse::<Subject>() else {
            self.settle(Settled::CardRefused(card.subject.clone(), card.wanted, "an unknown subject".to_owned()))
                .await?;
            return Ok(Ok(()));
        };
        let rules = self.engine.rules();
        let mut reader = self.engine.read().await?;
        let Some(current) = cards::about(&mut reader, &card.subject).await? else { return Ok(Ok(())) };
        let thread = self.thread_of(&mut reader, &current).await?;
        let mut view = View { reader: &mut reader, now: self.engine.now(), rules: &rules };
        let drawn = features::card(&mut view, &subject).await?;
        drop(reader);
        let Some(drawn) = drawn.filter(|drawn| current.message.is_some() || !drawn.is_too_late) else {
            self.settle(Settled::NothingToShow(current.subject, current.wanted)).await?;
            return Ok(Ok(()));
        };
        let place = Place { channel: current.channel.clone(), thread };
        let sent = match &current.message {
            Some(message) => self.chat.edit(&place, message, &drawn).await.map(|()| message.clone()),
            None => self.send(place, &Message::card(drawn), &current.nonce).await,
        };
        let settled = match sent {
            Ok(message) => {
                metrics::histogram!("firewarden_delivery_delay_seconds", "kind" => "card")
                    .record(self.engine.now().since(current.changed_at).as_secs_f64());
                return self.shown(current, message, matches!(subject, Subject::Incident(_))).await;
            }
            Err(Undelivered::Gone) if current.message.is_some() => Settled::CardGone(current.subject.clone()),
            Err(Undelivered::Gone) => {
                tracing::error!(subject = current.subject, channel = current.channel, "the chat has no such channel");
                Settled::CardRefused(current.subject.clone(), current.wanted, "the channel is gone".to_owned())
            }
            Err(Undelivered::Refused(why)) => {
                tracing::error!(subject = current.subject, why, "the chat does not take a card");
                Settled::CardRefused(current.subject.clone(), current.wanted, why)
            }
            Err(trouble @ (Undelivered::Wait(_) | Undelivered::Unreachable(_))) => return Ok(Err(trouble)),
        };
        self.settle(settled).await?;
        Ok(Ok(()))
    }

    /// Remembers a card that is shown, and opens the thread of an incident under it.
    ///
    /// Where the thread cannot be opened for the moment, the card still counts as wanted, so that both are tried again.
    async fn shown(
        &self,
        mut card: Shown,
        message: String,
        has_thread: bool,
    ) -> store::Result<Result<(), Undelivered>> {
        card.message = Some(message.clone());
        let opens = has_thread && card.thread.is_none();
        let (subject, wanted) = (card.subject.clone(), card.wanted);
        let trouble = if opens { self.open_thread(Some(card)).await?.err() } else { None };
        let revision = if trouble.is_some() { wanted - 1 } else { wanted };
        self.settle(Settled::CardShown(subject, revision, message)).await?;
        Ok(trouble.map_or(Ok(()), Err))
    }

    /// Sends a message to its place; into the channel itself if its thread is gone.
    async fn send(&self, place: Place, message: &Message, nonce: &str) -> Result<String, Undelivered> {
        match self.chat.send(&place, message, nonce).await {
            Err(Undelivered::Gone) if place.thread.is_some() => {
                self.chat.send(&Place { thread: None, ..place }, message, nonce).await
            }
            sent => sent,
        }
    }

    /// Says whether the post was settled: it waits while the card is on its way in whose thread it belongs.
    async fn say(&self, channel: &str, post: &Post) -> store::Result<Result<bool, Undelivered>> {
        if post.expires_at.is_some_and(|at| at <= self.engine.now()) {
            self.settle(Settled::PostExpired(post.id)).await?;
            return Ok(Ok(true));
        }
        let message: Message = serde_json::from_value(post.body.clone())?;
        // A page stands in the channel itself, where everybody sees it.
        let thread = match post.incident.filter(|_| !post.is_page) {
            Some(incident) => {
                let mut reader = self.engine.read().await?;
                let card = cards::about(&mut reader, &Subject::Incident(incident).to_string()).await?;
                drop(reader);
                if card.as_ref().is_some_and(|card| card.message.is_none() && card.wanted > card.shown) {
                    return Ok(Ok(false));
                }
                match self.open_thread(card).await? {
                    Ok(thread) => thread,
                    Err(trouble) => return Ok(Err(trouble)),
                }
            }
            None => None,
        };
        let place = Place { channel: channel.to_owned(), thread };
        let settled = match self.send(place, &message, &post.nonce).await {
            Ok(name) => {
                let kind = if post.is_page { "page" } else { "post" };
                metrics::histogram!("firewarden_delivery_delay_seconds", "kind" => kind)
                    .record(self.engine.now().since(post.created_at).as_secs_f64());
                Settled::PostSent(post.id, name)
            }
            Err(trouble @ (Undelivered::Wait(_) | Undelivered::Unreachable(_))) => return Ok(Err(trouble)),
            Err(Undelivered::Gone) => {
                tracing::error!(channel, post = post.id, "the chat has no such channel");
                Settled::PostRefused(post.id, "the channel is gone".to_owned())
            }
            Err(Undelivered::Refused(why)) => {
                tracing::error!(channel, post = post.id, why, "the chat does not take a message");
                Settled::PostRefused(post.id, why)
            }
        };
        self.settle(settled).await?;
        Ok(Ok(true))
    }

    /// The thread in which a card about something else than the incident itself belongs.
    async fn thread_of(&self, reader: &mut store::Reader, card: &Shown) -> store::Result<Option<String>> {
        let Some(incident) = card.incident else { return Ok(None) };
        let incident = Subject::Incident(incident).to_string();
        if incident == card.subject || card.is_page {
            return Ok(None);
        }
        Ok(cards::about(reader, &incident).await?.and_then(|card| card.thread))
    }

    /// The thread under an incident's card, opened if it is not open; none while the card itself is not shown.
    async fn open_thread(&self, card: Option<Shown>) -> store::Result<Result<Option<String>, Undelivered>> {
        let Some(card) = card else { return Ok(Ok(None)) };
        if card.thread.is_some() {
            return Ok(Ok(card.thread));
        }
        let Some(message) = &card.message else { return Ok(Ok(None)) };
        let place = Place { channel: card.channel.clone(), thread: None };
        match self.chat.open_thread(&place, message, &card.subject).await {
            Ok(thread) => {
                self.settle(Settled::Threaded(card.subject, thread.clone())).await?;
                Ok(Ok(Some(thread)))
            }
            Err(trouble @ (Undelivered::Wait(_) | Undelivered::Unreachable(_))) => Ok(Err(trouble)),
            Err(Undelivered::Gone | Undelivered::Refused(_)) => Ok(Ok(None)),
        }
    }

    async fn settle(&self, what: Settled) -> store::Result<()> {
        self.engine.store().decide(Settle { what, now: self.engine.now() }).await
    }
}

impl Load {
    fn first(self) -> Self {
        let mut cards = self.cards;
        cards.truncate(1);
        let post = if cards.is_empty() { self.post } else { None };
        Self { cards, post }
    }
}

/// What became of a message.
enum Settled {
    PostSent(i64, String),
    PostExpired(i64),
    PostRefused(i64, String),
    CardShown(String, i64, String),
    NothingToShow(String, i64),
    CardGone(String),
    CardRefused(String, i64, String),
    Threaded(String, String),
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
        }
    }
}

#[cfg(test)]
mod tests;
