//! Takes an incident away whose file is written, if it still is what the file says.

use super::Event;
use crate::{
    domain::{
        ids::IncidentId,
        people::Actor,
        time::Time,
        timeline::{Chain, Draft},
    },
    store::{
        self, Decision, Tx,
        archives::{self, Archived},
        incidents, timeline, transfer,
    },
};

/// An incident that ended before this time was written to a file.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    pub(super) incident: IncidentId,
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
        let id = self.incident;
        if !archives::is_due(tx, id, self.before).await? {
            return Ok(false);
        }
        // Anything may have changed since the file was written: it has to say the same.
        let (_, seal) = transfer::incident(tx, id, self.written_at).await?;
        let incident = incidents::by_id(tx, id).await?;
        let end = timeline::head(tx, Chain::Incident(id)).await?;
        let (Some(incident), Some(end)) = (incident.filter(|_| seal.sha256 == self.sha256), end) else {
            return Ok(false);
        };
        archives::forget_alerts(tx, id, self.before).await?;
        transfer::remove_incident(tx, id).await?;
        let file = (self.file.clone(), self.sha256.clone());
        let archived = Archived::new(&incident, file, end, self.written_at);
        archives::add(tx, &archived).await?;
        let event = Event::IncidentArchived {
            incident: id,
            file: archived.file,
            sha256: archived.sha256,
            entries: archived.seq,
            hash: archived.hash,
        };
        timeline::append(tx, Chain::System, self.written_at, Draft::new(Actor::Bot, &event)).await?;
        Ok(true)
    }
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
