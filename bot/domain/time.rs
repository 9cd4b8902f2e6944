//! Moments in UTC, to the millisecond: what the store keeps, the rules compare and people read.

use std::{fmt, ops::Add, ops::Sub, time::Duration};

use serde::{Deserialize, Serialize};

/// A moment in UTC, to the millisecond. Written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(i64);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Time = Time(0);

    /// The moment this many milliseconds after 1970-01-01T00:00:00Z, brought into the years -9999 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        let last = jiff::Timestamp::MAX.as_millisecond();
        Self(millis.clamp(jiff::Timestamp::MIN.as_millisecond(), last))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `03:20:05`, for lists whose day is plain.
    pub fn clock(self) -> String {
        self.stamp().strftime("%H:%M:%S").to_string()
    }

    /// `2026-11-23 03:20:05 UTC`, for sentences.
    pub fn long(self) -> String {
        self.stamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    }

    fn stamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stamp().fmt(f)
    }
}

impl std::str::FromStr for Time {
    type Err = String;

    /// Reads RFC 3339; finer fractions than a millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<jiff::Timestamp>() {
            Ok(stamp) => Ok(Self(stamp.as_millisecond())),
            Err(_) => Err(format!(
                "`{}` is not a time such as `2026-11-23T03:20:00Z`",
                text.chars().take(40).collect::<String>()
            )),
        }
    }
}

/// A moment as programs in Go write it, or none: their zero time, the year 1, stands for no time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment(pub Option<Time>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(Self(None)) };
        if text.starts_with("0001-01-01T00:00:00") {
            return Ok(Self(None));
        }
        text.parse().map(|time| Self(Some(time))).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, length: Duration) -> Time {
        Time::from_millis(self.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, length: Duration) -> Time {
        Time::from_millis(self.0.saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
    }
}
