//! What is to be delivered to one channel in a pass, and in which order.
//!
//! In the lane of pages a page goes first. Elsewhere cards that nobody has seen go first: the posts about them belong
//! under them. Changes of what is seen already come last, and each pass takes only a few of them.

use crate::store::{cards::Shown, posts::Post};

/// How many cards of a channel are sent, and how many are changed, before its next post.
pub(super) const CARDS: usize = 3;

/// A row of the outbox, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// A post.
    Post(i64),
    /// The card of a subject.
    Card(String),
}

/// What is done to deliver a row; chats limit each on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// A message is sent.
    Send,
    /// A message is changed.
    Edit,
}

/// A row that is to be delivered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    Post(&'a Post),
    Card(&'a Shown),
}

impl Item<'_> {
    pub(super) fn name(self) -> Row {
        match self {
            Item::Post(post) => Row::Post(post.id),
            Item::Card(card) => Row::Card(card.subject.clone()),
        }
    }

    pub(super) fn way(self) -> Way {
        match self {
            Item::Card(card) if card.message.is_some() => Way::Edit,
            Item::Card(_) | Item::Post(_) => Way::Send,
        }
    }
}

/// What is to be delivered to one channel.
#[derive(Default)]
pub(super) struct Load {
    new: Vec<Shown>,
    changed: Vec<Shown>,
    post: Option<Post>,
    /// Whether a post that is put off keeps those behind it waiting.
    is_held_up: bool,
}

impl Load {
    /// Adds a card, while there is room for it.
    pub(super) fn add(&mut self, card: Shown) {
        let cards = if card.message.is_some() { &mut self.changed } else { &mut self.new };
        if cards.len() < CARDS {
            cards.push(card);
        }
    }

    /// Takes the first post that may be sent; they are offered in their order.
    pub(super) fn offer(&mut self, post: Post, is_put_off: bool, holds_up: bool) {
        self.is_held_up |= holds_up && self.post.is_none();
        if !is_put_off && !self.is_held_up && self.post.is_none() {
            self.post = Some(post);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.post.is_none()
    }

    /// The rows in the order in which they are delivered.
    pub(super) fn in_order(&self, is_page: bool) -> Vec<Item<'_>> {
        let (new, changed) = (self.new.iter().map(Item::Card), self.changed.iter().map(Item::Card));
        let post = self.post.iter().map(Item::Post);
        if is_page { post.chain(new).chain(changed).collect() } else { new.chain(post).chain(changed).collect() }
    }

    /// Only the first of them.
    pub(super) fn first(mut self, is_page: bool) -> Self {
        let first = self.in_order(is_page).into_iter().next().map(Item::name);
        self.post = self.post.filter(|post| first == Some(Row::Post(post.id)));
        for cards in [&mut self.new, &mut self.changed] {
            cards.retain(|card| first == Some(Row::Card(card.subject.clone())));
        }
        self
    }
}
