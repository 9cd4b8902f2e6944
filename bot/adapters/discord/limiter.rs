//! Keeps requests within what Discord allows, by what its own answers say.
//!
//! Discord names buckets in its headers; until it has, a route is taken for a bucket of its own. Nothing waits here: a
//! request that would be too many is told when it may come again.
//! <https://discord.com/developers/docs/topics/rate-limits>

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::limits;
use crate::domain::time::Time;

/// What is known of the limits.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Until when nothing may be sent at all.
    closed_until: Option<Time>,
    /// When requests of the last second were sent.
    recent: VecDeque<Time>,
    /// When invalid requests of the last ten minutes were answered.
    invalid: VecDeque<Time>,
    /// The bucket of each route, once Discord has named it.
    buckets: HashMap<String, String>,
    /// What is left of each bucket, by its name and the route's main resource.
    left: HashMap<String, Left>,
}

#[derive(Debug, Clone, Copy)]
struct Left {
    remaining: u64,
    resets_at: Time,
}

/// What an answer says of the limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// `X-RateLimit-Bucket`.
    pub bucket: Option<String>,
    /// `X-RateLimit-Remaining`.
    pub remaining: Option<u64>,
    /// `X-RateLimit-Reset-After`, or `Retry-After` of a 429.
    pub reset_after: Option<Duration>,
    /// Whether a 429 is about everything: `X-RateLimit-Global`.
    pub is_global: bool,
    /// Whether a 429 is about others too, and no fault of this bot: `X-RateLimit-Scope: shared`.
    pub is_shared: bool,
}

const INVALID_WINDOW: Duration = Duration::from_mins(10);
/// Nothing is sent any more when this part of the invalid requests is used up.
const INVALID_MOST: usize = limits::INVALID_REQUESTS * 9 / 10;

impl Limiter {
    /// Takes a place for a request, or says how long to wait. `resource` is the channel or server in the route.
    pub fn take(&self, route: &str, resource: &str, now: Time) -> Result<(), Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = known.closed_until.filter(|until| *until > now) {
            return Err(until.since(now));
        }
        drop_before(&mut known.invalid, now - INVALID_WINDOW);
        if known.invalid.len() >= INVALID_MOST {
            return Err(INVALID_WINDOW);
        }
        drop_before(&mut known.recent, now - Duration::from_secs(1));
        if known.recent.len() >= limits::REQUESTS_PER_SECOND {
            return Err(Duration::from_secs(1));
        }
        let key = known.key(route, resource);
        if let Some(left) = known.left.get_mut(&key) {
            if left.resets_at <= now {
                known.left.remove(&key);
            } else if left.remaining == 0 {
                return Err(left.resets_at.since(now));
            } else {
                left.remaining -= 1;
            }
        }
        known.recent.push_back(now);
        Ok(())
    }

    /// Learns from an answer.
    pub fn learn(&self, route: &str, resource: &str, told: &Told, now: Time) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // https://discord.com/developers/docs/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans
        if matches!(told.status, 401 | 403 | 429) && !told.is_shared {
            known.invalid.push_back(now);
        }
        if let Some(bucket) = &told.bucket {
            known.buckets.insert(route.to_owned(), bucket.clone());
        }
        let Some(reset_after) = told.reset_after else { return };
        let resets_at = now + reset_after;
        if told.status == 429 && told.is_global {
            known.closed_until = Some(resets_at);
            return;
        }
        let remaining = if told.status == 429 { Some(0) } else { told.remaining };
        if let Some(remaining) = remaining {
            let key = known.key(route, resource);
            let before = known.left.get(&key).filter(|left| left.resets_at > now).map(|left| left.remaining);
            // Answers may overtake each other: within a window, less is newer.
            let remaining = before.map_or(remaining, |before| before.min(remaining));
            known.left.insert(key, Left { remaining, resets_at });
        }
        if known.left.len() > 1_000 {
            known.left.retain(|_, left| left.resets_at > now);
        }
    }
}

impl Known {
    fn key(&self, route: &str, resource: &str) -> String {
        let bucket = self.buckets.get(route).map_or(route, String::as_str);
        format!("{bucket} {resource}")
    }
}

fn drop_before(times: &mut VecDeque<Time>, first: Time) {
    while times.front().is_some_and(|at| *at <= first) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::EPOCH;

    fn told(status: u16, remaining: u64, seconds: u64) -> Told {
        Told {
            status,
            bucket: Some("b".to_owned()),
            remaining: Some(remaining),
            reset_after: Some(Duration::from_secs(seconds)),
            is_global: false,
            is_shared: false,
        }
    }

    #[test]
    fn an_empty_bucket_waits_for_its_reset_and_no_other_does() {
        let limiter = Limiter::default();
        limiter.learn("POST messages", "1", &told(200, 0, 5), NOW);
        assert_eq!(limiter.take("POST messages", "1", NOW), Err(Duration::from_secs(5)));
        assert_eq!(limiter.take("POST messages", "2", NOW), Ok(()));
        assert_eq!(limiter.take("POST messages", "1", NOW + Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn routes_of_one_bucket_share_what_is_left() {
        let limiter = Limiter::default();
        limiter.learn("POST messages", "1", &told(200, 1, 5), NOW);
        limiter.learn("PATCH message", "1", &told(200, 1, 5), NOW);
        assert_eq!(limiter.take("POST messages", "1", NOW), Ok(()));
        assert_eq!(limiter.take("PATCH message", "1", NOW), Err(Duration::from_secs(5)));
    }

    #[test]
    fn a_global_limit_closes_everything() {
        let limiter = Limiter::default();
        let global = Told { is_global: true, ..told(429, 0, 2) };
        limiter.learn("POST messages", "1", &global, NOW);
        assert_eq!(limiter.take("PUT commands", "9", NOW), Err(Duration::from_secs(2)));
        assert_eq!(limiter.take("PUT commands", "9", NOW + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn fifty_requests_a_second_are_the_most() {
        let limiter = Limiter::default();
        let taken = (0..60).filter(|index| limiter.take("route", &index.to_string(), NOW).is_ok()).count();
        assert_eq!(taken, limits::REQUESTS_PER_SECOND);
        assert_eq!(limiter.take("route", "60", NOW + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn a_ban_is_kept_away_from() {
        let limiter = Limiter::default();
        for _ in 0..INVALID_MOST {
            limiter.learn("route", "1", &Told { status: 403, ..Told::default() }, NOW);
        }
        assert!(limiter.take("other", "2", NOW).is_err());
        let shared = Limiter::default();
        for _ in 0..INVALID_MOST {
            shared.learn("route", "1", &Told { status: 429, is_shared: true, ..Told::default() }, NOW);
        }
        assert_eq!(shared.take("other", "2", NOW), Ok(()), "what others use up is not held against the bot");
        assert_eq!(limiter.take("other", "2", NOW + INVALID_WINDOW), Ok(()));
    }
}
