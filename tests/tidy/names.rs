//! One word for one thing, and verbs that people use.

use super::source::{library, root};

/// A feature is found by its one word in every layer.
#[test]
fn modules_are_named_for_what_they_hold() {
    for source in library() {
        for part in &source.module {
            for vague in ["utils", "util", "helpers", "helper", "common", "misc", "manager", "service_layer"] {
                assert_ne!(part, vague, "bot/{} is named for nothing in particular", source.path);
            }
        }
    }
}

/// Functions are named with verbs that people use.
#[test]
fn functions_have_no_empty_verbs() {
    for source in library() {
        for (index, line) in source.text.lines().enumerate() {
            let Some((_, name)) = line.split_once("fn ") else { continue };
            for empty in ["get_", "handle_", "process_", "do_"] {
                assert!(!name.starts_with(empty), "bot/{}:{} declares `{empty}…`", source.path, index + 1);
            }
        }
    }
}

/// The migrations are numbered without a gap, and each says why it is there.
#[test]
fn migrations_are_in_order_and_say_why() {
    let mut names: Vec<_> =
        std::fs::read_dir(root().join("migrations")).unwrap().map(|file| file.unwrap().path()).collect();
    names.sort();
    for (index, file) in names.iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "migrations/{name} is number {}", index + 1);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("-- "), "migrations/{name} does not open with why it is there");
        let loose = text.matches("create table").count() - text.matches("\n) strict").count();
        assert_eq!(loose, 0, "migrations/{name} has a table that is not strict");
    }
}
