//! What people see before they start something: what is, what it would do, who is asked, and what would refuse it.

use super::{
    commands::YES,
    prepare::Subject,
    version::{self, Version},
};
use crate::{
    domain::{
        deployments::Deployment,
        runbooks::plan::{Mode, Operation, Plan, Step},
        runs::guards::Refused,
        time::Time,
    },
    engine::{
        chat::{Button, Call, Card, Line, Shortcut, Style, Tone},
        deployments::cards as ledger,
        runs::judge::{Judged, Verdict},
    },
};

/// How many steps that change something are named.
const STEPS: usize = 10;

/// The verdict, with a button that starts it unless something refuses it.
pub(super) fn verdict(
    subject: &Subject<'_>,
    (version, call): (&Version<'_>, &Call),
    judged: &Result<Judged, Refused>,
    now: Time,
) -> Card {
    let plan = subject.chosen.plan;
    let refused = match judged {
        Err(refused) => Some(refused),
        Ok(judged) => match &judged.verdict {
            Verdict::Refuse(refused) => Some(refused),
            Verdict::Start | Verdict::Queue(_) | Verdict::Attach(_) => None,
        },
    };
    let tone = if refused.is_some() { Tone::Urgent } else { Tone::Active };
    let mut card = Card::new(tone, title(subject, version, call));
    if subject.wanted.operation == Operation::Rollback {
        card = of_versions(card, subject, version, now);
    }
    if let Some(incident) = subject.incident {
        card = card.fact("Incident", Line::new().incident(incident));
    }
    let about = plan.description.clone().map(|words| format!(" – {words}")).unwrap_or_default();
    card = card.fact("Runbook", Line::new().code(&plan.name).and(about)).fact("Target", target(subject));
    let mode = judged.as_ref().map_or(plan.mode, |judged| judged.mode);
    card = card.fact("Asked", asked(plan, mode));
    card = card.fact("Verdict", said(judged));
    for step in changes(plan).into_iter().take(STEPS) {
        card =
            card.block(Line::text(format!("{}. ", step.path)).code(&step.name).and(" – changes: ").code(&step.action));
    }
    match judged {
        Ok(Judged { verdict: Verdict::Start | Verdict::Queue(_), .. }) => offer(card, subject, version, call),
        Ok(Judged { verdict: Verdict::Attach(_) | Verdict::Refuse(_), .. }) | Err(_) => card,
    }
}

fn title(subject: &Subject<'_>, version: &Version<'_>, call: &Call) -> Line {
    let verb = match subject.wanted.operation {
        Operation::Rollback => "Roll back ",
        Operation::Scale => "Scale ",
        Operation::Restart => "Restart ",
    };
    let line = Line::text(verb).strong(&subject.chosen.target.service);
    let line = line.and(" in ").strong(&subject.chosen.target.environment);
    let line = match (subject.wanted.operation, version.named(), call.args.text("replicas")) {
        (Operation::Rollback, Some(version), _) => line.and(" to ").code(version),
        (Operation::Rollback, None, _) => line.and(" to the version before"),
        (Operation::Scale, _, Some(replicas)) => line.and(" to ").code(replicas).and(" replicas"),
        (Operation::Scale | Operation::Restart, _, _) => line,
    };
    line.and("?")
}

fn of_versions(card: Card, subject: &Subject<'_>, version: &Version<'_>, now: Time) -> Card {
    let known = &subject.ledger;
    match (known.live(), version) {
        // What was last good is where it goes: that is said once.
        (_, Version::Before) => ledger::standing(card, known, now),
        (None, Version::Known(_) | Version::Named(_)) => {
            card.fact("Live", "unknown: nobody has reported a deployment that succeeded")
        }
        (Some(live), Version::Named(name)) => card
            .fact("Live", ledger::fate(known, live, now))
            .fact("Back to", Line::new().code(*name).and(": the ledger does not know it"))
            .fact("Reversible", "unknown: the ledger does not know the version"),
        (Some(live), Version::Known(back)) => {
            let card =
                card.fact("Live", ledger::fate(known, live, now)).fact("Back to", ledger::fate(known, back, now));
            version::way_back(known, version).into_iter().fold(card, |card, words| card.fact("Reversible", words))
        }
    }
}

fn target(subject: &Subject<'_>) -> Line {
    Line::new().code(subject.chosen.target.to_string())
}

/// Who has to agree, and to what.
fn asked(plan: &Plan, mode: Mode) -> Line {
    let Some(approval) = plan.approval.as_ref().filter(|_| mode != Mode::Observe) else {
        return match mode {
            Mode::Observe => Line::text("nobody: in the mode `observe` nothing is changed"),
            Mode::Ask | Mode::Auto => Line::text("nobody: it goes on by itself"),
        };
    };
    let by: Vec<String> = approval.by.iter().map(|by| format!("`{by}`")).collect();
    let mut words = by.join(", ");
    if approval.count > 1 {
        words.push_str(&format!(", {} of them", approval.count));
    }
    let step = plan.step(&approval.before).map(|step| step.name.as_str()).unwrap_or_default();
    words.push_str(&format!(", before `{step}`"));
    if let (Mode::Auto, None) = (mode, &approval.when) {
        return Line::text("nobody: in the mode `auto` it goes on by itself");
    }
    if let Some(when) = &approval.when {
        words.push_str(&format!(", if `{when}`"));
    }
    words.push_str("; whoever starts it does not count");
    Line::marked(&words)
}

/// What would come of it.
fn said(judged: &Result<Judged, Refused>) -> Line {
    let refused = |refused: &Refused| {
        let line = Line::text("refused: ").code(refused.reason.code()).and(format!(" – {}", refused.reason.words()));
        let detail =
            if refused.detail.is_empty() { Line::new() } else { Line::marked(&format!(": {}", refused.detail)) };
        detail.0.into_iter().fold(line, Line::with)
    };
    match judged {
        Err(why) => refused(why),
        Ok(judged) => match &judged.verdict {
            Verdict::Start => Line::text("no guard refuses it"),
            Verdict::Queue(behind) => {
                let behind: Vec<String> = behind.iter().map(ToString::to_string).collect();
                Line::text(format!("it waits for {}", behind.join(", ")))
            }
            Verdict::Attach(run) => Line::text("refused: ").code(run.to_string()).and(" is at work on the target"),
            Verdict::Refuse(why) => refused(why),
        },
    }
}

fn changes(plan: &Plan) -> Vec<&Step> {
    plan.all_steps().into_iter().filter(|step| step.changes()).collect()
}

/// Adds the button; where names are too long for one, the line to type.
fn offer(card: Card, subject: &Subject<'_>, version: &Version<'_>, call: &Call) -> Card {
    let (service, environment) = (&subject.chosen.target.service, &subject.chosen.target.environment);
    let seen = subject.ledger.live().map_or_else(|| YES.to_owned(), |live: &Deployment| live.id.to_string());
    let (label, press) = match subject.wanted.operation {
        Operation::Rollback => {
            let to = version.carried();
            let label = version.named().map_or_else(|| "Roll back".to_owned(), |to| format!("Roll back to {to}"));
            (label, Shortcut::new("rollback", &[service, environment, &to, &seen]))
        }
        Operation::Scale => {
            let replicas = call.args.text("replicas").unwrap_or_default();
            (format!("Scale to {replicas}"), Shortcut::new("scale", &[service, &replicas, environment]))
        }
        Operation::Restart => ("Restart".to_owned(), Shortcut::new("restart", &[service, environment])),
    };
    if press.fits() {
        return card.row(vec![Button::new(label, press).style(Style::Danger)]);
    }
    let given = press.given().into_iter().filter(|(_, value)| !value.is_empty());
    let given: String = given.flat_map(|(name, value)| [format!(" {name}:\"{value}\"")]).collect();
    card.block(Line::text("To start it: ").code(format!("/{}{given}", subject.wanted.operation.word())))
}
