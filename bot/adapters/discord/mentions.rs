//! Whom a message notifies: the people and roles that the engine named, as Discord knows them.

use std::collections::BTreeSet;

use super::{limits, render::escape};
use crate::{
    domain::people::PersonId,
    engine::{
        chat::{Line, Span},
        rules::People,
    },
};

/// The person's numbers at Discord.
pub(super) fn accounts<'a>(person: &'a PersonId, people: &'a People) -> impl Iterator<Item = &'a str> {
    let known = people.accounts.iter().filter(move |(_, id)| *id == person).map(|(account, _)| account.as_str());
    known.chain([person.0.as_str()]).filter_map(number)
}

/// Discord's numbers of a role of the configuration.
pub(super) fn roles<'a>(role: &'a str, people: &'a People) -> impl Iterator<Item = &'a str> {
    let known = people.chat_roles.iter().filter(move |(_, known)| *known == role);
    known.filter_map(|(account, _)| number(account))
}

/// The number in a name such as `discord:1234`.
fn number(account: &str) -> Option<&str> {
    let number = account.strip_prefix("discord:")?;
    Some(number).filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whom a message may notify, by their numbers, each once and no more than Discord takes.
pub(super) struct Mentions<'a> {
    pub(super) users: Vec<&'a str>,
    pub(super) roles: Vec<&'a str>,
}

impl<'a> Mentions<'a> {
    pub(super) fn of(spans: impl Iterator<Item = &'a Span>, people: &'a People) -> Self {
        let mut mentions = Self { users: Vec::new(), roles: Vec::new() };
        for span in spans {
            match span {
                Span::Person(person) => mentions.users.extend(accounts(person, people)),
                Span::Role(role) => mentions.roles.extend(roles(role, people)),
                Span::Text(_)
                | Span::Code(_)
                | Span::Strong(_)
                | Span::Time(_)
                | Span::Incident(_)
                | Span::Link { .. } => {}
            }
        }
        for numbers in [&mut mentions.users, &mut mentions.roles] {
            let mut seen = BTreeSet::new();
            numbers.retain(|number| seen.insert(*number));
            numbers.truncate(limits::MENTIONS);
        }
        mentions
    }
}

/// Whom a message is for, in one line of whole mentions. Names that Discord has no number for stand there as words.
pub(super) fn called(whom: &Line, people: &People) -> String {
    let mut names: Vec<String> = Vec::new();
    for part in &whom.0 {
        let (mentions, name): (Vec<String>, &str) = match part {
            Span::Person(person) => {
                (accounts(person, people).map(|number| format!("<@{number}>")).collect(), &person.0)
            }
            Span::Role(role) => (roles(role, people).map(|number| format!("<@&{number}>")).collect(), role),
            Span::Text(_) | Span::Code(_) | Span::Strong(_) | Span::Time(_) | Span::Incident(_) | Span::Link { .. } => {
                continue;
            }
        };
        names.extend(if mentions.is_empty() { vec![escape(name)] } else { mentions });
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let mut line = String::new();
    for (index, name) in names.iter().enumerate() {
        if line.len() + name.len() > limits::CALLED {
            return format!("{line} and {} more", names.len() - index);
        }
        line.push_str(if index == 0 { "" } else { " " });
        line.push_str(name);
    }
    line
}
