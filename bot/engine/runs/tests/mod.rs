//! Decisions of runs over a real file, against a service that remembers what was done to it.

mod bench;
mod chaos;
mod people;
mod plans;
mod steps;
mod workers;
