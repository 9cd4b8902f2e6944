//! Whole reviews of made-up incidents, as people read them.

use super::*;

#[test]
fn a_whole_review() {
    insta::assert_snapshot!(drafted(&sample::release()), @"");
}

#[test]
fn an_incident_in_which_nothing_happened() {
    insta::assert_snapshot!(drafted(&sample::empty()), @"");
}
