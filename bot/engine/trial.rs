//! An engine to be tried: over a real file, with a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Engine, Refusal, Rules, chat, chat::Call, chat::Reply, ports::Clock};
use crate::{
    domain::{
        people::{Person, PersonId},
        time::Time,
    },
    store::{Store, trial::Home},
};

/// A clock that stands still until it is moved.
pub(crate) struct HandClock(watch::Sender<Time>);

impl HandClock {
    /// Moves it, and wakes whoever sleeps until then.
    pub(crate) fn pass(&self, length: Duration) {
        self.0.send_modify(|now| *now = *now + length);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Time {
        *self.0.borrow()
    }

    async fn sleep_until(&self, at: Time) {
        let mut clock = self.0.subscribe();
        drop(clock.wait_for(|now| *now >= at).await);
    }
}

/// An engine with its file and its clock.
pub(crate) struct Trial {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<HandClock>,
    home: Home,
    calls: AtomicU32,
}

impl Trial {
    /// An engine that decides by these rules, at 2026-11-23 03:00:00 UTC.
    pub(crate) async fn new(rules: Rules) -> Self {
        Self::at(Home::new().await, rules).await
    }

    /// The same over the store of this home.
    pub(crate) async fn at(home: Home, rules: Rules) -> Self {
        let start = "2026-11-23T03:00:00Z".parse().unwrap();
        let clock = Arc::new(HandClock(watch::Sender::new(start)));
        let store = Store::open(home.address()).await.unwrap();
        let engine = Engine::new(store, Arc::clone(&clock) as Arc<dyn Clock>, rules);
        Self { engine, clock, home, calls: AtomicU32::new(1) }
    }

    /// The same after a restart by other rules: another engine over the same file.
    pub(crate) async fn restart(mut self, rules: Rules) -> Self {
        self.start_anew(rules).await;
        self
    }

    /// The process ends, and another one starts by these rules.
    pub(crate) async fn start_anew(&mut self, rules: Rules) {
        self.engine.store().close().await;
        let store = Store::open(self.home.address()).await.unwrap();
        self.engine = Engine::new(store, Arc::clone(&self.clock) as Arc<dyn Clock>, rules);
    }

    /// Gives a command as somebody with the roles of the rules.
    pub(crate) async fn says(&self, person: &str, line: &str) -> Result<Reply, Refusal> {
        let id = PersonId(person.to_owned());
        let roles = self.engine.rules().people.known.get(&id).cloned().unwrap_or_default();
        let (command, args) = chat::console::read(line)?;
        let source_key = Some(format!("trial:{}", self.calls.fetch_add(1, Ordering::Relaxed)));
        let call = Call { caller: Person { id, roles }, args, about: None, source_key };
        self.engine.command(command, call).await.unwrap()
    }
}
