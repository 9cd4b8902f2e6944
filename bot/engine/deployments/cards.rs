//! What people are told of deployments.

use crate::{
    domain::{
        deployments::{Ban, Change, Deployment, Fate, Ledger, State},
        people::Actor,
        time::Time,
    },
    engine::chat::{Card, Line, Span, Tone},
};

/// How many deployments a card lists.
const LISTED: usize = 10;
/// How many bans a card lists.
const BANS: usize = 5;

/// The ledger of a service in a place.
pub(super) fn ledger(service: &str, environment: &str, ledger: &Ledger, now: Time) -> Card {
    let live = ledger.live();
    let tone = match live.map(|live| ledger.fate(live, now)) {
        Some(Fate::Good) => Tone::Good,
        Some(Fate::Incident(_) | Fate::Banned | Fate::RolledBack(_)) => Tone::Urgent,
        Some(Fate::Pending | Fate::Failed | Fate::Baking(_) | Fate::Replaced) | None => Tone::Calm,
    };
    let title = Line::text("Deployments of ").strong(service).and(" in ").strong(environment);
    let mut card = Card::new(tone, title);
    card = standing(card, ledger, now);
    for ban in ledger.bans().iter().take(BANS) {
        card = card.fact("Banned", banned(ban));
    }
    let more = ledger.bans().len().saturating_sub(BANS);
    if more > 0 {
        card = card.fact("Banned", format!("and {more} more"));
    }
    for deployment in ledger.deployments().iter().take(LISTED) {
        let words = since(deployment, named(deployment).and(format!(" {}", deployment.state.verb())));
        let words = by(deployment, words).and(format!(", {}: ", deployment.id));
        let words = words.code(ledger.fate(deployment, now).code());
        card = card.block(match &deployment.url {
            Some(url) => words.and(" ").with(Span::Link { text: "open".to_owned(), url: url.clone() }),
            None => words,
        });
    }
    card
}

/// Adds what is live, what was good and why, and whether there is a way back.
pub(in crate::engine) fn standing(card: Card, ledger: &Ledger, now: Time) -> Card {
    let Some(live) = ledger.live() else {
        return card.fact("Live", "unknown: nobody has reported a deployment that succeeded");
    };
    let card = card.fact("Live", fate(ledger, live, now));
    match ledger.last_good(live, now) {
        Ok(good) => card.fact("Last good", fate(ledger, good, now)).fact("Reversible", reversible(ledger, good, live)),
        Err(missing) => card.fact("Last good", Line::marked(&missing.to_string())),
    }
}

/// A deployment, and what became of it.
pub(in crate::engine) fn fate(ledger: &Ledger, deployment: &Deployment, now: Time) -> Line {
    let words = since(deployment, by(deployment, named(deployment)));
    words.and(": ").and(ledger.fate(deployment, now).words())
}

/// Whether a migration lies on the way back.
pub(in crate::engine) fn reversible(ledger: &Ledger, good: &Deployment, live: &Deployment) -> &'static str {
    match ledger.is_reversible(good, live) {
        Some(true) => "yes: no migration between",
        Some(false) => "no: a migration between",
        None => "unknown: not every deployment between says whether it brought a migration",
    }
}

/// A ledger in a line.
pub(super) fn summary(environment: &str, ledger: &Ledger, now: Time) -> Line {
    let words = Line::new().strong(environment).and(": ");
    let Some(live) = ledger.live() else { return words.and("nothing is known to be live") };
    let words = since(live, words.and("live is ").with(name(live))).and(", last good ");
    match ledger.last_good(live, now) {
        Ok(good) => words.with(name(good)),
        Err(_) => words.and("unknown"),
    }
}

/// Something changed about a service that has an open incident.
pub(super) fn nearby(change: &Change) -> Line {
    let line = Line::text(format!("A {} of ", change.kind)).code(&change.service);
    let line = change.environment.iter().fold(line, |line, environment| line.and(" in ").code(environment));
    let line = line.and(" at ").time(change.at);
    let line = change.by.iter().fold(line, |line, by| line.and(" by ").code(by));
    line.and(": ").code(&change.what).and(" (near in time, not a cause)")
}

/// Somebody deployed what is banned.
pub(super) fn banned_deployed(deployment: &Deployment, ban: &Ban) -> Line {
    let verb = if deployment.state == State::Pending { " is being deployed to " } else { " was deployed to " };
    let line = named(deployment).and(verb).code(&deployment.service).and(" in ").code(&deployment.environment);
    let line = by(deployment, line).and(" although it is banned: ").code(&ban.reason).and(", by ");
    actor(line, &ban.by).and(format!(" ({})", deployment.id))
}

fn banned(ban: &Ban) -> Line {
    actor(Line::new().code(&ban.sha).and(" by "), &ban.by).and(" since ").time(ban.at).and(": ").and(ban.reason.clone())
}

fn actor(line: Line, actor: &Actor) -> Line {
    match actor {
        Actor::Person(person) => line.person(person),
        Actor::Source(_) | Actor::Run(_) | Actor::Bot => line.and(actor.to_string()),
    }
}

fn name(deployment: &Deployment) -> Span {
    Span::Code(deployment.named())
}

fn named(deployment: &Deployment) -> Line {
    Line::new().with(name(deployment))
}

fn by(deployment: &Deployment, line: Line) -> Line {
    deployment.by.iter().fold(line, |line, by| line.and(" by ").code(by))
}

fn since(deployment: &Deployment, line: Line) -> Line {
    let word = if deployment.state == State::Succeeded { " since " } else { " at " };
    line.and(word).time(deployment.since())
}
