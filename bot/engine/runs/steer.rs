//! `/run`: pause, resume, retry from where a run stands, leave a step out. Each is told with who wanted it.

use futures::future::BoxFuture;

use super::{
    begin,
    commands::open,
    settle::{self, Answer},
};
use crate::{
    domain::{
        ids::RunId,
        runbooks::words,
        runs::{Pass, Stage},
    },
    engine::{
        Context, Refusal, Stop,
        chat::{Call, Line, Message, Reply},
    },
};

type Answered<'a> = BoxFuture<'a, Result<Reply, Stop>>;

pub(super) fn pause<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let mut case = open(context, run(call)?).await?;
        Ok(said(&settle::pause(&mut case, &call.caller).await??))
    })
}

pub(super) fn resume<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    answered(context, call, Answer::Resume)
}

pub(super) fn retry<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    answered(context, call, Answer::Retry)
}

pub(super) fn skip<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    let reason = call.args.text("reason").map(str::to_owned);
    match call.args.text("step") {
        None => answered(context, call, Answer::Skip(reason)),
        Some(name) => Box::pin(leave_out(context, call, name, reason.unwrap_or_default())),
    }
}

fn answered<'a>(context: &'a mut Context<'_>, call: &'a Call, answer: Answer) -> Answered<'a> {
    Box::pin(async move {
        let mut case = open(context, run(call)?).await?;
        Ok(said(&settle::answer(&mut case, &call.caller, answer).await??))
    })
}

/// Leaves out a step that has not begun yet, unless others read what it would give.
async fn leave_out(context: &mut Context<'_>, call: &Call, name: &str, reason: String) -> Result<Reply, Stop> {
    let mut case = open(context, run(call)?).await?;
    let id = case.run.id;
    let cannot = |why: &str| Refusal::new(format!("Cannot skip `{name}` of `{id}`: {why}"));
    if case.run.state.is_over() || case.run.stage() == Stage::Back {
        return Err(cannot(&format!("it is {}", case.run.state)).into());
    }
    let plan = case.run.plan.clone();
    let Some(step) = plan.every_step().into_iter().find(|step| step.name == name || step.path == name) else {
        let names: Vec<&str> = plan.every_step().into_iter().map(|step| step.name.as_str()).collect();
        let hint = match words::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its steps are {}", words::listed(&names)),
        };
        return Err(cannot("there is no such step").hint(hint).into());
    };
    if step.path.contains('[') {
        return Err(cannot("it is done for each item of a list").hint("skip it where it stops the run").into());
    }
    if case.journal.last(&step.path, Pass::Do).is_some() {
        let hint = format!("`/run skip run:{id}` leaves out the step that stopped the run");
        return Err(cannot("it has begun").hint(hint).into());
    }
    if plan.reads_of(&step.path).is_some() {
        return Err(cannot("later steps read what it gives").into());
    }
    if plan.approval.as_ref().is_some_and(|approval| approval.before == step.path) {
        return Err(cannot("people are asked before it").hint("reject the approval instead").into());
    }
    begin::skip(&mut case, step, &format!("by {}: {reason}", call.caller.id)).await?;
    case.run.revision += 1;
    case.save().await?;
    Ok(said(&format!("{id} leaves out `{name}`")))
}

fn run(call: &Call) -> Result<RunId, Refusal> {
    call.args.parsed("run")?.ok_or_else(|| Refusal::new("Which run is not said"))
}

fn said(words: &str) -> Reply {
    Reply::public(Message::line(Line::marked(words)))
}
