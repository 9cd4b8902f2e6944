//! `firewarden archive`: incidents that left the store, read from their files.
//!
//! A file is unpacked into a store of its own for a moment, so that everything that reads a store reads it too.

use std::path::{Path, PathBuf};

use super::{Failure, say, scratch::Scratch, store, transfer as files};
use crate::{
    adapters::archive::Folder,
    app::config::{Config, Look},
    domain::{
        ids::IncidentId,
        timeline::{self, Chain},
    },
    store::{
        Address, ReadOnly,
        archives::{self, Archived},
        incidents,
        restores::Restored,
        timeline as entries,
        transfer::{self, Kept, Trouble},
    },
};

/// Lists them, each with its file.
pub(super) async fn list(config: &Path) -> Result<(), Failure> {
    let (_, archived) = all(config).await?;
    for it in &archived {
        say(&format!(
            "{} {} {}: {}, ended {}, in `{}`",
            it.incident,
            it.severity,
            it.phase,
            it.title,
            it.ended_at.long(),
            it.file
        ));
    }
    if archived.is_empty() {
        say("No incident is archived");
    }
    Ok(())
}

/// Prints one with its timeline, from its file.
pub(super) async fn show(config: &Path, id: IncidentId) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let store = store::opened(config.store()?, "").await?;
    let Some(archived) = archives::of(&mut store.read().await?, id).await? else {
        let what = format!("`{id}` is not archived");
        return Err(Failure::Refused(format!("{what}\nhint: `firewarden archive list` shows those that are")));
    };
    let unpacked = unpack(&config, &archived).await?;
    let mut reader = unpacked.store.read().await?;
    let incident = incidents::by_id(&mut reader, id).await?;
    let entries = entries::entries(&mut reader, Chain::Incident(id)).await?;
    timeline::verify(&entries).map_err(|broken| Failure::Refused(broken.to_string()))?;
    let service = archived.service.as_ref().map(|service| format!(" on `{service}`")).unwrap_or_default();
    say(&format!("{id} {} {}: {}{service}", archived.severity, archived.phase, archived.title));
    say(&format!("Opened {}, ended {}", archived.opened_at.long(), archived.ended_at.long()));
    if let Some(into) = incident.and_then(|incident| incident.merged_into) {
        say(&format!("It went on in {into}"));
    }
    say(&format!("`{}` is as it was written: {} entries\n", archived.file, entries.len()));
    for entry in &entries {
        say(&format!("{} {} {}: {}", entry.reference, entry.at.long(), entry.draft.actor, entry.draft.text));
    }
    Ok(())
}

/// Checks every file.
pub(super) async fn verify(config: &Path) -> Result<(), Failure> {
    let (config, archived) = all(config).await?;
    let mut wrong = Vec::new();
    for it in &archived {
        if let Err(trouble) = check(&config, it) {
            wrong.push(format!("{} in `{}`: {trouble}", it.incident, it.file));
        }
    }
    if wrong.is_empty() {
        say(&format!("{} archived incidents are as they were written", archived.len()));
        return Ok(());
    }
    wrong.push("hint: take these files from a backup of the folder; the store has their digests".to_owned());
    Err(Failure::Refused(wrong.join("\n")))
}

async fn all(config: &Path) -> Result<(Config, Vec<Archived>), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let store = store::opened(config.store()?, "").await?;
    let archived = archives::all(&mut store.read().await?).await?;
    Ok((config, archived))
}

/// The file of an archived incident, which is what was written then.
fn check(config: &Config, archived: &Archived) -> Result<PathBuf, Trouble> {
    let path = Folder::new(&config.path, &config.file.retention.archive).find(&archived.file);
    let mut reading = files::opened(&path)?;
    let flaws = transfer::check(&mut reading)?;
    let digest = reading.seal().map(|seal| seal.sha256.as_str());
    let refused = |what: String| Trouble::Refused(what, "take it from a backup of the folder".to_owned());
    if digest != Some(&archived.sha256) {
        return Err(refused("it is whole, but another file than the one that was written".to_owned()));
    }
    if flaws.is_empty() { Ok(path) } else { Err(refused(flaws.join(", "))) }
}

/// A store with nothing but one archived incident, gone when it is dropped.
pub(super) struct Unpacked {
    pub(super) store: ReadOnly,
    _folder: Scratch,
}

/// Unpacks an archived incident, once its file is found to be what was written.
pub(super) async fn unpack(config: &Config, archived: &Archived) -> Result<Unpacked, Failure> {
    let failed = |trouble: Trouble| files::failed("read", Path::new(&archived.file), &trouble);
    let path = check(config, archived).map_err(failed)?;
    let folder = Scratch::new(&std::env::temp_dir()).map_err(|error| failed(error.into()))?;
    let address = Address::File(folder.path().join("archived.db"));
    let mut reading = files::opened(&path).map_err(failed)?;
    let kept = Kept::Nothing(Restored {
        made_at: Some(archived.archived_at),
        from: archived.file.clone(),
        by: "archive".to_owned(),
        at: archived.archived_at,
    });
    transfer::import(&address, &mut reading, &kept).await.map_err(failed)?;
    Ok(Unpacked { store: ReadOnly::open(address).await?, _folder: folder })
}
