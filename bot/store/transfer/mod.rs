//! Everything of a store as lines of JSON: written out of one consistent state, and read into an empty store of either kind.
//!
//! A file is sealed by its last line; one that was cut or altered is not read in. What is read in becomes durable in one
//! transaction with everything before it, or not at all.

mod chains;
mod import;
mod lines;
mod postgres;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    fs::{OpenOptions, TryLockError},
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
};

use futures::TryStreamExt;

use self::{
    chains::Chains,
    lines::Writing,
    tables::{Column, Kind, TABLES},
};
pub use self::{
    import::{Imported, Kept, import},
    lines::{Content, Damaged, Head, Reading, Seal},
};
use super::{
    Address, Bind, Fault, Reader, Result as Stored, Row, Tx,
    archives::{Archived, Part},
    migrations,
    row::list,
    runs, sqlite,
};
use crate::domain::time::Time;

/// Why something was not written out or read in.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Something is wrong with the store.
    #[error(transparent)]
    Store(#[from] Fault),
    /// The file cannot be written.
    #[error("it cannot be written: {0}")]
    File(#[from] io::Error),
    /// The file is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// It is not to be: what stands in the way, and a hint.
    #[error("{0}\nhint: {1}")]
    Refused(String, String),
}

/// Writes everything that the snapshot shows.
///
/// A bot may be at work meanwhile. Memory does not grow with the store.
pub async fn export(
    reader: &mut Reader,
    out: impl Write,
    (content, at, at_work): (Content, Time, bool),
) -> Result<Seal, Trouble> {
    if reader.is_of_server() {
        postgres::without_haste(reader).await?;
    }
    let head = Head::new(content, origin(reader).await?, at, at_work);
    let mut lines = Writing::begin(out, &head)?;
    for table in TABLES {
        let mut rows = reader.stream(table.statements().all, &[]).await?;
        while let Some(row) = rows.try_next().await? {
            lines.row(table.name, &object(table.columns, &row)?)?;
        }
    }
    Ok(lines.end()?)
}

/// The file of what leaves, and its last line.
pub async fn archive(reader: &mut Reader, part: &Part, at: Time) -> Stored<(Vec<u8>, Seal)> {
    let head = Head::new(Content::Archive, origin(reader).await?, at, true);
    let written = |error: io::Error| Fault::defect(format!("a line cannot be made: {error}"));
    let mut out = Vec::new();
    let mut lines = Writing::begin(&mut out, &head).map_err(written)?;
    let mut runs = String::new();
    let (kind, which) = which(part, &mut runs)?;
    for table in TABLES {
        let Some(statement) = table.statements().share(kind).rows else { continue };
        for row in reader.rows(statement, &[which]).await? {
            lines.row(table.name, &object(table.columns, &row)?).map_err(written)?;
        }
    }
    let seal = lines.end().map_err(written)?;
    Ok((out, seal))
}

/// Takes away what has left.
pub async fn remove(tx: &mut Tx, part: &Part) -> Stored<()> {
    let mut runs = String::new();
    let (kind, which) = which(part, &mut runs)?;
    for table in TABLES.iter().rev() {
        if let Some(statement) = table.statements().share(kind).delete {
            tx.execute(statement, &[which]).await?;
        }
    }
    Ok(())
}

/// What statements about the part are given.
fn which<'a>(part: &Part, runs: &'a mut String) -> Stored<(Kind, Bind<'a>)> {
    Ok(match part {
        Part::Incident(id) => (Kind::Incident, id.0.into()),
        Part::Runs(ids) => {
            *runs = list(&ids.iter().map(|run| run.0).collect::<Vec<_>>())?;
            (Kind::Runs, Bind::from(&*runs))
        }
        Part::Entries(seq) => (Kind::Entries, (*seq).into()),
    })
}

/// Reads a file to its end and keeps nothing of it; what does not fit together in its timelines, in words.
///
/// # Errors
/// When it is not what was written.
pub fn check(reading: &mut Reading<impl BufRead>) -> Result<Vec<String>, Damaged> {
    Ok(seen(reading)?.flaws())
}

/// The same for the file of something that left, which has to be the one that the store knows.
///
/// # Errors
/// When it is not what was written.
pub fn check_archived(reading: &mut Reading<impl BufRead>, archived: &Archived) -> Result<Vec<String>, Damaged> {
    let chains = seen(reading)?;
    if reading.seal().is_none_or(|seal| seal.sha256 != archived.sha256) {
        return Ok(vec!["it is whole, but another file than the one that was written".to_owned()]);
    }
    if chains.stretch() != archived.stretch {
        return Ok(vec!["its timeline does not begin and end where the store says".to_owned()]);
    }
    Ok(chains.flaws())
}

fn seen(reading: &mut Reading<impl BufRead>) -> Result<Chains, Damaged> {
    let mut chains = Chains::default();
    while let Some(line) = reading.next()? {
        chains.see(&line.table, &line.row).map_err(|what| reading.damaged(what))?;
    }
    Ok(chains)
}

/// Whether a bot is at work on the store.
pub async fn is_at_work(address: &Address, reader: &mut Reader) -> Stored<bool> {
    let Address::File(path) = address else { return postgres::is_at_work(reader).await };
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let Ok(lock) = OpenOptions::new().write(true).open(lock) else { return Ok(false) };
    Ok(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Moves the file of a store, on which no bot is at work, to a place that is free, with all that belongs to it.
pub async fn move_aside(path: &Path, to: &Path) -> Result<(), Trouble> {
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let _lock = sqlite::lock(path).map_err(|fault| fault.about(&Address::File(path.to_owned())))?;
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (beside(path, ending), beside(to, ending));
        if to.try_exists()? {
            let hint = "name a place that is free: nothing is written over".to_owned();
            return Err(Trouble::Refused(format!("there is a file `{}` already", to.display()), hint));
        }
        if from.try_exists()? {
            tokio::fs::rename(&from, &to).await?;
        }
    }
    Ok(())
}

/// The newest migration and the identity of a store.
async fn origin(reader: &mut Reader) -> Stored<(i64, String)> {
    Ok((migrations::newest(), runs::instance(reader).await?))
}

/// A row as an object of JSON, its columns in their order.
fn object(columns: &[Column], row: &Row) -> Stored<String> {
    let mut object = String::from("{");
    for (index, column) in columns.iter().enumerate() {
        let value = match column {
            Column::Int(name) => row.opt_int(name)?.map(|number| number.to_string()),
            Column::Text(name) => row.opt_text(name)?.map(|text| serde_json::to_string(&text)).transpose()?,
        };
        let comma = if index == 0 { "" } else { "," };
        object.push_str(&format!("{comma}\"{}\":{}", column.name(), value.as_deref().unwrap_or("null")));
    }
    object.push('}');
    Ok(object)
}
