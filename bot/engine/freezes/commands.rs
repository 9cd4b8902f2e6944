//! `/freeze`, `/unfreeze` and `/freezes`.

use futures::future::BoxFuture;

use super::{END, say};
use crate::{
    domain::{
        duration,
        freezes::{EVERY_SERVICE, Event, Freeze, covered},
        people::{Actor, Capability},
        time::Time,
        timeline::Draft,
    },
    engine::{
        Context, Refusal, Stop, View,
        chat::{Call, Command, Does, Kind, Line, Lookup, Message, Opt, Reply},
        incidents,
    },
    store::{freezes, timers},
};

type Answered<'a> = BoxFuture<'a, Result<Reply, Stop>>;

const SERVICE: Opt = Opt::required("service", "The service, or * for every one", Kind::Name(Lookup::Service));

/// The commands of the feature.
pub(super) static COMMANDS: &[Command] = &[
    Command {
        path: &["freeze"],
        help: "Lets no run change a service for a while, but for what is allowed in a freeze",
        options: &[
            SERVICE,
            Opt::required(
                "until",
                "For how long, such as 2h, or until when: 2026-11-23T22:00:00Z",
                Kind::Text { max: 40 },
            ),
            Opt::required("reason", "Why, for those who wonder", Kind::Text { max: 300 }),
        ],
        needs: Capability::Operate,
        does: Does::Acts(freeze),
    },
    Command {
        path: &["unfreeze"],
        help: "Lifts the freeze of a service that somebody ordered",
        options: &[SERVICE],
        needs: Capability::Operate,
        does: Does::Acts(unfreeze),
    },
    Command {
        path: &["freezes"],
        help: "Lists what is frozen, by whom, and the windows of the configuration",
        options: &[],
        needs: Capability::View,
        does: Does::Reads(list),
    },
];

fn freeze<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let service = call.args.required("service")?.to_owned();
        if service != EVERY_SERVICE {
            incidents::must_be_service(context, &service).await?;
        }
        let until = moment(call.args.required("until")?, context.now)?;
        let actor = Actor::Person(call.caller.id.clone());
        let reason = call.args.required("reason")?.to_owned();
        let freeze = Freeze { service: service.clone(), until, reason: reason.clone(), actor, at: context.now };
        freezes::order(context.tx, &freeze).await?;
        timers::set(context.tx, END, &service, until).await?;
        let event = Event::FreezeOrdered { service: service.clone(), until, reason: reason.clone() };
        context.tell_of(None, Draft::new(freeze.actor, &event)).await?;
        let words = format!("`{}` froze {} until {}: {reason}", call.caller.id, covered(&service), until.long());
        say(context, words).await?;
        Ok(Reply::private(Message::line(Line::marked(&format!("Froze {} until {}", covered(&service), until.long())))))
    })
}

/// Reads a length of time from now on, or a moment; it has to lie ahead.
fn moment(text: &str, now: Time) -> Result<Time, Refusal> {
    let read = match duration::parse(text) {
        Ok(length) => Ok(now + length),
        Err(_) => text.parse::<Time>(),
    };
    let hint = "write a length of time such as `2h`, or a moment such as `2026-11-23T22:00:00Z`";
    let until = read.map_err(|what| Refusal::new(format!("Cannot freeze: {what}")).hint(hint))?;
    if until <= now {
        return Err(Refusal::new(format!("Cannot freeze until {}: that has passed", until.long())).hint(hint));
    }
    Ok(until)
}

fn unfreeze<'a>(context: &'a mut Context<'_>, call: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let service = call.args.required("service")?;
        if !freezes::lift(context.tx, service).await? {
            let refusal = Refusal::new(format!("There is no freeze of {} to lift", covered(service)));
            return Err(refusal.hint("`/freezes` lists them; a window of the configuration is changed there").into());
        }
        timers::clear(context.tx, END, service).await?;
        let event = Event::FreezeLifted { service: service.to_owned() };
        context.tell_of(None, Draft::new(Actor::Person(call.caller.id.clone()), &event)).await?;
        say(context, format!("`{}` lifted the freeze of {}", call.caller.id, covered(service))).await?;
        Ok(Reply::private(Message::line(Line::marked(&format!("Lifted the freeze of {}", covered(service))))))
    })
}

fn list<'a>(view: &'a mut View<'_>, _: &'a Call) -> Answered<'a> {
    Box::pin(async move {
        let mut message = Message::default();
        for freeze in freezes::standing(view.reader).await? {
            let words = format!(
                "{} until {}: {} – {}",
                covered(&freeze.service),
                freeze.until.long(),
                freeze.reason,
                freeze.actor
            );
            message = message.and(Line::marked(&words));
        }
        for window in &view.rules.freezes {
            message = message.and(Line::marked(&format!("By the configuration: {}", window.told())));
        }
        if message.lines.is_empty() {
            message = message.and("Nothing is frozen");
        }
        Ok(Reply::private(message))
    })
}
