//! The example service `checkout`: something small to deploy, scale, restart, break and watch.
//!
//! It keeps the promises that a good deployment target makes: a key is applied once, and a change that expects another
//! state is refused. What stands between it and its callers is a constructor argument, so that a caller can be made to
//! lose an answer without the service knowing.

mod api;
mod state;
mod switches;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::state::{Change, Effect, Health};
use self::state::{Refused, State};
use crate::{domain::time::Time, engine::ports::Clock};

/// A request as it passes between a caller and the service.
#[derive(Debug, Clone)]
pub struct Passing {
    /// Which request this is, counted from 1.
    pub number: u64,
    /// The method, in capitals.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The idempotency key, if it has one.
    pub key: Option<String>,
}

/// What stands between the service and its callers. Each answer that is given here replaces the service's own.
#[async_trait]
pub trait Wire: Send + Sync {
    /// A request has arrived and nothing has been done about it.
    async fn arrived(&self, request: &Passing) -> Option<Response>;
    /// A request has been carried out and is not answered yet.
    async fn carried_out(&self, request: &Passing) -> Option<Response>;
    /// How long it takes until a deployment that was made is listed.
    fn listing_delay(&self) -> Duration;
}

/// A wire that loses nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faultless;

#[async_trait]
impl Wire for Faultless {
    async fn arrived(&self, _: &Passing) -> Option<Response> {
        None
    }

    async fn carried_out(&self, _: &Passing) -> Option<Response> {
        None
    }

    fn listing_delay(&self) -> Duration {
        Duration::ZERO
    }
}

/// The service. Clones share one state.
#[derive(Clone)]
pub struct Checkout {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    wire: Arc<dyn Wire>,
    token: Option<Arc<str>>,
    unknown: Arc<Mutex<Vec<String>>>,
}

impl Checkout {
    /// The service with `v41` and `v42` released, which are both good, and three replicas.
    ///
    /// With a token, requests that change something need it as a bearer token.
    pub fn new(clock: Arc<dyn Clock>, wire: Arc<dyn Wire>, token: Option<&str>) -> Self {
        let state = State::new(clock.now());
        Self { state: Arc::new(Mutex::new(state)), clock, wire, token: token.map(Arc::from), unknown: Arc::default() }
    }

    /// Answers requests until it is told to stop.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        axum::serve(listener, api::routes(self)).with_graceful_shutdown(stop.cancelled_owned()).await
    }

    /// Releases a version, as a pipeline would; a bad one answers almost a third of its requests with an error.
    pub fn release(&self, version: &str, is_bad: bool) {
        let now = self.clock.now();
        let mut state = self.state();
        if is_bad {
            state.mark_bad(version);
        }
        state.release(version, now);
    }

    /// The version that is live.
    pub fn live(&self) -> String {
        self.state().live().to_owned()
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> u32 {
        self.state().replicas()
    }

    /// The region that serves.
    pub fn region(&self) -> &'static str {
        self.state().switches.region()
    }

    /// Whether a feature is on; `None` if there is no such feature.
    pub fn is_on(&self, flag: &str) -> Option<bool> {
        self.state().switches.is_on(flag)
    }

    /// How it does.
    pub fn health(&self) -> Health {
        self.state().health()
    }

    /// Everything that was changed through its interface, oldest first. A repeated key changed nothing.
    pub fn effects(&self) -> Vec<Effect> {
        self.state().effects().to_vec()
    }

    /// The routes that were asked for and are not there, oldest first.
    pub fn unknown_routes(&self) -> Vec<String> {
        self.unknown().clone()
    }

    fn unknown(&self) -> MutexGuard<'_, Vec<String>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}
