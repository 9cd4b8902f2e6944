//! What people can ask of reviews. Chat says postmortem.

use futures::future::BoxFuture;

use super::{cards, decide, file_name, review};
use crate::{
    domain::people::{Actor, Capability},
    engine::{
        Context, Stop, View,
        chat::{Call, Command, Does, File, Kind, Line, Lookup, Message, Opt, Reply},
    },
};

const INCIDENT: Opt =
    Opt::optional("incident", "Which one; in its thread it can be left out", Kind::Name(Lookup::Incident));

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["postmortem", "draft"],
        help: "Draft the review of an incident: the summary in its thread, the whole of it as a file",
        options: &[INCIDENT],
        needs: Capability::Respond,
        does: Does::Acts(draft),
    },
    Command {
        path: &["postmortem", "show"],
        help: "Show the review of an incident as it stands, to you alone",
        options: &[INCIDENT],
        needs: Capability::View,
        does: Does::Reads(show),
    },
];

fn draft<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let id = call.incident()?;
        let review = decide::draft(context, id, Actor::Person(call.caller.id.clone())).await?;
        let line = Line::text("Drafted the review of ").incident(id).and("; it is in the incident's thread");
        Ok(Reply::private(Message::line(line).and(cards::quality(&review))))
    })
}

fn show<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let id = call.incident()?;
        let review = review(view, id).await?;
        let line = Line::text("The review of ").incident(id).and(" as the log stands");
        let mut message = Message::line(line).and(cards::quality(&review));
        message.files.push(File { name: file_name(id), text: review.markdown });
        Ok(Reply::private(message))
    })
}
