//! The keys of a step: which there are, and what each holds. A step does something, or holds other steps.

use std::{ops::RangeInclusive, time::Duration};

use crate::domain::{
    diagnostic::Place,
    runbooks::{
        format::{entries, optional, small},
        plan::{Mark, Retry},
        reader::{At, Reader, is_name, shown},
        yaml::{Data, Key, Node},
    },
};

pub(crate) const STEP_KEYS: &[&str] = &[
    "name",
    "action",
    "with",
    "when",
    "until",
    "every",
    "timeout",
    "retry",
    "repeat",
    "reads_only",
    "undo",
    "probe",
    "irreversible",
    "touches",
    "marks",
    "output",
    "parallel",
    "for_each",
    "as",
    "concurrency",
    "steps",
];
/// What a step may say that holds others.
const GROUP_KEYS: &[&str] = &["name", "when", "output", "parallel", "for_each", "as", "concurrency", "steps"];

/// The most steps of a runbook, and of one list of them.
pub(crate) const MOST_STEPS: usize = 100;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

pub(crate) struct StepEntry {
    pub(crate) place: Option<Place>,
    pub(crate) name: Option<At<String>>,
    pub(crate) action: Option<At<String>>,
    pub(crate) with: Option<Node>,
    pub(crate) when: Option<At<String>>,
    pub(crate) until: Option<At<String>>,
    pub(crate) every: Option<At<Duration>>,
    pub(crate) timeout: Option<At<Duration>>,
    pub(crate) retry: Option<Retry>,
    pub(crate) repeatable: bool,
    pub(crate) reads_only: Option<At<bool>>,
    pub(crate) undo: Option<CallEntry>,
    pub(crate) probe: Option<ProbeEntry>,
    pub(crate) irreversible: bool,
    pub(crate) touches: Option<Node>,
    pub(crate) marks: Option<Mark>,
    pub(crate) output: Option<At<String>>,
    pub(crate) group: Option<GroupEntry>,
}

pub(crate) enum GroupEntry {
    Parallel(Vec<(At<String>, Vec<StepEntry>)>),
    ForEach { items: Option<At<String>>, name: Option<At<String>>, concurrency: u32, steps: Vec<StepEntry> },
}

impl StepEntry {
    /// The steps directly within it, of all its lanes.
    pub(crate) fn within(&self) -> Vec<&StepEntry> {
        match &self.group {
            None => Vec::new(),
            Some(GroupEntry::Parallel(branches)) => branches.iter().flat_map(|(_, steps)| steps).collect(),
            Some(GroupEntry::ForEach { steps, .. }) => steps.iter().collect(),
        }
    }
}

pub(crate) struct CallEntry {
    pub(crate) place: Option<Place>,
    pub(crate) action: Option<At<String>>,
    pub(crate) with: Option<Node>,
}

pub(crate) struct ProbeEntry {
    pub(crate) call: CallEntry,
    pub(crate) settle: Duration,
    pub(crate) found: Option<At<String>>,
    pub(crate) failed: Option<At<String>>,
    pub(crate) output: Vec<(Key, Node)>,
}

/// Reads a list of steps.
pub(crate) fn steps(reader: &mut Reader<'_>, node: &Node, of: &str) -> Vec<StepEntry> {
    let items = reader.list(node, of, MOST_STEPS);
    items.iter().map(|item| step(reader, item)).collect()
}

fn step(reader: &mut Reader<'_>, node: &Node) -> StepEntry {
    let known = reader.keys(node, "a step", STEP_KEYS).is_some();
    let name = if known { reader.required(node, "a step", "name", "say what it does, in a few words") } else { None };
    let group = if known { group(reader, node) } else { None };
    let action = match group {
        None if known => reader.required(node, "a step", "action", "e.g. `action: http`"),
        _ => None,
    };
    let repeat = node.field("repeat").and_then(|node| reader.word(node, "`repeat`", &[("safe", true)]));
    let reads_only = node.field("reads_only");
    StepEntry {
        place: node.place,
        name: name.and_then(|node| reader.line(node, "the step's `name`", 80)),
        action: action.and_then(|node| reader.text(node, "`action`")),
        with: node.field("with").cloned(),
        when: node.field("when").and_then(|node| reader.text(node, "`when`")),
        until: node.field("until").and_then(|node| reader.text(node, "`until`")),
        every: timed(reader, node, "every", &(SECOND..=HOUR)),
        timeout: timed(reader, node, "timeout", &(SECOND..=DAY)),
        retry: node.field("retry").and_then(|node| retry(reader, node)),
        repeatable: repeat.unwrap_or(false),
        reads_only: reads_only
            .and_then(|node| reader.boolean(node, "`reads_only`").map(|value| At { value, place: node.place })),
        undo: node.field("undo").and_then(|node| {
            reader.keys(node, "`undo`", &["action", "with"])?;
            Some(call(reader, node, "`undo`"))
        }),
        probe: node.field("probe").and_then(|node| probe(reader, node)),
        irreversible: node
            .field("irreversible")
            .and_then(|node| reader.boolean(node, "`irreversible`"))
            .unwrap_or(false),
        touches: node.field("touches").cloned(),
        marks: node.field("marks").and_then(|node| reader.word(node, "`marks`", &[("mitigated", Mark::Mitigated)])),
        output: node.field("output").and_then(|node| reader.name(node, "the name of an output")),
        group,
    }
}

/// The steps within a step, if it holds some.
fn group(reader: &mut Reader<'_>, node: &Node) -> Option<GroupEntry> {
    let (parallel, for_each) = (node.field("parallel"), node.field("for_each"));
    if parallel.is_none() && for_each.is_none() {
        for key in ["as", "concurrency", "steps"] {
            if let Some(field) = node.field(key) {
                reader.hinted(field.place, format!("`{key}` means nothing without `for_each`"), "name the list");
            }
        }
        return None;
    }
    let foreign = |key: &&str| !GROUP_KEYS.contains(key) && node.field(key).is_some();
    for key in STEP_KEYS.iter().filter(|key| foreign(key)) {
        let place = node.field(key).and_then(|field| field.place);
        let hint = "say it of the steps within it";
        reader.hinted(place, format!("`{key}` means nothing for a step that holds others"), hint);
    }
    if let Some(parallel) = parallel {
        for key in ["for_each", "as", "concurrency", "steps"] {
            if let Some(field) = node.field(key) {
                reader.problem(field.place, format!("`{key}` means nothing beside `parallel`"));
            }
        }
        return Some(GroupEntry::Parallel(branches(reader, parallel)));
    }
    let inner = reader.required(node, "`for_each`", "steps", "say what to do for each item");
    Some(GroupEntry::ForEach {
        items: for_each.and_then(|node| reader.text(node, "`for_each`")),
        name: node.field("as").and_then(|node| reader.name(node, "the name of an item")),
        concurrency: node
            .field("concurrency")
            .and_then(|node| reader.integer(node, "`concurrency`", 1..=50))
            .map_or(1, small),
        steps: inner.map(|node| steps(reader, node, "`steps`")).unwrap_or_default(),
    })
}

fn branches(reader: &mut Reader<'_>, node: &Node) -> Vec<(At<String>, Vec<StepEntry>)> {
    let entries = entries(reader, node, "`parallel`");
    if entries.len() < 2 && matches!(node.data, Data::Map(_)) {
        reader.hinted(node.place, "`parallel` has at least two branches", "write `west: [...]` and `east: [...]`");
    }
    let mut branches = Vec::new();
    for (key, value) in entries {
        if !is_name(&key.name) {
            let what = format!("`{}` cannot be the name of a branch", shown(&key.name));
            reader.hinted(key.place, what, "use lower-case letters, digits and `_`, beginning with a letter");
        }
        let within = steps(reader, &value, &format!("branch `{}`", shown(&key.name)));
        branches.push((At { value: key.name, place: key.place }, within));
    }
    branches
}

fn timed(reader: &mut Reader<'_>, node: &Node, key: &str, range: &RangeInclusive<Duration>) -> Option<At<Duration>> {
    let field = node.field(key)?;
    reader.length(field, &format!("`{key}`"), range).map(|value| At { value, place: field.place })
}

fn call(reader: &mut Reader<'_>, node: &Node, of: &str) -> CallEntry {
    let action = reader.required(node, of, "action", "e.g. `action: http`");
    CallEntry {
        place: node.place,
        action: action.and_then(|node| reader.text(node, "`action`")),
        with: node.field("with").cloned(),
    }
}

fn probe(reader: &mut Reader<'_>, node: &Node) -> Option<ProbeEntry> {
    reader.keys(node, "`probe`", &["action", "with", "settle", "found", "failed", "output"])?;
    let settle = reader.required(
        node,
        "`probe`",
        "settle",
        "say how long after the first look to look again, e.g. `settle: 60s`",
    );
    Some(ProbeEntry {
        call: call(reader, node, "`probe`"),
        settle: settle
            .and_then(|node| reader.length(node, "`settle`", &(SECOND..=HOUR)))
            .unwrap_or(Duration::from_mins(1)),
        found: node.field("found").and_then(|node| reader.text(node, "`found`")),
        failed: node.field("failed").and_then(|node| reader.text(node, "`failed`")),
        output: node.field("output").map(|node| entries(reader, node, "`probe.output`")).unwrap_or_default(),
    })
}

fn retry(reader: &mut Reader<'_>, node: &Node) -> Option<Retry> {
    reader.keys(node, "`retry`", &["attempts", "backoff", "jitter"])?;
    let attempts = reader.required(node, "`retry`", "attempts", "say how often in all, e.g. `attempts: 3`")?;
    let attempts = reader.integer(attempts, "`attempts`", 2..=20)?;
    let jitter = optional(node, "jitter", |node| reader.number(node, "`jitter`", 0.0..=1.0))?.unwrap_or(0.2);
    let (mut first, mut factor, mut max) = (SECOND, 2.0, Duration::from_mins(1));
    if let Some(backoff) = node.field("backoff") {
        reader.keys(backoff, "`backoff`", &["first", "factor", "max"])?;
        let shortest = Duration::from_millis(100);
        first = optional(backoff, "first", |node| reader.length(node, "`first`", &(shortest..=HOUR)))?.unwrap_or(first);
        factor = optional(backoff, "factor", |node| reader.number(node, "`factor`", 1.0..=10.0))?.unwrap_or(factor);
        max = optional(backoff, "max", |node| reader.length(node, "`max`", &(first..=HOUR)))?.unwrap_or(max.max(first));
    }
    Some(Retry { attempts: small(attempts), first, factor, max, jitter })
}
