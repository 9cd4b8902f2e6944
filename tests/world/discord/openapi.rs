//! Holds what was said against Discord's published API document, where that is at hand.
//!
//! `FIREWARDEN_SPECS` names the folder of the documents; the validator stands beside it in `tools`.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::Discord;
use crate::world::left_out;

impl Discord {
    /// Fails when a recorded exchange is not valid, unknown keys included; says so when it cannot be checked here.
    ///
    /// # Panics
    /// With the violations, one a line.
    pub(crate) fn conforms(&self) {
        let Some(specs) = std::env::var_os("FIREWARDEN_SPECS").map(PathBuf::from) else {
            left_out("holding what was said against Discord's API document", "`FIREWARDEN_SPECS`");
            return;
        };
        let mut validator = Command::new("python3")
            .arg(specs.join("../tools/validate_openapi.py"))
            .arg(specs.join("discord-openapi.json"))
            .arg("--strict-extra")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 for the validator");
        let lines = self.recorded().join("\n");
        let mut input = validator.stdin.take().expect("the validator's input");
        let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = validator.wait_with_output().expect("the validator's verdict");
        drop(writer.join());
        let said = String::from_utf8_lossy(&output.stdout);
        let summary = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "not as Discord's API document has it:\n{said}{summary}");
    }
}
