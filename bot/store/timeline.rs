//! Adds to the log and reads it back.

use super::{Reader, Result, Row, Tx, row::json, tx::legible};
use crate::domain::{
    time::Time,
    timeline::{Chain, Draft, Entry, EntryRef, chained},
};

/// Adds an entry at the end of its chain and says how it is cited.
pub async fn append(tx: &mut Tx, chain: Chain, now: Time, draft: &Draft) -> Result<EntryRef> {
    let head = tx.row("select seq, hash from chains where chain = $1", &[chain.number().into()]).await?;
    let (last, previous) = match head {
        Some(row) => (row.int("seq")?, row.text("hash")?),
        None => (0, String::new()),
    };
    let reference = EntryRef { chain, seq: last + 1 };
    let draft = &Draft { text: legible(&draft.text), ..draft.clone() };
    let hash = chained(&previous, reference, now, draft);
    tx.execute(
        "insert into timeline (chain, seq, at, source_at, actor, kind, body, text, hash) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            chain.number().into(),
            reference.seq.into(),
            now.into(),
            draft.source_at.into(),
            (&json(&draft.actor)?).into(),
            (&draft.kind).into(),
            (&json(&draft.body)?).into(),
            (&draft.text).into(),
            (&hash).into(),
        ],
    )
    .await?;
    tx.execute(
        "insert into chains (chain, seq, hash) values ($1, $2, $3) \
         on conflict (chain) do update set seq = excluded.seq, hash = excluded.hash",
        &[chain.number().into(), reference.seq.into(), (&hash).into()],
    )
    .await?;
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
            body: row.json("body")?,
            text: row.text("text")?,
        },
        hash: row.text("hash")?,
    })
}
