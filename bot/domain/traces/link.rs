//! How traces of different programs find each other: the header `traceparent`. <https://www.w3.org/TR/trace-context/>

use std::{fmt, str::FromStr};

use super::{SpanId, TraceId};

/// A span wherever it is, as `traceparent` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Remote {
    /// Its trace.
    pub trace: TraceId,
    /// Its name there.
    pub span: SpanId,
}

impl fmt::Display for Remote {
    /// As version 00 of the header, with the flag that the trace is recorded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

impl FromStr for Remote {
    type Err = String;

    /// Reads the header's value. Of a later version only what is known of version 00 counts, as the standard says.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "it is no `traceparent`".to_owned();
        let mut parts = text.trim().split('-');
        let mut bytes = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            let is_lower = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if is_lower { hex::decode(part).ok() } else { None }
        };
        let version = bytes(2).ok_or_else(refused)?;
        let trace = bytes(32).ok_or_else(refused)?;
        let span = bytes(16).ok_or_else(refused)?;
        let _flags = bytes(2).ok_or_else(refused)?;
        let is_whole = version != [0] || parts.next().is_none();
        let is_named = [&trace, &span].iter().all(|name| name.iter().any(|byte| *byte != 0));
        match (<[u8; 16]>::try_from(trace), <[u8; 8]>::try_from(span)) {
            (Ok(trace), Ok(span)) if version != [0xff] && is_whole && is_named => {
                Ok(Self { trace: TraceId(trace), span: SpanId(span) })
            }
            _ => Err(refused()),
        }
    }
}

/// Where people look at a trace: an address with `{trace}` in the place of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer(pub String);

impl Viewer {
    /// What stands in the place of a trace's name.
    pub const PLACE: &str = "{trace}";

    /// Where this trace is seen.
    pub fn url(&self, trace: TraceId) -> String {
        self.0.replace(Self::PLACE, &trace.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let remote: Remote = GOOD.parse().unwrap();
        assert_eq!(remote.to_string(), GOOD);
        let later = format!("{}-what-later-versions-add", GOOD.replacen("00-", "cc-", 1));
        assert_eq!(later.parse(), Ok(remote));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00",
            "größe",
            &GOOD.replacen("00-", "ff-", 1),
            &format!("{GOOD}-more"),
            &GOOD.to_uppercase(),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GOOD[1..],
        ] {
            assert!(text.parse::<Remote>().is_err(), "{text}");
        }
    }
}
