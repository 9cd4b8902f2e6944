//! The emulator's time: the wall clock, or one that the story moves.
//!
//! Deadlines of interactions follow this clock alone. Rate limits end when either this clock or the wall clock says so,
//! so that a story with a standing clock is not refused for ever.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// Where the emulator reads the time.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The time of the machine.
    pub(crate) fn wall() -> Clock {
        Clock(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
        }))
    }

    /// The time that `now` gives, in milliseconds since the Unix epoch.
    pub(crate) fn following(now: impl Fn() -> Millis + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Millis {
        (self.0)()
    }

    /// A moment to measure from, on this clock and on the wall clock.
    pub(crate) fn moment(&self) -> Moment {
        Moment { told: self.now(), real: Instant::now() }
    }
}

/// A moment from which elapsed time is measured on two clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    told: Millis,
    real: Instant,
}

impl Moment {
    /// How long ago it was, by whichever clock went further.
    pub(crate) fn elapsed(&self, clock: &Clock) -> Duration {
        let told = u64::try_from(clock.now() - self.told).unwrap_or(0);
        self.real.elapsed().max(Duration::from_millis(told))
    }
}

/// A moment as Discord writes it: `2026-03-01T03:12:00.000Z`.
pub(crate) fn written(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}
