//! What people can ask of incidents, and what each command does.
//!
//! Every command refuses before it writes. Who acted is in the timeline, whatever chat it came from.

use futures::future::BoxFuture;

use super::{
    acts, cards,
    looks::{self, unknown},
    responses,
};
use crate::{
    domain::{
        incidents::{Incident, Milestone, Phase, Role},
        people::{Actor, Capability},
    },
    engine::{
        Context, Refusal, Stop,
        chat::{Call, Command, Does, Kind, Line, Lookup, Message, Opt, Reply},
    },
    store::incidents,
};

const INCIDENT: Opt =
    Opt::optional("incident", "Which one; in its thread it can be left out", Kind::Name(Lookup::Incident));
const SEVERITIES: Kind = Kind::Choice(&["SEV1", "SEV2", "SEV3", "SEV4"]);
const REASON: Opt = Opt::optional("reason", "Why, for the timeline", Kind::Text { max: 500 });

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["incident", "declare"],
        help: "Declare an incident",
        options: &[
            Opt::required("title", "What is wrong, in a few words", Kind::Text { max: 200 }),
            Opt::optional("severity", "How bad it is; SEV3 if nothing is said", SEVERITIES),
            Opt::optional("service", "The affected service", Kind::Name(Lookup::Service)),
            Opt::optional("environment", "The affected environment", Kind::Text { max: 60 }),
            Opt::optional("started", "When the impact began, if that is known", Kind::Time),
        ],
        needs: Capability::Respond,
        does: Does::Acts(responses::declare),
    },
    Command {
        path: &["incident", "list"],
        help: "List incidents: the open ones, unless asked otherwise",
        options: &[
            Opt::optional("phase", "Only those in this phase", Kind::Choice(ALL_PHASES)),
            Opt::optional("service", "Only those of this service", Kind::Name(Lookup::Service)),
            Opt::optional("severity", "Only those at least this bad", SEVERITIES),
            Opt::optional("over", "Whether those that are over are shown too", Kind::Choice(&["yes", "no"])),
        ],
        needs: Capability::View,
        does: Does::Reads(looks::list),
    },
    Command {
        path: &["incident", "show"],
        help: "Show how an incident stands, with its key times and measures",
        options: &[INCIDENT],
        needs: Capability::View,
        does: Does::Reads(looks::show),
    },
    Command {
        path: &["incident", "timeline"],
        help: "Print an incident's timeline, each entry with its citation",
        options: &[INCIDENT, Opt::optional("last", "How many entries", Kind::Integer { min: 1, max: 100 })],
        needs: Capability::View,
        does: Does::Reads(looks::timeline),
    },
    Command {
        path: &["incident", "ack"],
        help: "Take an incident: you are on it",
        options: &[INCIDENT],
        needs: Capability::Respond,
        does: Does::Acts(responses::acknowledge),
    },
    Command {
        path: &["incident", "severity"],
        help: "Say how bad an incident is; a higher severity pages again",
        options: &[Opt::required("severity", "How bad it is", SEVERITIES), INCIDENT, REASON],
        needs: Capability::Respond,
        does: Does::Acts(responses::rate),
    },
    Command {
        path: &["incident", "phase"],
        help: "Move an incident forward or back",
        options: &[Opt::required("phase", "Where it stands", Kind::Choice(Phase::PLACES)), INCIDENT, REASON],
        needs: Capability::Respond,
        does: Does::Acts(move_phase),
    },
    Command {
        path: &["incident", "resolve"],
        help: "Say that an incident is over",
        options: &[INCIDENT, REASON],
        needs: Capability::Respond,
        does: Does::Acts(resolve),
    },
    Command {
        path: &["incident", "reopen"],
        help: "Open an incident again that turned out not to be over",
        options: &[INCIDENT, REASON],
        needs: Capability::Respond,
        does: Does::Acts(reopen),
    },
    Command {
        path: &["incident", "decline"],
        help: "Say that it is no incident; its alerts stay quiet until they resolve",
        options: &[Opt::required("reason", "Why it is none", Kind::Text { max: 500 }), INCIDENT],
        needs: Capability::Respond,
        does: Does::Acts(responses::decline),
    },
    Command {
        path: &["incident", "merge"],
        help: "Let an incident go on in another one",
        options: &[Opt::required("into", "The incident that it goes on in", Kind::Name(Lookup::Incident)), INCIDENT],
        needs: Capability::Respond,
        does: Does::Acts(responses::merge),
    },
    Command {
        path: &["incident", "role"],
        help: "Give a role in an incident to somebody, or take it yourself",
        options: &[
            Opt::required("role", "Which role", Kind::Choice(Role::WORDS)),
            Opt::optional("person", "Who takes it; you, if nobody is named", Kind::Person),
            INCIDENT,
        ],
        needs: Capability::Respond,
        does: Does::Acts(responses::give_role),
    },
    Command {
        path: &["incident", "note"],
        help: "Write something down in an incident's timeline",
        options: &[Opt::required("text", "What there is to note", Kind::Text { max: 2000 }), INCIDENT],
        needs: Capability::Respond,
        does: Does::Acts(responses::note),
    },
    Command {
        path: &["incident", "milestone"],
        help: "Correct a key time of an incident, such as when the impact began",
        options: &[
            Opt::required("milestone", "Which key time", Kind::Choice(Milestone::WORDS)),
            Opt::required("at", "When, such as 2026-11-23T03:20:00Z", Kind::Time),
            INCIDENT,
        ],
        needs: Capability::Respond,
        does: Does::Acts(responses::correct),
    },
];

const ALL_PHASES: &[&str] =
    &["triage", "investigating", "mitigating", "monitoring", "resolved", "closed", "declined", "merged"];

/// The incident that the call is about, to be changed.
pub(super) async fn subject(context: &mut Context<'_>, call: &Call) -> Result<Incident, Stop> {
    let id = call.incident()?;
    match incidents::by_id(context.tx, id).await? {
        Some(incident) => Ok(incident),
        None => Err(unknown(context.tx, id).await?.into()),
    }
}

/// Refuses what cannot be done to an incident that is merged or over.
pub(super) fn must_be_open(incident: &Incident, verb: &str) -> Result<(), Refusal> {
    if incident.phase.is_open() {
        return Ok(());
    }
    must_not_be_merged(incident, verb)?;
    let what = format!("Cannot {verb} `{}`: it is `{}`", incident.id, incident.phase);
    Err(Refusal::new(what).hint(format!("open it again with `/incident reopen incident:{}`", incident.id)))
}

/// Refuses what can no longer be done to a merged incident.
pub(super) fn must_not_be_merged(incident: &Incident, verb: &str) -> Result<(), Refusal> {
    match incident.merged_into {
        Some(into) => Err(Refusal::new(format!("Cannot {verb} `{}`: it goes on in `{into}`", incident.id))
            .hint(format!("name `{into}` instead"))),
        None => Ok(()),
    }
}

fn move_phase<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = subject(context, call).await?;
        let to: Phase =
            call.args.required("phase")?.parse().map_err(|error: String| Stop::Refused(Refusal::new(error)))?;
        move_by_hand(context, call, incident, to).await
    })
}

fn resolve<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = subject(context, call).await?;
        must_be_open(&incident, "resolve")?;
        move_by_hand(context, call, incident, Phase::Resolved).await
    })
}

fn reopen<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let incident = subject(context, call).await?;
        must_not_be_merged(&incident, "reopen")?;
        if incident.phase.is_open() {
            let what = format!("Cannot reopen `{}`: it is open, `{}`", incident.id, incident.phase);
            return Err(Refusal::new(what).into());
        }
        let to = incident.returns_to();
        move_by_hand(context, call, incident, to).await
    })
}

/// Moves an incident for a person, with all that follows from where it goes.
async fn move_by_hand(
    context: &mut Context<'_>,
    call: &Call,
    mut incident: Incident,
    to: Phase,
) -> Result<Reply, Stop> {
    must_not_be_merged(&incident, "move")?;
    if incident.phase.may_move(to).is_err() {
        return Err(Refusal::new(format!("Cannot move `{}`: it is `{to}` already", incident.id)).into());
    }
    let person = &call.caller.id;
    let actor = Actor::Person(person.clone());
    let from = incident.phase;
    acts::join(context, &mut incident, person).await?;
    if from.is_open() && !to.is_open() {
        acts::end(context, &mut incident, to, &actor, call.args.text("reason")).await?;
    } else {
        acts::move_to(context, &mut incident, to, &actor, call.args.text("reason")).await?;
    }
    if to == Phase::Monitoring {
        acts::watch(context, &incident).await?;
    }
    acts::keep(context, &incident, false).await?;
    let counts = incidents::counts(context.tx, incident.id).await?;
    let line = Line::new().person(person).and(" moved ").incident(incident.id);
    let mut message = Message::line(line.and(" from ").code(from.word()).and(" to ").code(to.word()));
    if !to.is_open() && counts.firing + counts.stale > 0 {
        let mut line = Line::text("Not all its alerts are over: ");
        line.0.extend(cards::alerts(&incident, counts).0);
        message = message.and(line);
    }
    Ok(Reply::public(message))
}
