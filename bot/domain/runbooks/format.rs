//! The keys of a runbook file: which there are, and what each holds.
//!
//! Reading a file notes unknown keys and values of the wrong kind; what the values mean together is the check's.

use std::time::Duration;

use crate::domain::{
    diagnostic::Place,
    runbooks::{
        guarding::guards,
        plan::{Approver, Guards, Mode, WhenUndone},
        reader::{At, Reader},
        step_format::{StepEntry, steps},
        trigger_format::{self, TriggerEntry},
        yaml::{Data, Key, Node},
    },
};

pub(crate) const KEYS: &[&str] = &[
    "name",
    "description",
    "owner",
    "mode",
    "trigger",
    "inputs",
    "target",
    "guards",
    "approval",
    "timeout",
    "undo",
    "steps",
    "on_failure",
    "finally",
    "outputs",
];
pub(crate) const INPUT_KEYS: &[&str] =
    &["type", "description", "const", "default", "choices", "min", "max", "required", "label"];
pub(crate) const ON_FAILURE_KEYS: &[&str] = &["before_mutation", "after_mutation"];
pub(crate) const APPROVAL_KEYS: &[&str] = &["before", "when", "by", "count", "binds", "expires", "abort_when"];
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// What a file says, before its parts are held against each other.
pub(crate) struct File {
    pub(crate) place: Option<Place>,
    pub(crate) name: Option<At<String>>,
    pub(crate) description: Option<At<String>>,
    pub(crate) owner: Option<At<String>>,
    pub(crate) mode: Mode,
    pub(crate) trigger: TriggerEntry,
    pub(crate) inputs: Vec<(Key, Node)>,
    pub(crate) service: Option<At<String>>,
    pub(crate) environment: Option<At<String>>,
    pub(crate) guards: Guards,
    /// Where the key of its `concurrency` stands.
    pub(crate) key_place: Option<Place>,
    pub(crate) approval: Option<ApprovalEntry>,
    pub(crate) steps: Vec<StepEntry>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) undo: WhenUndone,
    pub(crate) before_mutation: Vec<StepEntry>,
    pub(crate) after_mutation: Vec<StepEntry>,
    pub(crate) finally: Vec<StepEntry>,
    pub(crate) outputs: Vec<(Key, Node)>,
}

pub(crate) struct ApprovalEntry {
    pub(crate) place: Option<Place>,
    pub(crate) before: Option<At<String>>,
    pub(crate) when: Option<At<String>>,
    pub(crate) by: Vec<Approver>,
    pub(crate) count: u32,
    pub(crate) binds: Vec<At<String>>,
    pub(crate) expires: Duration,
    pub(crate) abort_when: Option<At<String>>,
}

/// Reads the whole file; problems are noted in `reader`.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<File> {
    reader.keys(root, "a runbook", KEYS)?;
    let name = reader.required(root, "the runbook", "name", "give it a name such as `rollback-checkout`");
    let name = name.and_then(|node| runbook_name(reader, node));
    let trigger = reader.required(root, "the runbook", "trigger", "add `trigger: { chat: {} }`");
    let trigger = trigger.map(|node| trigger_format::read(reader, node)).unwrap_or_default();
    let target = reader.required(root, "the runbook", "target", "add `target: { service: …, environment: … }`");
    let (service, environment) = target.map_or((None, None), |node| target_of(reader, node));
    let steps = match reader.required(root, "the runbook", "steps", "a runbook has at least one step") {
        Some(node) => {
            let steps = steps(reader, node, "`steps`");
            if steps.is_empty() {
                reader.problem(node.place, "a runbook has at least one step");
            }
            steps
        }
        None => Vec::new(),
    };
    let finally =
        root.field("finally").map(|node| super::step_format::steps(reader, node, "`finally`")).unwrap_or_default();
    let (before_mutation, after_mutation) =
        root.field("on_failure").map(|node| on_failure(reader, node)).unwrap_or_default();
    Some(File {
        place: root.place,
        name,
        description: root.field("description").and_then(|node| reader.line(node, "`description`", 300)),
        owner: root.field("owner").and_then(|node| reader.line(node, "`owner`", 100)),
        mode: root.field("mode").and_then(|node| mode(reader, node)).unwrap_or(Mode::Ask),
        trigger,
        inputs: root.field("inputs").map(|node| entries(reader, node, "`inputs`")).unwrap_or_default(),
        service,
        environment,
        key_place: ["guards", "concurrency", "key"]
            .iter()
            .try_fold(root, |node, key| node.field(key))
            .and_then(|node| node.place),
        guards: root.field("guards").map(|node| guards(reader, node)).unwrap_or_default(),
        approval: root.field("approval").and_then(|node| approval(reader, node)),
        steps,
        timeout: root.field("timeout").and_then(|node| reader.length(node, "`timeout`", &(SECOND..=7 * DAY))),
        undo: root
            .field("undo")
            .and_then(|node| reader.word(node, "`undo`", &[("asked", WhenUndone::Asked), ("auto", WhenUndone::Auto)]))
            .unwrap_or_default(),
        before_mutation,
        after_mutation,
        finally,
        outputs: root.field("outputs").map(|node| entries(reader, node, "`outputs`")).unwrap_or_default(),
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

pub(super) fn runbook_name(reader: &mut Reader<'_>, node: &Node) -> Option<At<String>> {
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

/// A field that may be left out: `None` only if it is there and wrong.
#[expect(clippy::option_option, reason = "the outer is a problem that was noted, the inner a field left out")]
pub(crate) fn optional<T>(node: &Node, key: &str, read: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    match node.field(key) {
        Some(field) => read(field).map(Some),
        None => Some(None),
    }
}

fn on_failure(reader: &mut Reader<'_>, node: &Node) -> (Vec<StepEntry>, Vec<StepEntry>) {
    if reader.keys(node, "`on_failure`", ON_FAILURE_KEYS).is_none() {
        return Default::default();
    }
    let mut of = |key: &str| node.field(key).map(|node| steps(reader, node, &format!("`{key}`"))).unwrap_or_default();
    (of("before_mutation"), of("after_mutation"))
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
        abort_when: node.field("abort_when").and_then(|node| reader.text(node, "`abort_when`")),
    })
}

/// A number that a range has already bounded.
pub(super) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
