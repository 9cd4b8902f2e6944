//! What any deployer can say of a deployment: one flat JSON object.

use serde_json::Value;

use super::{json, line, name, required, time, url};
use crate::domain::{
    alerts::Malformed,
    deployments::{About, Report, Seen, State},
    runbooks::words,
};

const FIELDS: [&str; 10] = ["service", "environment", "sha", "version", "state", "by", "url", "at", "migration", "id"];
/// What a deployer may say of how far it came.
const STATES: [(&str, State); 9] = [
    ("pending", State::Pending),
    ("queued", State::Pending),
    ("started", State::Pending),
    ("in_progress", State::Pending),
    ("succeeded", State::Succeeded),
    ("success", State::Succeeded),
    ("failed", State::Failed),
    ("failure", State::Failed),
    ("error", State::Failed),
];

/// Reads a delivery of this source.
///
/// # Errors
/// Says which field is missing, unknown, or not what it must be.
pub fn read(source: &str, body: &[u8]) -> Result<Option<Report>, Malformed> {
    let body = json(body)?;
    let fields = body.as_object().into_iter().flatten();
    if let Some((unknown, _)) = fields.into_iter().find(|(field, _)| !FIELDS.contains(&field.as_str())) {
        let hint = match words::nearest(unknown, FIELDS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is {}", words::listed(&FIELDS)),
        };
        return Err(Malformed::new(unknown.as_str(), "there is no such field").hint(hint));
    }
    let word = required(&body, "state")?;
    let Some((_, state)) = STATES.iter().find(|(known, _)| *known == word) else {
        let hint = "say `pending`, `succeeded` or `failed`";
        return Err(Malformed::new("state", format!("`{word}` is no state of a deployment")).hint(hint));
    };
    let migration = match body.get("migration") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(migration)) => Some(*migration),
        Some(_) => return Err(Malformed::new("migration", "it is neither true nor false")),
    };
    let id = match body.get("id") {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::String(_)) => Some(name(&body, "id")?),
        None | Some(Value::Null) => None,
        Some(_) => return Err(Malformed::new("id", "it is neither a text nor a number")),
    };
    Ok(Some(Report::Deployment(Box::new(Seen {
        about: About::Service(name(&body, "service")?),
        environment: name(&body, "environment")?,
        sha: name(&body, "sha")?,
        version: line(&body, "version")?,
        state: *state,
        at: time(&body, "at")?,
        by: line(&body, "by")?,
        url: url(&body, "url")?,
        migration,
        external: id.map(|id| format!("{source}:{id}")),
        key: None,
    }))))
}
