//! What the bot knows of itself that does not stand in the store: whether writes end, and how its parts are.
//!
//! Kept in memory and measured by the process's own clock, because it is asked for when the store is in trouble.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A write that takes longer than this has failed.
pub const SLOW: Duration = Duration::from_secs(10);
/// Nothing was written for so long, although a write is tried every ten seconds: nobody tries any more.
const SILENT: Duration = Duration::from_secs(30);

/// A look at a part of the bot: what is wrong with it, in words.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// How the bot is. Clones share what they know.
#[derive(Clone, Default)]
pub struct Signs {
    writes: Arc<Mutex<Writes>>,
    checks: Arc<Mutex<Vec<(&'static str, Check)>>>,
}

struct Writes {
    /// When one succeeded last.
    written: Instant,
    /// Since when one is under way.
    begun: Option<Instant>,
    /// What the last one that failed said; empty once one succeeds.
    fault: String,
}

impl Default for Writes {
    fn default() -> Self {
        Self { written: Instant::now(), begun: None, fault: String::new() }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Signs {
    /// Has a part of the bot looked at from then on.
    pub fn watch(&self, part: &'static str, check: Check) {
        held(&self.checks).push((part, check));
    }

    /// The parts of the bot with which something is wrong, and what.
    pub fn warnings(&self) -> Vec<(&'static str, String)> {
        let checks = held(&self.checks).clone();
        checks.into_iter().filter_map(|(part, check)| check().err().map(|what| (part, what))).collect()
    }

    /// A write that only tries whether writing is possible is under way.
    pub fn write_begins(&self) {
        held(&self.writes).begun = Some(Instant::now());
    }

    /// It ended.
    pub fn write_ended(&self, outcome: Result<(), String>) {
        let mut writes = held(&self.writes);
        writes.begun = None;
        match outcome {
            Ok(()) => (writes.written, writes.fault) = (Instant::now(), String::new()),
            Err(fault) => writes.fault = fault,
        }
    }

    /// Since when nothing can be written, and why; `None` while all is well.
    ///
    /// A write that does not end is noticed while it hangs, by whoever asks.
    pub fn unwritten(&self) -> Option<(Duration, String)> {
        let writes = held(&self.writes);
        let length = writes.written.elapsed();
        if !writes.fault.is_empty() {
            return Some((length, writes.fault.clone()));
        }
        if writes.begun.is_some_and(|begun| begun.elapsed() >= SLOW) {
            return Some((length, format!("a write did not end within {} s", SLOW.as_secs())));
        }
        (length >= SILENT).then(|| (length, "no write is tried any more".to_owned()))
    }

    #[cfg(test)]
    pub(crate) fn age(&self, by: Duration) {
        let mut writes = held(&self.writes);
        writes.written = writes.written.checked_sub(by).unwrap_or(writes.written);
        writes.begun = writes.begun.and_then(|begun| begun.checked_sub(by));
    }
}

impl fmt::Debug for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signs").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_hangs_is_noticed_while_it_hangs() {
        let signs = Signs::default();
        signs.write_begins();
        assert_eq!(signs.unwritten(), None);
        signs.age(SLOW);
        assert!(signs.unwritten().is_some_and(|(_, why)| why == "a write did not end within 10 s"));
        signs.write_ended(Err("no space is left".to_owned()));
        signs.write_begins();
        assert!(signs.unwritten().is_some_and(|(_, why)| why == "no space is left"), "until one succeeds");
        signs.write_ended(Ok(()));
        assert_eq!(signs.unwritten(), None);
        signs.age(SILENT);
        assert!(signs.unwritten().is_some(), "whoever tries is gone");
    }

    #[test]
    fn a_part_is_looked_at_when_somebody_asks() {
        let signs = Signs::default();
        signs.clone().watch("chat", Arc::new(|| Err("not connected".to_owned())));
        signs.watch("disk", Arc::new(|| Ok(())));
        assert_eq!(signs.warnings(), [("chat", "not connected".to_owned())]);
    }
}
