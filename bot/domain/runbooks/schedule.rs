//! When a schedule is due: five fields as in crontab, in the civil time of a zone.
//!
//! The days are counted from 1 for Monday; 0 and 7 are Sunday. Where clocks are set forward, what lies in the gap is due
//! once, right after it; where they are set back, what comes twice is due at the first. Day of month and weekday mean
//! either if both are given, as in crontab. <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html>

use std::{collections::BTreeSet, str::FromStr};

use cron::TimeUnitSpec;
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time as Clock},
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};

use crate::domain::time::Time;

/// How far ahead a schedule is looked for: the 29th of February of a leap year may be eight years away.
const DAYS_AHEAD: i32 = 8 * 366 + 1;

/// When a runbook is started by the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Minute, hour, day of month, month, weekday.
    pub cron: String,
    /// The time zone in which they are meant, such as `Europe/Berlin`.
    pub zone: String,
    /// What becomes of a time at which the bot could not start it.
    pub missed: Missed,
}

/// What becomes of a time at which the bot could not start a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// It is run late, once however many times were missed.
    Run,
    /// It is left out.
    Skip,
}

/// A time at which a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The civil time, as people read it off a clock there: `2026-11-24T02:30:00`.
    pub civil: String,
    /// The moment.
    pub at: Time,
}

impl Schedule {
    /// Whether it can be read.
    ///
    /// # Errors
    /// Says what is wrong with the fields or the zone.
    pub fn check(&self) -> Result<(), String> {
        fields(&self.cron)?;
        zone(&self.zone)?;
        match self.next(Time::EPOCH) {
            Some(_) => Ok(()),
            None => Err(format!("`{}` never comes", self.cron)),
        }
    }

    /// The first time that it is due after this moment.
    pub fn next(&self, after: Time) -> Option<Occurrence> {
        let (fields, zone) = (fields(&self.cron).ok()?, zone(&self.zone).ok()?);
        let after = Timestamp::from_millisecond(after.millis()).ok()?;
        // Clocks are never set by more than a day.
        let mut date = zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..DAYS_AHEAD {
            if fields.is_on(date) {
                for clock in fields.clocks() {
                    let civil = date.to_datetime(clock);
                    let at = moment(&zone, civil)?;
                    if at > after {
                        return Some(Occurrence {
                            civil: civil.to_string(),
                            at: Time::from_millis(at.as_millisecond()),
                        });
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

/// The moment at which a clock of the zone shows this time: the first if it does twice, the end of the gap if it does not.
fn moment(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { before, .. } => {
            let inside = before.to_timestamp(civil).ok()?;
            zone.preceding(inside.checked_add(jiff::SignedDuration::from_millis(1)).ok()?)
                .next()
                .map(|it| it.timestamp())
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.compatible().ok(),
    }
}

struct Fields {
    schedule: cron::Schedule,
    any_day: bool,
    any_weekday: bool,
}

impl Fields {
    fn is_on(&self, date: Date) -> bool {
        let of = |number: i8| u32::try_from(number).unwrap_or(0);
        let day = self.schedule.days_of_month().includes(of(date.day()));
        let weekday = self.schedule.days_of_week().includes(of(date.weekday().to_sunday_one_offset()));
        let is_day = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        self.schedule.months().includes(of(date.month())) && is_day
    }

    fn clocks(&self) -> impl Iterator<Item = Clock> {
        let part = |number: u32| i8::try_from(number).unwrap_or(0);
        let minutes: Vec<u32> = self.schedule.minutes().iter().collect();
        let hours: Vec<u32> = self.schedule.hours().iter().collect();
        hours.into_iter().flat_map(move |hour| {
            let of_hour: Vec<Clock> =
                minutes.iter().filter_map(|minute| Clock::new(part(hour), part(*minute), 0, 0).ok()).collect();
            of_hour
        })
    }
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is not a time zone such as `Europe/Berlin`"))
}

fn fields(text: &str) -> Result<Fields, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts[..] else {
        return Err(format!("`{text}` has {} fields, not minute, hour, day of month, month and weekday", parts.len()));
    };
    let days = weekdays(weekday)?;
    let any_weekday = days.len() == 7;
    let named: Vec<String> = days.iter().map(|day| (day % 7 + 1).to_string()).collect();
    let named = if any_weekday { "*".to_owned() } else { named.join(",") };
    let schedule = cron::Schedule::from_str(&format!("0 {minute} {hour} {day} {month} {named}"))
        .map_err(|_| format!("`{text}` is not a schedule such as `30 2 * * 1-5`"))?;
    Ok(Fields { schedule, any_day: day == "*" || day == "?", any_weekday })
}

/// The weekdays of a field, from 1 for Monday to 7 for Sunday.
fn weekdays(field: &str) -> Result<BTreeSet<u32>, String> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let wrong = || format!("`{field}` is not a weekday such as `1-5` (1 is Monday) or `sat,sun`");
    let day = |text: &str| -> Result<u32, String> {
        let text = text.to_ascii_lowercase();
        if let Some(at) = NAMES.iter().position(|name| *name == text) {
            return u32::try_from(at + 1).map_err(|_| wrong());
        }
        text.parse::<u32>().ok().filter(|day| *day <= 7).ok_or_else(wrong)
    };
    let mut days = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            None if range == "*" || range == "?" => (1, 7),
            None if step > 1 => (day(range)?, 7),
            None => (day(range)?, day(range)?),
            // From Friday to Sunday, however Sunday is written.
            Some((first, last)) => (
                day(first)?,
                match day(last)? {
                    0 => 7,
                    last => last,
                },
            ),
        };
        if first > last {
            return Err(wrong());
        }
        days.extend((first..=last).step_by(step).map(|day| if day == 0 { 7 } else { day }));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule { cron: cron.to_owned(), zone: zone.to_owned(), missed: Missed::Skip }
    }

    /// The next times after this moment, each as its civil time and its moment.
    fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<(String, String)> {
        let (schedule, mut after) = (schedule(cron, zone), after.parse().unwrap());
        let mut times = Vec::new();
        for _ in 0..count {
            let next = schedule.next(after).unwrap();
            after = next.at;
            times.push((next.civil, next.at.to_string()));
        }
        times
    }

    fn moments(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        times(cron, zone, after, count).into_iter().map(|(_, at)| at).collect()
    }

    #[test]
    fn weekdays_count_from_monday() {
        // 2026-11-23 is a Monday.
        let after = "2026-11-22T12:00:00Z";
        assert_eq!(moments("0 9 * * 1", "UTC", after, 1), ["2026-11-23T09:00:00Z"]);
        assert_eq!(
            moments("0 9 * * 5-7", "UTC", after, 4),
            ["2026-11-27T09:00:00Z", "2026-11-28T09:00:00Z", "2026-11-29T09:00:00Z", "2026-12-04T09:00:00Z"]
        );
        for sunday in ["0", "7", "sun", "SUN"] {
            assert_eq!(moments(&format!("0 9 * * {sunday}"), "UTC", after, 1), ["2026-11-29T09:00:00Z"], "{sunday}");
        }
        assert_eq!(
            moments("0 9 1 * 1", "UTC", after, 3),
            ["2026-11-23T09:00:00Z", "2026-11-30T09:00:00Z", "2026-12-01T09:00:00Z"]
        );
    }

    /// What lies in the hour that clocks skip is due once, when they have; the days around it are as always.
    #[test]
    fn a_gap_is_due_once_after_it() {
        // 2027-03-28 in Berlin: 02:00 is 03:00.
        assert_eq!(
            times("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", 3),
            [
                ("2027-03-27T02:30:00".to_owned(), "2027-03-27T01:30:00Z".to_owned()),
                ("2027-03-28T02:30:00".to_owned(), "2027-03-28T01:00:00Z".to_owned()),
                ("2027-03-29T02:30:00".to_owned(), "2027-03-29T00:30:00Z".to_owned()),
            ]
        );
        assert_eq!(
            moments("*/20 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", 4),
            ["2027-03-28T00:40:00Z", "2027-03-28T01:00:00Z", "2027-03-28T01:20:00Z", "2027-03-28T01:40:00Z"]
        );
    }

    /// What comes twice is due at the first.
    #[test]
    fn a_fold_is_due_once() {
        // 2026-10-25 in Berlin: 03:00 is 02:00 again.
        assert_eq!(
            moments("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (cron, zone, what) in [
            ("0 9 * *", "UTC", "has 4 fields"),
            ("0 25 * * *", "UTC", "not a schedule"),
            ("0 9 * * 8", "UTC", "not a weekday"),
            ("0 9 * * 5-2", "UTC", "not a weekday"),
            ("0 9 30 2 *", "UTC", "never comes"),
            ("0 9 * * *", "Mars/Olympus", "not a time zone"),
        ] {
            let why = schedule(cron, zone).check().unwrap_err();
            assert!(why.contains(what), "{why}");
        }
        assert_eq!(moments("0 9 29 2 *", "UTC", "2026-11-22T12:00:00Z", 1), ["2028-02-29T09:00:00Z"]);
    }
}
