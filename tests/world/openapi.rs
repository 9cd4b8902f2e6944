//! Holds what was asked and answered against a published API document, where that is at hand.
//!
//! `FIREWARDEN_SPECS` names the folder of the documents; the validator stands beside it in `tools`.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use super::left_out;

/// What was held against a document before, in this process: many stories say the same, but for its numbers.
static KNOWN: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());

/// Fails when a recorded exchange is not as the document has it, unknown keys included; says so when it cannot be checked
/// here.
///
/// # Panics
/// With the violations, one a line.
pub(crate) async fn conform(exchanges: Vec<String>, document: &'static str) {
    let Some(specs) = std::env::var_os("FIREWARDEN_SPECS").map(PathBuf::from) else {
        left_out(&format!("holding what was said against {document}"), "`FIREWARDEN_SPECS`");
        return;
    };
    let news = news(exchanges, document);
    if !news.is_empty() {
        // Other stories of the same thread go on meanwhile.
        tokio::task::spawn_blocking(move || validate(&specs, &news, document)).await.unwrap();
    }
}

/// The exchanges that were not held against the document yet.
fn news(exchanges: Vec<String>, document: &'static str) -> Vec<String> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    exchanges.into_iter().filter(|exchange| known.insert((document, without_numbers(exchange)))).collect()
}

/// The same, with a nought for each number, decimal or hexadecimal.
fn without_numbers(exchange: &str) -> String {
    let pieces = exchange.split_inclusive(|letter: char| !letter.is_ascii_hexdigit());
    pieces
        .map(|piece| {
            let (word, end) = piece.split_at(piece.trim_end_matches(|letter: char| !letter.is_ascii_hexdigit()).len());
            if word.contains(|letter: char| letter.is_ascii_digit()) { format!("0{end}") } else { piece.to_owned() }
        })
        .collect()
}

fn validate(specs: &Path, exchanges: &[String], document: &str) {
    let mut validator = Command::new("python3")
        .arg(specs.join("../tools/validate_openapi.py"))
        .arg(specs.join(document))
        .arg("--strict-extra")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 for the validator");
    let lines = exchanges.join("\n");
    let mut input = validator.stdin.take().expect("the validator's input");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = validator.wait_with_output().expect("the validator's verdict");
    drop(writer.join());
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "not as {document} has it:\n{said}{summary}");
}
