//! What was asked, as the validator of GitHub's document reads it.

use serde_json::{Value, json};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Value,
}

/// The requests that the document knows: GraphQL is not in it.
pub(super) fn exchanges(calls: &[Call]) -> Vec<String> {
    let known = calls.iter().filter(|call| call.path != "/graphql");
    known
        .map(|call| {
            let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
            let mut line = json!({ "method": call.method, "path": format!("{}{query}", call.path) });
            if !call.body.is_null() {
                line["body"] = call.body.clone();
            }
            line.to_string()
        })
        .collect()
}
