//! Which simulations are told, several at the same time, and what is said of one that breaks a promise.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt;

use super::Simulation;

/// How many simulations there are if nobody wants more; so many come across everything.
pub(super) const ENOUGH: u64 = 24;
/// How many there are on a server, which is slow to make a database for each.
const ON_A_SERVER: u64 = 4;
/// What a set of simulations must have come across, or it would prove nothing.
pub(super) const COME_ACROSS: [&str; 20] = [
    "done",
    "failed",
    "undone",
    "released",
    "held",
    "in_doubt",
    "paused",
    "queued",
    "halted",
    "halt_file",
    "budget",
    "target_locked",
    "approval_expired",
    "in doubt",
    "said absent",
    "looked for and absent",
    "looked for and found",
    "repeated under its key",
    "a stale write",
    "killed after an effect",
];

/// What was come across in the simulation with this seed, or everything that happened until a promise was broken.
fn simulate(seed: u64, tell: &impl AsyncFn(&mut Simulation)) -> Result<(BTreeMap<&'static str, usize>, usize), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut simulation = Simulation::new(seed).await;
        let whole = AssertUnwindSafe(tell(&mut simulation)).catch_unwind().await;
        let Err(panic) = whole else {
            let runs = simulation.promises.runs.len();
            simulation.trial.engine.store().close().await;
            return Ok((simulation.promises.seen, runs));
        };
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Err(format!("{}\n\nseed {seed}: {why}", simulation.told()))
    })
}

/// How many simulations there are if nobody says it.
pub(super) fn usual() -> u64 {
    if std::env::var_os("FIREWARDEN_TEST_POSTGRES").is_some() { ON_A_SERVER } else { ENOUGH }
}

/// The number in a variable of the environment.
pub(super) fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Tells as many simulations from this seed on, several at the same time, and says what they came across.
///
/// # Panics
/// When one breaks a promise: with everything that happened in it, and the seed that replays it.
pub(super) fn in_threads(
    (first, count): (u64, u64),
    tell: impl AsyncFn(&mut Simulation) + Sync,
) -> BTreeMap<&'static str, usize> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(BTreeMap::new());
    let seen = Mutex::new((BTreeMap::<&str, usize>::new(), 0));
    let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while lock().is_empty() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    match simulate(first + at, &tell) {
                        Ok((of, runs)) => {
                            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                            seen.1 += runs;
                            for (what, times) in of {
                                *seen.0.entry(what).or_default() += times;
                            }
                        }
                        Err(why) => drop(lock().insert(first + at, why)),
                    }
                }
            });
        }
    });
    if let Some((seed, why)) = lock().first_key_value() {
        panic!("{why}\n\nreplay it with FIREWARDEN_SEED={seed} cargo test --lib simulation");
    }
    let (seen, runs) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("seeds {first} to {}: {runs} runs, {seen:?}", first + count - 1);
    seen
}
