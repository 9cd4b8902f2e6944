//! The three commands, alike in everything but what they ask for.

use futures::future::BoxFuture;

use super::{cards, prepare, version};
use crate::{
    domain::{people::Capability, runbooks::plan::Operation},
    engine::{
        Context, Refusal, Stop, View,
        chat::{Call, Command, Does, Kind, Lookup, Message, Opt, Reply, START},
        runs::{commands::told, start},
    },
};

type Answered<'a> = BoxFuture<'a, Result<Reply, Stop>>;

/// The word that starts whatever is live.
pub(super) const YES: &str = "yes";

const SERVICE: Opt = Opt::required("service", "The service", Kind::Name(Lookup::Service));
const ENVIRONMENT: Opt =
    Opt::optional("environment", "Where, such as production, if it is in several places", Kind::Text { max: 100 });
const STARTS: Opt = Opt::optional(START, "`yes` starts it; without it nothing is done and you see what would be", ANY);
const ANY: Kind = Kind::Text { max: 100 };

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["rollback"],
        help: "Shows what is live, what was good and why, and what a rollback would do; a button starts it",
        options: &[
            SERVICE,
            Opt::optional("to", "The version: a name, a hash or a deployment; the last good one if left out", ANY),
            ENVIRONMENT,
            Opt::optional(START, "Starts it: `yes`, or what you saw live, so that nothing else is rolled back", ANY),
        ],
        needs: Capability::Operate,
        does: Does::Offers(
            |view, call| shows(view, call, Operation::Rollback),
            |context, call| starts(context, call, Operation::Rollback),
        ),
    },
    Command {
        path: &["scale"],
        help: "Shows what it would do to let so many replicas serve; a button starts it",
        options: &[
            SERVICE,
            Opt::required("replicas", "How many shall serve", Kind::Integer { min: 0, max: 1_000_000 }),
            ENVIRONMENT,
            STARTS,
        ],
        needs: Capability::Operate,
        does: Does::Offers(
            |view, call| shows(view, call, Operation::Scale),
            |context, call| starts(context, call, Operation::Scale),
        ),
    },
    Command {
        path: &["restart"],
        help: "Shows what it would do to replace every replica of a service; a button starts it",
        options: &[SERVICE, ENVIRONMENT, STARTS],
        needs: Capability::Operate,
        does: Does::Offers(
            |view, call| shows(view, call, Operation::Restart),
            |context, call| starts(context, call, Operation::Restart),
        ),
    },
];

fn shows<'a>(view: &'a mut View<'_>, call: &'a Call, operation: Operation) -> Answered<'a> {
    Box::pin(async move {
        let rules = view.rules;
        let subject = prepare::subject(view, rules, call, operation).await?;
        let version = subject.version(view, call)?;
        let judged = subject.judged(view, &version, call).await?;
        Ok(Reply::private(Message::card(cards::verdict(&subject, (&version, call), &judged, view.now))))
    })
}

fn starts<'a>(context: &'a mut Context<'_>, call: &'a Call, operation: Operation) -> Answered<'a> {
    Box::pin(async move {
        let seen = call.args.required(START)?;
        let rules = context.rules;
        let wish = {
            let mut view = context.view();
            let subject = prepare::subject(&mut view, rules, call, operation).await?;
            if operation == Operation::Rollback {
                version::is_as_seen(&subject.ledger, &subject.wanted, seen)?;
            } else if seen != YES {
                let what = format!("Cannot {}: `{START}` is `{seen}`", subject.wanted.words());
                return Err(Refusal::new(what).hint(format!("write `{START}:{YES}`")).into());
            }
            let version = subject.version(&view, call)?;
            subject.wish(&version, call, view.now)
        };
        told(start::start(context, &wish).await?, &wish.plan.name)
    })
}
