//! What a step meets, as a test says it: an answer of the sort that its action gets, or a list of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Gives, Met};
use crate::domain::runbooks::{
    plan::Step,
    reader::Reader,
    words,
    yaml::{Data, Node},
};

/// What may be said of any answer.
const ANY: &[&str] = &["output", "fails", "refused", "unknown", "happened"];
const HTTP: &[&str] = &["status", "json", "text", "headers"];
const SHELL: &[&str] = &["exit", "stdout"];
const PROMETHEUS: &[&str] = &["value", "traffic"];
/// What may be said beside an answer.
const BESIDE: &[&str] = &["answers", "found", "absent", "undo"];
/// The most answers of one step.
const MOST: usize = 100;

/// What this step meets.
pub(super) fn met(reader: &mut Reader<'_>, step: &Step, node: &Node) -> Option<Met> {
    let of = format!("what `{}` meets", step.name);
    if let Data::List(_) = node.data {
        return Some(Met { answers: list(reader, &step.action, node, &of), ..Met::default() });
    }
    let own = words_of(&step.action);
    reader.keys(node, &of, &[&own, BESIDE].concat())?;
    let answers = match node.field("answers") {
        Some(answers) => list(reader, &step.action, answers, &of),
        None if own.iter().any(|word| node.field(word).is_some()) => {
            gives(reader, &step.action, node, &of).into_iter().collect()
        }
        None => Vec::new(),
    };
    let mut part = |word: &str, action: &str| {
        let node = node.field(word)?;
        reader.keys(node, &format!("`{word}`"), &words_of(action))?;
        gives(reader, action, node, &format!("`{word}`"))
    };
    let looks = step.probe.as_ref().map_or("", |probe| probe.call.action.as_str());
    let (found, absent) = (part("found", looks), part("absent", looks));
    let undo = part("undo", step.undo.as_ref().map_or("", |undo| undo.action.as_str()));
    if (node.field("found").is_some() || node.field("absent").is_some()) && step.probe.is_none() {
        reader.hinted(node.place, format!("`{}` has no `probe`", step.name), "take out `found` and `absent`");
    } else if node.field("found").is_some() != node.field("absent").is_some() {
        let hint = "say with `found` what the probe sees if it happened, and with `absent` if it did not";
        reader.hinted(node.place, format!("{of} has only one of `found` and `absent`"), hint);
    }
    if answers.is_empty() && found.is_none() && undo.is_none() && !reader.found_any() {
        let hint = format!("answer it with {}", words::listed(&own));
        reader.hinted(node.place, format!("{of} is no answer"), hint);
    }
    Some(Met { answers, sights: found.zip(absent), undo })
}

fn list(reader: &mut Reader<'_>, action: &str, node: &Node, of: &str) -> Vec<Gives> {
    let mut answers = Vec::new();
    for item in reader.list(node, of, MOST) {
        if reader.keys(item, of, &words_of(action)).is_some() {
            answers.extend(gives(reader, action, item, of));
        }
    }
    answers
}

/// What may be said of an answer to this action.
fn words_of(action: &str) -> Vec<&'static str> {
    let own = match action {
        "http" => HTTP,
        "shell" => SHELL,
        _ if action.starts_with("prometheus.") => PROMETHEUS,
        _ => &[],
    };
    [own, ANY].concat()
}

fn gives(reader: &mut Reader<'_>, action: &str, node: &Node, of: &str) -> Option<Gives> {
    let mut why = |word: &str| node.field(word).and_then(|node| reader.text(node, &format!("`{word}`")));
    if let Some(why) = why("fails") {
        return Some(Gives::Fails(why.value));
    }
    if let Some(why) = why("refused") {
        return Some(Gives::Refused(why.value));
    }
    if let Some(why) = why("unknown") {
        let happened = node.field("happened").and_then(|node| reader.boolean(node, "`happened`")).unwrap_or(false);
        let output = node.field("output").map(Node::json).unwrap_or_default();
        return Some(Gives::Unknown { why: why.value, happened: happened.then_some(output) });
    }
    if let Some(output) = node.field("output") {
        return Some(Gives::Output(output.json()));
    }
    match action {
        "http" => http(reader, node),
        "shell" => program(reader, node),
        _ if action.starts_with("prometheus.") => Some(measured(reader, node)),
        _ => {
            let hint = "say what it gives with `output`, or that it is `refused`, `fails`, or is `unknown`";
            reader.hinted(node.place, format!("{of} is no answer to `{action}`"), hint);
            None
        }
    }
}

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<Gives> {
    let status = match node.field("status") {
        Some(node) => reader.integer(node, "`status`", 100..=599)?,
        None => 200,
    };
    let text = node.field("text").and_then(|node| reader.text(node, "`text`")).map(|text| text.value);
    let body = match (node.field("json"), text) {
        (Some(json), _) => json.json(),
        (None, text) => Value::from(text.unwrap_or_default()),
    };
    let mut headers = BTreeMap::new();
    if let Some(Data::Map(fields)) = node.field("headers").map(|node| &node.data) {
        for (key, value) in fields {
            let value = reader.text(value, "a header");
            headers.extend(value.map(|value| (key.name.to_ascii_lowercase(), value.value)));
        }
    }
    Some(Gives::Http { status: u16::try_from(status).ok()?, headers, body })
}

fn program(reader: &mut Reader<'_>, node: &Node) -> Option<Gives> {
    let exit = match node.field("exit") {
        Some(node) => reader.integer(node, "`exit`", 0..=255)?,
        None => 0,
    };
    let stdout = node.field("stdout").map_or_else(|| Value::from(""), Node::json);
    Some(Gives::Program { exit: i32::try_from(exit).ok()?, stdout })
}

/// Numbers; `none` where there is no such series.
fn measured(reader: &mut Reader<'_>, node: &Node) -> Gives {
    let mut number = |word: &str| {
        let node = node.field(word)?;
        match node.text() {
            Some("none") => None,
            Some("NaN") => Some(f64::NAN),
            Some(_) | None => reader.number(node, &format!("`{word}`"), f64::MIN..=f64::MAX),
        }
    };
    Gives::Measured { value: number("value"), traffic: number("traffic") }
}
