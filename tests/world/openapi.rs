//! Holds what was asked and answered against a published API document, where that is at hand.
//!
//! `FIREWARDEN_SPECS` names the folder of the documents; the validator stands beside it in `tools`.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::left_out;

/// Fails when a recorded exchange is not as the document has it, unknown keys included; says so when it cannot be checked
/// here.
///
/// # Panics
/// With the violations, one a line.
pub(crate) fn conform(exchanges: &[String], document: &str) {
    let Some(specs) = std::env::var_os("FIREWARDEN_SPECS").map(PathBuf::from) else {
        left_out(&format!("holding what was said against {document}"), "`FIREWARDEN_SPECS`");
        return;
    };
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
