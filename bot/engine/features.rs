//! The features of the bot, each once: its commands, its timers, its cards, and the names it can complete.

use futures::future::BoxFuture;

use super::{
    View, alerts,
    chat::{self, Card, Command, Lookup, Subject},
    deployments, freezes, incidents, locks, operations, reviews, runs, silences,
    timers::OnDue,
};
use crate::store;

/// Renders the newest state of what a card is about; `None` if there is nothing to show.
pub type Render = for<'a> fn(&'a mut View<'_>, &'a Subject) -> BoxFuture<'a, store::Result<Option<Card>>>;

/// Names that start with, or contain, what somebody has typed, each with a short description; best first.
pub type Complete = for<'a> fn(&'a mut View<'_>, &'a str) -> BoxFuture<'a, store::Result<Vec<(String, String)>>>;

/// Everything that one feature brings.
pub struct Feature {
    /// Its one word, the same in every layer.
    pub name: &'static str,
    /// What people can ask of it.
    pub commands: &'static [Command],
    /// The kinds of timers it sets, and what it does when one is due.
    pub timers: &'static [(&'static str, OnDue)],
    /// The kinds of subjects that it has cards for, as [`Subject::kind`] names them.
    pub cards: &'static [(&'static str, Render)],
    /// The kinds of names that it can complete.
    pub names: &'static [(Lookup, Complete)],
}

/// All features, in their order: a later one may know an earlier one.
pub static FEATURES: &[&Feature] = &[
    &chat::FEATURE,
    &operations::FEATURE,
    &alerts::FEATURE,
    &silences::FEATURE,
    &incidents::FEATURE,
    &deployments::FEATURE,
    &freezes::FEATURE,
    &locks::FEATURE,
    &runs::FEATURE,
    &runs::offers::FEATURE,
    &reviews::FEATURE,
];

/// Every command, in the order of the features.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    FEATURES.iter().flat_map(|feature| feature.commands)
}

/// The command with this path, such as `["incident", "list"]`.
pub fn command(path: &[&str]) -> Option<&'static Command> {
    commands().find(|command| command.path == path)
}

/// What happens when a timer of this kind is due.
pub fn timer(kind: &str) -> Option<OnDue> {
    let mut timers = FEATURES.iter().flat_map(|feature| feature.timers);
    timers.find(|(name, _)| *name == kind).map(|(_, on_due)| *on_due)
}

/// The newest card about this subject.
pub async fn card(view: &mut View<'_>, subject: &Subject) -> store::Result<Option<Card>> {
    let mut cards = FEATURES.iter().flat_map(|feature| feature.cards);
    match cards.find(|(kind, _)| *kind == subject.kind()) {
        Some((_, render)) => render(view, subject).await,
        None => Ok(None),
    }
}

/// Names of this kind that fit what somebody has typed, at most 25.
pub async fn complete(view: &mut View<'_>, lookup: Lookup, typed: &str) -> store::Result<Vec<(String, String)>> {
    let mut names = FEATURES.iter().flat_map(|feature| feature.names);
    let Some((_, complete)) = names.find(|(kind, _)| *kind == lookup) else { return Ok(Vec::new()) };
    let mut found = complete(view, typed).await?;
    found.truncate(25);
    Ok(found)
}
