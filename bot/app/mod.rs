//! Puts the parts together into the program.

pub mod config;
pub mod demo;
