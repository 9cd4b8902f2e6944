//! What can stand in the timeline of an incident about the incident itself.
//!
//! The kinds and their fields are stored for ever: they are added to, never changed.

use serde::{Deserialize, Serialize};

use crate::domain::{
    alerts::Alert,
    ids::{AlertKey, IncidentId},
    incidents::{Doubt, Milestone, Phase, Role},
    people::PersonId,
    severity::Severity,
    time::Time,
    timeline,
};

/// An alert as the timeline names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its identity.
    pub key: AlertKey,
    /// Its `alertname`.
    pub name: String,
    /// Its labels, as people read them.
    pub labels: String,
    /// Which of its episodes it is; with the key, it names one fault.
    pub episode: u32,
    /// The source that spoke.
    pub source: String,
}

impl Member {
    /// The alert as it stands.
    pub fn of(alert: &Alert) -> Self {
        let mut labels = alert.labels.to_string();
        if labels.len() > 300
            && let Some((end, _)) = labels.char_indices().nth(300)
        {
            labels.truncate(end);
            labels.push('…');
        }
        Self {
            key: alert.key.clone(),
            name: alert.labels.alertname().to_owned(),
            labels,
            episode: alert.episode,
            source: alert.source.clone(),
        }
    }
}

/// Why an alert belongs to the incident that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// It is in this incident already.
    SameAlert,
    /// The incident is open, has the same key, and something in it fired lately.
    SameGroup,
    /// The incident has the same key and was resolved lately.
    ResolvedLately,
    /// No incident has its key.
    NewGroup,
    /// Nothing in the open incident with its key fired lately.
    GroupQuiet,
    /// The earlier incident with its key is over for too long, or was closed, declined or merged.
    EarlierIsOver,
    /// Its incident was declined, and it is worse than that one was.
    WorseThanDeclined,
}

impl Grouping {
    /// The stable code of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Grouping::SameAlert => "same_alert",
            Grouping::SameGroup => "same_group",
            Grouping::ResolvedLately => "resolved_lately",
            Grouping::NewGroup => "new_group",
            Grouping::GroupQuiet => "group_quiet",
            Grouping::EarlierIsOver => "earlier_is_over",
            Grouping::WorseThanDeclined => "worse_than_declined",
        }
    }
}

/// Something that happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// It was opened for an alert.
    IncidentOpened {
        /// What is wrong.
        title: String,
        /// How bad it is.
        severity: Severity,
        /// The affected service.
        service: Option<String>,
        /// The affected environment.
        environment: Option<String>,
        /// The route that took the alert.
        route: String,
        /// Why that route: `matched` or `no_route`.
        reason: String,
        /// The latest moment at which the impact began, if the alert says one.
        started: Option<Time>,
    },
    /// A person declared it.
    IncidentDeclared {
        /// What is wrong.
        title: String,
        /// How bad it is.
        severity: Severity,
        /// The affected service.
        service: Option<String>,
        /// The affected environment.
        environment: Option<String>,
        /// When the impact began, if they said so.
        started: Option<Time>,
    },
    /// An alert began to fire and belongs to it.
    AlertFired {
        /// The alert.
        alert: Member,
        /// How bad the route makes it.
        severity: Severity,
        /// Why it belongs here.
        grouping: Grouping,
        /// Whether it had fired before.
        is_again: bool,
        /// When it began to fire, by its source's clock.
        starts_at: Option<Time>,
    },
    /// A source said that an alert of it is over.
    AlertCleared {
        /// The alert.
        alert: Member,
        /// When it ended.
        at: Time,
    },
    /// The source of an alert fell silent: that is no recovery.
    AlertSilent {
        /// The alert.
        alert: Member,
        /// Since when nothing was heard.
        since: Option<Time>,
    },
    /// An alert whose source had fallen silent still fires.
    AlertHeardAgain {
        /// The alert.
        alert: Member,
    },
    /// An alert changes so often that automation must not act on it.
    AlertFlapping {
        /// The alert.
        alert: Member,
    },
    /// An alert that changed often is steady again.
    AlertSteady {
        /// The alert.
        alert: Member,
    },
    /// An alert fired and nobody is told, because the incident was declined.
    AlertKeptQuiet {
        /// The alert.
        alert: Member,
        /// `declined`.
        reason: String,
    },
    /// A source left alerts out of what it sent.
    AlertsTruncated {
        /// How many.
        count: u64,
    },
    /// People were paged.
    Paged {
        /// Whom the routes name: `role:on-call`.
        who: Vec<String>,
        /// Why: `opened`, `severity_raised`, `reopened`, `no_route`.
        reason: String,
    },
    /// Its severity changed.
    SeverityChanged {
        /// Before.
        from: Severity,
        /// After.
        to: Severity,
        /// Why, if somebody or something said so.
        reason: Option<String>,
    },
    /// It was moved.
    PhaseMoved {
        /// Before.
        from: Phase,
        /// After.
        to: Phase,
        /// Why: a stable code, or a person's words.
        reason: Option<String>,
    },
    /// The first person took it.
    Acknowledged {},
    /// Another person joined.
    Joined {},
    /// Somebody took on a role.
    RoleTaken {
        /// The role.
        role: Role,
        /// Who has it from then on.
        person: PersonId,
        /// Who had it before.
        before: Option<PersonId>,
    },
    /// Somebody wrote something down.
    Noted {
        /// What they wrote.
        text: String,
    },
    /// It was said anew what is wrong.
    SummaryChanged {
        /// What is wrong.
        summary: String,
    },
    /// A key time was set.
    MilestoneSet {
        /// Which.
        milestone: Milestone,
        /// The time.
        value: Time,
        /// The entry that it comes from.
        from: Option<timeline::EntryRef>,
        /// The time that it replaced.
        replaced: Option<Time>,
        /// When it was seen that it held.
        confirmed: Option<Time>,
    },
    /// A key time no longer holds.
    MilestoneVoided {
        /// Which.
        milestone: Milestone,
        /// The time that no longer holds.
        value: Time,
        /// Why: `fired_again` or `moved_back`.
        reason: String,
    },
    /// It was declined: it is no incident.
    IncidentDeclined {
        /// Why, in the person's words.
        reason: String,
        /// How many alerts stay quiet until they resolve.
        quiet: u64,
    },
    /// It goes on in another one.
    MergedInto {
        /// The other one.
        into: IncidentId,
    },
    /// Another one goes on in this one.
    MergedFrom {
        /// The other one.
        from: IncidentId,
        /// How many alerts came with it.
        alerts: u64,
    },
    /// An earlier incident of the same group is known.
    LinkedToEarlier {
        /// The earlier one.
        earlier: IncidentId,
    },
    /// A person is asked whether it is over.
    ResolutionAsked {
        /// Why it is not resolved by itself.
        doubts: Vec<Doubt>,
    },
}

impl timeline::Event for Event {
    fn sentence(&self) -> String {
        match self {
            Event::IncidentOpened { title, severity, service, environment, route, reason, started } => format!(
                "opened it as `{severity}`: “{title}”{}, by route `{route}` (`{reason}`){}",
                place(service.as_deref(), environment.as_deref()),
                started.map_or_else(String::new, |at| format!(", impact began no later than `{}`", at.long())),
            ),
            Event::IncidentDeclared { title, severity, service, environment, started } => format!(
                "declared it as `{severity}`: “{title}”{}{}",
                place(service.as_deref(), environment.as_deref()),
                started.map_or_else(String::new, |at| format!(", impact began `{}`", at.long())),
            ),
            Event::AlertFired { alert, severity, grouping, is_again, .. } => format!(
                "reported that `{}` {} as `{severity}` (`{}`): `{}`",
                alert.name,
                if *is_again { "fires again" } else { "fires" },
                grouping.code(),
                alert.labels,
            ),
            Event::AlertCleared { alert, at } => {
                format!("reported that `{}` cleared at `{}`: `{}`", alert.name, at.long(), alert.labels)
            }
            Event::AlertSilent { alert, since } => format!(
                "heard nothing of `{}` since `{}`, which is no recovery: `{}`",
                alert.name,
                since.map_or_else(|| "unknown".to_owned(), Time::long),
                alert.labels,
            ),
            Event::AlertHeardAgain { alert } => {
                format!("reported that `{}` still fires after a silence: `{}`", alert.name, alert.labels)
            }
            Event::AlertFlapping { alert } => {
                format!("noticed that `{}` changes too often to act on: `{}`", alert.name, alert.labels)
            }
            Event::AlertSteady { alert } => {
                format!("noticed that `{}` is steady again: `{}`", alert.name, alert.labels)
            }
            Event::AlertKeptQuiet { alert, reason } => {
                format!("kept `{}` quiet (`{reason}`): `{}`", alert.name, alert.labels)
            }
            Event::AlertsTruncated { count } => format!("left out `{count}` alerts that are named nowhere"),
            Event::Paged { who, reason } if who.is_empty() => format!("paged the channel (`{reason}`)"),
            Event::Paged { who, reason } => format!("paged `{}` (`{reason}`)", who.join("`, `")),
            Event::SeverityChanged { from, to, reason } => format!(
                "{} the severity from `{from}` to `{to}`{}",
                if to.is_higher_than(*from) { "raised" } else { "lowered" },
                because(reason.as_deref()),
            ),
            Event::PhaseMoved { from, to, reason } => {
                format!("moved it from `{from}` to `{to}`{}", because(reason.as_deref()))
            }
            Event::Acknowledged {} => "acknowledged it".to_owned(),
            Event::Joined {} => "joined the response".to_owned(),
            Event::RoleTaken { role, person, before: Some(before) } => {
                format!("gave the role `{role}` to `{person}`, after `{before}`")
            }
            Event::RoleTaken { role, person, before: None } => format!("gave the role `{role}` to `{person}`"),
            Event::Noted { text } => format!("noted: {text}"),
            Event::SummaryChanged { summary } => format!("summed it up: {summary}"),
            Event::MilestoneSet { milestone, value, from, replaced, confirmed } => format!(
                "set `{milestone}` to `{}`{}{}{}",
                value.long(),
                from.map_or_else(String::new, |from| format!(", from `{from}`")),
                replaced.map_or_else(String::new, |old| format!(", replacing `{}`", old.long())),
                confirmed.map_or_else(String::new, |at| format!(", confirmed `{}`", at.long())),
            ),
            Event::MilestoneVoided { milestone, value, reason } => {
                format!("took back `{milestone}`, which was `{}` (`{reason}`)", value.long())
            }
            Event::IncidentDeclined { reason, quiet } => {
                format!("declined it: {reason}; `{quiet}` alerts stay quiet until they resolve")
            }
            Event::MergedInto { into } => format!("merged it into `{into}`"),
            Event::MergedFrom { from, alerts } => format!("merged `{from}` into it, with `{alerts}` alerts"),
            Event::LinkedToEarlier { earlier } => format!("linked it to the earlier `{earlier}`"),
            Event::ResolutionAsked { doubts } => {
                let doubts: Vec<String> = doubts.iter().map(ToString::to_string).collect();
                format!("asked whether it is over: {}", doubts.join("; "))
            }
        }
    }
}

fn place(service: Option<&str>, environment: Option<&str>) -> String {
    match (service, environment) {
        (Some(service), Some(environment)) => format!(" on `{service}` in `{environment}`"),
        (Some(service), None) => format!(" on `{service}`"),
        (None, Some(environment)) => format!(" in `{environment}`"),
        (None, None) => String::new(),
    }
}

/// A stable code stands in parentheses, the words of a person after a colon.
fn because(reason: Option<&str>) -> String {
    match reason {
        None => String::new(),
        Some(code) if code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') => format!(" (`{code}`)"),
        Some(words) => format!(": {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        people::Actor,
        timeline::{Draft, Event as _},
    };

    #[test]
    fn an_event_names_its_kind_and_reads_as_a_sentence() {
        let event = Event::PhaseMoved { from: Phase::Triage, to: Phase::Monitoring, reason: None };
        let draft = Draft::new(Actor::Bot, &event);
        assert_eq!(draft.kind, "phase_moved");
        assert_eq!(draft.text, "moved it from `triage` to `monitoring`");
        let moved = |reason: &str| {
            Event::PhaseMoved { from: Phase::Triage, to: Phase::Monitoring, reason: Some(reason.to_owned()) }.sentence()
        };
        assert_eq!(moved("all_alerts_cleared"), "moved it from `triage` to `monitoring` (`all_alerts_cleared`)");
        assert_eq!(moved("It looks well."), "moved it from `triage` to `monitoring`: It looks well.");
        assert_eq!(serde_json::from_str::<Event>(&draft.body).unwrap(), event);
        assert_eq!(Draft::new(Actor::Bot, &Event::Acknowledged {}).kind, "acknowledged");
        let asked = Event::ResolutionAsked { doubts: vec![Doubt::WorstSeverity, Doubt::OpenRun] };
        assert_eq!(asked.sentence(), "asked whether it is over: it is `SEV1`; a run in it has not ended");
    }
}
