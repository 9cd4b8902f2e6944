//! What a decision has at hand, and what a look has.

use crate::{
    domain::{
        ids::IncidentId,
        time::Time,
        timeline::{Chain, Draft, EntryRef},
    },
    engine::{Rules, traces::Told},
    store::{self, Reader, Tx},
};

/// What a decision has at hand: its transaction, its time, the rules in force.
pub struct Context<'a> {
    /// The transaction.
    pub tx: &'a mut Tx,
    /// The time at which is decided.
    pub now: Time,
    /// The rules in force.
    pub rules: &'a Rules,
    /// Where the entries are noted, if a trace is made of them.
    pub told: Option<&'a Told>,
}

/// What a look has at hand: a snapshot, the time, the rules in force.
pub struct View<'a> {
    /// The snapshot.
    pub reader: &'a mut Reader,
    /// The time of the look.
    pub now: Time,
    /// The rules in force.
    pub rules: &'a Rules,
}

impl Context<'_> {
    /// Adds to the timeline of the incident.
    pub async fn tell(&mut self, incident: IncidentId, draft: Draft) -> store::Result<EntryRef> {
        self.tell_of(Some(incident), draft).await
    }

    /// Adds to the incident's timeline, or to the system's if there is no incident.
    pub async fn tell_of(&mut self, incident: Option<IncidentId>, draft: Draft) -> store::Result<EntryRef> {
        let chain = incident.map_or(Chain::System, Chain::Incident);
        let entry = store::timeline::append(self.tx, chain, self.now, draft).await?;
        if let Some(told) = self.told {
            told.add(entry);
        }
        Ok(entry)
    }

    /// The same state, to be looked at.
    pub fn view(&mut self) -> View<'_> {
        View { reader: self.tx, now: self.now, rules: self.rules }
    }
}
