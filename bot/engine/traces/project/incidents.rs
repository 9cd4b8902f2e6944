//! What a trace shows of an incident itself: that it was opened, how long it took, and which others it has to do with.

use super::Scene;
use crate::{
    domain::{
        ids::IncidentId,
        incidents::{Event, Phase},
        timeline::Entry,
        traces::{Remote, Span, Subject, Trace},
    },
    store::{self, Reader, incidents},
};

impl Scene<'_> {
    /// The spans of the incident.
    pub(super) async fn tell_incident(&mut self, reader: &mut Reader) -> store::Result<()> {
        for entry in self.entries {
            match entry.event::<Event>() {
                Some(Event::IncidentOpened { severity, service, environment, route, .. }) => {
                    let span = self.opened(entry).with("firewarden.severity", severity.to_string());
                    let span = span.with("firewarden.route", route);
                    self.spans.push(on(span, service, environment));
                }
                Some(Event::IncidentDeclared { severity, service, environment, .. }) => {
                    let span = self.opened(entry).with("firewarden.severity", severity.to_string());
                    self.spans.push(on(span, service, environment));
                }
                Some(Event::PhaseMoved { to: Phase::Resolved, .. }) => self.resolved(reader, entry).await?,
                Some(
                    Event::MergedInto { into: other }
                    | Event::MergedFrom { from: other, .. }
                    | Event::LinkedToEarlier { earlier: other },
                ) => self.links.push(self.link(other)),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// The span on top: from what opened it to the commit.
    fn opened(&self, entry: &Entry) -> Span {
        let arrived = self.decided.deliveries.iter().map(|(_, arrival)| arrival.at).min();
        let start = arrived.unwrap_or(self.decided.begun).min(entry.at);
        let actor = entry.draft.actor.to_string();
        self.span(self.trace.root, "incident", (start, self.decided.done)).with("firewarden.actor", actor)
    }

    async fn resolved(&mut self, reader: &mut Reader, entry: &Entry) -> store::Result<()> {
        let Subject::Incident(id) = self.subject else { return Ok(()) };
        let Some(incident) = incidents::by_id(reader, id).await? else { return Ok(()) };
        let name = self.trace.span(&["resolved", &entry.reference.to_string()]);
        let span = self.span(name, "incident: resolved", (incident.opened_at, entry.at)).under(self.trace.root);
        self.spans.push(span.with("firewarden.severity.peak", incident.peak_severity.to_string()));
        Ok(())
    }

    fn link(&self, other: IncidentId) -> Remote {
        let other = Trace::of(self.instance, Subject::Incident(other));
        Remote { trace: other.id, span: other.root }
    }
}

fn on(span: Span, service: Option<String>, environment: Option<String>) -> Span {
    let places = [("firewarden.service", service), ("firewarden.environment", environment)];
    places.into_iter().fold(span, |span, (name, value)| match value {
        Some(value) => span.with(name, value),
        None => span,
    })
}
