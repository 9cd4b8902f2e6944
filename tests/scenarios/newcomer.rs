//! What the README tells a newcomer to type works as it stands there.

use std::{fs, path::Path, process::Command};

use crate::world::{config, free_address, is_installed, left_out, shell::Shell};

/// Where the README expects the program, and where it lets the bot listen.
const PROGRAM: &str = "target/release/firewarden";
const ADDRESS: &str = "127.0.0.1:8080";

/// The lines that a person types, in their order.
fn steps(readme: &str) -> Vec<&str> {
    let mut is_shell = false;
    let mut steps = Vec::new();
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(kind) => is_shell = kind == "console",
            None if is_shell => steps.extend(line.strip_prefix("$ ")),
            None => {}
        }
    }
    steps
}

/// Steps that fail as written are the first thing that somebody sees of a program, and often the last.
#[test]
fn the_steps_of_the_readme_work_as_they_stand_there() {
    let missing: Vec<_> = ["bash", "curl", "openssl"].into_iter().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        left_out("the steps of the README", &format!("`{}`", missing.join("`, `")));
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let shell = Shell::new();
    let folder = shell.folder();
    shell.write("firewarden.example.toml", &fs::read_to_string(root.join("firewarden.example.toml")).unwrap());
    for file in fs::read_dir(config::shipped_runbooks()).unwrap() {
        let file = file.unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        shell.write(&format!("runbooks/{}", file.file_name().to_string_lossy()), &text);
    }
    let capture = "tests/captures/am_webhook_firing_prometheus.json";
    shell.write(capture, &fs::read_to_string(root.join(capture)).unwrap());

    let address = free_address().to_string();
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    let is_built_already = |step: &&str| step.starts_with("cargo ") || step.starts_with("./tests/run");
    let mut count = 0;
    for step in steps(&readme).into_iter().filter(|step| !is_built_already(step)) {
        let typed = step.replace(PROGRAM, env!("CARGO_BIN_EXE_firewarden")).replace(ADDRESS, &address);
        script.push_str(&format!("echo '>>' {count}\n{typed}\n"));
        if step.starts_with("cp firewarden.example.toml") {
            // The port may be taken on this machine.
            script.push_str(&format!("sed -i 's/{ADDRESS}/{address}/' firewarden.toml\n"));
        }
        count += 1;
    }
    assert!(count > 10, "the README has steps: {count}");
    let output = Command::new("bash").arg("-c").arg(&script).current_dir(&folder).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{script}\n--- ends with {}\n{told}", output.status);
    for part in
        ["firewarden.toml is in order", "\"ready\":true", "INC-1", "Reason: `matched`", "`rollback-service`, steps 6"]
    {
        assert!(told.contains(part), "the steps show `{part}`:\n{told}");
    }
    let shown = told.find("sign in at ").map(|start| &told[start..]).unwrap_or_default();
    assert!(shown.starts_with(&format!("sign in at http://{address} with ")), "{told}");
}
