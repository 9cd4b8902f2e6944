//! Delivers what decisions wanted said: every post once and in order, every card at its newest revision.
//!
//! A row is marked after the chat took its message; a crash in between sends it again with the same nonce. Pages have a
//! lane of their own, so nothing slow stands in their way. While the chat is down, it is tried with one message at a
//! time, ever more seldom; a row that alone is in trouble is put off and holds up nothing else. Nothing is dropped but
//! what has expired. Of several processes one delivers; where two do for a moment, the nonces are the same.

mod load;
mod rows;
mod settle;
mod threads;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use self::{
    load::{Load, Row, Way},
    settle::Ledger,
    threads::Threads,
};
use crate::{
    domain::time::Time,
    engine::{
        Engine,
        ports::{Chat, Undelivered},
    },
    store::{self, Wake, cards, posts},
};

/// Looked at again after this long even if nothing woke it.
const AT_LEAST: Duration = Duration::from_secs(30);
/// The first and the longest pause after the chat could not be reached, or did not take one row.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The same, where the chat forbids something or does not know the place: people have to change that.
const FORBIDDEN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(1));
/// So long a post that is put off keeps those behind it waiting, for the sake of their order. Pages do not wait.
const IN_ORDER: Duration = Duration::from_mins(1);

/// Delivers one lane while this process leads, until it is told to stop.
pub async fn work(engine: Arc<Engine>, chat: Arc<dyn Chat>, is_page: bool, stop: CancellationToken) {
    let lead = engine.store().lead().clone();
    // What the chat took is not forgotten with the lead, which is lost when the store cannot be reached.
    let ledger = Arc::new(Ledger::default());
    let turn = async |turn| {
        let mut lane = Lane::new(Arc::clone(&engine), Arc::clone(&chat), is_page);
        lane.ledger = Arc::clone(&ledger);
        lane.deliver_until(turn).await;
        settle(&engine, &ledger, &stop).await;
    };
    lead.while_ours(&stop, turn).await;
}

/// Writes down what became of messages, although this process delivers none any more.
async fn settle(engine: &Engine, ledger: &Ledger, stop: &CancellationToken) {
    while !ledger.is_empty() && !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(PAUSES.0) => ledger.settle_all(engine).await,
            () = stop.cancelled() => {}
        }
    }
}

struct Lane {
    engine: Arc<Engine>,
    chat: Arc<dyn Chat>,
    is_page: bool,
    /// Until when nothing is tried because the chat cannot be reached.
    down: Option<Time>,
    /// How often in a row the chat could not be reached.
    failures: u32,
    /// What is not done in a channel, and until when.
    paused: HashMap<(String, Way), Time>,
    /// How often in a row something was forbidden in a channel.
    forbidden: HashMap<(String, Way), u32>,
    /// Rows that are tried later than the others.
    put_off: HashMap<Row, PutOff>,
    threads: Threads,
    ledger: Arc<Ledger>,
}

/// A row that is tried later.
#[derive(Debug, Clone, Copy)]
struct PutOff {
    since: Time,
    until: Time,
    tries: u32,
}

/// What a try to deliver a row came to.
#[derive(Debug)]
enum Tried {
    /// It is dealt with.
    Done,
    /// It waits for another row.
    Later,
    /// The chat did not take it.
    Trouble(Undelivered),
    /// The row cannot be read or drawn.
    Fault(store::Fault),
}

/// How it went with the rows of a channel.
#[derive(Default)]
struct Went {
    done: Vec<(Row, Way)>,
    trouble: Vec<(Row, Way, Undelivered)>,
    faults: Vec<(Row, store::Fault)>,
}

impl Lane {
    fn new(engine: Arc<Engine>, chat: Arc<dyn Chat>, is_page: bool) -> Self {
        Self {
            engine,
            chat,
            is_page,
            down: None,
            failures: 0,
            paused: HashMap::new(),
            forbidden: HashMap::new(),
            put_off: HashMap::new(),
            threads: Threads::default(),
            ledger: Arc::default(),
        }
    }

    async fn deliver_until(&mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let engine = Arc::clone(&self.engine);
            let woken = engine.store().woken(if self.is_page { Wake::Pages } else { Wake::Delivery });
            let passed = tokio::select! {
                passed = self.pass() => passed,
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

    /// Delivers what can be delivered and says when to look again.
    async fn pass(&mut self) -> store::Result<Time> {
        self.ledger.settle_all(&self.engine).await;
        loop {
            let now = self.engine.now();
            self.paused.retain(|_, until| *until > now);
            self.put_off.retain(|_, off| off.until + FORBIDDEN.1 > now);
            if self.down.take_if(|until| *until <= now).is_none() && self.down.is_some() {
                return Ok(self.earliest(now));
            }
            let loads = self.loads(now).await?;
            if self.failures == 0 {
                self.open_threads(now).await?;
            }
            if loads.is_empty() {
                return Ok(self.earliest(now));
            }
            let lane: &Lane = self;
            let all = join_all(loads.into_iter().map(async |(channel, load)| {
                let went = lane.deliver(&load).await;
                (channel, went)
            }));
            let all = all.await;
            if !self.note(all, now).await {
                return Ok(self.earliest(now));
            }
        }
    }

    /// What is to be delivered, by channel.
    async fn loads(&self, now: Time) -> store::Result<HashMap<String, Load>> {
        let mut loads: HashMap<String, Load> = HashMap::new();
        let unsettled = self.ledger.rows();
        let spare = self.put_off.len() + unsettled.len();
        let mut reader = self.engine.read().await?;
        for card in cards::due(&mut reader, self.is_page, load::CARDS + spare).await? {
            let way = if card.message.is_some() { Way::Edit } else { Way::Send };
            let row = Row::Card(card.subject.clone());
            if self.may(&card.channel, way, now) && !unsettled.contains(&row) && !self.is_put_off(&row, now) {
                loads.entry(card.channel.clone()).or_default().add(card);
            }
        }
        for post in posts::next(&mut reader, self.is_page, 1 + spare).await? {
            let row = Row::Post(post.id);
            if !self.may(&post.channel, Way::Send, now) || unsettled.contains(&row) {
                continue;
            }
            let load = loads.entry(post.channel.clone()).or_default();
            let off = self.put_off.get(&row).filter(|off| off.until > now);
            let holds_up = off.is_some_and(|off| !self.is_page && now.since(off.since) < IN_ORDER);
            load.offer(post, off.is_some(), holds_up);
        }
        loads.retain(|_, load| !load.is_empty());
        if self.failures > 0 {
            // One message finds out whether the chat is back; the rest waits for it.
            let is_page = self.is_page;
            let first = loads.into_iter().next();
            loads = first.into_iter().map(|(channel, load)| (channel, load.first(is_page))).collect();
        }
        Ok(loads)
    }

    fn may(&self, channel: &str, way: Way, now: Time) -> bool {
        self.paused.get(&(channel.to_owned(), way)).is_none_or(|until| *until <= now)
    }

    fn is_put_off(&self, row: &Row, now: Time) -> bool {
        self.put_off.get(row).is_some_and(|off| off.until > now)
    }

    /// When something may be tried again that cannot be tried at `now`.
    fn earliest(&self, now: Time) -> Time {
        if let Some(until) = self.down {
            return until.min(now + AT_LEAST);
        }
        let put_off = self.put_off.values().map(|off| off.until);
        let unsettled = if self.ledger.is_empty() { None } else { Some(now + PAUSES.0) };
        let all = self.paused.values().copied().chain(put_off).chain(self.threads.tried_again()).chain(unsettled);
        all.filter(|at| *at > now).min().map_or(now + AT_LEAST, |at| at.min(now + AT_LEAST))
    }

    /// Delivers a channel's load. Where the chat asks to wait, only what is done in the same way waits.
    async fn deliver(&self, load: &Load) -> Went {
        let mut went = Went::default();
        for row in load.in_order(self.is_page) {
            let (name, way) = (row.name(), row.way());
            let stops = |(_, refused, trouble): &(Row, Way, Undelivered)| match trouble {
                Undelivered::Unreachable(_) => true,
                Undelivered::Wait(_) => *refused == way,
                Undelivered::Forbidden(_) | Undelivered::Gone | Undelivered::Refused(_) => false,
            };
            // One that hung may be replaced by now, and is told so a moment later.
            if went.trouble.iter().any(stops) || !self.engine.store().lead().is_ours() {
                continue;
            }
            match self.attempt(row).await {
                Tried::Done => went.done.push((name, way)),
                Tried::Later => {}
                Tried::Trouble(trouble) => went.trouble.push((name, way, trouble)),
                Tried::Fault(fault) => went.faults.push((name, fault)),
            }
        }
        went
    }

    /// Remembers how it went with all channels; says whether to look again at once.
    async fn note(&mut self, all: Vec<(String, Went)>, now: Time) -> bool {
        let mut moved = false;
        let already = self.put_off.values().filter(|off| off.until > now).count();
        for (channel, went) in &all {
            for (row, way) in &went.done {
                self.put_off.remove(row);
                self.forbidden.remove(&(channel.clone(), *way));
                moved = true;
            }
        }
        let troubles = || all.iter().flat_map(|(_, went)| &went.trouble).map(|(_, _, trouble)| trouble);
        let is_unreachable = troubles().any(|trouble| matches!(trouble, Undelivered::Unreachable(_)));
        let has_answered = moved || troubles().any(|trouble| matches!(trouble, Undelivered::Forbidden(_)));
        // One row may be what the chat cannot bear: then it is put off, and the rest goes on.
        let is_up = !is_unreachable || has_answered || self.chat.is_up().await;
        if is_up {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            let pause = doubled(PAUSES, self.failures);
            tracing::warn!(?pause, failures = self.failures, "the chat cannot be reached");
            self.down = Some(now + pause);
        }
        for (channel, went) in all {
            for (row, way, trouble) in went.trouble {
                self.note_trouble(&channel, row, way, trouble, now);
            }
            for (row, fault) in went.faults {
                tracing::error!(channel, ?row, %fault, "a row of the outbox cannot be read");
                self.put_off(row, PAUSES, now);
            }
        }
        // Where a row was put off, another one has its turn.
        moved || self.put_off.values().filter(|off| off.until > now).count() > already
    }

    fn note_trouble(&mut self, channel: &str, row: Row, way: Way, trouble: Undelivered, now: Time) {
        let place = (channel.to_owned(), way);
        match trouble {
            Undelivered::Wait(pause) => {
                tracing::warn!(channel, ?pause, "the chat asks to wait");
                self.paused.insert(place, now + pause);
            }
            Undelivered::Unreachable(why) => {
                tracing::warn!(channel, ?row, why, "the chat does not take a message; it is tried again");
                if self.down.is_none() {
                    self.put_off(row, PAUSES, now);
                }
            }
            Undelivered::Forbidden(why) | Undelivered::Refused(why) => {
                tracing::warn!(channel, ?row, why, "the chat forbids it to the bot; it is tried again");
                self.forbid(place, row, now);
            }
            Undelivered::Gone => {
                tracing::error!(channel, ?row, "the chat has no such channel; it is tried again");
                self.forbid(place, row, now);
            }
        }
    }

    /// Puts the row off; where it is not the only one that is forbidden in the channel, the others wait too.
    fn forbid(&mut self, place: (String, Way), row: Row, now: Time) {
        self.put_off(row, FORBIDDEN, now);
        let count = self.forbidden.entry(place.clone()).or_default();
        *count = count.saturating_add(1);
        if *count > 1 {
            self.paused.insert(place, now + FORBIDDEN.0);
        }
    }

    fn put_off(&mut self, row: Row, pauses: (Duration, Duration), now: Time) {
        let off = self.put_off.entry(row).or_insert(PutOff { since: now, until: now, tries: 0 });
        off.tries = off.tries.saturating_add(1);
        off.until = now + doubled(pauses, off.tries);
    }
}

/// The pause after so many tries: each twice as long as the one before, up to the longest.
fn doubled((first, longest): (Duration, Duration), tries: u32) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests;
