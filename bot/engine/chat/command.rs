//! Commands, declared once: Discord's registration, the console's parser, the help and the reference come from here.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use futures::future::BoxFuture;

use super::Reply;
use crate::{
    domain::{
        duration,
        people::{Capability, Person},
        time::Time,
    },
    engine::{Context, Refusal, Rules, Stop, View},
};

/// Something that people can ask for, such as `/incident ack`.
pub struct Command {
    /// Its words: one for a command, two for a command of a group.
    pub path: &'static [&'static str],
    /// One line that says what it does, at most 100 characters.
    pub help: &'static str,
    /// What it takes, the required first.
    pub options: &'static [Opt],
    /// What the caller must be allowed to do.
    pub needs: Capability,
    /// What it does.
    pub does: Does,
}

/// What a command does.
#[derive(Clone, Copy)]
pub enum Does {
    /// It looks something up, from a snapshot.
    Reads(Look),
    /// It changes something, in a transaction. It refuses before its first write.
    Acts(Act),
    /// It shows from a snapshot what it would do; with its option [`START`] it does that, in a transaction.
    Offers(Look, Act),
}

/// Looks something up, from a snapshot.
pub type Look = for<'a> fn(&'a mut View<'_>, &'a Call) -> BoxFuture<'a, Result<Reply, Stop>>;
/// Changes something, in a transaction.
pub type Act = for<'a> fn(&'a mut Context<'_>, &'a Call) -> BoxFuture<'a, Result<Reply, Stop>>;

/// The option by which a command does what it has shown.
pub const START: &str = "start";

/// An option of a command.
pub struct Opt {
    /// Its name, in lower case.
    pub name: &'static str,
    /// One line that says what it is, at most 100 characters.
    pub help: &'static str,
    /// What may be given.
    pub kind: Kind,
    /// Whether it must be given.
    pub is_required: bool,
}

/// What may be given for an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Words, at most this many characters.
    Text {
        /// The most characters.
        max: u16,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of something, completed as it is typed.
    Name(Lookup),
    /// A person: an account of the chat, or a name of the configuration.
    Person,
    /// A length of time such as `15m`.
    Duration,
    /// A moment such as `2026-11-23T03:20:00Z`.
    Time,
}

/// What a name can be the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// An incident that is not closed.
    Incident,
    /// A runbook that can be started by people.
    Runbook,
    /// A run that has not ended.
    Run,
    /// A question that waits for an answer: an approval, or a run that is held or in doubt.
    Question,
    /// A service.
    Service,
    /// A silence that is not over.
    Silence,
}

/// A command that somebody has given.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who gave it.
    pub caller: Person,
    /// What was given for its options, checked against them.
    pub args: Args,
    /// The incident whose thread it was given in, for an option that was left out.
    pub about: Option<crate::domain::ids::IncidentId>,
    /// The identity of this very call, so that it is carried out once however often it arrives.
    pub source_key: Option<String>,
}

/// What was given for the options of a command, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(BTreeMap<&'static str, String>);

impl Command {
    /// The command as people type it: `/incident ack`.
    pub fn name(&self) -> String {
        format!("/{}", self.path.join(" "))
    }

    /// Refuses somebody whose roles do not allow the command.
    pub fn permits(&self, caller: &Person, rules: &Rules) -> Result<(), Refusal> {
        if rules.people.may(caller, self.needs) {
            return Ok(());
        }
        Err(Refusal::new(format!("Cannot run `{}` for `{}`: none of their roles allows it", self.name(), caller.id))
            .hint(rules.people.whom_to_ask(self.needs)))
    }

    /// Checks what was given for the options, whatever chat it came from.
    pub fn check(&self, given: impl IntoIterator<Item = (String, String)>) -> Result<Args, Refusal> {
        let mut args = BTreeMap::new();
        for (name, value) in given {
            let Some(option) = self.options.iter().find(|option| option.name == name) else {
                let names: Vec<&str> = self.options.iter().map(|option| option.name).collect();
                let hint = if names.is_empty() {
                    "it takes none".to_owned()
                } else {
                    format!("it takes `{}`", names.join("`, `"))
                };
                return Err(
                    Refusal::new(format!("Cannot run `{}`: it has no option `{}`", self.name(), cut(&name))).hint(hint)
                );
            };
            let value = value.trim().to_owned();
            if value.is_empty() && !option.is_required {
                continue;
            }
            option.kind.check(&value).map_err(|what| {
                Refusal::new(format!("Cannot run `{}`: `{}` {what}", self.name(), option.name)).hint(option.help)
            })?;
            if args.insert(option.name, value).is_some() {
                return Err(Refusal::new(format!("Cannot run `{}`: `{}` is given twice", self.name(), option.name)));
            }
        }
        Ok(Args(args))
    }

    /// The first required option that was not given.
    pub fn missing(&self, args: &Args) -> Option<&'static Opt> {
        self.options.iter().find(|option| option.is_required && !args.0.contains_key(option.name))
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Opt {
    /// An option that must be given.
    pub const fn required(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self { name, help, kind, is_required: true }
    }

    /// An option that may be left out.
    pub const fn optional(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self { name, help, kind, is_required: false }
    }
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        let length = value.chars().count();
        match self {
            Kind::Text { max } if length > usize::from(max) => {
                Err(format!("is {length} characters long, the most is {max}"))
            }
            Kind::Name(_) | Kind::Person if length > 100 => {
                Err(format!("is {length} characters long, the most is 100"))
            }
            Kind::Text { .. } | Kind::Name(_) | Kind::Person if value.is_empty() => Err("is empty".to_owned()),
            Kind::Text { .. } | Kind::Name(_) | Kind::Person => Ok(()),
            Kind::Integer { min, max } => match value.parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                Ok(_) | Err(_) => Err(format!("is `{}`, not a whole number from {min} to {max}", cut(value))),
            },
            Kind::Choice(choices) if choices.contains(&value) => Ok(()),
            Kind::Choice(choices) => Err(format!("is `{}`, not one of `{}`", cut(value), choices.join("`, `"))),
            Kind::Duration => duration::parse(value).map(drop).map_err(|what| format!("is no length: {what}")),
            Kind::Time => Time::from_str(value).map(drop).map_err(|what| format!("is no time: {what}")),
        }
    }
}

impl Args {
    /// What was given for this option.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What was given for an option that must be given.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| Refusal::new(format!("The option `{name}` is missing")))
    }

    /// What was given for this option, read as the name of something.
    pub fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.text(name).map(|text| text.parse().map_err(|error: T::Err| Refusal::new(error.to_string()))).transpose()
    }

    /// The whole number that was given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// The length of time that was given.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|text| duration::parse(text).ok())
    }

    /// The moment that was given.
    pub fn time(&self, name: &str) -> Option<Time> {
        self.text(name).and_then(|text| text.parse().ok())
    }
}

impl Call {
    /// The incident that the call is about: the one that was named, or the one whose thread it was given in.
    pub fn incident(&self) -> Result<crate::domain::ids::IncidentId, Refusal> {
        let named = self.args.parsed("incident")?;
        named.or(self.about).ok_or_else(|| {
            Refusal::new("Which incident is not said").hint("add `incident:INC-1`, or ask in the incident's thread")
        })
    }
}

/// The beginning of a text from outside, for a message.
fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
