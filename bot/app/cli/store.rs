//! `firewarden verify`: reads the store beside a running bot and changes nothing.

use std::path::Path;

use super::{Failure, say};
use crate::{
    app::config::{Config, Look},
    domain::timeline::{self, Chain},
    store::{self, Address, ReadOnly, archives},
};

/// The store at this address, which has to be there; `or_else` goes on with the hint.
pub(super) async fn opened(address: Address, or_else: &str) -> Result<ReadOnly, Failure> {
    if address.file().is_some_and(|path| !path.is_file()) {
        let what = format!("There is no store at `{address}`");
        return Err(Failure::Refused(format!("{what}\nhint: `--config` names its configuration{or_else}")));
    }
    Ok(ReadOnly::open(address).await?)
}

/// Checks every chain of the timeline, from where what was archived of it ends.
pub(super) async fn verify(config: &Path) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let address = config.store()?;
    let store = opened(address.clone(), "").await?;
    let mut reader = store.read().await?;
    let (mut chains, mut count) = (0, 0);
    let mut broken = Vec::new();
    for chain in store::timeline::chains(&mut reader).await? {
        let entries = store::timeline::entries(&mut reader, chain).await?;
        chains += 1;
        count += entries.len();
        let base = archives::last(&mut reader, chain).await?.and_then(|last| last.stretch);
        let base = base.as_ref().map_or((0, ""), |base| (base.seq, base.hash.as_str()));
        if let Err(error) = timeline::verify_after(base, &entries) {
            broken.push(error.to_string());
            continue;
        }
        let head = store::timeline::head(&mut reader, chain).await?;
        let last = entries.last().map(|entry| (entry.reference.seq, entry.hash.clone()));
        if head != last {
            broken.push(cut_off(chain, head.map(|(seq, _)| seq), last.map(|(seq, _)| seq)));
        }
    }
    if broken.is_empty() {
        say(&format!("{address} is as it was written: {count} entries in {chains} timelines"));
        return Ok(());
    }
    let what = if address.file().is_some() { "file" } else { "database" };
    broken.push(format!("hint: keep a copy of the {what} as it is, and compare it with a backup"));
    Err(Failure::Refused(broken.join("\n")))
}

fn cut_off(chain: Chain, written: Option<i64>, there: Option<i64>) -> String {
    format!(
        "timeline {chain} does not end where it was written to: at entry {}, not {}",
        there.unwrap_or(0),
        written.unwrap_or(0)
    )
}
