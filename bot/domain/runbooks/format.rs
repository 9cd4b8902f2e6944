//! The keys of a runbook file: which there are, and what each holds.
//!
//! Reading a file notes unknown keys and values of the wrong kind; what the values mean together is the check's.

use std::{ops::RangeInclusive, time::Duration};

use crate::domain::{
    diagnostic::Place,
    runbooks::{
        plan::{Approver, Cooldown, Guards, Mark, MaxRuns, Mode, Retry, StillFiring},
        reader::{At, Reader},
        yaml::{Data, Key, Node},
    },
};

pub(crate) const KEYS: &[&str] =
    &["name", "description", "owner", "mode", "trigger", "inputs", "target", "guards", "approval", "steps"];
pub(crate) const INPUT_KEYS: &[&str] =
    &["type", "description", "const", "default", "choices", "min", "max", "required", "label"];
pub(crate) const APPROVAL_KEYS: &[&str] = &["before", "when", "by", "count", "binds", "expires"];
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
    "marks",
    "output",
];

/// The most steps of a runbook.
pub(crate) const MOST_STEPS: usize = 100;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What a file says, before its parts are held against each other.
pub(crate) struct File {
    pub(crate) place: Option<Place>,
    pub(crate) name: Option<At<String>>,
    pub(crate) description: Option<At<String>>,
    pub(crate) owner: Option<At<String>>,
    pub(crate) mode: Mode,
    pub(crate) matchers: Option<Vec<At<String>>>,
    pub(crate) chat: bool,
    pub(crate) inputs: Vec<(Key, Node)>,
    pub(crate) service: Option<At<String>>,
    pub(crate) environment: Option<At<String>>,
    pub(crate) guards: Guards,
    pub(crate) approval: Option<ApprovalEntry>,
    pub(crate) steps: Vec<StepEntry>,
}

pub(crate) struct ApprovalEntry {
    pub(crate) place: Option<Place>,
    pub(crate) before: Option<At<String>>,
    pub(crate) when: Option<At<String>>,
    pub(crate) by: Vec<Approver>,
    pub(crate) count: u32,
    pub(crate) binds: Vec<At<String>>,
    pub(crate) expires: Duration,
}

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
    pub(crate) marks: Option<Mark>,
    pub(crate) output: Option<At<String>>,
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
    pub(crate) output: Vec<(Key, Node)>,
}

/// Reads the whole file; problems are noted in `reader`.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<File> {
    reader.keys(root, "a runbook", KEYS)?;
    let name = reader.required(root, "the runbook", "name", "give it a name such as `rollback-checkout`");
    let name = name.and_then(|node| runbook_name(reader, node));
    let (matchers, chat) = match reader.required(root, "the runbook", "trigger", "add `trigger: { chat: {} }`") {
        Some(node) => trigger(reader, node),
        None => (None, false),
    };
    let target = reader.required(root, "the runbook", "target", "add `target: { service: …, environment: … }`");
    let (service, environment) = target.map_or((None, None), |node| target_of(reader, node));
    let steps = match reader.required(root, "the runbook", "steps", "a runbook has at least one step") {
        Some(node) => {
            let items = reader.list(node, "`steps`", MOST_STEPS);
            if items.is_empty() {
                reader.problem(node.place, "a runbook has at least one step");
            }
            items.iter().map(|item| step(reader, item)).collect()
        }
        None => Vec::new(),
    };
    Some(File {
        place: root.place,
        name,
        description: root.field("description").and_then(|node| reader.line(node, "`description`", 300)),
        owner: root.field("owner").and_then(|node| reader.line(node, "`owner`", 100)),
        mode: root.field("mode").and_then(|node| mode(reader, node)).unwrap_or(Mode::Ask),
        matchers,
        chat,
        inputs: root.field("inputs").map(|node| entries(reader, node, "`inputs`")).unwrap_or_default(),
        service,
        environment,
        guards: root.field("guards").map(|node| guards(reader, node)).unwrap_or_default(),
        approval: root.field("approval").and_then(|node| approval(reader, node)),
        steps,
    })
}

/// Reads `role:on-call` and `person:ana`.
pub(crate) fn approvers(reader: &mut Reader<'_>, node: &Node) -> Vec<Approver> {
    let items = reader.list(node, "`by`", 20);
    if items.is_empty() && matches!(node.data, Data::List(_)) {
        reader.hinted(node.place, "nobody may answer: `by` is empty", "name a role, e.g. `by: [\"role:on-call\"]`");
    }
    let mut approvers = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, "an item of `by`") else { continue };
        let named = text.value.split_once(':').map(|(sort, name)| (sort, name.trim().to_owned()));
        match named.filter(|(_, name)| !name.is_empty()) {
            Some(("role", name)) => approvers.push(Approver::Role(name)),
            Some(("person", name)) => approvers.push(Approver::Person(name)),
            Some(_) | None => {
                let what = format!("`{}` is neither a role nor a person", super::reader::shown(&text.value));
                reader.hinted(item.place, what, "write `role:on-call` or `person:ana`");
            }
        }
    }
    approvers.sort();
    approvers.dedup();
    approvers
}

/// The entries of a map whose keys are free.
pub(crate) fn entries(reader: &mut Reader<'_>, node: &Node, of: &str) -> Vec<(Key, Node)> {
    match &node.data {
        Data::Map(entries) => entries.clone(),
        Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::List(_) => {
            reader.problem(node.place, format!("{of} must be names with values, not {}", node.sort()));
            Vec::new()
        }
    }
}

fn runbook_name(reader: &mut Reader<'_>, node: &Node) -> Option<At<String>> {
    let name = reader.text(node, "`name`")?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.value.len() <= 60 && name.value.bytes().all(plain) && !name.value.starts_with('-') {
        return Some(name);
    }
    let what = format!("`{}` cannot be the name of a runbook", super::reader::shown(&name.value));
    reader.hinted(node.place, what, "use lower-case letters, digits and `-`, e.g. `rollback-checkout`");
    None
}

fn mode(reader: &mut Reader<'_>, node: &Node) -> Option<Mode> {
    reader.word(node, "`mode`", &[("observe", Mode::Observe), ("ask", Mode::Ask), ("auto", Mode::Auto)])
}

fn trigger(reader: &mut Reader<'_>, node: &Node) -> (Option<Vec<At<String>>>, bool) {
    if reader.keys(node, "`trigger`", &["alert", "chat"]).is_none() {
        return (None, false);
    }
    let alert = node.field("alert").map(|alert| {
        let matchers = reader
            .keys(alert, "`trigger.alert`", &["match"])
            .and_then(|_| reader.required(alert, "`trigger.alert`", "match", "add `match: ['alertname=\"…\"']`"));
        let Some(matchers) = matchers else { return Vec::new() };
        let items = reader.list(matchers, "`match`", 20);
        if items.is_empty() {
            reader.hinted(
                matchers.place,
                "every alert would start this runbook: `match` is empty",
                "name an alert, e.g. `match: ['alertname=\"HighErrorRate\"']`",
            );
        }
        items.iter().filter_map(|item| reader.text(item, "a matcher")).collect()
    });
    let chat = node.field("chat").is_some_and(|chat| match chat.data {
        Data::Boolean(truth) => truth,
        Data::Null => true,
        Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
            reader.keys(chat, "`trigger.chat`", &[]).is_some()
        }
    });
    if alert.is_none() && !chat {
        reader.hinted(node.place, "nothing starts this runbook", "add `chat: {}` or `alert: { match: [...] }`");
    }
    (alert, chat)
}

fn target_of(reader: &mut Reader<'_>, node: &Node) -> (Option<At<String>>, Option<At<String>>) {
    if reader.keys(node, "`target`", &["service", "environment"]).is_none() {
        return (None, None);
    }
    let hint = "a run locks what it mutates: name the service and the environment";
    let service = reader.required(node, "`target`", "service", hint);
    let service = service.and_then(|node| reader.text(node, "`target.service`"));
    let environment = reader.required(node, "`target`", "environment", hint);
    (service, environment.and_then(|node| reader.text(node, "`target.environment`")))
}

fn guards(reader: &mut Reader<'_>, node: &Node) -> Guards {
    if reader.keys(node, "`guards`", &["still_firing", "cooldown", "max_runs"]).is_none() {
        return Guards::default();
    }
    Guards {
        still_firing: node.field("still_firing").and_then(|node| {
            reader.keys(node, "`still_firing`", &["until"])?;
            let until =
                reader.required(node, "`still_firing`", "until", "write `until: first_mutation` or `until: end`")?;
            let words = [("first_mutation", StillFiring::FirstMutation), ("end", StillFiring::End)];
            reader.word(until, "`until`", &words)
        }),
        cooldown: node.field("cooldown").and_then(|node| {
            reader.keys(node, "`cooldown`", &["for", "factor", "max"])?;
            let length = reader.required(node, "`cooldown`", "for", "say how long, e.g. `for: 30m`")?;
            let length = reader.length(length, "`for`", &(SECOND..=DAY))?;
            let factor = optional(node, "factor", |node| reader.number(node, "`factor`", 1.0..=10.0))?.unwrap_or(2.0);
            let max = optional(node, "max", |node| reader.length(node, "`max`", &(length..=DAY)))?.unwrap_or(DAY);
            Some(Cooldown { length, factor, max })
        }),
        max_runs: node.field("max_runs").and_then(|node| {
            reader.keys(node, "`max_runs`", &["count", "per"])?;
            let count = reader.required(node, "`max_runs`", "count", "say how many, e.g. `count: 3`")?;
            let per = reader.required(node, "`max_runs`", "per", "say in how long, e.g. `per: 24h`")?;
            let count = reader.integer(count, "`count`", 1..=1_000);
            let per = reader.length(per, "`per`", &(SECOND..=30 * DAY));
            Some(MaxRuns { count: u32::try_from(count?).ok()?, per: per? })
        }),
    }
}

/// A field that may be left out: `None` only if it is there and wrong.
#[expect(clippy::option_option, reason = "the outer is a problem that was noted, the inner a field left out")]
fn optional<T>(node: &Node, key: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    match node.field(key) {
        Some(field) => read(field).map(Some),
        None => Some(None),
    }
}

fn approval(reader: &mut Reader<'_>, node: &Node) -> Option<ApprovalEntry> {
    reader.keys(node, "`approval`", APPROVAL_KEYS)?;
    let before = reader.required(node, "`approval`", "before", "name the step that waits, e.g. `before: roll back`");
    let by = reader.required(node, "`approval`", "by", "say who may agree, e.g. `by: [\"role:on-call\"]`");
    let binds = node.field("binds").map(|node| reader.list(node, "`binds`", 20)).unwrap_or_default();
    Some(ApprovalEntry {
        place: node.place,
        before: before.and_then(|node| reader.text(node, "`before`")),
        when: node.field("when").and_then(|node| reader.text(node, "`when`")),
        by: by.map(|node| approvers(reader, node)).unwrap_or_default(),
        count: node.field("count").and_then(|node| reader.integer(node, "`count`", 1..=10)).map_or(1, small),
        binds: binds.iter().filter_map(|node| reader.text(node, "an item of `binds`")).collect(),
        expires: node
            .field("expires")
            .and_then(|node| reader.length(node, "`expires`", &(SECOND..=7 * DAY)))
            .unwrap_or(Duration::from_mins(15)),
    })
}

fn step(reader: &mut Reader<'_>, node: &Node) -> StepEntry {
    let known = reader.keys(node, "a step", STEP_KEYS).is_some();
    let name = if known { reader.required(node, "a step", "name", "say what it does, in a few words") } else { None };
    let action = if known { reader.required(node, "a step", "action", "e.g. `action: http`") } else { None };
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
        marks: node.field("marks").and_then(|node| reader.word(node, "`marks`", &[("mitigated", Mark::Mitigated)])),
        output: node.field("output").and_then(|node| reader.name(node, "the name of an output")),
    }
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
    reader.keys(node, "`probe`", &["action", "with", "settle", "found", "output"])?;
    let settle = reader.required(
        node,
        "`probe`",
        "settle",
        "say how long after the first look to look again, e.g. `settle: 60s`",
    );
    let found =
        reader.required(node, "`probe`", "found", "give the condition over `output` that says that it happened");
    Some(ProbeEntry {
        call: call(reader, node, "`probe`"),
        settle: settle
            .and_then(|node| reader.length(node, "`settle`", &(SECOND..=HOUR)))
            .unwrap_or(Duration::from_mins(1)),
        found: found.and_then(|node| reader.text(node, "`found`")),
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

/// A number that a range has already bounded.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
