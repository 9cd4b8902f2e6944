//! Decisions of runs over a real file.
