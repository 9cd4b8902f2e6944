//! What is particular to the fields of `shell`: it runs programs, so no value may become a command.

use crate::domain::runbooks::{
    reader::Reader,
    template,
    yaml::{Data, Node},
};

/// One of `argv` and `script`; no value decides which program runs, and none becomes the text of one.
pub(super) fn check(reader: &mut Reader<'_>, node: &Node) {
    let (argv, script) = (node.field("argv"), node.field("script"));
    if argv.is_some() == script.is_some() {
        let what = if argv.is_some() { "`shell` has both `argv` and `script`" } else { "`shell` has nothing to run" };
        reader.hinted(node.place, what, "give either `argv: [program, argument]` or `script: …`");
    }
    let Some(Node { data: Data::List(items), place }) = argv else { return };
    let Some(program) = items.first() else {
        reader.problem(*place, "`argv` is empty");
        return;
    };
    let text = program.text().unwrap_or_default();
    if template::is_template(text) {
        reader.problem(program.place, "a value cannot choose the program that runs");
    }
    let base = text.rsplit('/').next().unwrap_or_default();
    let interpreters = [
        "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "env", "eval", "python3", "python", "perl", "ruby",
        "node",
    ];
    if interpreters.contains(&base) {
        for pair in items.windows(2) {
            let flag = pair[0].text().unwrap_or_default();
            let code = pair[1].text().unwrap_or_default();
            if flag.starts_with('-') && flag.ends_with(['c', 'e']) && template::is_template(code) {
                let hint = "use `script` with `env`, or pass the value as an argument of its own";
                reader.hinted(pair[1].place, format!("a template cannot stand in the text that `{base}` runs"), hint);
            }
        }
    }
}
