//! How bad it is: `SEV1` is the worst, `SEV4` the mildest.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How bad an incident is. `SEV1` compares greatest, so the maximum of several is the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Severity {
    /// Worth knowing; no one is woken.
    Sev4,
    /// A part is degraded.
    Sev3,
    /// A main function is broken for some.
    Sev2,
    /// A main function is broken for all, or data is at risk.
    Sev1,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 4] = [Severity::Sev1, Severity::Sev2, Severity::Sev3, Severity::Sev4];

    /// Whether this is worse than `other`.
    pub fn is_higher_than(self, other: Severity) -> bool {
        self > other
    }

    /// The number in its name: 1 for `SEV1`.
    pub fn number(self) -> i64 {
        match self {
            Severity::Sev1 => 1,
            Severity::Sev2 => 2,
            Severity::Sev3 => 3,
            Severity::Sev4 => 4,
        }
    }

    /// The severity with this number, 1 to 4.
    pub fn numbered(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.number() == number)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SEV{}", self.number())
    }
}

impl FromStr for Severity {
    type Err = String;

    /// Reads `SEV1` to `SEV4` in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        Self::ALL.into_iter().find(|severity| severity.to_string().eq_ignore_ascii_case(trimmed)).ok_or_else(|| {
            let shown: String = trimmed.chars().take(40).collect();
            format!("`{shown}` is not a severity: `SEV1`, `SEV2`, `SEV3` or `SEV4`")
        })
    }
}

impl TryFrom<String> for Severity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Severity> for String {
    fn from(severity: Severity) -> String {
        severity.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_highest() {
        assert!(Severity::Sev1.is_higher_than(Severity::Sev2));
        assert!(!Severity::Sev2.is_higher_than(Severity::Sev2));
        assert_eq!([Severity::Sev3, Severity::Sev1, Severity::Sev4].into_iter().max(), Some(Severity::Sev1));
    }

    #[test]
    fn a_severity_is_read_in_any_case_and_written_in_one() {
        for severity in Severity::ALL {
            assert_eq!(severity.to_string().to_lowercase().parse(), Ok(severity));
            assert_eq!(Severity::numbered(severity.number()), Some(severity));
        }
        for text in ["", "SEV", "SEV0", "SEV5", "1", "critical"] {
            assert!(text.parse::<Severity>().unwrap_err().contains("is not a severity"), "{text}");
        }
    }
}
