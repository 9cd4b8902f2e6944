//! What a trace viewer is shown of an incident: spans whose names come from what is durable.
//!
//! Nothing is remembered to make them: an incident's trace, and the span of each thing in it, are hashes of the store's
//! identity and of the thing's own name. A process that takes over after a kill goes on with the same trace, and what is
//! told twice has the same span both times.

mod link;
mod span;

pub use self::{
    link::{Remote, Viewer},
    span::{Happening, Kind, Span, Value},
};

use std::fmt;

use sha2::{Digest, Sha256};

use crate::domain::ids::{IncidentId, RunId};

/// The name of a trace: 16 bytes, not all of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// The name of a span in its trace: 8 bytes, not all of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What has a trace of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An incident, with all that belongs to it.
    Incident(IncidentId),
    /// A run that belongs to no incident.
    Run(RunId),
}

impl Subject {
    /// What a run belongs to.
    pub fn of_run(run: RunId, incident: Option<IncidentId>) -> Self {
        incident.map_or(Subject::Run(run), Subject::Incident)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Incident(id) => id.fmt(f),
            Subject::Run(id) => id.fmt(f),
        }
    }
}

/// One trace of one store: gives the spans in it their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Its name.
    pub id: TraceId,
    /// The span under which all others stand.
    pub root: SpanId,
}

impl Trace {
    /// The trace of this subject in the store with this identity.
    pub fn of(instance: &str, subject: Subject) -> Self {
        let id = TraceId(hashed(&["trace", instance, &subject.to_string()]));
        let root = span(id, &[&subject.to_string()]);
        Self { id, root }
    }

    /// The span of a run.
    pub fn run(&self, run: RunId) -> SpanId {
        self.span(&[&run.to_string()])
    }

    /// The span of what has this name.
    pub fn span(&self, name: &[&str]) -> SpanId {
        span(self.id, name)
    }
}

fn span(trace: TraceId, name: &[&str]) -> SpanId {
    let trace = trace.to_string();
    SpanId(hashed(&[&["span", trace.as_str()], name].concat()))
}

/// The first bytes of a SHA-256 over the parts, each behind its length. All zero would be no name: then the last is one.
fn hashed<const LENGTH: usize>(parts: &[&str]) -> [u8; LENGTH] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut name = [0; LENGTH];
    name.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    if name.iter().all(|byte| *byte == 0)
        && let Some(last) = name.last_mut()
    {
        *last = 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_the_same_for_ever_and_of_no_other_subject_or_store() {
        let one = Trace::of("a-store", Subject::Incident(IncidentId(1)));
        assert_eq!(one, Trace::of("a-store", Subject::Incident(IncidentId(1))));
        assert_eq!(one.id.to_string().len(), 32);
        assert_eq!(one.root.to_string().len(), 16);
        for other in [
            Trace::of("a-store", Subject::Incident(IncidentId(2))),
            Trace::of("a-store", Subject::Run(RunId(1))),
            Trace::of("another-store", Subject::Incident(IncidentId(1))),
        ] {
            assert_ne!(one.id, other.id);
            assert_ne!(one.run(RunId(1)), other.run(RunId(1)));
        }
        assert_ne!(one.run(RunId(1)), one.root);
        assert_ne!(one.span(&["ab", "c"]), one.span(&["a", "bc"]), "parts do not run together");
    }

    #[test]
    fn a_run_without_an_incident_has_its_own_trace_with_itself_on_top() {
        assert_eq!(Subject::of_run(RunId(3), Some(IncidentId(1))), Subject::Incident(IncidentId(1)));
        let own = Trace::of("a-store", Subject::of_run(RunId(3), None));
        assert_eq!(own.root, own.run(RunId(3)));
    }
}
