//! Names that can be completed: runbooks, runs, and questions that wait for an answer.

use futures::future::BoxFuture;

use crate::{
    engine::View,
    store::{self, approvals, runs},
};

type Names<'a> = BoxFuture<'a, store::Result<Vec<(String, String)>>>;

/// Runbooks that people can start.
pub(super) fn runbooks<'a>(view: &'a mut View<'_>, typed: &'a str) -> Names<'a> {
    Box::pin(async move {
        let plans = view.rules.runs.runbooks.values().filter(|plan| plan.trigger.chat);
        let names = plans.map(|plan| (plan.name.clone(), plan.description.clone().unwrap_or_default()));
        Ok(fitting(names.collect(), typed))
    })
}

/// Runs that have not ended, newest first.
pub(super) fn runs<'a>(view: &'a mut View<'_>, typed: &'a str) -> Names<'a> {
    Box::pin(async move {
        let open = runs::open(view.reader).await?;
        let names = open
            .iter()
            .rev()
            .map(|run| (run.id.to_string(), format!("{} on {}, {}", run.plan.name, run.target, run.state)));
        Ok(fitting(names.collect(), typed))
    })
}

/// Approvals, and runs that stand until somebody decides.
pub(super) fn questions<'a>(view: &'a mut View<'_>, typed: &'a str) -> Names<'a> {
    Box::pin(async move {
        let asked = approvals::open(view.reader).await?;
        let mut names: Vec<(String, String)> =
            asked.into_iter().map(|approval| (approval.id.to_string(), approval.question)).collect();
        for run in runs::open(view.reader).await?.iter().filter(|run| run.state.needs_people()) {
            names.push((run.id.to_string(), format!("{} on {} is {}", run.plan.name, run.target, run.state)));
        }
        Ok(fitting(names, typed))
    })
}

fn fitting(names: Vec<(String, String)>, typed: &str) -> Vec<(String, String)> {
    let typed = typed.trim().to_lowercase();
    names
        .into_iter()
        .filter(|(name, about)| name.to_lowercase().contains(&typed) || about.to_lowercase().contains(&typed))
        .collect()
}
