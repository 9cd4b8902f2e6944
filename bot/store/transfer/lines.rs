//! The file that everything travels in: lines of JSON between a first line that says what it is and a last one that
//! counts and seals all before it, so that a file that was cut or altered is known by it.
//!
//! ```text
//! {"firewarden":"backup","format":1,"schema":5,"version":"0.1.0","instance":"…","at":"…","at_work":true}
//! {"table":"incidents","row":{"id":1,"title":"…",…}}
//! {"rows":{"incidents":1},"sha256":"…"}
//! ```

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Read, Write},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::time::Time;

/// The newest form of the file that this program knows.
const FORMAT: u32 = 1;
/// The longest line that is read.
const LONGEST: u64 = 256 * 1024 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A whole store, to go on elsewhere.
    Export,
    /// A whole store as it was at some time, to come back to.
    Backup,
    /// What left the store: an incident with all that belongs to it, runs, or entries of the system's timeline.
    Archive,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Export => "an export",
            Content::Backup => "a backup",
            Content::Archive => "an archive",
        })
    }
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What the file holds.
    pub firewarden: Content,
    /// The form of the file.
    pub format: u32,
    /// The newest migration of the store it was written from.
    pub schema: i64,
    /// The version of the program that wrote it.
    pub version: String,
    /// The identity of the store it was written from.
    pub instance: String,
    /// When it was written.
    pub at: Time,
    /// Whether a bot was at work on the store meanwhile.
    pub at_work: bool,
}

impl Head {
    /// The first line of a file that this program writes.
    pub(super) fn new(firewarden: Content, (schema, instance): (i64, String), at: Time, at_work: bool) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { firewarden, format: FORMAT, schema, version, instance, at, at_work }
    }
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// How many rows of each table stand before it.
    pub rows: BTreeMap<String, u64>,
    /// SHA-256 over every byte before this line.
    pub sha256: String,
}

impl Seal {
    /// How many rows there are.
    pub fn count(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) table: String,
    pub(super) row: Map<String, Value>,
}

/// Writes such a file.
pub(super) struct Writing<W> {
    out: W,
    digest: Sha256,
    rows: BTreeMap<String, u64>,
}

impl<W: Write> Writing<W> {
    pub(super) fn begin(out: W, head: &Head) -> io::Result<Self> {
        let mut lines = Self { out, digest: Sha256::new(), rows: BTreeMap::new() };
        lines.write(&serde_json::to_string(head)?)?;
        Ok(lines)
    }

    /// Writes a row, which is an object of JSON.
    pub(super) fn row(&mut self, table: &str, row: &str) -> io::Result<()> {
        self.write(&format!("{{\"table\":\"{table}\",\"row\":{row}}}"))?;
        match self.rows.get_mut(table) {
            Some(count) => *count += 1,
            None => drop(self.rows.insert(table.to_owned(), 1)),
        }
        Ok(())
    }

    /// Writes the last line.
    pub(super) fn end(mut self) -> io::Result<Seal> {
        let seal = Seal { rows: self.rows, sha256: hex::encode(self.digest.finalize()) };
        self.out.write_all(format!("{}\n", serde_json::to_string(&seal)?).as_bytes())?;
        self.out.flush()?;
        Ok(seal)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        for part in [line, "\n"] {
            self.digest.update(part.as_bytes());
            self.out.write_all(part.as_bytes())?;
        }
        Ok(())
    }
}

/// A file is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Damaged {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Reads such a file line by line, and knows at its end whether it is what was written.
pub struct Reading<R> {
    source: R,
    head: Head,
    line: u64,
    digest: Sha256,
    rows: BTreeMap<String, u64>,
    seal: Option<Seal>,
}

impl<R: BufRead> Reading<R> {
    /// Begins with the first line.
    ///
    /// # Errors
    /// When it is no such file, or one of a newer version.
    pub fn begin(mut source: R) -> Result<Self, Damaged> {
        let mut digest = Sha256::new();
        let first = next_line(&mut source, 1)?.unwrap_or_default();
        let what = |what: String| Damaged { line: 1, what };
        let head: Value = serde_json::from_slice(&first).unwrap_or_default();
        if head.get("firewarden").is_none() {
            return Err(what("it is no file of `firewarden`".to_owned()));
        }
        if head.get("format").and_then(Value::as_u64).is_some_and(|format| format > u64::from(FORMAT)) {
            let version = head.get("version").and_then(Value::as_str).unwrap_or("unknown");
            return Err(what(format!("a newer version wrote it, {version}")));
        }
        let head = serde_json::from_value(head).map_err(|error| what(format!("it is not a first line: {error}")))?;
        digest.update(&first);
        Ok(Self { source, head, line: 1, digest, rows: BTreeMap::new(), seal: None })
    }

    /// The first line.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The last line, once it was read and is right.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// The number of the line that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What is wrong with the line that was read last.
    pub(super) fn damaged(&self, what: impl Into<String>) -> Damaged {
        Damaged { line: self.line, what: what.into() }
    }

    /// The next row; none once the last line was read, and everything before it is what was written.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Damaged> {
        if self.seal.is_some() {
            return Ok(None);
        }
        self.line += 1;
        let cut = "the file ends before its last line: it was cut off, or not written to its end";
        let bytes = next_line(&mut self.source, self.line)?.ok_or_else(|| self.damaged(cut))?;
        if bytes.last() != Some(&b'\n') {
            return Err(self.damaged(cut));
        }
        if let Ok(seal) = serde_json::from_slice::<Seal>(&bytes) {
            self.check(&seal)?;
            self.seal = Some(seal);
            return Ok(None);
        }
        let line: Line = serde_json::from_slice(&bytes)
            .map_err(|error| self.damaged(format!("it is no row of a table: {error}")))?;
        self.digest.update(&bytes);
        *self.rows.entry(line.table.clone()).or_default() += 1;
        Ok(Some(line))
    }

    fn check(&mut self, seal: &Seal) -> Result<(), Damaged> {
        let (read, written): (u64, u64) = (self.rows.values().sum(), seal.count());
        if self.rows != seal.rows {
            return Err(self.damaged(format!("the file has {read} rows of those {written} that were written")));
        }
        let sha256 = hex::encode(std::mem::take(&mut self.digest).finalize());
        if sha256 != seal.sha256 {
            let what = "the SHA-256 of the lines before is another one: something in them was changed";
            return Err(self.damaged(what));
        }
        if next_line(&mut self.source, self.line + 1)?.is_some() {
            return Err(Damaged { line: self.line + 1, what: "it stands after the last line".to_owned() });
        }
        Ok(())
    }
}

/// The next line with its end; none at the end of the file.
fn next_line(source: &mut impl BufRead, number: u64) -> Result<Option<Vec<u8>>, Damaged> {
    let mut bytes = Vec::new();
    let read = source.by_ref().take(LONGEST).read_until(b'\n', &mut bytes);
    match read {
        Ok(0) => Ok(None),
        Ok(length) if length as u64 == LONGEST => Err(Damaged { line: number, what: "it is too long".to_owned() }),
        Ok(_) => Ok(Some(bytes)),
        Err(error) => {
            let what = if error.kind() == io::ErrorKind::UnexpectedEof {
                "the compressed file ends in the middle: it was cut off".to_owned()
            } else {
                format!("it cannot be read: {error}")
            };
            Err(Damaged { line: number, what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let head = Head::new(Content::Backup, (5, "me".to_owned()), Time::EPOCH, true);
        let mut out = Vec::new();
        let mut lines = Writing::begin(&mut out, &head).unwrap();
        for id in 1..=3 {
            lines.row("incidents", &format!("{{\"id\":{id},\"title\":\"größe {id}\"}}")).unwrap();
        }
        lines.row("halts", "{\"scope\":\"*\"}").unwrap();
        lines.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Result<Vec<Line>, Damaged> {
        let mut reading = Reading::begin(text.as_bytes())?;
        let mut lines = Vec::new();
        while let Some(line) = reading.next()? {
            lines.push(line);
        }
        assert!(reading.seal().is_some_and(|seal| seal.count() == lines.len() as u64));
        Ok(lines)
    }

    #[test]
    fn what_was_written_reads_back() {
        let lines = read(&written()).unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[2].table.as_str(), &lines[2].row["title"]), ("incidents", &Value::from("größe 3")));
    }

    #[test]
    fn a_cut_file_is_known_wherever_it_was_cut() {
        let text = written();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(read(&text[..end]).is_err(), "cut after {end} bytes");
        }
        let lines: Vec<&str> = text.lines().collect();
        let without_third = format!("{}\n", [&lines[..2], &lines[3..]].concat().join("\n"));
        let damaged = read(&without_third).unwrap_err();
        assert_eq!(damaged.to_string(), "line 5: the file has 3 rows of those 4 that were written");
    }

    #[test]
    fn an_altered_file_is_known_and_the_line_is_named() {
        let text = written();
        for (from, to, line) in [
            ("größe 2", "grösse 2", 6),
            ("\"at_work\":true", "\"at_work\":false", 6),
            ("{\"table\":\"halts\"", "{\"tabel\":\"halts\"", 5),
            ("\"row\":{\"id\":1", "\"row\":{\"id\"", 2),
        ] {
            let altered = text.replace(from, to);
            assert_ne!(altered, text);
            assert_eq!(read(&altered).unwrap_err().line, line, "{from}");
        }
        assert_eq!(read(&format!("{text}{{}}\n")).unwrap_err().line, 7);
        for (text, what) in [("", "no file of"), ("{}\n", "no file of"), ("\u{1f}\u{8b}", "no file of")] {
            assert!(read(text).unwrap_err().what.contains(what), "{text}");
        }
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert!(read(&newer).unwrap_err().what.contains("newer version"));
    }
}
