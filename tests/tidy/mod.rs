//! The invariants of the tree, executable: which way dependencies point, which crate each layer may name, how files look.

mod documentation;
mod files;
mod layers;
mod names;
mod source;
