//! How files look: a head that says what they hold, one concept each, no leftovers.

use super::source::{files, library, root};

/// The most lines of one file; a longer one holds more than one concept.
const LINES: usize = 450;
/// The most lines of a file's head.
const HEAD: usize = 12;

/// Whoever opens a file first reads what it guarantees.
#[test]
fn every_file_opens_with_what_it_is_for() {
    for source in library() {
        let head = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let most = if source.path == "lib.rs" { usize::MAX } else { HEAD };
        assert!((1..=most).contains(&head), "bot/{} has a head of {head} lines", source.path);
    }
}

/// A file that is read in one go is one concept.
#[test]
fn no_file_is_longer_than_one_concept() {
    for source in library() {
        let lines = source.text.lines().count();
        assert!(lines <= LINES, "bot/{} has {lines} lines, the most is {LINES}", source.path);
    }
}

/// Nothing half done is left for somebody to stumble over at night.
#[test]
fn nothing_is_left_over() {
    for folder in ["bot", "tests"] {
        for file in files(&root().join(folder), "rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            for (index, line) in text.lines().enumerate() {
                let line = line.to_lowercase();
                for word in [["to", "do"], ["fix", "me"], ["x", "xx"]].map(|parts| parts.concat()) {
                    let marker = line.split_once("//").is_some_and(|(_, comment)| {
                        comment.split(|letter: char| !letter.is_alphanumeric()).any(|found| found == word)
                    });
                    assert!(!marker, "{}:{} has a comment with {word}", file.display(), index + 1);
                }
            }
        }
    }
}

/// A story that sleeps is slow when it passes and wrong when it fails.
#[test]
fn tests_do_not_sleep() {
    let sleep = ["sleep", "("].concat();
    for file in files(&root().join("tests"), "rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        for (index, line) in text.lines().enumerate() {
            let sleeps = line.contains(&sleep) && !line.contains("fn ") && !line.contains("bounded: ");
            assert!(!sleeps, "{}:{} sleeps; wait for an effect", file.display(), index + 1);
        }
    }
}
