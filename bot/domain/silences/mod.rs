//! Silences: which alerts somebody wants held back, from when to when, and why.
//!
//! A silenced alert is known and shown as ever, but what begins with it is told to nobody and sets nothing off until it
//! is silenced no more. What people were told of before, they are told the end of.

pub mod event;
pub mod hold;
pub mod reading;
pub mod silence;
pub mod wanted;

pub use event::Event;
pub use hold::{Verdict, verdict};
pub use silence::{Silence, SilenceState};
pub use wanted::{Unfit, Wanted};
