//! `firewarden archive`: what left the store, read from its files.
//!
//! A file is unpacked into a store of its own for a moment, so that everything that reads a store reads it too.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Failure, say, scratch::Scratch, store, transfer as files};
use crate::{
    adapters::archive::Folder,
    app::config::{Config, Look},
    domain::{
        ids::{IncidentId, RunId},
        timeline::{Chain, Entry, EntryRef},
    },
    store::{
        Address, ReadOnly, Reader, approvals,
        archives::{self, Archived},
        incidents,
        restores::Restored,
        runs, steps, timeline,
        transfer::{self, Kept, Trouble},
    },
};

/// What somebody wants to see.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Incident(IncidentId),
    Run(RunId),
    /// The entries of the system's timeline that left with the one at this place.
    Entries(i64),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('#') {
            let cited: EntryRef = text.parse()?;
            return Ok(match cited.chain {
                Chain::Incident(id) => Wanted::Incident(id),
                Chain::System => Wanted::Entries(cited.seq),
            });
        }
        if text.trim().get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("RUN-")) {
            return text.parse().map(Wanted::Run).map_err(|error| format!("{error}"));
        }
        text.parse().map(Wanted::Incident).map_err(|error| format!("{error}"))
    }
}

/// Lists it, each with its file.
pub(super) async fn list(config: &Path) -> Result<(), Failure> {
    let (_, archived) = all(config).await?;
    for it in &archived {
        let what = match (&it.of_incident, &it.stretch) {
            (Some((severity, phase)), _) => format!("{} {severity} {phase}", it.name),
            (None, Some(stretch)) => format!("{} to {}", EntryRef { seq: stretch.base + 1, ..end(stretch) }, it.name),
            (None, None) => it.runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        say(&format!("{what}: {}, ended {}, in `{}`", it.title, it.ended_at.long(), it.file));
    }
    if archived.is_empty() {
        say("Nothing is archived");
    }
    Ok(())
}

fn end(stretch: &archives::Stretch) -> EntryRef {
    EntryRef { chain: stretch.chain, seq: stretch.seq }
}

/// Prints something from its file: an incident with its timeline, a run with its journal, or entries.
pub(super) async fn show(config: &Path, wanted: Wanted) -> Result<(), Failure> {
    let config = Config::load(config, Look::WithoutSecrets)?;
    let store = store::opened(config.store()?, "").await?;
    let mut reader = store.read().await?;
    let (found, name) = match wanted {
        Wanted::Incident(id) => (archives::of(&mut reader, id).await?, id.to_string()),
        Wanted::Run(id) => (archives::of_run(&mut reader, id).await?, id.to_string()),
        Wanted::Entries(seq) => {
            (archives::of_entry(&mut reader, seq).await?, EntryRef { chain: Chain::System, seq }.to_string())
        }
    };
    let Some(archived) = found else {
        let what = format!("`{name}` is not archived");
        return Err(Failure::Refused(format!("{what}\nhint: `firewarden archive list` shows what is")));
    };
    let unpacked = unpack(&config, &archived).await?;
    let mut reader = unpacked.store.read().await?;
    match wanted {
        Wanted::Incident(id) => incident(&mut reader, id).await?,
        Wanted::Run(id) => run(&mut reader, id).await?,
        Wanted::Entries(_) => {}
    }
    let Some(stretch) = archived.stretch.filter(|_| !matches!(wanted, Wanted::Run(_))) else {
        say(&format!("`{}` is as it was written", archived.file));
        return Ok(());
    };
    let entries = timeline::entries(&mut reader, stretch.chain).await?;
    say(&format!("`{}` is as it was written: {} entries\n", archived.file, entries.len()));
    for Entry { reference, at, draft, .. } in &entries {
        say(&format!("{reference} {} {}: {}", at.long(), draft.actor, draft.text));
    }
    Ok(())
}

async fn incident(reader: &mut Reader, id: IncidentId) -> Result<(), Failure> {
    let Some(incident) = incidents::by_id(reader, id).await? else { return Ok(()) };
    let service = incident.service.as_ref().map(|service| format!(" on `{service}`")).unwrap_or_default();
    say(&format!("{id} {} {}: {}{service}", incident.severity, incident.phase, incident.title));
    say(&format!("Opened {}, ended {}", incident.opened_at.long(), incident.phase_since.long()));
    if let Some(into) = incident.merged_into {
        say(&format!("It went on in {into}"));
    }
    Ok(())
}

async fn run(reader: &mut Reader, id: RunId) -> Result<(), Failure> {
    let Some(run) = runs::by_id(reader, id).await? else { return Ok(()) };
    say(&format!("{id} {}: `{}` on `{}`", run.state, run.plan.name, run.target));
    let reason = run.reason.map(|reason| format!(" ({})", reason.words())).unwrap_or_default();
    let ended = run.ended_at.map(|at| format!(", ended {}{reason}", at.long())).unwrap_or_default();
    say(&format!("Started {} by {}{ended}", run.started_at.long(), run.requested_by));
    for step in steps::journal(reader, id).await?.0 {
        let name = run.plan.step(&step.key.path).map(|step| format!(" `{}`", step.name)).unwrap_or_default();
        let error = step.error.map(|error| format!(": {error}")).unwrap_or_default();
        say(&format!("{} {}{name} {}{error}", step.started.long(), step.key, step.state.word()));
    }
    for approval in approvals::of_run(reader, id).await? {
        let answers: Vec<String> =
            approval.answers.iter().map(|given| format!(", {} answered {}", given.person, given.answer)).collect();
        let asked = approval.asked_at.long();
        say(&format!("{asked} {} {}: {}{}", approval.id, approval.state, approval.question, answers.concat()));
    }
    Ok(())
}

/// Checks every file, and that no entry of the system's timeline is missing between them.
pub(super) async fn verify(config: &Path) -> Result<(), Failure> {
    let (config, archived) = all(config).await?;
    let mut wrong = Vec::new();
    for it in &archived {
        if let Err(trouble) = check(&config, it) {
            wrong.push(format!("{} in `{}`: {trouble}", it.name, it.file));
        }
    }
    let stretches = archived.iter().filter_map(|it| it.stretch.as_ref()).filter(|it| it.chain == Chain::System);
    let mut stretches: Vec<_> = stretches.collect();
    stretches.sort_by_key(|stretch| stretch.seq);
    let mut last = 0;
    for stretch in stretches {
        if stretch.base != last {
            let (from, to) =
                (EntryRef { seq: last + 1, ..end(stretch) }, EntryRef { seq: stretch.base, ..end(stretch) });
            wrong.push(format!("nothing is known of where {from} to {to} are"));
        }
        last = stretch.seq;
    }
    if wrong.is_empty() {
        say(&format!("{} archives are as they were written", archived.len()));
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

/// The file of what left, which is what was written then.
fn check(config: &Config, archived: &Archived) -> Result<PathBuf, Trouble> {
    let path = Folder::new(&config.path, &config.file.retention.archive).find(&archived.file);
    let mut reading = files::opened(&path)?;
    let flaws = transfer::check_archived(&mut reading, archived)?;
    if flaws.is_empty() {
        return Ok(path);
    }
    Err(Trouble::Refused(flaws.join(", "), "take it from a backup of the folder".to_owned()))
}

/// A store with nothing but what left for one file, gone when it is dropped.
pub(super) struct Unpacked {
    pub(super) store: ReadOnly,
    _folder: Scratch,
}

/// Unpacks what left for a file, once its file is found to be what was written.
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
