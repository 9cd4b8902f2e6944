//! `/runbook`, `/halt` and `/why`.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    actions::ask,
    approve,
    case::Case,
    halt, settle,
    start::{self, Started, Wish},
    steer, why,
};
use crate::{
    domain::{
        duration,
        ids::{ApprovalId, RunId},
        people::{Actor, Capability},
        runs::approvals::Asks,
    },
    engine::{
        Context, Refusal, Stop, View,
        chat::{Call, Command, Does, Kind, Line, Lookup, Message, Opt, Reply},
        runs::cards,
    },
    store::{self, Reader, approvals, archives, incidents, runs, steps},
};

type Answered<'a> = BoxFuture<'a, Result<Reply, Stop>>;

/// The answers that `/runbook answer` takes.
const ANSWERS: &[&str] = &[
    "approve",
    "reject",
    "undo",
    "retry",
    "skip",
    "resume",
    "release",
    "happened",
    "did-not-happen",
    "abort",
    "choose",
];

const RUN: Opt = Opt::required("run", "The run", Kind::Name(Lookup::Run));
const RUNBOOK: Kind = Kind::Name(Lookup::Runbook);
const INCIDENT: Opt = Opt::optional("incident", "The incident that it is for", Kind::Name(Lookup::Incident));

/// What people can ask of runs.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["runbook", "list"],
        help: "Lists the runbooks, and what is at work",
        options: &[INCIDENT],
        needs: Capability::View,
        does: Does::Reads(list),
    },
    Command {
        path: &["runbook", "show"],
        help: "Shows what a runbook does, or how a run stands",
        options: &[Opt::required("name", "A runbook, or a run such as RUN-7", RUNBOOK)],
        needs: Capability::View,
        does: Does::Reads(show),
    },
    Command {
        path: &["runbook", "run"],
        help: "Starts a runbook",
        options: &[
            Opt::required("runbook", "The runbook", RUNBOOK),
            INCIDENT,
            Opt::optional("inputs", "What it needs to know, as name=value name=value", Kind::Text { max: 1_000 }),
        ],
        needs: Capability::Operate,
        does: Does::Acts(run),
    },
    Command {
        path: &["runbook", "cancel"],
        help: "Stops a run; after something was changed it is held instead",
        options: &[RUN],
        needs: Capability::Operate,
        does: Does::Acts(cancel),
    },
    Command {
        path: &["runbook", "answer"],
        help: "Answers an approval, or a run that is held, in doubt or stuck",
        options: &[
            Opt::required(
                "question",
                "An approval such as APR-3, or a run such as RUN-7",
                Kind::Name(Lookup::Question),
            ),
            Opt::required("answer", "What to answer", Kind::Choice(ANSWERS)),
            Opt::optional("choice", "What is chosen, for `choose`", Kind::Text { max: 200 }),
            Opt::optional("output", "What came of it as JSON, for `happened`", Kind::Text { max: 2_000 }),
            Opt::optional("reason", "Why, for `skip`", Kind::Text { max: 300 }),
            Opt::optional("revision", "The state that was looked at", Kind::Integer { min: 0, max: i64::MAX }),
        ],
        needs: Capability::Operate,
        does: Does::Acts(answer),
    },
    Command {
        path: &["run", "pause"],
        help: "Lets a run stand once what is in flight has ended, until somebody resumes it",
        options: &[RUN],
        needs: Capability::Operate,
        does: Does::Acts(steer::pause),
    },
    Command {
        path: &["run", "resume"],
        help: "Lets a paused run go on",
        options: &[RUN],
        needs: Capability::Operate,
        does: Does::Acts(steer::resume),
    },
    Command {
        path: &["run", "retry"],
        help: "Tries again what stopped a run, once the world is mended",
        options: &[RUN],
        needs: Capability::Operate,
        does: Does::Acts(steer::retry),
    },
    Command {
        path: &["run", "skip"],
        help: "Leaves out the step that stopped a run, or one that it has not begun yet",
        options: &[
            RUN,
            Opt::required("reason", "Why it is left out", Kind::Text { max: 300 }),
            Opt::optional("step", "The name of a step that has not begun", Kind::Text { max: 200 }),
        ],
        needs: Capability::Operate,
        does: Does::Acts(steer::skip),
    },
    Command {
        path: &["halt"],
        help: "Lets nothing be changed any more, until somebody who may administer lifts it",
        options: &[
            Opt::optional("reason", "Why to halt", Kind::Text { max: 300 }),
            Opt::optional("lift", "Why to lift the halt", Kind::Text { max: 300 }),
            Opt::optional("service", "Only this service", Kind::Name(Lookup::Service)),
        ],
        needs: Capability::Operate,
        does: Does::Acts(stop),
    },
    Command {
        path: &["why"],
        help: "Explains what was decided, refused or suppressed, with reason codes",
        options: &[
            INCIDENT,
            Opt::optional("run", "The run", Kind::Name(Lookup::Run)),
            Opt::optional("alert", "The name of an alert of which nothing was told", Kind::Text { max: 512 }),
            Opt::optional("runbook", "A runbook that was not started although no incident is about it", RUNBOOK),
        ],
        needs: Capability::View,
        does: Does::Reads(why::why),
    },
];

fn list<'a>(view: &'a mut View<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let incident = call.args.parsed("incident")?.or(call.about);
        let mut message = Message::default();
        for plan in view.rules.runs.runbooks.values() {
            let mode = plan.mode.min(view.rules.runs.mode);
            let mut how = vec![format!("mode {}", mode.word())];
            if plan.trigger.alert.is_some() {
                how.push("by alert".to_owned());
            }
            if plan.trigger.chat {
                how.push("from chat".to_owned());
            }
            let about = plan.description.clone().map(|words| format!(" – {words}")).unwrap_or_default();
            message = message.and(Line::new().code(&plan.name).and(format!(" ({}){about}", how.join(", "))));
        }
        if message.lines.is_empty() {
            message = message.and("There are no runbooks; they are YAML files in the folder `runbooks`");
        }
        let shown = match incident {
            Some(incident) => runs::of_incident(view.reader, incident).await?,
            None => runs::open(view.reader).await?,
        };
        for run in shown {
            let line =
                Line::text(format!("{}: ", run.id)).code(&run.plan.name).and(" on ").code(run.target.to_string());
            message = message.and(line.and(format!(" – {}", run.state)));
        }
        if let Some(incident) = incident
            && let Some(incident) = incidents::by_id(view.reader, incident).await?.filter(|one| one.phase.is_open())
        {
            message.card = cards::starters(&view.rules.runs, &incident);
        }
        Ok(Reply::private(message))
    })
}

fn show<'a>(view: &'a mut View<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let name = call.args.required("name")?;
        if let Some(plan) = view.rules.runs.runbooks.get(name) {
            let mut message = Message::line(Line::new().code(&plan.name).and(format!(
                " (mode {}, plan {})",
                plan.mode.word(),
                &plan.hash()[..12]
            )));
            if let Some(words) = &plan.description {
                message = message.and(words.clone());
            }
            for input in &plan.inputs {
                let about = input.description.clone().map(|words| format!(" – {words}")).unwrap_or_default();
                message = message.and(Line::text("Input ").code(&input.name).and(about));
            }
            for step in &plan.steps {
                let kind = if step.reads() { "reads" } else { "changes" };
                let line = Line::text(format!("{}. ", step.path)).code(&step.name).and(format!(" – {kind} "));
                message = message.and(line.code(&step.action));
            }
            return Ok(Reply::private(message));
        }
        let unknown = || {
            Refusal::new(format!("There is no runbook and no run `{name}`")).hint("`/runbook list` shows what there is")
        };
        let id: RunId = name.parse().map_err(|_| unknown())?;
        let Some(run) = runs::by_id(view.reader, id).await? else { return Err(gone(view.reader, id).await?.into()) };
        let journal = steps::journal(view.reader, id).await?;
        Ok(Reply::private(Message::card(cards::of_run(&run, &journal, view.now))))
    })
}

fn run<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let name = call.args.required("runbook")?;
        let rules = context.rules;
        let plan = rules.runs.runbooks.get(name).ok_or_else(|| {
            Refusal::new(format!("There is no runbook `{name}`")).hint("`/runbook list` shows what there is")
        })?;
        if !plan.trigger.chat {
            return Err(Refusal::new(format!("Cannot start `{name}` from chat: its `trigger` does not name people"))
                .hint("add `chat: {}` under its `trigger`")
                .into());
        }
        let incident = call.args.parsed("incident")?.or(call.about);
        if let Some(id) = incident
            && incidents::by_id(context.tx, id).await?.is_none()
        {
            return Err(crate::engine::incidents::unknown(context.tx, id).await?.into());
        }
        let given = given(call.args.text("inputs").unwrap_or_default())?;
        let person = &call.caller.id;
        let fault = call.source_key.clone().unwrap_or_else(|| format!("{person}@{}", context.now.millis()));
        let wish = Wish { incident, given, ..Wish::new(plan, Actor::Person(person.clone()), fault) };
        told(start::start(context, &wish).await?, name)
    })
}

/// What somebody is told of the runbook that they wanted to start.
pub(super) fn told(started: Started, name: &str) -> Result<Reply, Stop> {
    match started {
        Started::New(id) => Ok(Reply::public(Message::line(Line::text(format!("Started {id} of ")).code(name)))),
        Started::Attached(id) => Err(Refusal::new(format!("Cannot start `{name}`: `{id}` is at work on the target"))
            .hint(format!("`/runbook show {id}` shows how it stands"))
            .into()),
        Started::Refused(refused) => {
            let detail = if refused.detail.is_empty() { String::new() } else { format!(" ({})", refused.detail) };
            Err(Refusal::new(format!("Cannot start `{name}`: {}{detail}", refused.reason.words()))
                .hint(format!("the reason is `{}`", refused.reason))
                .into())
        }
    }
}

/// Reads `name=value name="two words"`.
fn given(text: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut given = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let wrong = || Refusal::new("Cannot read `inputs`").hint("write them as `name=value name=\"two words\"`");
        let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(wrong)?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        given.insert(name.trim().to_owned(), value.to_owned());
        rest = after.trim_start();
    }
    Ok(given)
}

fn cancel<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let id: RunId = call.args.parsed("run")?.ok_or_else(|| Refusal::new("Which run is not said"))?;
        let mut case = open(context, id).await?;
        let said = settle::cancel(&mut case, &call.caller).await??;
        Ok(Reply::public(Message::line(said)))
    })
}

pub(super) async fn open<'c, 'r>(context: &'c mut Context<'r>, id: RunId) -> Result<Case<'c, 'r>, Stop> {
    let Some(run) = runs::by_id(context.tx, id).await? else { return Err(gone(context.tx, id).await?.into()) };
    Ok(Case::of(context, run).await?)
}

/// What is said of a run that is not there: perhaps it is in a file by now.
pub(super) async fn gone(reader: &mut Reader, id: RunId) -> store::Result<Refusal> {
    if let Some(archived) = archives::of_run(reader, id).await? {
        let what = format!("`{id}` is archived in `{}`", archived.file);
        return Ok(Refusal::new(what).hint(format!("`firewarden archive show {id}` reads it, on the bot's machine")));
    }
    Ok(Refusal::new(format!("There is no run `{id}`")).hint("`/runbook list` shows what is at work"))
}

fn answer<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let question = call.args.required("question")?.trim();
        let word = call.args.required("answer")?;
        let said = if question.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("RUN-")) {
            let id: RunId = question.parse().map_err(|error| Refusal::new(format!("{error}")))?;
            answer_run(context, call, id, word).await?
        } else {
            let id: ApprovalId = question.parse().map_err(|error| {
                Refusal::new(format!("{error}")).hint("name an approval such as `APR-3` or a run such as `RUN-7`")
            })?;
            answer_approval(context, call, id, word).await?
        };
        Ok(Reply::public(Message::line(Line::marked(&said))))
    })
}

async fn answer_run(context: &mut Context<'_>, call: &Call, id: RunId, word: &str) -> Result<String, Stop> {
    let mut case = open(context, id).await?;
    looked_at(call, case.run.revision, &id.to_string())?;
    let answer = match word {
        "undo" => settle::Answer::Undo,
        "retry" => settle::Answer::Retry,
        "skip" => settle::Answer::Skip(call.args.text("reason").map(str::to_owned)),
        "resume" => settle::Answer::Resume,
        "release" => settle::Answer::Release,
        "happened" => settle::Answer::Happened(match call.args.text("output") {
            None => Value::Null,
            Some(text) => serde_json::from_str(text).map_err(|error| {
                Refusal::new(format!("Cannot read `output`: {error}")).hint("write JSON, e.g. `{\"id\": 7}`")
            })?,
        }),
        "did-not-happen" => settle::Answer::DidNotHappen,
        "abort" => settle::Answer::Abort,
        other => {
            return Err(Refusal::new(format!("Cannot answer `{other}` for `{id}`: that answers an approval")).into());
        }
    };
    Ok(settle::answer(&mut case, &call.caller, answer).await??)
}

async fn answer_approval(context: &mut Context<'_>, call: &Call, id: ApprovalId, word: &str) -> Result<String, Stop> {
    let Some(approval) = approvals::by_id(context.tx, id).await? else {
        // The newest stays for ever, and no number is given twice.
        let has_left = approvals::newest(context.tx).await?.is_some_and(|newest| id < newest);
        return Err(if has_left {
            Refusal::new(format!("`{id}` is archived with its run"))
                .hint("`firewarden archive list` shows what left, on the bot's machine")
        } else {
            Refusal::new(format!("There is no approval `{id}`")).hint("`/runbook list` shows what is at work")
        }
        .into());
    };
    looked_at(call, approval.revision, &id.to_string())?;
    let mut case = open(context, approval.run).await?;
    match (&approval.asks, word) {
        (Asks::Approval, "approve" | "reject") => {
            Ok(approve::answer(&mut case, approval, &call.caller, word == "approve").await??)
        }
        (Asks::Choice(choices), "choose") => {
            let given = call.args.required("choice")?.to_owned();
            let choice = cards::chosen(choices, &given).cloned().unwrap_or(given);
            Ok(ask::answer(&mut case, approval, &call.caller, &choice).await??)
        }
        (Asks::Approval, other) => {
            Err(Refusal::new(format!("Cannot answer `{other}` for `{id}`")).hint("answer `approve` or `reject`").into())
        }
        (Asks::Choice(choices), other) => Err(Refusal::new(format!("Cannot answer `{other}` for `{id}`"))
            .hint(format!("answer `choose` with one of `{}`", choices.join("`, `")))
            .into()),
    }
}

/// Refuses an answer to something that has changed since it was looked at.
fn looked_at(call: &Call, revision: i64, name: &str) -> Result<(), Refusal> {
    match call.args.integer("revision") {
        Some(seen) if seen != revision => {
            Err(Refusal::new(format!("Cannot answer `{name}`: it has changed meanwhile"))
                .hint("look at its newest card and answer there"))
        }
        Some(_) | None => Ok(()),
    }
}

fn stop<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let service = call.args.text("service");
        let covered = service.map_or_else(|| "everything".to_owned(), |service| format!("`{service}`"));
        let said = |option| call.args.text(option).map(str::trim).filter(|words| !words.is_empty());
        let how = "`/halt reason:\"…\"` halts and `/halt lift:\"…\"` lifts; words stand in quotes";
        let (reason, lift) = match (said("reason"), said("lift")) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new("Cannot halt and lift at once").hint(how).into());
            }
            (None, None) => return Err(Refusal::new("Cannot run `/halt`: why is missing").hint(how).into()),
            (reason, lift) => (reason.unwrap_or_default(), lift),
        };
        if let Some(why) = lift {
            if !context.rules.people.may(&call.caller, Capability::Administer) {
                return Err(Refusal::new(format!("Cannot lift the halt as `{}`", call.caller.id))
                    .hint("ask somebody who may administer")
                    .into());
            }
            if !halt::lift(context, service, why, &call.caller.id).await? {
                return Err(Refusal::new(format!("There is no halt of {covered}")).into());
            }
            let held = runs::open(context.tx).await?.into_iter().filter(|run| run.state.needs_people()).count();
            let line =
                format!("Lifted the halt of {covered}; nothing goes on by itself, {held} runs wait for a decision");
            return Ok(Reply::public(Message::line(line)));
        }
        let actor = Actor::Person(call.caller.id.clone());
        match halt::order(context, service, reason, &actor).await? {
            Some(held) => Ok(Reply::public(Message::line(format!(
                "Halted {covered}: nothing is changed any more; runs held: {held}"
            )))),
            None => Err(Refusal::new(format!("Cannot halt {covered}: it is halted already"))
                .hint("`/halt lift:\"…\"` lifts it")
                .into()),
        }
    })
}

/// How long ago something was, for a line.
pub(super) fn ago(at: crate::domain::time::Time, now: crate::domain::time::Time) -> String {
    duration::human(now.since(at))
}
