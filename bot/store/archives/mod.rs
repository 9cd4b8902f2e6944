//! What left for files, and where it is; beside it, what may leave, and what else is too old to be kept.

mod due;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::due::{due, due_entries, due_runs, forget_alerts, is_due, prune};
use super::{
    Reader, Result, Row, Tx,
    row::{json, list},
};
use crate::domain::{
    ids::{IncidentId, RunId},
    incidents::Phase,
    severity::Severity,
    time::Time,
    timeline::{Chain, EntryRef},
};

/// What leaves for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An incident with all that belongs to it.
    Incident(IncidentId),
    /// Runs that belong to no incident.
    Runs(Vec<RunId>),
    /// The oldest entries of the system's timeline, up to the one at this place.
    Entries(i64),
}

impl fmt::Display for Part {
    /// The name of the incident or of the first run, or the citation of the last entry: no two parts have the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Incident(id) => id.fmt(f),
            Part::Runs(runs) => runs.first().map_or(Ok(()), |run| run.fmt(f)),
            Part::Entries(seq) => EntryRef { chain: Chain::System, seq: *seq }.fmt(f),
        }
    }
}

/// A timeline in a file, or the part of it that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Whose it is.
    pub chain: Chain,
    /// The place after which it begins.
    pub base: i64,
    /// The place of its last entry.
    pub seq: i64,
    /// The hash of its last entry.
    pub hash: String,
}

/// What left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The part's name.
    pub name: String,
    /// What it is: an incident's title, or the runbooks of runs.
    pub title: String,
    /// How bad an incident was, and how it ended.
    pub of_incident: Option<(Severity, Phase)>,
    /// When it ended, or the last of it.
    pub ended_at: Time,
    /// When it left.
    pub archived_at: Time,
    /// The file, as people are told.
    pub file: String,
    /// The digest in the last line of the file.
    pub sha256: String,
    /// The runs in it.
    pub runs: Vec<RunId>,
    /// The timeline in it.
    pub stretch: Option<Stretch>,
}

/// A run that leaves: its runbook, and when it ended.
pub type Leaver = (RunId, String, Option<Time>);

/// The runs that leave with this.
pub async fn runs_of(reader: &mut Reader, part: &Part) -> Result<Vec<Leaver>> {
    let rows = match part {
        Part::Incident(id) => {
            let sql = "select id, runbook, ended_at from runs where incident = $1 order by id";
            reader.rows(sql, &[id.0.into()]).await?
        }
        Part::Runs(runs) => {
            let runs: Vec<i64> = runs.iter().map(|run| run.0).collect();
            let sql = "select id, runbook, ended_at from runs \
                 where id in (select cast(value as bigint) from json_each($1)) order by id";
            reader.rows(sql, &[(&list(&runs)?).into()]).await?
        }
        Part::Entries(_) => Vec::new(),
    };
    rows.iter().map(|row| Ok((RunId(row.int("id")?), row.text("runbook")?, row.opt_time("ended_at")?))).collect()
}

/// Writes down that something left, and counts its runs, which it still has. Everything of it can be taken away then.
pub async fn add(tx: &mut Tx, archived: &Archived) -> Result<()> {
    let (severity, phase) = archived.of_incident.unzip();
    let stretch = archived.stretch.as_ref();
    tx.execute(
        "insert into archives (name, title, severity, phase, ended_at, archived_at, file, sha256, runs, chain, base, seq, \
         hash) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            (&archived.name).into(),
            (&archived.title).into(),
            severity.map(Severity::number).into(),
            phase.map(Phase::word).into(),
            archived.ended_at.into(),
            archived.archived_at.into(),
            (&archived.file).into(),
            (&archived.sha256).into(),
            (&json(&archived.runs)?).into(),
            stretch.map(|stretch| stretch.chain.number()).into(),
            stretch.map(|stretch| stretch.base).into(),
            stretch.map(|stretch| stretch.seq).into(),
            stretch.map(|stretch| stretch.hash.as_str()).into(),
        ],
    )
    .await?;
    let runs: Vec<i64> = archived.runs.iter().map(|run| run.0).collect();
    tx.execute(
        "insert into runs_left (runbook, state, number) select runbook, state, count(*) from runs \
         where id in (select cast(value as bigint) from json_each($1)) group by runbook, state \
         on conflict (runbook, state) do update set number = runs_left.number + excluded.number",
        &[(&list(&runs)?).into()],
    )
    .await?;
    Ok(())
}

/// The incident, if it left.
pub async fn of(reader: &mut Reader, id: IncidentId) -> Result<Option<Archived>> {
    let row = reader.row("select * from archives where name = $1", &[(&id.to_string()).into()]).await?;
    row.as_ref().map(archived).transpose()
}

/// What the run left with, if it left.
pub async fn of_run(reader: &mut Reader, id: RunId) -> Result<Option<Archived>> {
    let listed = json(&id)?;
    let row = reader.row("select * from archives where instr(runs, $1) > 0 limit 1", &[(&listed).into()]).await?;
    row.as_ref().map(archived).transpose()
}

/// What the entry at this place of the system's timeline left with, if it left.
pub async fn of_entry(reader: &mut Reader, seq: i64) -> Result<Option<Archived>> {
    let row =
        reader.row("select * from archives where chain = 0 and seq >= $1 order by seq limit 1", &[seq.into()]).await?;
    row.as_ref().map(archived).transpose()
}

/// The last that left of a timeline: where it ends, the timeline goes on in the store.
pub async fn last(reader: &mut Reader, chain: Chain) -> Result<Option<Archived>> {
    let sql = "select * from archives where chain = $1 order by seq desc limit 1";
    let row = reader.row(sql, &[chain.number().into()]).await?;
    row.as_ref().map(archived).transpose()
}

/// Everything that left, in the order in which it did.
pub async fn all(reader: &mut Reader) -> Result<Vec<Archived>> {
    // Said so that both databases give the same order: they do not agree on where what is empty stands.
    let sql = "select * from archives order by archived_at, coalesce(chain, 0), coalesce(seq, 0), name collate binary";
    let rows = reader.rows(sql, &[]).await?;
    rows.iter().map(archived).collect()
}

fn archived(row: &Row) -> Result<Archived> {
    let severity = row.opt_int("severity")?.and_then(Severity::numbered);
    let phase = row.opt_text("phase")?.map(|_| row.parsed("phase")).transpose()?;
    let stretch = match row.opt_int("chain")? {
        Some(chain) => Some(Stretch {
            chain: Chain::numbered(chain),
            base: row.int("base")?,
            seq: row.int("seq")?,
            hash: row.text("hash")?,
        }),
        None => None,
    };
    Ok(Archived {
        name: row.text("name")?,
        title: row.text("title")?,
        of_incident: severity.zip(phase),
        ended_at: row.time("ended_at")?,
        archived_at: row.time("archived_at")?,
        file: row.text("file")?,
        sha256: row.text("sha256")?,
        runs: row.json("runs")?,
        stretch,
    })
}
