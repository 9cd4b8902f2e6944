//! Lengths of time as people write them: `90s`, `15m`, `1h30m`.
//!
//! Use with serde as `#[serde(with = "duration")]`, or `duration::option` for an optional field.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest length that can be written: 365 days. Longer ones are refused, so that sums of times stay in range.
pub const LONGEST: Duration = Duration::from_hours(8760);

/// Reads `500ms`, `90s`, `15m`, `1h30m`, `2d`: whole numbers, each with its unit, at most 365 days.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused = || {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is not a length of time such as `90s`, `15m` or `1h30m`")
    };
    let mut rest = text.trim();
    let mut millis: u64 = 0;
    if rest.is_empty() {
        return Err(refused());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(refused)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(refused)?;
        millis = number.checked_mul(scale).and_then(|part| millis.checked_add(part)).ok_or_else(refused)?;
        rest = after;
    }
    let length = Duration::from_millis(millis);
    if length > LONGEST {
        return Err(format!("`{text}` is longer than the most that can be written, `365d`"));
    }
    Ok(length)
}

/// Writes a length so that [`parse`] reads the same again: `1h30m`, `500ms`, `0s`.
pub fn compact(length: Duration) -> String {
    let mut millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in UNITS.iter().rev() {
        if millis >= *scale {
            text.push_str(&format!("{}{unit}", millis / scale));
            millis %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Writes a length for people, with its two largest units: `1 h 30 min`, `4 min 12 s`, `3.2 s`.
pub fn human(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Serializes a `Duration` as its compact text.
pub fn serialize<S: serde::Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&compact(*length))
}

/// Reads a `Duration` from its compact text.
pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// The same for an optional field.
pub mod option {
    use std::time::Duration;

    /// Serializes the length as its compact text, or null.
    pub fn serialize<S: serde::Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match length {
            Some(length) => super::serialize(length, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads an optional length from its compact text.
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "5", "m", "5 m", "-5m", "1y", "999999999999999999d", "366d", "5m3", "٣m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(millis in 0_u64..=31_536_000_000) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(parse(&compact(length)), Ok(length));
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            drop(parse(&text));
        }
    }
}
