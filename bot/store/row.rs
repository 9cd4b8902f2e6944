//! Values that go into statements and come out of rows. Times are milliseconds, documents are JSON text.

use serde::de::DeserializeOwned;
use sqlx::{Row as _, postgres::PgRow, sqlite::SqliteRow};

use super::{Fault, Result};
use crate::domain::time::Time;

/// A value for a `$n` of a statement.
#[derive(Debug, Clone, Copy)]
pub enum Bind<'a> {
    /// An integer, a time, an id, or a truth value.
    Int(Option<i64>),
    /// Text, or JSON as text.
    Text(Option<&'a str>),
}

impl From<i64> for Bind<'_> {
    fn from(value: i64) -> Self {
        Bind::Int(Some(value))
    }
}

impl From<Option<i64>> for Bind<'_> {
    fn from(value: Option<i64>) -> Self {
        Bind::Int(value)
    }
}

impl From<bool> for Bind<'_> {
    fn from(value: bool) -> Self {
        Bind::Int(Some(value.into()))
    }
}

impl From<Time> for Bind<'_> {
    fn from(value: Time) -> Self {
        Bind::Int(Some(value.millis()))
    }
}

impl From<Option<Time>> for Bind<'_> {
    fn from(value: Option<Time>) -> Self {
        Bind::Int(value.map(Time::millis))
    }
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(value: &'a str) -> Self {
        Bind::Text(Some(value))
    }
}

impl<'a> From<&'a String> for Bind<'a> {
    fn from(value: &'a String) -> Self {
        Bind::Text(Some(value))
    }
}

impl<'a> From<Option<&'a str>> for Bind<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Bind::Text(value)
    }
}

/// A row of an answer, read by column name.
pub enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

/// Reads a column, whichever database the row is of.
macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            Row::Postgres(row) => row.try_get($column),
        }
    };
}

impl Row {
    /// The integer in this column.
    pub fn int(&self, column: &str) -> Result<i64> {
        Ok(column!(self, column)?)
    }

    /// The integer in this column, if there is one.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(column!(self, column)?)
    }

    /// The text in this column.
    pub fn text(&self, column: &str) -> Result<String> {
        Ok(column!(self, column)?)
    }

    /// The text in this column, where it is.
    pub fn str(&self, column: &str) -> Result<&str> {
        Ok(column!(self, column)?)
    }

    /// The text in this column, if there is one.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>> {
        Ok(column!(self, column)?)
    }

    /// The truth value in this column.
    pub fn is(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    /// The time in this column.
    pub fn time(&self, column: &str) -> Result<Time> {
        Ok(Time::from_millis(self.int(column)?))
    }

    /// The time in this column, if there is one.
    pub fn opt_time(&self, column: &str) -> Result<Option<Time>> {
        Ok(self.opt_int(column)?.map(Time::from_millis))
    }

    /// The JSON document in this column.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let text: &str = column!(self, column)?;
        serde_json::from_str(text)
            .map_err(|error| Fault::defect(format!("column `{column}` does not read back: {error}")))
    }

    /// The name or word in this column, read back by its own reader.
    pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, column: &str) -> Result<T> {
        let text: &str = column!(self, column)?;
        text.parse().map_err(|error| Fault::defect(format!("column `{column}` does not read back: {error}")))
    }
}

/// Writes a document for a text column.
pub fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// Writes a list that a statement goes through, for its `$1`. The one character that no database keeps in a text, NUL,
/// becomes U+FFFD, as everywhere in the store.
pub(super) fn list<T: serde::Serialize + ?Sized>(rows: &T) -> Result<String> {
    const NUL: &str = "\\u0000";
    let mut text = serde_json::to_string(rows)?;
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(NUL)) {
        let at = from + found;
        // Behind an odd number of backslashes it is a text about the escape, not the escape.
        let is_escape = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0;
        if is_escape {
            text.replace_range(at..at + NUL.len(), "\\ufffd");
        }
        from = at + NUL.len();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_no_nul_and_keeps_texts_about_it() {
        let nested = serde_json::to_string(&["\0"]).unwrap();
        let read: Vec<String> = serde_json::from_str(&list(&["a\0\0b", "\\\0", &nested]).unwrap()).unwrap();
        assert_eq!(read, ["a\u{fffd}\u{fffd}b", "\\\u{fffd}", "[\"\\u0000\"]"]);
    }
}
