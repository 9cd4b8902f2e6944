//! Reads a file into an empty store, in one transaction.

use std::{collections::BTreeMap, fs::File, io::BufRead};

use super::{
    Content, Reading, Seal, Trouble,
    chains::Chains,
    lines::Line,
    postgres,
    tables::{Column, TABLES, Table, named},
};
use crate::store::{
    Address, Fault, FaultKind, Result, Tx,
    behind::Behind,
    connection::Connection,
    migrations,
    restores::{self, Restored},
    row::json,
    sqlite,
};

/// How many rows are written by one statement, and how many bytes of them.
const BATCH: (usize, usize) = (500, 1024 * 1024);

/// What the store goes on as.
#[derive(Debug, Clone)]
pub enum Kept {
    /// As the one that was exported, which nobody goes on with.
    Identity,
    /// As another one, restored from a copy.
    Nothing(Restored),
}

/// What was read in.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The last line of the file.
    pub seal: Seal,
    /// What does not fit together in the timelines, in words. It was so when the file was written.
    pub flaws: Vec<String>,
}

/// Reads the whole file into the store at this address, which is made if it is a file that is missing.
///
/// # Errors
/// When the store is not empty or a bot is at work on it; when the file is not what was written, or a newer version wrote
/// it. Nothing of it is kept then.
pub async fn import(
    address: &Address,
    reading: &mut Reading<impl BufRead>,
    kept: &Kept,
) -> std::result::Result<Imported, Trouble> {
    let head = reading.head();
    if head.schema > migrations::newest() {
        return Err(Trouble::Refused(
            format!("a newer version wrote it, `{}`", head.version),
            format!("read it with `firewarden` {} or newer", head.version),
        ));
    }
    let (mut tx, lock) = open(address).await.map_err(|fault| fault.about(address))?;
    let outcome = async {
        tx.execute(if lock.is_some() { "begin immediate" } else { "begin" }, &[]).await?;
        let imported = fill(&mut tx, reading, kept).await?;
        match tx.execute("commit", &[]).await {
            Ok(_) => Ok(imported),
            Err(fault) if fault.kind == FaultKind::Defect => {
                Err(reading.damaged(format!("its rows do not fit together: {}", fault.detail())).into())
            }
            Err(fault) => Err(fault.into()),
        }
    };
    let outcome = outcome.await.map_err(|trouble| match trouble {
        Trouble::Store(fault) => Trouble::Store(fault.about(address)),
        other @ (Trouble::File(_) | Trouble::Damaged(_) | Trouble::Refused(..)) => other,
    });
    if outcome.is_err() {
        // What had been written goes with the connection in any case.
        let _rolled_back = tx.execute("rollback", &[]).await;
    }
    let closed = match tx.into_connection() {
        Connection::Sqlite(behind) => match behind.into_connection().await {
            Some(connection) => sqlx::Connection::close(connection).await,
            None => Ok(()),
        },
        Connection::Postgres(connection) => sqlx::Connection::close(*connection).await,
        Connection::SqliteSnapshot(_) | Connection::PostgresSnapshot(_) => Ok(()),
    };
    closed.map_err(Fault::from)?;
    drop(lock);
    outcome
}

/// A connection that alone may write, with the lock of the file if it is one.
async fn open(address: &Address) -> Result<(Tx, Option<File>)> {
    match address {
        Address::File(path) => {
            let opened = sqlite::open(path).await?;
            opened.readers.close().await;
            Ok((Tx::over(Connection::Sqlite(Behind::of(opened.writer))), Some(opened.lock)))
        }
        Address::Server(server) => Ok((postgres::alone(server).await?, None)),
    }
}

async fn fill(tx: &mut Tx, reading: &mut Reading<impl BufRead>, kept: &Kept) -> std::result::Result<Imported, Trouble> {
    for table in TABLES.iter().filter(|table| table.name != "instance") {
        if tx.row(table.statements().any, &[]).await?.is_some() {
            return Err(Trouble::Refused(
                format!("the store is not empty: there are rows in `{}`", table.name),
                "name a store in the configuration that is not there yet, or a database that is empty".to_owned(),
            ));
        }
    }
    if reading.head().firewarden != Content::Archive {
        tx.execute("delete from instance", &[]).await?;
    }
    let mut chains = Chains::default();
    let mut batch = Batch::default();
    while let Some(line) = reading.next()? {
        let table = named(&line.table).ok_or_else(|| reading.damaged(format!("there is no table `{}`", line.table)))?;
        chains.see(table.name, &line.row).map_err(|what| reading.damaged(what))?;
        batch.add(tx, table, line, reading).await?;
    }
    batch.write(tx, reading).await?;
    let seal = reading.seal().cloned().unwrap_or(Seal { rows: BTreeMap::new(), sha256: String::new() });
    if tx.is_of_server() {
        for table in TABLES.iter().filter(|table| table.is_numbered()) {
            tx.row(table.renumber(), &[]).await?;
        }
    }
    if let Kept::Nothing(restored) = kept {
        restores::mark(tx, restored).await?;
    }
    Ok(Imported { seal, flaws: chains.flaws() })
}

/// Rows that are written together.
#[derive(Default)]
struct Batch {
    table: Option<&'static Table>,
    columns: Vec<Column>,
    statement: &'static str,
    rows: Vec<serde_json::Map<String, serde_json::Value>>,
    bytes: usize,
    from: u64,
}

impl Batch {
    async fn add(
        &mut self,
        tx: &mut Tx,
        table: &'static Table,
        line: Line,
        reading: &Reading<impl BufRead>,
    ) -> std::result::Result<(), Trouble> {
        let is_same = self.table.is_some_and(|this| this.name == table.name)
            && self.columns.len() == line.row.len()
            && self.columns.iter().all(|column| line.row.contains_key(column.name()));
        if !is_same {
            self.write(tx, reading).await?;
            let column = |name: &String| {
                table.column(name).ok_or_else(|| reading.damaged(format!("`{}` has no column `{name}`", table.name)))
            };
            self.columns = line.row.keys().map(column).collect::<std::result::Result<_, _>>()?;
            self.statement = table.insert(&self.columns);
            self.table = Some(table);
        }
        for column in &self.columns {
            let value = line.row.get(column.name());
            let fits = value.is_some_and(|value| match column {
                Column::Int(_) => value.is_i64() || value.is_null(),
                Column::Text(_) => value.is_string() || value.is_null(),
            });
            if !fits {
                return Err(reading.damaged(format!("`{}` is not what the column holds", column.name())).into());
            }
        }
        if self.rows.is_empty() {
            self.from = reading.line();
        }
        self.bytes += line.row.values().filter_map(|value| value.as_str()).map(str::len).sum::<usize>();
        self.rows.push(line.row);
        if self.rows.len() >= BATCH.0 || self.bytes >= BATCH.1 {
            self.write(tx, reading).await?;
        }
        Ok(())
    }

    async fn write(&mut self, tx: &mut Tx, reading: &Reading<impl BufRead>) -> std::result::Result<(), Trouble> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let expected = self.rows.len() as u64;
        let rows = json(&std::mem::take(&mut self.rows))?;
        self.bytes = 0;
        let added = tx.execute(self.statement, &[(&rows).into()]).await.map_err(|fault| {
            if fault.kind != FaultKind::Defect {
                return Trouble::Store(fault);
            }
            // A row that the schema refuses: a constraint does not hold, or a column has no value.
            let what = format!("the lines {} to {} are not taken: {}", self.from, reading.line(), fault.detail());
            Trouble::Damaged(reading.damaged(what))
        })?;
        if added != expected {
            return Err(reading.damaged(format!("of {expected} rows {added} were written")).into());
        }
        Ok(())
    }
}
