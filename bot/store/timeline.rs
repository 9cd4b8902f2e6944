//! Adds to the log and reads it back.

use std::collections::{BTreeSet, HashMap};

use super::{
    Bind, Reader, Result, Row, Tx,
    connection::legible,
    row::{json, list},
    tx::MUCH,
};
use crate::domain::{
    time::Time,
    timeline::{Chain, Draft, Entry, EntryRef, chained},
};

/// The entries that are still to be written, and the ends of the chains that the transaction knows.
#[derive(Default)]
pub(super) struct Later {
    heads: HashMap<i64, (i64, String)>,
    entries: Vec<New>,
    /// The chains whose ends have still to follow entries that are written.
    grown: BTreeSet<i64>,
}

/// An entry as it is written.
pub(super) struct New {
    reference: EntryRef,
    at: Time,
    source_at: Option<Time>,
    actor: String,
    kind: String,
    body: String,
    text: String,
    hash: String,
}

/// The end of a chain.
pub(super) struct End {
    chain: i64,
    seq: i64,
    hash: String,
}

impl Later {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.grown.is_empty()
    }

    /// The entries; the ends of their chains are still to be written.
    pub(super) fn take_entries(&mut self) -> Vec<New> {
        self.grown.extend(self.entries.iter().map(|entry| entry.reference.chain.number()));
        std::mem::take(&mut self.entries)
    }

    /// The ends of the chains whose entries were taken.
    pub(super) fn take_ends(&mut self) -> Vec<End> {
        let end = |chain| self.heads.get(&chain).map(|(seq, hash)| End { chain, seq: *seq, hash: hash.clone() });
        std::mem::take(&mut self.grown).into_iter().filter_map(end).collect()
    }
}

pub(super) const ADD: &str = "insert into timeline (chain, seq, at, source_at, actor, kind, body, text, hash) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(super) const END: &str = "insert into chains (chain, seq, hash) values ($1, $2, $3) \
     on conflict (chain) do update set seq = excluded.seq, hash = excluded.hash";

impl New {
    pub(super) fn row(&self) -> [Bind<'_>; 9] {
        [
            self.reference.chain.number().into(),
            self.reference.seq.into(),
            self.at.into(),
            self.source_at.into(),
            (&self.actor).into(),
            (&self.kind).into(),
            (&self.body).into(),
            (&self.text).into(),
            (&self.hash).into(),
        ]
    }
}

impl End {
    pub(super) fn row(&self) -> [Bind<'_>; 3] {
        [self.chain.into(), self.seq.into(), (&self.hash).into()]
    }
}

/// Looks the ends of these chains up together, for entries that are about to be added.
pub async fn open(tx: &mut Tx, chains: impl IntoIterator<Item = Chain>) -> Result<()> {
    let unknown: Vec<i64> =
        chains.into_iter().map(Chain::number).filter(|chain| !tx.later().timeline.heads.contains_key(chain)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let rows = tx
        .rows(
            "select chain, seq, hash from chains where chain in (select cast(value as bigint) from json_each($1))",
            &[(&list(&unknown)?).into()],
        )
        .await?;
    let heads = &mut tx.later().timeline.heads;
    heads.extend(unknown.into_iter().map(|chain| (chain, (0, String::new()))));
    for row in rows {
        heads.insert(row.int("chain")?, (row.int("seq")?, row.text("hash")?));
    }
    Ok(())
}

/// Adds an entry at the end of its chain and says how it is cited.
pub async fn append(tx: &mut Tx, chain: Chain, now: Time, mut draft: Draft) -> Result<EntryRef> {
    open(tx, [chain]).await?;
    let Later { heads, entries, .. } = &mut tx.later().timeline;
    let (seq, previous) = heads.entry(chain.number()).or_default();
    *seq += 1;
    let reference = EntryRef { chain, seq: *seq };
    draft.text = legible(draft.text);
    *previous = chained(previous, reference, now, &draft);
    entries.push(New {
        reference,
        at: now,
        source_at: draft.source_at,
        actor: json(&draft.actor)?,
        kind: draft.kind,
        body: draft.body,
        text: draft.text,
        hash: previous.clone(),
    });
    if entries.len() >= MUCH {
        tx.write_much().await?;
    }
    Ok(reference)
}

/// The whole chain, oldest first.
pub async fn entries(reader: &mut Reader, chain: Chain) -> Result<Vec<Entry>> {
    let rows = reader.rows("select * from timeline where chain = $1 order by seq", &[chain.number().into()]).await?;
    rows.iter().map(entry).collect()
}

/// The newest `limit` entries of a chain, oldest of them first.
pub async fn newest(reader: &mut Reader, chain: Chain, limit: i64) -> Result<Vec<Entry>> {
    let rows = reader
        .rows(
            "select * from timeline where chain = $1 order by seq desc limit $2",
            &[chain.number().into(), limit.into()],
        )
        .await?;
    rows.iter().rev().map(entry).collect()
}

/// The first `limit` entries of a chain between these places, both included.
pub async fn range(reader: &mut Reader, chain: Chain, (from, to): (i64, i64), limit: i64) -> Result<Vec<Entry>> {
    let rows = reader
        .rows(
            "select * from timeline where chain = $1 and seq between $2 and $3 order by seq limit $4",
            &[chain.number().into(), from.into(), to.into(), limit.into()],
        )
        .await?;
    rows.iter().map(entry).collect()
}

/// Those of the newest `limit` entries of all chains that were committed between these moments, oldest first.
pub async fn newest_between(reader: &mut Reader, (since, until): (Time, Time), limit: i64) -> Result<Vec<Entry>> {
    let rows = reader
        .rows(
            "select * from (select * from timeline order by id desc limit $1) as newest \
             where at between $2 and $3 order by id",
            &[limit.into(), since.into(), until.into()],
        )
        .await?;
    rows.iter().map(entry).collect()
}

/// One entry.
pub async fn cited(reader: &mut Reader, reference: EntryRef) -> Result<Option<Entry>> {
    let row = reader
        .row(
            "select * from timeline where chain = $1 and seq = $2",
            &[reference.chain.number().into(), reference.seq.into()],
        )
        .await?;
    row.as_ref().map(entry).transpose()
}

/// Every chain that has entries.
pub async fn chains(reader: &mut Reader) -> Result<Vec<Chain>> {
    let rows = reader.rows("select chain from chains order by chain", &[]).await?;
    rows.iter().map(|row| Ok(Chain::numbered(row.int("chain")?))).collect()
}

/// The end of a chain as it was last written: its length and newest hash.
pub async fn head(reader: &mut Reader, chain: Chain) -> Result<Option<(i64, String)>> {
    let row = reader.row("select seq, hash from chains where chain = $1", &[chain.number().into()]).await?;
    row.map(|row| Ok((row.int("seq")?, row.text("hash")?))).transpose()
}

/// A number that grows with every entry of every chain and with every message: what a page that shows the newest state
/// compares with what it has.
pub async fn mark(reader: &mut Reader) -> Result<i64> {
    let row = reader
        .row(
            "select coalesce((select max(id) from timeline), 0) + coalesce((select max(id) from posts), 0) as mark",
            &[],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int("mark"))
}

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        reference: EntryRef { chain: Chain::numbered(row.int("chain")?), seq: row.int("seq")? },
        at: row.time("at")?,
        draft: Draft {
            actor: row.json("actor")?,
            source_at: row.opt_time("source_at")?,
            kind: row.text("kind")?,
            body: row.text("body")?,
            text: row.text("text")?,
        },
        hash: row.text("hash")?,
    })
}
