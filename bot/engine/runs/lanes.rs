//! The steps of a run as its card shows them: those of branches each, of a list the ones that are at work.

use crate::domain::{
    runbooks::plan::{Group, Step},
    runs::{Journal, Pass, Run, StepState, values::keys},
};

/// The steps to be shown, each at its place in the journal; the last ones only once something of them has begun.
pub(super) fn shown<'r>(run: &'r Run, journal: &Journal) -> Vec<(String, &'r Step)> {
    let mut shown = Vec::new();
    let plan = &run.plan;
    gather(&plan.steps, ("", ""), journal, &mut shown);
    for aside in [&plan.on_failure.before_mutation, &plan.on_failure.after_mutation, &plan.finally] {
        if aside.iter().any(|step| journal.last(&step.path, Pass::Do).is_some()) {
            gather(aside, ("", ""), journal, &mut shown);
        }
    }
    shown
}

fn gather<'s>(steps: &'s [Step], lane: (&str, &str), journal: &Journal, shown: &mut Vec<(String, &'s Step)>) {
    for step in steps {
        let place = format!("{}{}", lane.1, step.path.get(lane.0.len()..).unwrap_or_default());
        shown.push((place.clone(), step));
        match &step.group {
            None => {}
            Some(Group::Parallel(branches)) => {
                for branch in branches {
                    let lane = (format!("{}.{}", step.path, branch.name), format!("{place}.{}", branch.name));
                    gather(&branch.steps, (&lane.0, &lane.1), journal, shown);
                }
            }
            Some(Group::ForEach(each)) => {
                let opened = journal.last(&place, Pass::Do);
                for key in opened.map(|opened| keys(&opened.output)).unwrap_or_default() {
                    let lane = (format!("{}[]", step.path), format!("{place}[{key}]"));
                    let mut of_item = Vec::new();
                    gather(&each.steps, (&lane.0, &lane.1), journal, &mut of_item);
                    let is_open = |(place, _): &(String, &Step)| match journal.last(place, Pass::Do) {
                        None => false,
                        Some(last) => !matches!(last.state, StepState::Done | StepState::Skipped),
                    };
                    shown.extend(of_item.into_iter().filter(is_open));
                }
            }
        }
    }
}

/// How far a step has come that holds others.
pub(super) fn progress(place: &str, journal: &Journal) -> String {
    let Some(opened) = journal.last(place, Pass::Do) else { return "not begun".to_owned() };
    if opened.state == StepState::Skipped {
        return "skipped".to_owned();
    }
    let within = |record: &&crate::domain::runs::StepRecord| {
        let after = record.key.path.strip_prefix(place);
        record.key.pass == Pass::Do && after.is_some_and(|after| after.starts_with(['.', '[']))
    };
    let count = |states: &[StepState]| {
        let last =
            |record: &&crate::domain::runs::StepRecord| journal.last(&record.key.path, Pass::Do) == Some(*record);
        journal.0.iter().filter(within).filter(last).filter(|record| states.contains(&record.state)).count()
    };
    let lanes = keys(&opened.output).len();
    let of = if lanes > 0 { format!("{lanes} items, ") } else { String::new() };
    let (done, open) = (count(&[StepState::Done, StepState::Skipped]), count(&[StepState::Intent, StepState::InDoubt]));
    let failed = count(&[StepState::Failed]);
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{of}{done} steps done, {open} at work{failed}")
}
