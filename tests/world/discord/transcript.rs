//! What happened, in order, for the person who reads a failed story; and every exchange, for the validator.

use serde_json::{Value, json};

use super::clock::{Millis, written};

/// The record of one story.
#[derive(Default)]
pub(crate) struct Transcript {
    lines: Vec<String>,
    exchanges: Vec<Value>,
    pub(crate) unknown_routes: Vec<String>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) limited: usize,
}

/// A request that Discord refused for what it said.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) request: String,
    pub(crate) answer: String,
}

impl Transcript {
    pub(crate) fn note(&mut self, at: Millis, line: &str) {
        self.lines.push(format!("{} {line}", written(at)));
    }

    /// Keeps one exchange; an answer that is the emulator's fault injection has no `response`.
    pub(crate) fn exchange(&mut self, request: &Request<'_>, answer: Option<(u16, Option<&Value>)>) {
        let mut line = json!({ "method": request.method, "path": request.path });
        if let Some(body) = request.body {
            line["body"] = body.clone();
        }
        if request.query.as_object().is_some_and(|query| !query.is_empty()) {
            line["query"] = request.query.clone();
        }
        if let Some((status, response)) = answer {
            line["status"] = json!(status);
            if let Some(response) = response {
                line["response"] = response.clone();
            }
        }
        self.exchanges.push(line);
    }

    /// Every exchange as a line of JSON.
    pub(crate) fn recorded(&self) -> Vec<String> {
        self.exchanges.iter().map(Value::to_string).collect()
    }

    /// The whole story, a line for each thing that happened.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// The request of an exchange, with the path as the API's document writes it.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a Value,
    pub(crate) body: Option<&'a Value>,
}
