//! What is wrong with a file that a person wrote: where, what, and how to mend it.

use std::{fmt, path::PathBuf};

/// One problem in a configuration, runbook or template file.
///
/// Shown as `file:line:column: what`, then the hint on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file, as the person named it.
    pub file: PathBuf,
    /// Where in the file, when that is known.
    pub place: Option<Place>,
    /// What is wrong: the value in backticks, no period.
    pub what: String,
    /// How to mend it, without the word `hint`.
    pub hint: Option<String>,
}

/// A place in a text file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
}

impl Diagnostic {
    /// A problem in `file`, its place not yet known.
    pub fn new(file: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self { file: file.into(), place: None, what: what.into(), hint: None }
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.place = Some(Place { line, column });
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
