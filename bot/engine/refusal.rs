//! What a person is told when something cannot be done.

use std::fmt;

use crate::store::Fault;

/// Why something was not done, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// What was refused and why, without a period.
    pub what: String,
    /// What to do instead, without the word `hint`.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal with these words.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// Adds what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a decision stopped: a person is told, or an operator has to look.
///
/// A refusal does not undo what the decision has written, so refuse before writing.
#[derive(Debug)]
pub enum Stop {
    /// It is refused.
    Refused(Refusal),
    /// The store is in trouble.
    Fault(Fault),
}

impl Stop {
    /// Parts a refusal, which is an answer, from a fault.
    pub fn sort<T>(result: Result<T, Stop>) -> Result<Result<T, Refusal>, Fault> {
        match result {
            Ok(answer) => Ok(Ok(answer)),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}
