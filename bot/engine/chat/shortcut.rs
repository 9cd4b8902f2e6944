//! Buttons as short names for commands, in a form that is understood for ever.
//!
//! A button carries a reference and no authority: pressing it is giving the command, with the same checks. Messages stay
//! in a chat for years, so a line of the table is never changed or taken out, only added. Values may hold any text: the
//! dots that part them are written as `%2E` inside of one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which command a button gives, with what for its options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shortcut {
    line: &'static Word,
    values: Vec<String>,
}

/// A line of the table: what is written in the button, and which command it is.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    name: &'static str,
    path: &'static [&'static str],
    /// Options whose values stand in the button.
    carried: &'static [&'static str],
    /// Options whose values are fixed.
    fixed: &'static [(&'static str, &'static str)],
}

macro_rules! words {
    ($($word:literal = $($path:literal)+ ($($carried:literal),*) {$($name:literal: $value:literal),*};)*) => {
        &[$(Word {
            name: $word, path: &[$($path),+], carried: &[$($carried),*], fixed: &[$(($name, $value)),*],
        }),*]
    };
}

/// Every shortcut that was ever shipped. Lines are only added.
static WORDS: &[Word] = words! {
    "ack" = "incident" "ack" ("incident") {};
    "resolve" = "incident" "resolve" ("incident") {};
    "note" = "incident" "note" ("incident") {};
    "timeline" = "incident" "timeline" ("incident") {};
    "runbooks" = "runbook" "list" ("incident") {};
    "run" = "runbook" "run" ("runbook", "incident") {};
    "cancel" = "runbook" "cancel" ("run") {};
    "approve" = "runbook" "answer" ("question", "revision") {"answer": "approve"};
    "reject" = "runbook" "answer" ("question", "revision") {"answer": "reject"};
    "undo" = "runbook" "answer" ("question", "revision") {"answer": "undo"};
    "retry" = "runbook" "answer" ("question", "revision") {"answer": "retry"};
    "skip" = "runbook" "answer" ("question", "revision") {"answer": "skip"};
    "release" = "runbook" "answer" ("question", "revision") {"answer": "release"};
    "happened" = "runbook" "answer" ("question", "revision") {"answer": "happened"};
    "absent" = "runbook" "answer" ("question", "revision") {"answer": "did-not-happen"};
    "abort" = "runbook" "answer" ("question", "revision") {"answer": "abort"};
    "choose" = "runbook" "answer" ("question", "revision", "choice") {"answer": "choose"};
    "draft" = "postmortem" "draft" ("incident") {};
    "resume" = "runbook" "answer" ("question", "revision") {"answer": "resume"};
    "why" = "why" ("incident") {};
    "rollback" = "rollback" ("service", "environment", "to", "start") {};
    "scale" = "scale" ("service", "replicas", "environment") {"start": "yes"};
    "restart" = "restart" ("service", "environment") {"start": "yes"};
};

/// The most characters that every chat has room for in a button: Discord's, for custom ids.
/// <https://discord.com/developers/docs/components/reference#button>
const LONGEST: usize = 100;

impl Shortcut {
    /// The shortcut with this word and these values.
    ///
    /// # Panics
    /// When the table has no such line: a mistake of the program, which the tests of every card would meet.
    pub fn new(word: &str, values: &[&dyn fmt::Display]) -> Self {
        let line = WORDS.iter().find(|line| line.name == word && line.carried.len() == values.len());
        #[expect(clippy::expect_used, reason = "the words are literals of this program")]
        let line = line.expect("the table of shortcuts has this line");
        Self { line, values: values.iter().map(ToString::to_string).collect() }
    }

    /// Whether every chat has room for it: names that people chose may be long.
    pub fn fits(&self) -> bool {
        self.to_string().chars().count() <= LONGEST
    }

    /// The words of the command.
    pub fn path(&self) -> &'static [&'static str] {
        self.line.path
    }

    /// What is given for its options.
    pub fn given(&self) -> Vec<(String, String)> {
        let carried = self.line.carried.iter().zip(&self.values).map(|(name, value)| (*name, value.as_str()));
        let fixed = self.line.fixed.iter().copied();
        carried.chain(fixed).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.line.name)?;
        self.values.iter().try_for_each(|value| write!(f, ".{}", written(value)))
    }
}

impl FromStr for Shortcut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("`{}` is not a button of this program", text.chars().take(100).collect::<String>());
        let mut parts = text.split('.');
        if parts.next() != Some("1") {
            return Err(refused());
        }
        let word = parts.next().ok_or_else(refused)?;
        let values: Vec<String> = parts.map(|value| value.replace("%2E", ".").replace("%25", "%")).collect();
        let line = WORDS.iter().find(|line| line.name == word && line.carried.len() == values.len());
        Ok(Self { line: line.ok_or_else(refused)?, values })
    }
}

/// A value as it stands in a button.
pub fn written(value: &str) -> String {
    value.replace('%', "%25").replace('.', "%2E")
}

impl TryFrom<String> for Shortcut {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shortcut> for String {
    fn from(shortcut: Shortcut) -> String {
        shortcut.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_line_reads_back_and_fits_a_button() {
        for line in WORDS {
            let value = |name: &&str| match *name {
                "to" | "start" => "DEP-1234567",
                "environment" | "revision" | "replicas" => "production",
                _ => "rollback-a-service-with-a-long-name",
            };
            let shortcut = Shortcut { line, values: line.carried.iter().map(|name| value(name).to_owned()).collect() };
            let text = shortcut.to_string();
            assert!(shortcut.fits(), "{text}");
            assert_eq!(text.parse(), Ok(shortcut));
        }
    }

    proptest! {
        #[test]
        fn every_value_reads_back(value in ".*", other in "[.%2E5]{0,9}") {
            let shortcut = Shortcut::new("run", &[&value, &other]);
            prop_assert_eq!(shortcut.to_string().parse(), Ok(shortcut));
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".*") {
            drop(text.parse::<Shortcut>());
        }
    }
}
