//! A review in a few lines, with the whole of it attached.

use super::file_name;
use crate::{
    domain::{ids::IncidentId, reviews::Review},
    engine::chat::{Card, File, Line, Message, Tone},
};

/// The most runs and versions that are named; the file has all.
const NAMED: usize = 5;

/// The summary of a review as a card, the whole of it as a file.
pub fn summary(id: IncidentId, review: &Review) -> Message {
    let document = &review.document;
    let title = Line::text("Review of ").incident(id).and(format!(": {}", document.title));
    let mut card = Card::new(Tone::Calm, title);
    if let Some(severity) = &document.header.severity {
        card = card.fact("Severity", severity.value.as_str());
    }
    if let Some(service) = &document.header.service {
        card = card.fact("Service", Line::new().code(&service.value));
    }
    for measure in &document.measures {
        let words = format!("{} ({})", measure.value, measure.times.as_deref().unwrap_or(measure.formula));
        card = card.fact(format!("{}, {}", measure.name, measure.meaning), words);
    }
    for run in document.summary.runs.iter().take(NAMED) {
        let mut line = Line::text(&run.run).and(" of ").code(&run.runbook);
        if let Some(target) = &run.target {
            line = line.and(" on ").code(target);
        }
        card = card.block(match &run.state {
            Some(state) => line.and(" ended as ").code(state),
            None => line.and(" has not ended"),
        });
    }
    for change in document.changes.iter().take(NAMED) {
        let line = Line::new().code(&change.step).and(if change.is_ours { " made a change:" } else { " read:" });
        let values = change.values.iter().take(NAMED);
        card = card.block(values.fold(line, |line, pair| line.and(" ").code(&pair.name).and(" = ").code(&pair.value)));
    }
    card = card.block(quality(review));
    let file = File { name: file_name(id), text: review.markdown.clone() };
    Message { files: vec![file], ..Message::card(card) }
}

/// What the draft rests on and lacks, in a line.
pub fn quality(review: &Review) -> Line {
    let header = &review.document.header;
    let quality = &review.document.quality;
    let mut line = Line::text(format!("Drafted from {} entries", header.entries));
    if let Some(through) = &header.through {
        line = line.and(" up to ").code(through);
    }
    let lacks = [
        (quality.missing.len(), "not known"),
        (quality.gaps.len(), "gaps in the log"),
        (quality.late.len(), "messages late"),
        (quality.wording.len(), "notes to reword"),
        (review.document.items.unready.len(), "action items without an owner or a due date"),
    ];
    let lacks: Vec<String> =
        lacks.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if lacks.is_empty() { line } else { line.and(format!("; to look at: {}", lacks.join(", "))) }
}
