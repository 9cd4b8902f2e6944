//! `firewarden runbook explain`: what an action takes and gives and may change, and how a guard refuses, where no page is.

use super::{Failure, say};
use crate::domain::{
    runbooks::{actions, reference, words},
    runs::guard_reference as guards,
};

/// Prints what there is to know of an action, a guard or a reason code; without a name, which actions and guards there are.
pub(super) fn explain(name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else {
        say(&list());
        return Ok(());
    };
    if let Some(spec) = actions::named(name) {
        say(&format!("# {name}\n\n{}", reference::action(spec)));
        return Ok(());
    }
    let refuses = |spec: &&guards::GuardSpec| spec.name == name || spec.codes().iter().any(|(code, _)| *code == name);
    if let Some(spec) = guards::ALL.iter().find(refuses) {
        say(&format!("# {}\n\n{}", spec.name, guards::guard(spec)));
        return Ok(());
    }
    let codes = guards::ALL.iter().flat_map(|spec| spec.codes().into_iter().map(|(code, _)| code).chain([spec.name]));
    let known: Vec<&str> = actions::ALL.iter().map(|spec| spec.name).chain(codes).collect();
    let hint = match words::nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`firewarden runbook explain` lists what there is".to_owned(),
    };
    Err(Failure::Refused(format!("There is no action, guard or reason code `{name}`\nhint: {hint}")))
}

fn list() -> String {
    let mut text = "Actions:\n".to_owned();
    for spec in actions::ALL {
        text.push_str(&format!("  {:<30} {}\n", spec.name, spec.summary));
    }
    text.push_str("\nGuards:\n");
    for spec in guards::ALL {
        text.push_str(&format!("  {:<30} {}\n", spec.name, spec.summary));
    }
    text
}
