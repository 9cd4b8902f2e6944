//! Reviews: the document after an incident, drafted from its log and from nothing else.
//!
//! Every statement about what happened cites its entry. What nobody knows is printed as unknown, and what only people
//! can say is left to them. The same record gives the same bytes.

pub mod automation;
pub mod document;
pub mod event;
pub mod facts;
pub mod lines;
pub mod lint;
pub mod markdown;
pub mod material;
pub mod milestones;
pub mod quality;
mod sample;
pub mod templates;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod wording;

pub use document::Document;
pub use event::Event;
pub use facts::{ActionItem, Facts, Post, Related, Said};
pub use lint::{Finding, Rule, lint};
pub use templates::{NoDraft, Review, Templates, draft};
