//! What the lint refuses, how templates are checked, whole reviews, and that no record can break a draft.

mod any_record;
mod whole;

use super::*;

fn drafted(facts: &Facts) -> String {
    draft(facts, &Templates::default()).unwrap().markdown
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    assert_eq!(drafted(&sample::release()), drafted(&sample::release()));
}

fn refused(review: &str) -> Vec<(&'static str, usize)> {
    let findings = lint(review, &sample::release()).into_iter().filter(|finding| finding.is_refused);
    findings.map(|finding| (finding.rule.code(), finding.line)).collect()
}

/// The review of the made-up release with one place changed, and the line of that place.
fn changed(from: &str, to: &str) -> (String, usize) {
    let review = drafted(&sample::release());
    let place = review.find(from).unwrap_or_else(|| panic!("`{from}` is not in\n{review}"));
    (review.replacen(from, to, 1), review[..place].matches('\n').count() + 2)
}

#[test]
fn the_lint_refuses_what_the_log_does_not_support() {
    for (from, to, rule) in [
        ("\n- Taken first:", "\n- The database was slow\n- Taken first:", "unsupported_claim"),
        ("\n- Taken first:", "\nThe cause was found at once. It was `v42`.\n- Taken first:", "unsupported_claim"),
        (
            "\n- Taken first:",
            "\n- Fixed at once [INC-7#1]. Nobody noticed anything.\n- Taken first:",
            "unsupported_claim",
        ),
        ("\n- Taken first:", "\n- The database was slow [INC-7#999]\n- Taken first:", "unknown_citation"),
        ("\n- Taken first:", "\n- Ana forgot to look [INC-7#1]\n- Taken first:", "blaming_words"),
        ("\n- Taken first:", "\n| x | y |\n- Taken first:", "unsupported_claim"),
        ("\n- [ ] ", "\n- [ ] Do better [INC-7#1]\n- [ ] ", "action_item_incomplete"),
        ("\n## Detection", "\n## Causes", "section_missing"),
    ] {
        let (review, line) = changed(from, to);
        let found = refused(&review);
        assert!(found.contains(&(rule, line)), "{to}: {found:?}, not line {line}");
    }
}

#[test]
fn the_lint_refuses_a_silence_without_a_marker() {
    let marker = drafted(&sample::release()).lines().find(|line| line.starts_with("- … ")).unwrap().to_owned();
    let (review, line) = changed(&format!("\n{marker}\n"), "\n");
    assert_eq!(refused(&review), [("unmarked_gap", line)]);
}

#[test]
fn a_persons_words_are_only_warned_about() {
    let mut facts = sample::release();
    let note = facts.entries.iter_mut().find(|entry| entry.draft.kind == "noted").unwrap();
    let event = crate::domain::incidents::Event::Noted { text: "It was Ana's fault. She was careless".to_owned() };
    note.draft = crate::domain::timeline::Draft::new(note.draft.actor.clone(), &event);
    let reference = note.reference.to_string();
    let review = draft(&facts, &Templates::default()).unwrap();
    assert_eq!(review.document.quality.wording[0].cites, [reference]);
    assert!(review.markdown.contains("- Words that may read as blame (“'s fault, careless”)"), "{}", review.markdown);
}

#[test]
fn a_time_whose_entry_is_missing_is_unknown() {
    let mut facts = sample::release();
    facts.entries.truncate(1);
    let review = draft(&facts, &Templates::default()).unwrap();
    assert_eq!(review.document.quality.unsupported, ["acknowledged", "mitigated", "resolved"]);
    assert!(review.markdown.contains("- Over: unknown"), "{}", review.markdown);
}

#[test]
fn a_folder_of_templates_is_checked_with_file_and_line() {
    let problems = |name: &str, text: &str| {
        let found = Templates::with(&[(name.into(), text.to_owned())]).err().unwrap_or_default();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(problems("t/summary.hbs", "## Summary\n\n- {{summary.started.value"), @r#"
    t/summary.hbs:3:26: the template cannot be read: invalid handlebars syntax: expected trailing_tilde_to_omit_whitespace
      hint: close each `{{` with `}}`, and each block such as `{{#if x}}` with its `{{/if}}`
    "#);
    insta::assert_snapshot!(problems("t/summary.hbs", "## Summary\n\n- {{incident}} hurt {{summary.hurt}}\n"), @r"
    t/summary.hbs:3:21: a review has no `summary.hurt`
      hint: there is `summary.acknowledged`, `summary.is_started_bound`, `summary.mitigated`, `summary.opened`, `summary.resolved`, `summary.runs`, `summary.started`
    ");
    insta::assert_snapshot!(problems("t/summary.hbs", "## Summary\n\n- It was bad\n"), @r#"
    t/summary.hbs: the review of a made-up incident is refused, line 17: `It was bad` cites no entry (`unsupported_claim`)
      hint: write `{{cite cites}}` after each statement, and what is for people in a block with `>`
    "#);
    insta::assert_snapshot!(problems("t/sumary.hbs", ""), @r#"
    t/sumary.hbs: `sumary` is no template of a review
      hint: the templates are `review`, `header`, `summary`, `impact`, `times`, `detection`, `changes`, `response`, `automation`, `resolution`, `timeline`, `factors`, `lessons`, `items`, `related`, `communications`, `quality`, `material`
    "#);
    let fine = "## Summary\n\n- {{incident}} began: {{known summary.started}}\n";
    let templates = Templates::with(&[("t/summary.hbs".into(), fine.to_owned())]).unwrap();
    let review = draft(&sample::release(), &templates).unwrap().markdown;
    assert!(
        review.contains("## Summary\n\n- INC-7 began: `2026-11-23 03:09:20 UTC` by `source prometheus` [INC-7#1]\n")
    );
}
