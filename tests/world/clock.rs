//! A clock on a socket: the story turns it, and the bot in its own process wakes by it.
//!
//! The program has no way to turn its clock. The test executable, started as the bot, is given this one through the same
//! constructor argument that takes the real one. Time stands still until the story moves it, and is moved from deadline
//! to deadline, so that what is due in between happens in its order.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use firewarden::{domain::time::Time, engine::ports::Clock};
use tokio::sync::watch;

use super::store::Server;

/// The bot counts as quiet once all its threads rested, and nobody looked at the clock, for this long; and a server that
/// keeps its store has answered everything.
const QUIET: Duration = Duration::from_millis(12);
/// A bot that is busy for this long is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The story's hand on the clock. Emulators that live in the story read it, too.
#[derive(Clone)]
pub(crate) struct Hand {
    now: watch::Sender<Time>,
    bot: Arc<Mutex<Option<BufReader<TcpStream>>>>,
    address: SocketAddr,
    server: Arc<Mutex<Option<Server>>>,
}

impl Hand {
    /// A clock that stands at this time.
    pub(crate) fn at(start: Time) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hand = Self { now: watch::Sender::new(start), bot: Arc::default(), address, server: Arc::default() };
        let waiting = hand.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let now = *waiting.now.borrow();
                let mut bot = held(&waiting.bot);
                if writeln!(&stream, "{}", now.millis()).is_ok() {
                    *bot = Some(BufReader::new(stream));
                }
            }
        });
        hand
    }

    /// Where a bot connects to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Heeds a server that keeps the bot's store: a bot that waits for its answer is not quiet.
    pub(crate) fn heeds(&self, server: Server) {
        *held(&self.server) = Some(server);
    }

    /// Moves time on, from deadline to deadline, and waits for the bot to be quiet at each.
    pub(crate) async fn advance(&self, by: Duration) {
        let target = self.now() + by;
        self.advance_to(target).await;
    }

    /// Moves time on in strides: what is due within one happens together at its end, as on a machine that slept.
    pub(crate) async fn leap(&self, by: Duration, stride: Duration) {
        let hand = self.clone();
        tokio::task::spawn_blocking(move || {
            let target = hand.now() + by;
            while hand.now() < target {
                hand.turn((hand.now() + stride).min(target));
            }
        })
        .await
        .unwrap();
    }

    /// Moves time on to this moment, from deadline to deadline.
    pub(crate) async fn advance_to(&self, target: Time) {
        let hand = self.clone();
        tokio::task::spawn_blocking(move || {
            let now = hand.now();
            let mut earliest = hand.turn(now);
            while let Some(at) = earliest.filter(|at| *at < target) {
                let now = hand.now();
                // A deadline in the past is a sleeper that has not been run yet; a step past it wakes it for sure.
                earliest = hand.turn(at.max(now + Duration::from_millis(1)));
            }
            hand.turn(target);
        })
        .await
        .unwrap();
    }

    /// Moves time to the next deadline of the bot, but at most this far; without a bot it does not move.
    pub(crate) async fn step(&self, at_most: Duration) {
        let hand = self.clone();
        tokio::task::spawn_blocking(move || {
            let now = hand.now();
            if let Some(at) = hand.turn(now) {
                hand.turn(at.clamp(now + Duration::from_millis(1), now + at_most));
            }
        })
        .await
        .unwrap();
    }

    /// Sets the time, and answers with the bot's next deadline once it is quiet; `None` if there is no bot.
    fn turn(&self, at: Time) -> Option<Time> {
        self.now.send_replace(at);
        let mut bot = held(&self.bot);
        let mut server = held(&self.server);
        let begun = Instant::now();
        loop {
            let stream = bot.as_mut()?;
            let mut answer = String::new();
            let asked = writeln!(stream.get_ref(), "{}", at.millis()).and_then(|()| stream.read_line(&mut answer));
            if !asked.is_ok_and(|length| length > 0) {
                *bot = None;
                return None;
            }
            let is_busy = server.as_mut().is_some_and(Server::is_at_work);
            if !is_busy || begun.elapsed() > PATIENCE {
                return answer.trim().parse().ok().map(Time::from_millis);
            }
        }
    }
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Time {
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Time) {
        // The sender is held by `self`, so that waiting cannot fail.
        let mut now = self.now.subscribe();
        drop(now.wait_for(|now| *now >= at).await);
    }
}

/// The clock in the bot's process.
pub(crate) struct Followed {
    now: watch::Sender<Time>,
    sleepers: Mutex<BTreeMap<u64, Time>>,
    next: AtomicU64,
    looks: AtomicU64,
}

impl Followed {
    /// Follows the story's hand. When the story is gone, so is the bot. Where the bot is alone in its process, no thread of
    /// it may be at work while it counts as quiet.
    pub(crate) fn follow(address: SocketAddr, runtime: tokio::runtime::Handle, is_alone: bool) -> Arc<Self> {
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        let first = read(&mut stream).unwrap();
        let clock = Arc::new(Self {
            now: watch::Sender::new(first),
            sleepers: Mutex::default(),
            next: AtomicU64::new(0),
            looks: AtomicU64::new(0),
        });
        let followed = Arc::clone(&clock);
        thread::spawn(move || {
            while let Some(at) = read(&mut stream) {
                followed.now.send_replace(at);
                followed.rest(&runtime, is_alone);
                let earliest = held(&followed.sleepers).values().min().copied();
                let far = at + Duration::from_hours(24 * 365);
                if writeln!(stream.get_ref(), "{}", earliest.unwrap_or(far).millis()).is_err() {
                    break;
                }
            }
            std::process::exit(70);
        });
        clock
    }

    /// Waits until nothing moves in this process.
    fn rest(&self, runtime: &tokio::runtime::Handle, is_alone: bool) {
        let metrics = runtime.metrics();
        let counts = || {
            let parks: Vec<u64> =
                (0..metrics.num_workers()).map(|worker| metrics.worker_park_unpark_count(worker)).collect();
            (parks, self.looks.load(Ordering::Relaxed), metrics.global_queue_depth())
        };
        let begun = Instant::now();
        let (mut last, mut since) = (counts(), begun);
        while since.elapsed() < QUIET && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(2)); // bounded: by PATIENCE
            let newest = counts();
            if newest != last || (is_alone && is_at_work()) {
                (last, since) = (newest, Instant::now());
            }
        }
    }
}

/// Whether a thread of this process, but for the one that asks, has something to do or waits for a disk: those that work
/// on a file do so unseen by the runtime.
fn is_at_work() -> bool {
    let this = fs::read_link("/proc/thread-self").ok();
    let this = this.as_deref().and_then(Path::file_name);
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads.filter(|thread| Some(&*thread.file_name()) != this).any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['R', 'D']))
    })
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Time> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.trim().parse().ok().map(Time::from_millis)
}

struct Sleeper<'a> {
    clock: &'a Followed,
    id: u64,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        held(&self.clock.sleepers).remove(&self.id);
    }
}

#[async_trait]
impl Clock for Followed {
    fn now(&self) -> Time {
        self.looks.fetch_add(1, Ordering::Relaxed);
        *self.now.borrow()
    }

    async fn sleep_until(&self, at: Time) {
        if *self.now.borrow() >= at {
            return;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        held(&self.sleepers).insert(id, at);
        let _sleeper = Sleeper { clock: self, id };
        let mut now = self.now.subscribe();
        drop(now.wait_for(|now| *now >= at).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn deadlines_are_met_in_their_order_when_time_passes_over_them() {
        let start: Time = "2026-11-23T12:00:00Z".parse().unwrap();
        let hand = Hand::at(start);
        let clock = Followed::follow(hand.address(), tokio::runtime::Handle::current(), false);
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (first, then) in [(50, 10), (20, 15)] {
            let (clock, seen) = (Arc::clone(&clock), Arc::clone(&seen));
            tokio::spawn(async move {
                for seconds in [first, then] {
                    let due = clock.now() + Duration::from_secs(seconds);
                    clock.sleep_until(due).await;
                    held(&seen).push(clock.now().since(start).as_secs());
                }
            });
        }
        hand.advance(Duration::from_mins(2)).await;
        assert_eq!(*held(&seen), [20, 35, 50, 60]);
        assert_eq!(hand.now(), start + Duration::from_mins(2));
    }
}
