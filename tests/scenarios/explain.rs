//! `firewarden runbook explain`: the reference is at hand where no page is, such as on the machine with the bot, at night.

use crate::world::shell::Shell;

/// Whoever reads a reason code in chat, or a step in a runbook, asks the program what it means.
#[test]
fn the_program_explains_actions_guards_and_reason_codes() {
    let shell = Shell::new();
    for (asked, parts) in [
        (None, ["kubernetes.scale", "Guards:", "breaker"]),
        (Some("kubernetes.scale"), ["`largest_step`", "## Output", "**Undo**"]),
        (Some("breaker"), ["`open_for`", "`breaker_open`", "when a run is about to start"]),
        (Some("approval_expired"), ["# approval", "`expires`", "`drift`"]),
    ] {
        let ended = shell.runs(&["runbook", "explain"].into_iter().chain(asked).collect::<Vec<_>>());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
        for part in parts {
            assert!(ended.out.contains(part), "{asked:?} shows `{part}`:\n{}", ended.out);
        }
    }
    let ended = shell.runs(&["runbook", "explain", "kubernetes.scal"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("did you mean `kubernetes.scale`?"), "{}", ended.err);
}
