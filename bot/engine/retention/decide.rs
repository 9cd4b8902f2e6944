//! Takes away what has a file, if it still is what the file says.

use std::collections::BTreeSet;

use super::Event;
use crate::{
    domain::{
        people::Actor,
        time::Time,
        timeline::{Chain, Draft, EntryRef},
    },
    store::{
        self, Decision, Tx,
        archives::{self, Archived, Part, Stretch},
        incidents, timeline, transfer,
    },
};

/// Something that was over before this time was written to a file.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    pub(super) part: Part,
    pub(super) before: Time,
    /// When the file was written, where it is, and the digest in its last line.
    pub(super) written_at: Time,
    pub(super) file: String,
    pub(super) sha256: String,
}

impl Decision for Leave {
    /// Whether it left. If not, the file is of no use.
    type Answer = bool;

    async fn decide(&self, tx: &mut Tx) -> store::Result<bool> {
        if !archives::is_due(tx, &self.part, self.before).await? {
            return Ok(false);
        }
        // Anything may have changed since the file was written: it has to say the same.
        let (_, seal) = transfer::archive(tx, &self.part, self.written_at).await?;
        let Some(archived) = self.archived(tx).await?.filter(|_| seal.sha256 == self.sha256) else { return Ok(false) };
        archives::add(tx, &archived).await?;
        if let Part::Incident(id) = self.part {
            archives::forget_alerts(tx, id, self.before).await?;
        }
        transfer::remove(tx, &self.part).await?;
        if let Some(event) = event(&self.part, archived) {
            timeline::append(tx, Chain::System, self.written_at, Draft::new(Actor::Bot, &event)).await?;
        }
        Ok(true)
    }
}

impl Leave {
    /// What is known of it once it has left.
    async fn archived(&self, tx: &mut Tx) -> store::Result<Option<Archived>> {
        let runs = archives::runs_of(tx, &self.part).await?;
        let mut archived = Archived {
            name: self.part.to_string(),
            title: String::new(),
            of_incident: None,
            ended_at: self.written_at,
            archived_at: self.written_at,
            file: self.file.clone(),
            sha256: self.sha256.clone(),
            runs: runs.iter().map(|(run, ..)| *run).collect(),
            stretch: None,
        };
        match &self.part {
            Part::Incident(id) => {
                let Some(incident) = incidents::by_id(tx, *id).await? else { return Ok(None) };
                let chain = Chain::Incident(*id);
                let end = timeline::head(tx, chain).await?;
                archived.of_incident = Some((incident.severity, incident.phase));
                (archived.title, archived.ended_at) = (incident.title, incident.phase_since);
                archived.stretch = end.map(|(seq, hash)| Stretch { chain, base: 0, seq, hash });
            }
            Part::Runs(_) => {
                let runbooks: BTreeSet<&str> = runs.iter().map(|(_, runbook, _)| runbook.as_str()).collect();
                archived.title = runbooks.into_iter().collect::<Vec<_>>().join(", ");
                archived.ended_at = runs.iter().filter_map(|(.., ended_at)| *ended_at).max().unwrap_or(self.written_at);
            }
            Part::Entries(seq) => {
                let chain = Chain::System;
                let base = archives::last(tx, chain).await?.and_then(|last| last.stretch);
                let base = base.map_or(0, |stretch| stretch.seq);
                let Some(end) = timeline::cited(tx, EntryRef { chain, seq: *seq }).await? else { return Ok(None) };
                "what belongs to no incident".clone_into(&mut archived.title);
                archived.ended_at = end.at;
                archived.stretch = Some(Stretch { chain, base, seq: *seq, hash: end.hash });
            }
        }
        Ok(Some(archived))
    }
}

/// What the log says of it.
fn event(part: &Part, archived: Archived) -> Option<Event> {
    let Archived { file, sha256, runs, stretch, .. } = archived;
    Some(match part {
        Part::Incident(incident) => {
            let Stretch { seq: entries, hash, .. } = stretch?;
            Event::IncidentArchived { incident: *incident, file, sha256, entries, hash }
        }
        Part::Runs(_) => Event::RunsArchived { runs, file, sha256 },
        Part::Entries(_) => {
            let Stretch { chain, base, seq, hash } = stretch?;
            let (from, to) = (EntryRef { chain, seq: base + 1 }, EntryRef { chain, seq });
            Event::EntriesArchived { from, to, file, sha256, hash }
        }
    })
}

/// What belongs to no incident and is older than this goes, so much at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prune {
    pub(super) before: Time,
    pub(super) most: i64,
    pub(super) now: Time,
}

impl Decision for Prune {
    /// How much of one kind went at the most.
    type Answer = u64;

    async fn decide(&self, tx: &mut Tx) -> store::Result<u64> {
        archives::prune(tx, self.before, self.most, self.now).await
    }
}
