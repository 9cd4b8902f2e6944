//! A freeze window of the configuration: from one moment to another, or every week in a time zone.

use jiff::{
    Timestamp, Zoned,
    civil::{self, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::{Labels, Matcher},
    runbooks::plan::Target,
    time::Time,
};

/// A window. Exactly one of its times is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// What must hold of the labels `service` and `environment`; nothing means every service.
    #[serde(default, rename = "match")]
    pub matchers: Vec<Matcher>,
    /// Why, for those who wonder.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it begins.
    #[serde(default)]
    pub start: Option<Time>,
    /// When it ends.
    #[serde(default)]
    pub end: Option<Time>,
    /// When it begins and ends every week.
    #[serde(default)]
    pub weekly: Option<Weekly>,
}

/// A window of every week, by the clocks of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// When it begins, such as `fri 16:00`.
    pub from: String,
    /// When it ends, such as `mon 08:00`.
    pub to: String,
    /// The time zone, such as `Europe/Berlin`.
    pub zone: String,
}

impl Window {
    /// Whether the window freezes the target at this moment. A time zone that is not known freezes.
    pub fn freezes(&self, target: &Target, now: Time) -> bool {
        let labels = [("service", &target.service), ("environment", &target.environment)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.clone()));
        let labels = Labels::from(std::collections::BTreeMap::from(labels));
        Matcher::first_unmet(&self.matchers, &labels).is_none() && self.is_on(now)
    }

    /// What people are told of it.
    pub fn told(&self) -> String {
        let until = match (&self.weekly, self.end) {
            (Some(weekly), _) => format!("every week from {} to {}, {}", weekly.from, weekly.to, weekly.zone),
            (None, Some(end)) => format!("until {}", end.long()),
            (None, None) => String::new(),
        };
        let reason = self.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
        format!("window `{}`, {until}{reason}", self.name)
    }

    /// What is wrong with it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        match (self.start, self.end, &self.weekly) {
            (Some(start), Some(end), None) if start >= end => problems.push("`end` is not after `start`".to_owned()),
            (Some(_), Some(_), None) | (None, None, Some(_)) => {}
            _ => problems.push("give either `start` and `end`, or `weekly`".to_owned()),
        }
        for matcher in &self.matchers {
            if !matches!(matcher.name(), "service" | "environment") {
                problems.push(format!(
                    "`{}` is not known of what is frozen: `service` and `environment` are",
                    matcher.name()
                ));
            }
        }
        if let Some(weekly) = &self.weekly {
            for (key, text) in [("from", &weekly.from), ("to", &weekly.to)] {
                if moment(text).is_none() {
                    problems.push(format!("`{key}` is `{text}`, not a day and a time such as `fri 16:00`"));
                }
            }
            if weekly.from == weekly.to {
                problems.push("`from` and `to` are the same".to_owned());
            }
            if TimeZone::get(&weekly.zone).is_err() {
                problems.push(format!("`{}` is not a time zone such as `Europe/Berlin`", weekly.zone));
            }
        }
        problems
    }

    fn is_on(&self, now: Time) -> bool {
        if let (Some(start), Some(end)) = (self.start, self.end) {
            return start <= now && now < end;
        }
        let Some(weekly) = &self.weekly else { return true };
        let zoned = TimeZone::get(&weekly.zone).ok().and_then(|zone| {
            let stamp = Timestamp::from_millisecond(now.millis()).ok()?;
            Some(Zoned::new(stamp, zone))
        });
        let (Some(zoned), Some(from), Some(to)) = (zoned, moment(&weekly.from), moment(&weekly.to)) else {
            return true;
        };
        // By the clocks of the zone: a change of theirs moves the window along with everybody's work.
        let here = minutes(zoned.weekday(), zoned.time());
        if from <= to { from <= here && here < to } else { here >= from || here < to }
    }
}

/// Minutes since Monday began.
fn minutes(day: Weekday, time: civil::Time) -> i32 {
    i32::from(day.to_monday_zero_offset()) * 24 * 60 + i32::from(time.hour()) * 60 + i32::from(time.minute())
}

/// Reads `fri 16:00`.
fn moment(text: &str) -> Option<i32> {
    let (day, time) = text.trim().split_once(char::is_whitespace)?;
    let day = match day.to_ascii_lowercase().get(..3)? {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    };
    let (hour, minute) = time.trim().split_once(':')?;
    let time = civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    Some(minutes(day, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(toml: &str) -> Window {
        toml::from_str(&format!("name = \"w\"\n{toml}")).unwrap()
    }

    fn on(window: &Window, at: &str) -> bool {
        let target = Target { service: "checkout".to_owned(), environment: "production".to_owned() };
        window.freezes(&target, at.parse().unwrap())
    }

    #[test]
    fn a_weekly_window_goes_by_the_clocks_of_its_zone() {
        let weekend = window("weekly = { from = \"fri 16:00\", to = \"mon 08:00\", zone = \"Europe/Berlin\" }");
        assert_eq!(weekend.problems(), Vec::<String>::new());
        // Summer: two hours ahead of UTC; winter: one.
        for (at, is_on) in [
            ("2026-07-17T13:59:59Z", false),
            ("2026-07-17T14:00:00Z", true),
            ("2026-07-19T12:00:00Z", true),
            ("2026-07-20T05:59:59Z", true),
            ("2026-07-20T06:00:00Z", false),
            ("2026-12-11T14:30:00Z", false),
            ("2026-12-11T15:00:00Z", true),
            ("2026-12-14T07:00:00Z", false),
            // The clocks went back on the 25th of October in between.
            ("2026-10-23T14:00:00Z", true),
            ("2026-10-26T06:59:59Z", true),
            ("2026-10-26T07:00:00Z", false),
        ] {
            assert_eq!(on(&weekend, at), is_on, "{at}");
        }
    }

    #[test]
    fn a_window_covers_only_what_it_matches() {
        let once = "start = \"2026-12-20T00:00:00Z\"\nend = \"2027-01-02T00:00:00Z\"\n";
        let all = window(once);
        assert!(on(&all, "2026-12-24T20:00:00Z") && !on(&all, "2027-01-02T00:00:00Z"));
        let other = window(&format!("{once}match = ['service=\"pay\"']"));
        assert!(!on(&other, "2026-12-24T20:00:00Z"));
        let here = window(&format!("{once}match = ['service=~\"check.*\"', 'environment=\"production\"']"));
        assert!(on(&here, "2026-12-24T20:00:00Z"));
    }

    #[test]
    fn a_wrong_window_says_what_is_wrong() {
        let wrong =
            window("weekly = { from = \"friday\", to = \"mon 25:00\", zone = \"Mars/Base\" }\nmatch = ['team=\"a\"']");
        assert_eq!(wrong.problems().len(), 4, "{:?}", wrong.problems());
        assert!(on(&Window { matchers: Vec::new(), ..wrong }, "2026-12-24T20:00:00Z"), "what cannot be read freezes");
        assert_eq!(window("").problems(), ["give either `start` and `end`, or `weekly`"]);
    }
}
