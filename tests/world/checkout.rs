//! The example service in a story, with a wire that can fail where the story says so.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use firewarden::{
    app::demo::checkout::{Checkout, Passing, Wire},
    engine::ports::Clock,
};
use futures::stream;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request has arrived, and nothing has been done about it.
    Before,
    /// The request has been carried out, and is not answered.
    After,
}

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It is answered with this status.
    Status(u16),
    /// Its connection is broken.
    Reset,
    /// It is never answered.
    Hang,
    /// Something else happens first; then its connection is broken.
    Strike(Arc<dyn Fn() + Send + Sync>),
}

/// Which requests a fault meets.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// The request with this number, counted from 1 since the story began.
    Number(usize),
    /// The next request of this method and path.
    Next(&'static str, &'static str),
    /// Every request of this method and path.
    Every(&'static str, &'static str),
}

struct Planned {
    which: Which,
    moment: Moment,
    fault: Fault,
}

/// The wire between the bot and the service.
#[derive(Default)]
pub(crate) struct Scripted {
    plan: Mutex<Vec<Planned>>,
    calls: Mutex<Vec<Passing>>,
    delay: Mutex<Duration>,
}

/// The running service.
pub(crate) struct ExampleService {
    /// The service itself.
    pub(crate) checkout: Checkout,
    address: SocketAddr,
    wire: Arc<Scripted>,
    _stop: DropGuard,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ExampleService {
    /// Starts it on a free port, by this clock.
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        let wire = Arc::new(Scripted::default());
        let as_wire: Arc<dyn Wire> = Arc::clone(&wire) as _;
        let checkout = Checkout::new(clock, as_wire, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(checkout.clone().serve(listener, stop.clone()));
        Self { checkout, address, wire, _stop: stop.drop_guard() }
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a fault meet these requests.
    pub(crate) fn plan(&self, which: Which, moment: Moment, fault: Fault) {
        self.wire.plan(which, moment, fault);
    }

    /// Takes back every fault that was planned.
    pub(crate) fn plan_nothing(&self) {
        self.wire.plan_nothing();
    }

    /// Lists a deployment only so long after it was made.
    pub(crate) fn delay_listing(&self, by: Duration) {
        *held(&self.wire.delay) = by;
    }

    /// How many requests have arrived.
    pub(crate) fn calls(&self) -> usize {
        held(&self.wire.calls).len()
    }

    /// How many requests of this method and path have arrived.
    pub(crate) fn calls_of(&self, method: &str, path: &str) -> usize {
        held(&self.wire.calls).iter().filter(|call| call.method == method && call.path == path).count()
    }
}

impl Scripted {
    /// Lets a fault meet these requests.
    pub(crate) fn plan(&self, which: Which, moment: Moment, fault: Fault) {
        held(&self.plan).push(Planned { which, moment, fault });
    }

    /// Takes back every fault that was planned.
    pub(crate) fn plan_nothing(&self) {
        held(&self.plan).clear();
    }

    async fn meet(&self, moment: Moment, request: &Passing) -> Option<Response> {
        let fault = {
            let mut plan = held(&self.plan);
            let place = plan.iter().position(|planned| planned.moment == moment && planned.which.is(request))?;
            match plan[place].which {
                Which::Every(..) => plan[place].fault.clone(),
                Which::Next(..) | Which::Number(_) => plan.remove(place).fault,
            }
        };
        match fault {
            Fault::Status(code) => Some(StatusCode::from_u16(code).unwrap().into_response()),
            Fault::Reset => Some(reset()),
            Fault::Hang => std::future::pending().await,
            Fault::Strike(act) => {
                act();
                Some(reset())
            }
        }
    }
}

impl Which {
    fn is(&self, request: &Passing) -> bool {
        match self {
            Which::Number(number) => request.number == *number as u64,
            Which::Next(method, path) | Which::Every(method, path) => {
                request.method == *method && request.path == *path
            }
        }
    }
}

/// A body that breaks before its first byte, so that the server drops the connection unanswered.
fn reset() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the story breaks the connection")) });
    Response::new(Body::from_stream(broken))
}

#[async_trait]
impl Wire for Scripted {
    async fn arrived(&self, request: &Passing) -> Option<Response> {
        held(&self.calls).push(request.clone());
        self.meet(Moment::Before, request).await
    }

    async fn carried_out(&self, request: &Passing) -> Option<Response> {
        self.meet(Moment::After, request).await
    }

    fn listing_delay(&self) -> Duration {
        *held(&self.delay)
    }
}
