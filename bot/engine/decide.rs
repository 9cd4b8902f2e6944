//! Every input from outside, and the one place that decides on it.

use std::{sync::Arc, time::Duration};

use super::{
    Context, Refusal, Rules, Stop, alerts,
    chat::{Call, Command, Does, Reply},
    deployments, features, incidents, operations, runs, silences,
    traces::Told,
};
use crate::{
    domain::{alerts::Batch, deployments::Delivery, ids::RunId, time::Time},
    store::{self, Decision, Tx, inputs, timers},
};

/// Each process writes every 10 s that it is there: where the last time was so long ago, none was.
const BESIDE: Duration = Duration::from_secs(25);
/// When a timer is looked at again that this version does not know.
const UNKNOWN_TIMER: Duration = Duration::from_mins(1);

/// What can happen to the bot.
#[derive(Debug)]
pub enum Input {
    /// A process has opened the store, and nothing of it is at work: it may be a copy that came into another's place.
    Opened,
    /// The bot has started: nobody could be heard while it was down.
    Started {
        /// Whether this process leads; else another is there, or was a moment ago.
        leads: bool,
    },
    /// Nothing could be written since this moment, and now it can: whoever spoke meanwhile was sent away.
    DeafSince(Time),
    /// Sources say something of alerts.
    Alerts(Vec<Arc<Batch>>),
    /// Somebody asks for something, by a command or a button.
    Command(&'static Command, Call),
    /// Files with rules were edited.
    Edited(operations::Edit),
    /// A timer is due.
    Due(timers::Due),
    /// A worker of runs asks what to do.
    Run(runs::Input),
    /// A tool asks for a silence, or for its end.
    Silences(silences::Input),
    /// A deployer or a code host says something.
    Deployment(Delivery),
}

/// What comes of an input, once it is durable.
#[derive(Debug)]
pub enum Answer {
    /// Alerts were taken; one receipt for each delivery.
    Received(Vec<alerts::Receipt>),
    /// A command was carried out, or refused.
    Reply(Result<Reply, Refusal>),
    /// A worker of runs is told what to do.
    Run(runs::Answer),
    /// A tool is told what came of a silence.
    Silences(silences::Answer),
    /// A deployer or a code host is told what came of it.
    Deployment(deployments::Answer),
    /// Nobody waits for more than the commit.
    Done,
}

/// An input with the time it is decided at and the rules it is decided by.
pub(super) struct Occurrence {
    pub(super) input: Input,
    pub(super) now: Time,
    pub(super) rules: Arc<Rules>,
    /// Where its entries are noted, if a trace is made of them.
    pub(super) told: Option<Arc<Told>>,
}

impl Decision for Occurrence {
    type Answer = Answer;

    fn takes_on(&self) -> Option<RunId> {
        if let Input::Run(runs::Input::Step(step)) = &self.input { Some(step.run) } else { None }
    }

    async fn decide(&self, tx: &mut Tx) -> store::Result<Answer> {
        let told = self.told.as_deref();
        told.inspect(|told| told.anew());
        let mut context = Context { tx, now: self.now, rules: &self.rules, told };
        match &self.input {
            Input::Opened => operations::restored::begin(&mut context).await.map(|()| Answer::Done),
            Input::Started { leads } => {
                let heard = store::last_heard(context.tx).await?;
                let somebody_was_there = !leads && heard.is_some_and(|heard| self.now.since(heard) < BESIDE);
                if !somebody_was_there {
                    after_deafness(&mut context, None).await?;
                }
                runs::decide::keep_schedules(&mut context).await?;
                Ok(Answer::Done)
            }
            Input::DeafSince(since) => after_deafness(&mut context, Some(*since)).await.map(|()| Answer::Done),
            Input::Alerts(batches) => {
                let (receipts, news) = alerts::decide::receive(&mut context, batches).await?;
                alerts_changed(&mut context, &news).await?;
                alerts::decide::watch(&mut context).await?;
                Ok(Answer::Received(receipts))
            }
            Input::Command(command, call) => carry_out(&mut context, command, call).await.map(Answer::Reply),
            Input::Run(input) => Box::pin(runs::decide::decide(&mut context, input)).await.map(Answer::Run),
            Input::Silences(input) => silences::decide::decide(&mut context, input).await.map(Answer::Silences),
            Input::Edited(edit) => {
                runs::decide::keep_schedules(&mut context).await?;
                operations::decide::edited(&mut context, edit).await.map(|()| Answer::Done)
            }
            Input::Deployment(delivery) => {
                deployments::decide::receive(&mut context, delivery).await.map(Answer::Deployment)
            }
            Input::Due(due) => {
                let on_due = features::timer(&due.kind);
                // Taken back first, so that the feature may set it anew. One that was moved meanwhile is not due.
                if timers::take(context.tx, due).await? {
                    if let Some(on_due) = on_due {
                        on_due(&mut context, due).await?;
                    } else {
                        // A newer version that is at work beside this one knows it.
                        tracing::warn!(
                            kind = due.kind,
                            subject = due.subject,
                            "no feature knows this timer: it is put off"
                        );
                        let later = context.now + UNKNOWN_TIMER;
                        timers::set(context.tx, &due.kind, &due.subject, later).await?;
                    }
                }
                Ok(Answer::Done)
            }
        }
    }
}

/// Takes no silence for news in which nobody could be heard, by no process: not before another heard something last.
async fn after_deafness(context: &mut Context<'_>, since: Option<Time>) -> store::Result<()> {
    let heard = store::last_heard(context.tx).await?;
    let length = context.now.since(since.max(heard).unwrap_or(context.now));
    // Another process that was deaf for the same time does not count it again.
    store::Beat(context.now).decide(context.tx).await?;
    alerts::decide::after_deafness(context).await?;
    incidents::decide::after_deafness(context, length).await
}

/// Hands what happened to alerts on: what is silenced is held back, incidents take up the rest, the ledger is held against
/// those that opened, and runs take up what came of it.
pub(super) async fn alerts_changed(context: &mut Context<'_>, news: &[alerts::News]) -> store::Result<()> {
    let news = silences::decide::hold_back(context, news).await?;
    let news = incidents::decide::take(context, &news).await?;
    deployments::decide::take(context, &news).await?;
    // Its future is large, and most that happens starts nothing.
    Box::pin(runs::decide::take(context, &news)).await
}

/// Carries a command out once: the same call again gets the first reply.
async fn carry_out(
    context: &mut Context<'_>,
    command: &'static Command,
    call: &Call,
) -> store::Result<Result<Reply, Refusal>> {
    let (Does::Acts(act) | Does::Offers(_, act)) = command.does else {
        return Err(store::Fault::defect("a command that only reads was submitted as a change"));
    };
    if let Some(key) = &call.source_key
        && let Some(answer) = inputs::answered(context.tx, key).await?
    {
        return Ok(serde_json::from_str(&answer)?);
    }
    let reply = Stop::sort(act(context, call).await)?;
    if let Some(key) = &call.source_key {
        let now = context.now;
        inputs::remember(context.tx, key, now, &serde_json::to_string(&reply)?).await?;
    }
    Ok(reply)
}
