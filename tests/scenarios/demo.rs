//! `firewarden demo` is what a newcomer runs first: it has to work on any machine, and to show what it says it shows.

use std::path::Path;

use crate::world::shell::Shell;

/// Whoever tries it has nothing installed and no network. If any part of it fails, they must not be told that it worked.
#[test]
fn the_demo_ends_with_a_review_that_says_what_happened_and_who_approved_it() {
    let shell = Shell::new();
    let folder = shell.folder();
    let ended = shell.runs_with(&[("TMPDIR", folder.to_str().unwrap())], &["demo", "--yes"]);
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
    for part in ["`v43` is bad", "CheckoutErrorRate", "Approved RUN-1", "`v42` is live again"] {
        assert!(ended.out.contains(part), "the demo shows `{part}`:\n{}", ended.out);
    }
    let path = ended.out.lines().find_map(|line| line.strip_prefix("The review is in ")).unwrap();
    assert!(Path::new(path).starts_with(&folder), "{path}");
    let review = std::fs::read_to_string(path).unwrap();
    for part in [
        "sam: approved RUN-1 (APR-1) (`good.version` = `v42`, `live.version` = `v43`)",
        "`roll back` of RUN-1 made a change: ",
        "RUN-1 of runbook `rollback-service` on `checkout/production` ended as `done`",
        "| acknowledged | ",
    ] {
        assert!(review.contains(part), "the review says `{part}`:\n{review}");
    }
    for formula in [
        "TTD = detected − started",
        "TTA = acknowledged − detected",
        "TTM = mitigated − started",
        "TTR = resolved − started",
    ] {
        let row = review.lines().find(|line| line.starts_with(&format!("| {formula} |"))).unwrap();
        assert!(row.contains(" s |") && !row.contains("unknown"), "it is measured: {row}");
    }
}
