//! The names of things, as people type them: `INC-42`, `RUN-7`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The text was not the name of such a thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of {what}, such as `{example}`")]
pub struct NotAName {
    text: String,
    what: &'static str,
    example: &'static str,
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            /// Accepts the name in any case, and the bare number.
            fn from_str(text: &str) -> Result<Self, NotAName> {
                let trimmed = text.trim();
                let prefix = trimmed.get(..$prefix.len() + 1);
                let number = match prefix {
                    Some(prefix) if prefix.eq_ignore_ascii_case(concat!($prefix, "-")) => &trimmed[prefix.len()..],
                    Some(_) | None => trimmed,
                };
                let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                let number = if plain { number.parse().ok() } else { None };
                number.filter(|number| *number > 0).map(Self).ok_or_else(|| NotAName {
                    text: text.chars().take(80).collect(),
                    what: $what,
                    example: concat!($prefix, "-1"),
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;

            fn try_from(text: String) -> Result<Self, NotAName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

numbered!(
    /// An incident, `INC-42`.
    IncidentId,
    "INC",
    "an incident"
);
numbered!(
    /// An execution of a runbook, `RUN-7`.
    RunId,
    "RUN",
    "a run"
);
numbered!(
    /// A question put to people before a run goes on, `APR-3`.
    ApprovalId,
    "APR",
    "an approval"
);
numbered!(
    /// An order to hold alerts back, `SIL-2`.
    SilenceId,
    "SIL",
    "a silence"
);
numbered!(
    /// A version that was brought to a place, `DEP-3`.
    DeploymentId,
    "DEP",
    "a deployment"
);

/// The identity of an alert: a hash of its labels without the source and the replica labels, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertKey(pub String);

impl fmt::Display for AlertKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_any_case_and_as_a_bare_number() {
        for text in ["INC-42", "inc-42", " 42 "] {
            assert_eq!(text.parse(), Ok(IncidentId(42)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_name_says_what_one_looks_like() {
        for text in ["", "INC-", "INC--1", "RUN-3", "+4", "INC-0", "größe", "99999999999999999999"] {
            let error = text.parse::<IncidentId>().unwrap_err().to_string();
            assert!(error.ends_with("is not the name of an incident, such as `INC-1`"), "{error}");
        }
    }
}
