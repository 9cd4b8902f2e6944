//! Reads the tests of a runbook. One look finds every problem, each with its place and a hint.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{Deployed, Expects, Met, People, Rehearsal, StartedBy, Step, answers::met};
use crate::domain::{
    catalog::{self, Catalog},
    diagnostic::Diagnostic,
    runbooks::{
        plan::{self, Mode, Plan},
        reader::{Reader, shown},
        yaml::{self, Data, Node},
    },
    runs::{Reason, RunState},
    time::Time,
};

const TOP: &[&str] = &["tests", "world", "deployments", "services"];
const TEST: &[&str] =
    &["name", "at", "alert", "annotations", "inputs", "mode", "world", "deployments", "agree", "answers", "expect"];
const EXPECT: &[&str] = &["outcome", "reason", "steps"];
const DEPLOYED: &[&str] = &["sha", "version", "ago", "migration"];
/// The most tests of one file.
const MOST: usize = 100;
/// When a test begins that does not say so.
const BEGINS: &str = "2026-11-23T03:00:00Z";
/// How long ago something may have been deployed.
const AGO: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 365);

/// Reads the tests of a runbook, given as the file's name and its bytes. `others` are the runbooks that it may start.
///
/// # Errors
/// Every problem that one look can find, in the order of the file, each with its place where it is known.
pub fn read(
    file: &Path,
    bytes: &[u8],
    plan: &Plan,
    others: &BTreeMap<String, Plan>,
) -> Result<Vec<Rehearsal>, Vec<Diagnostic>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        vec![Diagnostic::new(file, "the file is not UTF-8 text").at(line, 1)]
    })?;
    let root = yaml::read(file, text, "tests of a runbook").map_err(|problem| vec![problem])?;
    let mut steps: BTreeMap<&str, &plan::Step> = BTreeMap::new();
    for plan in std::iter::once(plan).chain(others.values()) {
        for step in plan.every_step() {
            steps.entry(step.name.as_str()).or_insert(step);
        }
    }
    let mut reader = Reader::new(file);
    let mut tests = Vec::new();
    if let Some(root) = reader.keys(&root, "the file", TOP) {
        let world = root.field("world").map(|node| world(&mut reader, &steps, node)).unwrap_or_default();
        let known = root.field("deployments").map(|node| deployments(&mut reader, node)).unwrap_or_default();
        let services = root.field("services").map(|node| services(&mut reader, file, node)).unwrap_or_default();
        let hint = "begin it with `tests:` and an item with a `name` for each";
        if let Some(node) = reader.required(root, "the file", "tests", hint) {
            for node in reader.list(node, "`tests`", MOST) {
                let read = test(&mut reader, node, (plan, &steps), (&world, &known));
                tests.extend(read.map(|read| Rehearsal { services: services.clone(), ..read }));
            }
        }
    }
    let mut names: Vec<&str> = tests.iter().map(|test: &Rehearsal| test.name.as_str()).collect();
    names.sort_unstable();
    let twice: Vec<String> = names.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0].to_owned()).collect();
    for name in twice {
        let place = tests.iter().rfind(|test| test.name == name).and_then(|test| test.place);
        reader.hinted(place, format!("there is a test `{}` already", shown(&name)), "give each a name of its own");
    }
    if tests.is_empty() && !reader.found_any() {
        reader.hinted(root.place, "there is no test", "begin with `tests:` and an item with a `name`");
    }
    if reader.found_any() { Err(reader.problems()) } else { Ok(tests) }
}

fn test(
    reader: &mut Reader<'_>,
    node: &Node,
    (plan, steps): (&Plan, &BTreeMap<&str, &plan::Step>),
    (shared, known): (&BTreeMap<String, Met>, &[Deployed]),
) -> Option<Rehearsal> {
    reader.keys(node, "a test", TEST)?;
    let name = reader.required(node, "a test", "name", "say in a sentence what it shows");
    let name = name.and_then(|node| reader.line(node, "the name of a test", 200));
    let at = match node.field("at") {
        None => BEGINS.parse().ok(),
        Some(node) => time(reader, node),
    };
    let started_by = started_by(reader, node, plan);
    let mode = [("observe", Mode::Observe), ("ask", Mode::Ask), ("auto", Mode::Auto)];
    let mode = node.field("mode").map(|node| reader.word(node, "the mode", &mode));
    let mut met = shared.clone();
    if let Some(node) = node.field("world") {
        met.extend(world(reader, steps, node));
    }
    let deployments = node.field("deployments").map(|node| deployments(reader, node));
    let agree = node.field("agree").map(|node| reader.boolean(node, "`agree`"));
    let answers = node.field("answers").map(|node| texts(reader, node, "`answers`")).unwrap_or_default();
    let hint = "say how it ends: `expect: { outcome: done }`";
    let expects = reader.required(node, "a test", "expect", hint).and_then(|node| expects(reader, node, steps));
    Some(Rehearsal {
        name: name?.value,
        place: node.place,
        at: at?,
        started_by: started_by?,
        mode: mode.flatten(),
        world: met,
        deployments: deployments.unwrap_or_else(|| known.to_vec()),
        services: Catalog::default(),
        people: People { agree: agree.flatten().unwrap_or(true), answers },
        expects: expects?,
    })
}

fn time(reader: &mut Reader<'_>, node: &Node) -> Option<Time> {
    let text = reader.text(node, "`at`")?;
    match text.value.parse() {
        Ok(time) => Some(time),
        Err(what) => {
            let what: String = what;
            reader.hinted(text.place, what, "write it with its date and `Z`");
            None
        }
    }
}

fn started_by(reader: &mut Reader<'_>, node: &Node, plan: &Plan) -> Option<StartedBy> {
    let Some(alert) = node.field("alert") else {
        if let Some(annotations) = node.field("annotations") {
            reader.hinted(annotations.place, "`annotations` mean nothing without `alert`", "add the alert's labels");
        }
        let inputs = node.field("inputs").map(|node| texts(reader, node, "`inputs`")).unwrap_or_default();
        for (name, _) in inputs.iter().filter(|(name, _)| !plan.inputs.iter().any(|input| input.name == **name)) {
            let known: Vec<&str> = plan.inputs.iter().map(|input| input.name.as_str()).collect();
            let place = node.field("inputs").and_then(|node| node.place);
            reader.unknown(place, &format!("`{}` has no input `{}`", plan.name, shown(name)), name, &known);
        }
        return Some(StartedBy::Person(inputs));
    };
    if let Some(inputs) = node.field("inputs") {
        let hint = "an alert gives inputs by its labels; take one of the two out";
        reader.hinted(inputs.place, "`inputs` mean nothing beside `alert`", hint);
    }
    let labels = texts(reader, alert, "`alert`");
    if !labels.contains_key("alertname") && !reader.found_any() {
        let hint = "write its labels: `alert: { alertname: CheckoutErrorRate, severity: page }`";
        reader.hinted(alert.place, "the alert has no `alertname`", hint);
        return None;
    }
    let annotations = node.field("annotations").map(|node| texts(reader, node, "`annotations`")).unwrap_or_default();
    Some(StartedBy::Alert { labels, annotations })
}

/// Names with texts; numbers and truth values are written out.
fn texts(reader: &mut Reader<'_>, node: &Node, of: &str) -> BTreeMap<String, String> {
    let Data::Map(fields) = &node.data else {
        reader.hinted(node.place, format!("{of} must be names with texts"), "write `name: value`");
        return BTreeMap::new();
    };
    let mut texts = BTreeMap::new();
    for (key, value) in fields {
        match value.json() {
            Value::String(text) => drop(texts.insert(key.name.clone(), text)),
            plain @ (Value::Number(_) | Value::Bool(_)) => drop(texts.insert(key.name.clone(), plain.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                reader.hinted(value.place, format!("`{}` must be text", shown(&key.name)), "put it in quotes");
            }
        }
    }
    texts
}

/// What steps meet, by their names.
fn world(reader: &mut Reader<'_>, steps: &BTreeMap<&str, &plan::Step>, node: &Node) -> BTreeMap<String, Met> {
    let Data::Map(fields) = &node.data else {
        reader.hinted(node.place, "`world` must be names of steps with answers", "write `name of the step: { … }`");
        return BTreeMap::new();
    };
    let known: Vec<&str> = steps.keys().copied().collect();
    let mut all = BTreeMap::new();
    for (key, value) in fields {
        let Some(step) = steps.get(key.name.as_str()) else {
            reader.unknown(key.place, &format!("there is no step `{}`", shown(&key.name)), &key.name, &known);
            continue;
        };
        all.extend(met(reader, step, value).map(|met| (key.name.clone(), met)));
    }
    all
}

/// The catalog of services, as its own file would have it.
fn services(reader: &mut Reader<'_>, file: &Path, node: &Node) -> Catalog {
    // Every JSON is YAML.
    let text = json!({ "services": node.json() }).to_string();
    match catalog::read(file, text.as_bytes(), |_| Ok(())) {
        Ok(catalog) => catalog,
        Err(problems) => {
            for problem in problems {
                reader.problem(node.place, problem.what).hint = problem.hint;
            }
            Catalog::default()
        }
    }
}

fn deployments(reader: &mut Reader<'_>, node: &Node) -> Vec<Deployed> {
    let mut all = Vec::new();
    for node in reader.list(node, "`deployments`", MOST) {
        if reader.keys(node, "a deployment", DEPLOYED).is_none() {
            continue;
        }
        let sha = reader
            .required(node, "a deployment", "sha", "say which version")
            .and_then(|node| reader.text(node, "`sha`"));
        let ago = reader.required(node, "a deployment", "ago", "say how long before the test, as in `ago: 3h`");
        let ago = ago.and_then(|node| reader.length(node, "`ago`", &AGO));
        let version = node.field("version").and_then(|node| reader.text(node, "`version`")).map(|text| text.value);
        let migration = node.field("migration").and_then(|node| reader.boolean(node, "`migration`"));
        all.extend(sha.zip(ago).map(|(sha, ago)| Deployed { sha: sha.value, version, ago, migration }));
    }
    all
}

fn expects(reader: &mut Reader<'_>, node: &Node, steps: &BTreeMap<&str, &plan::Step>) -> Option<Expects> {
    reader.keys(node, "`expect`", EXPECT)?;
    let words: Vec<(&str, RunState)> = RunState::ALL.iter().map(|state| (state.word(), *state)).collect();
    let hint = "say how it ends: `outcome: done`";
    let outcome = reader.required(node, "`expect`", "outcome", hint);
    let outcome = outcome.and_then(|node| reader.word(node, "the outcome", &words));
    let codes: Vec<(&str, Reason)> = Reason::ALL.iter().map(|reason| (reason.code(), *reason)).collect();
    let reason = node.field("reason").map(|node| reader.word(node, "the reason", &codes));
    let mut all = None;
    if let Some(list) = node.field("steps") {
        let items = reader.list(list, "`steps`", 1_000);
        let found: Vec<Option<Step>> = items.iter().map(|node| expected(reader, node, steps)).collect();
        all = Some(found.into_iter().flatten().collect());
    }
    Some(Expects { outcome: outcome?, reason: reason.flatten(), steps: all })
}

/// A step by its name, perhaps with what its fields hold.
fn expected(reader: &mut Reader<'_>, node: &Node, steps: &BTreeMap<&str, &plan::Step>) -> Option<Step> {
    let named = if let Data::Map(fields) = &node.data { fields.first().filter(|_| fields.len() == 1) } else { None };
    let (place, name, with) = match named {
        Some((key, value)) => (key.place, key.name.clone(), value.json()),
        None => (node.place, reader.text(node, "a step")?.value, Value::Null),
    };
    let is_known = |name: &str| {
        let item = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
        steps.contains_key(name) || item.is_some_and(|(name, _)| steps.contains_key(name))
    };
    if !is_known(&name) {
        let known: Vec<&str> = steps.keys().copied().collect();
        reader.unknown(place, &format!("there is no step `{}`", shown(&name)), &name, &known);
        return None;
    }
    Some(Step { name, with, place })
}
