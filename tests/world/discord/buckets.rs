//! Rate limits: one for the whole bot, and one for each route and channel, told in the headers of every answer.
//!
//! Discord publishes only the global one; the sizes of the others are what it answers for these routes today.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    clock::{Clock, Moment},
    faults::Route,
};

/// Requests in a second for one bot; answers to interactions are not counted.
/// <https://docs.discord.com/developers/topics/rate-limits#global-rate-limit>
const GLOBAL: u32 = 50;

/// The limits of a route: requests, in how long.
const LIMITS: &[(Route, u32, Duration)] = &[
    (Route::POST, 5, Duration::from_secs(5)),
    (Route::EDIT, 5, Duration::from_secs(5)),
    (Route::THREAD, 50, Duration::from_mins(5)),
    (Route::FOLLOW_UP, 5, Duration::from_secs(2)),
    (Route::EDIT_ANSWER, 5, Duration::from_secs(2)),
];

/// One counted window.
struct Window {
    used: u32,
    began: Moment,
}

/// Where the counts stand.
#[derive(Default)]
pub(crate) struct Buckets {
    windows: HashMap<String, Window>,
    global: Option<Window>,
    generous: bool,
}

/// What the headers of an answer say.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) bucket: String,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_after: Duration,
}

/// Why a call must wait.
pub(crate) struct Wait {
    pub(crate) retry_after: Duration,
    pub(crate) global: bool,
    pub(crate) told: Option<Told>,
}

impl Buckets {
    /// Counts nothing from here on.
    pub(crate) fn lift(&mut self) {
        self.generous = true;
    }

    /// Counts a call, and says what its answer tells, or that it must wait.
    pub(crate) fn count(&mut self, method: &str, path: &str, clock: &Clock) -> Result<Option<Told>, Wait> {
        if self.generous {
            return Ok(None);
        }
        let of_interaction = path.starts_with("/interactions/") || path.starts_with("/webhooks/");
        if !of_interaction && let Err(left) = spend(&mut self.global, GLOBAL, Duration::from_secs(1), clock) {
            return Err(Wait { retry_after: left, global: true, told: None });
        }
        let Some((number, (_, limit, per))) =
            LIMITS.iter().enumerate().find(|(_, (route, _, _))| route.matches(method, path))
        else {
            return Ok(None);
        };
        let major: Vec<&str> = path.split('/').skip(2).take(if of_interaction { 2 } else { 1 }).collect();
        let key = format!("{number}/{}", major.join("/"));
        let mut window = self.windows.remove(&key);
        let spent = spend(&mut window, *limit, *per, clock);
        let told = window.as_ref().map(|window| Told {
            bucket: format!("bucket{number}"),
            limit: *limit,
            remaining: limit.saturating_sub(window.used),
            reset_after: per.saturating_sub(window.began.elapsed(clock)),
        });
        if let Some(window) = window {
            self.windows.insert(key, window);
        }
        match spent {
            Ok(()) => Ok(told),
            Err(left) => Err(Wait { retry_after: left, global: false, told }),
        }
    }
}

/// Takes one from a window, or says how long it still lasts.
fn spend(window: &mut Option<Window>, limit: u32, per: Duration, clock: &Clock) -> Result<(), Duration> {
    let current = match window.take() {
        Some(current) if current.began.elapsed(clock) < per => window.insert(current),
        Some(_) | None => window.insert(Window { used: 0, began: clock.moment() }),
    };
    if current.used >= limit {
        return Err(per.saturating_sub(current.began.elapsed(clock)));
    }
    current.used += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fifty calls of any kind in a second are the most; answers to interactions are not among them.
    #[test]
    fn the_whole_bot_is_limited() {
        let clock = Clock::following(|| 0);
        let mut buckets = Buckets::default();
        for _ in 0..GLOBAL {
            assert!(buckets.count("GET", "/users/@me", &clock).is_ok());
        }
        let wait = buckets.count("GET", "/users/@me", &clock).err().unwrap();
        assert!(wait.global && wait.retry_after <= Duration::from_secs(1));
        assert!(buckets.count("POST", "/interactions/1/token/callback", &clock).is_ok());
    }

    /// Each channel has a bucket of its own.
    #[test]
    fn channels_are_limited_one_by_one() {
        let clock = Clock::following(|| 0);
        let mut buckets = Buckets::default();
        for left in (0..5).rev() {
            let told = buckets.count("POST", "/channels/1/messages", &clock).ok().flatten().unwrap();
            assert_eq!((told.limit, told.remaining), (5, left));
        }
        assert!(buckets.count("POST", "/channels/1/messages", &clock).is_err_and(|wait| !wait.global));
        assert!(buckets.count("POST", "/channels/2/messages", &clock).is_ok());
    }
}
