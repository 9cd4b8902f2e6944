//! Checks the timelines of a file as its rows go by, however many there are.
//!
//! Rows come in the order of their chains. The ends of the chains are compared as one sum, so that nothing has to be
//! kept of each. The system's begins where the last of its archived stretches ends, which stands before it in the file.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        time::Time,
        timeline::{Broken, Chain, Draft, EntryRef, chained},
    },
    store::archives::Stretch,
};

/// The most broken entries that are named.
const NAMED: usize = 10;

/// What is known of the timelines so far.
#[derive(Default)]
pub(super) struct Chains {
    /// The ends as they were written down, and as they are.
    written: Sha256,
    there: Sha256,
    /// The place and the hash after which the system's begins.
    base: (i64, String),
    last: Option<(EntryRef, String)>,
    broken: Vec<Broken>,
}

impl Chains {
    /// Takes a row of any table.
    pub(super) fn see(&mut self, table: &str, row: &Map<String, Value>) -> Result<(), String> {
        let int = |name: &str| row.get(name).and_then(Value::as_i64).ok_or_else(|| format!("`{name}` is no number"));
        let text = |name: &str| row.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is no text"));
        match table {
            "archives" if row.get("chain").and_then(Value::as_i64) == Some(Chain::System.number()) => {
                let end = (int("seq")?, text("hash")?.to_owned());
                if end.0 > self.base.0 {
                    self.base = end;
                }
            }
            "chains" => add(&mut self.written, int("chain")?, int("seq")?, text("hash")?),
            "timeline" => {
                let reference = EntryRef { chain: Chain::numbered(int("chain")?), seq: int("seq")? };
                let draft = Draft {
                    actor: serde_json::from_str(text("actor")?).map_err(|error| format!("`actor`: {error}"))?,
                    source_at: row.get("source_at").and_then(Value::as_i64).map(Time::from_millis),
                    kind: text("kind")?.to_owned(),
                    body: text("body")?.to_owned(),
                    text: text("text")?.to_owned(),
                };
                self.entry(reference, Time::from_millis(int("at")?), &draft, text("hash")?);
            }
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, reference: EntryRef, at: Time, draft: &Draft, hash: &str) {
        let (place, previous) = match self.last.take() {
            Some((last, hash)) if last.chain == reference.chain => (last.seq + 1, hash),
            other => {
                self.end(other);
                let (base, hash) = self.base_of(reference.chain);
                (base + 1, hash.to_owned())
            }
        };
        let fits = reference.seq == place && chained(&previous, reference, at, draft) == hash;
        if !fits && self.broken.len() < NAMED {
            self.broken.push(Broken(reference));
        }
        self.last = Some((reference, hash.to_owned()));
    }

    fn base_of(&self, chain: Chain) -> (i64, &str) {
        match chain {
            Chain::System => (self.base.0, &self.base.1),
            Chain::Incident(_) => (0, ""),
        }
    }

    /// The last timeline, which is the only one in the file of what left.
    pub(super) fn stretch(&self) -> Option<Stretch> {
        self.last.as_ref().map(|(last, hash)| Stretch {
            chain: last.chain,
            base: self.base_of(last.chain).0,
            seq: last.seq,
            hash: hash.clone(),
        })
    }

    fn end(&mut self, last: Option<(EntryRef, String)>) {
        if let Some((last, hash)) = last {
            add(&mut self.there, last.chain.number(), last.seq, &hash);
        }
    }

    /// What does not fit together, in words; nothing if all is as it was written.
    pub(super) fn flaws(mut self) -> Vec<String> {
        let last = self.last.take();
        self.end(last);
        let mut flaws: Vec<String> = self.broken.iter().map(ToString::to_string).collect();
        if flaws.is_empty() && self.written.finalize() != self.there.finalize() {
            flaws.push("a timeline does not end where it was written to".to_owned());
        }
        flaws
    }
}

fn add(sum: &mut Sha256, chain: i64, seq: i64, hash: &str) {
    sum.update(format!("{chain}#{seq} {hash}\n").as_bytes());
}
