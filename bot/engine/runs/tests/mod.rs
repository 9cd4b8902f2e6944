//! Decisions of runs over a real file, against a service that remembers what was done to it.

pub(super) mod bench;
mod chaos;
mod children;
mod ends;
mod guards;
mod lanes;
mod ledger;
mod people;
mod plans;
mod steps;
mod triggers;
mod workers;
