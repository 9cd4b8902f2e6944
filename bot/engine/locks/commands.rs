//! `/lock`, `/unlock` and `/locks`.

use futures::future::BoxFuture;

use super::{END, say, told};
use crate::{
    domain::{
        duration,
        locks::{Event, LONGEST, ServiceLock, USUAL},
        people::{Actor, Capability, Person, PersonId},
        timeline::Draft,
    },
    engine::{
        Context, Refusal, Rules, Stop, View,
        chat::{Call, Command, Does, Kind, Line, Lookup, Message, Opt, Reply},
        incidents,
    },
    store::{locks, timers},
};

type Answered<'a> = BoxFuture<'a, Result<Reply, Stop>>;

const SERVICE: Opt = Opt::required("service", "The service", Kind::Name(Lookup::Service));

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["lock"],
        help: "Keeps a service for you for a while, or hands your lock over: only your runs change it",
        options: &[
            SERVICE,
            Opt::optional("reason", "Why, for those who wonder", Kind::Text { max: 300 }),
            Opt::optional("for", "For how long, 2h if nothing is said, at most 7d", Kind::Duration),
            Opt::optional("to", "Who takes your lock over", Kind::Person),
        ],
        needs: Capability::Operate,
        does: Does::Acts(lock),
    },
    Command {
        path: &["unlock"],
        help: "Lets go of a service that you have locked",
        options: &[SERVICE],
        needs: Capability::Operate,
        does: Does::Acts(unlock),
    },
    Command {
        path: &["locks"],
        help: "Lists the services that somebody has locked",
        options: &[],
        needs: Capability::View,
        does: Does::Reads(list),
    },
];

fn lock<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let service = call.args.required("service")?.to_owned();
        incidents::must_be_service(context, &service).await?;
        let now = context.now;
        let before = locks::of_service(context.tx, &service).await?.filter(|lock| lock.until > now);
        if let Some(before) = before.as_ref().filter(|before| !may_touch(context.rules, &call.caller, before)) {
            let refusal = Refusal::new(format!("Cannot lock `{service}`: it is locked, {}", told(before)));
            return Err(refusal.hint(format!("ask `{}` to hand it over", before.owner)).into());
        }
        let length = call.args.duration("for");
        if length.is_some_and(|length| length > LONGEST) {
            let most = duration::compact(LONGEST);
            return Err(Refusal::new(format!("Cannot lock `{service}` for longer than `{most}`")).into());
        }
        let actor = Actor::Person(call.caller.id.clone());
        let reason = call.args.text("reason").map(str::to_owned);
        let owner = match call.args.text("to") {
            Some(name) => {
                let person = context.rules.people.behind(name.trim_start_matches('@'), []).id;
                known(context.rules, &person)?;
                Some(person)
            }
            None => None,
        };
        let (lock, event) = match (before, owner) {
            (Some(before), Some(to)) => {
                let from = before.owner.clone();
                let until = length.map_or(before.until, |length| now + length);
                let reason = reason.unwrap_or(before.reason);
                let lock = ServiceLock { owner: to.clone(), reason, at: now, until, service: service.clone() };
                (lock, Event::LockHandedOver { service: service.clone(), from, to, until })
            }
            (None, Some(_)) => {
                let refusal = Refusal::new(format!("Cannot hand `{service}` over: it is not locked"));
                return Err(refusal.hint("lock it first, with a `reason`").into());
            }
            (before, None) => {
                let reason = reason.or_else(|| before.map(|before| before.reason));
                let reason = reason.ok_or_else(|| {
                    Refusal::new(format!("Cannot lock `{service}`: `reason` is missing")).hint("say why: reason:\"…\"")
                })?;
                let until = now + length.unwrap_or(USUAL);
                let owner = call.caller.id.clone();
                let event = Event::ServiceLocked { service: service.clone(), until, reason: reason.clone() };
                (ServiceLock { service: service.clone(), owner, reason, at: now, until }, event)
            }
        };
        locks::lock_service(context.tx, &lock).await?;
        timers::set(context.tx, END, &service, lock.until).await?;
        context.tell_of(None, Draft::new(actor, &event)).await?;
        let line = Line::new().person(&lock.owner).and(" has locked ").code(&service).and(" until ").time(lock.until);
        say(context, line.clone().and(": ").and(lock.reason)).await?;
        Ok(Reply::private(Message::line(line)))
    })
}

fn unlock<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let service = call.args.required("service")?.to_owned();
        let lock = locks::of_service(context.tx, &service).await?.filter(|lock| lock.until > context.now);
        let Some(lock) = lock else {
            let refusal = Refusal::new(format!("There is no lock of `{service}`"));
            return Err(refusal.hint("`/locks` lists them").into());
        };
        if !may_touch(context.rules, &call.caller, &lock) {
            let refusal = Refusal::new(format!("Cannot unlock `{service}` for `{}`: {}", call.caller.id, told(&lock)));
            return Err(refusal.hint(format!("ask `{}`, or somebody who may administer", lock.owner)).into());
        }
        locks::unlock_service(context.tx, &service).await?;
        timers::clear(context.tx, END, &service).await?;
        let event = Event::ServiceUnlocked { service: service.clone(), owner: lock.owner };
        context.tell_of(None, Draft::new(Actor::Person(call.caller.id.clone()), &event)).await?;
        let line = Line::new().person(&call.caller.id).and(" has unlocked ").code(&service);
        say(context, line).await?;
        Ok(Reply::private(Message::line(Line::text("Unlocked ").code(&service))))
    })
}

/// Whether somebody may take a lock over, prolong it, or take it away: whoever has it, and whoever may administer.
fn may_touch(rules: &Rules, person: &Person, lock: &ServiceLock) -> bool {
    lock.owner == person.id || rules.people.may(person, Capability::Administer)
}

/// Nobody could unlock what belongs to somebody whom nobody knows.
fn known(rules: &Rules, person: &PersonId) -> Result<(), Refusal> {
    if rules.people.known.contains_key(person) {
        return Ok(());
    }
    Err(Refusal::new(format!("Cannot hand the lock to `{person}`: the configuration does not know them"))
        .hint("name a person of `[people]`"))
}

fn list<'a>(view: &'a mut View<'_>, _: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let mut message = Message::default();
        for lock in locks::of_services(view.reader).await? {
            message = message.and(Line::new().code(&lock.service).and(": ").and(told(&lock)));
        }
        if message.lines.is_empty() {
            message = message.and("No service is locked");
        }
        Ok(Reply::private(message))
    })
}
