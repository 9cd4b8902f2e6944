//! Puts the parts together into the program.

pub mod demo;
