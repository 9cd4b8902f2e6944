//! Reviews: drafted when an incident ends and whenever somebody asks, from one snapshot of its record.

pub mod cards;
mod commands;
pub mod decide;
pub mod record;
#[cfg(test)]
mod tests;

use super::{
    Refusal, Stop, View,
    features::Feature,
    incidents::{self, acts::ENDED},
};
use crate::domain::{
    ids::IncidentId,
    reviews::{self, NoDraft, Review},
};

/// The feature `reviews`.
pub static FEATURE: Feature = Feature {
    name: "reviews",
    commands: commands::COMMANDS,
    timers: &[(ENDED, decide::incident_ended)],
    cards: &[],
    names: &[],
};

/// The name of the file that a review is attached as.
pub fn file_name(incident: IncidentId) -> String {
    format!("{incident}-review.md")
}

/// Drafts the review of an incident from its record as it stands.
///
/// # Errors
/// Refused when there is no such incident, or when configured templates do not make a review that the log supports.
pub async fn review(view: &mut View<'_>, id: IncidentId) -> Result<Review, Stop> {
    let Some(facts) = record::facts(view.reader, id).await? else {
        return Err(incidents::unknown(view.reader, id).await?.into());
    };
    reviews::draft(&facts, &view.rules.reviews).map_err(|why| Stop::Refused(refusal(id, why)))
}

fn refusal(id: IncidentId, why: NoDraft) -> Refusal {
    let (what, more) = match why {
        NoDraft::Template(problem) => (problem.to_string(), 0),
        NoDraft::Refused(findings) => {
            let first = findings.first().map(ToString::to_string).unwrap_or_default();
            (format!("what the templates make is not supported by the log, {first}"), findings.len().saturating_sub(1))
        }
    };
    let more = if more > 0 { format!(", and {more} more like it") } else { String::new() };
    Refusal::new(format!("Cannot draft the review of `{id}`: {what}{more}"))
        .hint("`firewarden check` shows what is wrong with the configured templates")
}
