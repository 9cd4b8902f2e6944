//! `/deploys` and `/version`: what people can ask of deployments.

use std::collections::BTreeSet;

use futures::future::BoxFuture;

use super::{acts, cards};
use crate::{
    domain::{
        deployments::Ban,
        people::{Actor, Capability},
    },
    engine::{
        Context, Refusal, Stop, View,
        chat::{Call, Command, Does, Kind, Line, Lookup, Message, Opt, Reply},
    },
    store::deployments,
};

/// How many places a summary shows.
const PLACES: usize = 10;

const SERVICE: Opt = Opt::required("service", "Of which service", Kind::Name(Lookup::Service));
const ENVIRONMENT: Opt = Opt::required("environment", "Where, such as production", Kind::Text { max: 100 });
const SHA: Opt = Opt::required("sha", "The version, by its whole hash as the ledger has it", Kind::Text { max: 100 });
const REASON: Opt = Opt::required("reason", "Why, for those who wonder", Kind::Text { max: 300 });

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["deploys"],
        help: "Show what is live, what was good and why, and what became of the last deployments",
        options: &[
            SERVICE,
            Opt::optional(
                "environment",
                "Where; all places in a line each, if nothing is said",
                Kind::Text { max: 100 },
            ),
        ],
        needs: Capability::View,
        does: Does::Reads(deploys),
    },
    Command {
        path: &["version", "ban"],
        help: "Order that a version shall not be deployed: the bot refuses it, and tells if somebody else does",
        options: &[SERVICE, ENVIRONMENT, SHA, REASON],
        needs: Capability::Operate,
        does: Does::Acts(ban),
    },
    Command {
        path: &["version", "unban"],
        help: "Take the ban of a version back",
        options: &[SERVICE, ENVIRONMENT, SHA, REASON],
        needs: Capability::Operate,
        does: Does::Acts(unban),
    },
];

fn deploys<'a>(view: &'a mut View<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let service = call.args.required("service")?;
        let listed = view.rules.catalog.services.get(service).map(|service| service.environments.keys().cloned());
        let mut places: BTreeSet<String> = listed.into_iter().flatten().collect();
        places.extend(deployments::environments(view.reader, service).await?);
        let named = call.args.text("environment");
        let only = named.or_else(|| places.first().map(String::as_str).filter(|_| places.len() == 1));
        if let Some(environment) = only {
            let ledger = deployments::ledger(view.reader, service, environment).await?;
            return Ok(Reply::private(Message::card(cards::ledger(service, environment, &ledger, view.now))));
        }
        if places.is_empty() {
            return Err(Refusal::new(format!("Nothing is known of deployments of `{service}`"))
                .hint("report them to `/webhooks/github` or `/webhooks/deployments`; the README says how")
                .into());
        }
        let mut message = Message::line(Line::text("Deployments of ").strong(service));
        for environment in places.iter().take(PLACES) {
            let ledger = deployments::ledger(view.reader, service, environment).await?;
            message = message.and(cards::summary(environment, &ledger, view.now));
        }
        Ok(Reply::private(message.and("Name an environment to see more")))
    })
}

fn ban<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let ban = Ban {
            service: call.args.required("service")?.to_owned(),
            environment: call.args.required("environment")?.to_owned(),
            sha: call.args.required("sha")?.to_owned(),
            reason: call.args.required("reason")?.to_owned(),
            by: Actor::Person(call.caller.id.clone()),
            at: context.now,
        };
        let known = context.rules.services();
        if !known.is_empty() && !known.contains(ban.service.as_str()) {
            return Err(Refusal::new(format!("Cannot ban it: there is no service `{}`", ban.service)).into());
        }
        let line = Line::new().person(&call.caller.id).and(" banned ").code(&ban.sha).and(" of ").code(&ban.service);
        let line = line.and(" in ").code(&ban.environment).and(": ").and(ban.reason.clone());
        if !acts::ban(context, ban, call.about).await? {
            return Err(Refusal::new("Cannot ban it: it is banned already").hint("`/deploys` says by whom").into());
        }
        Ok(Reply::public(Message::line(line)))
    })
}

fn unban<'a>(context: &'a mut Context<'_>, call: &'a Call) -> BoxFuture<'a, Result<Reply, Stop>> {
    Box::pin(async move {
        let (service, environment) = (call.args.required("service")?, call.args.required("environment")?);
        let (sha, reason) = (call.args.required("sha")?, call.args.required("reason")?);
        let Some(ban) = acts::is_banned(context.tx, service, environment, sha).await? else {
            return Err(Refusal::new(format!("Cannot lift the ban of `{sha}`: it is not banned"))
                .hint("`/deploys` lists the bans")
                .into());
        };
        let actor = Actor::Person(call.caller.id.clone());
        acts::unban(context, &ban, (actor, reason), call.about).await?;
        let line = Line::new().person(&call.caller.id).and(" lifted the ban of ").code(&ban.sha).and(" of ");
        Ok(Reply::public(Message::line(line.code(service).and(" in ").code(environment).and(": ").and(reason))))
    })
}
