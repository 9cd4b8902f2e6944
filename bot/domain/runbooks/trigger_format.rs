//! The keys of `trigger`: what starts a runbook.

use std::time::Duration;

use crate::domain::{
    incidents::Phase,
    runbooks::{
        format::{optional, runbook_name, small},
        plan::{After, Input, InputKind, InputSource, OnCommand, OnIncident, OnRun, Operation, RunEnd},
        reader::{At, Reader},
        schedule::{Missed, Schedule},
        yaml::{Data, Node},
    },
    severity::Severity,
};

pub(crate) const TRIGGER_KEYS: &[&str] = &["alert", "chat", "incident", "schedule", "webhook", "run"];
pub(crate) const CHAT_KEYS: &[&str] = &["command", "when"];
pub(crate) const ALERT_KEYS: &[&str] = &["match", "after", "delay"];
pub(crate) const INCIDENT_KEYS: &[&str] = &["severity", "phase"];
pub(crate) const SCHEDULE_KEYS: &[&str] = &["cron", "zone", "missed"];
pub(crate) const RUN_KEYS: &[&str] = &["runbook", "ended"];

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// What starts a runbook, as the file says it.
#[derive(Default)]
pub(crate) struct TriggerEntry {
    pub(crate) matchers: Option<Vec<At<String>>>,
    pub(crate) after: Option<After>,
    pub(crate) delay: Option<Duration>,
    pub(crate) chat: bool,
    /// By which command of their own people start it.
    pub(crate) command: Option<At<OnCommand>>,
    pub(crate) incident: Option<OnIncident>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) webhook: bool,
    pub(crate) run: Option<OnRun>,
}

impl TriggerEntry {
    /// Whether something starts it that gives it no inputs.
    pub(crate) fn is_by_itself(&self) -> bool {
        self.matchers.is_some() || self.incident.is_some() || self.schedule.is_some() || self.run.is_some()
    }
}

/// Reads `trigger`.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> TriggerEntry {
    if reader.keys(node, "`trigger`", TRIGGER_KEYS).is_none() {
        return TriggerEntry::default();
    }
    let mut entry = TriggerEntry {
        chat: node.field("chat").is_some_and(|chat| is_on(reader, chat, "`trigger.chat`", CHAT_KEYS)),
        command: node.field("chat").and_then(|chat| command(reader, chat)),
        webhook: node.field("webhook").is_some_and(|webhook| is_on(reader, webhook, "`trigger.webhook`", &[])),
        incident: node.field("incident").and_then(|node| incident(reader, node)),
        schedule: node.field("schedule").and_then(|node| schedule(reader, node)),
        run: node.field("run").and_then(|node| run(reader, node)),
        ..TriggerEntry::default()
    };
    if let Some(node) = node.field("alert") {
        alert(reader, node, &mut entry);
    }
    let has_any = TRIGGER_KEYS.iter().any(|key| !matches!(*key, "chat" | "webhook") && node.field(key).is_some());
    if !has_any && !entry.chat && !entry.webhook {
        reader.hinted(node.place, "nothing starts this runbook", "add `chat: {}` or `alert: { match: [...] }`");
    }
    entry
}

/// `{}`, perhaps with some of these keys, nothing or `true`.
fn is_on(reader: &mut Reader<'_>, node: &Node, of: &str, keys: &[&str]) -> bool {
    match node.data {
        Data::Boolean(truth) => truth,
        Data::Null => true,
        Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
            reader.keys(node, of, keys).is_some()
        }
    }
}

fn command(reader: &mut Reader<'_>, node: &Node) -> Option<At<OnCommand>> {
    let words = Operation::ALL.map(|operation| (operation.word(), operation));
    let when = node.field("when").and_then(|node| reader.text(node, "`when`"));
    let Some(field) = node.field("command") else {
        if let Some(when) = when {
            reader.hinted(when.place, "`when` is for a command, and there is none", "add e.g. `command: rollback`");
        }
        return None;
    };
    let operation = reader.word(field, "`command`", &words)?;
    let place = when.as_ref().map_or(field.place, |when| when.place);
    Some(At { value: OnCommand { operation, when: when.map(|text| text.value) }, place })
}

/// Holds the command against the inputs: it gives what it knows, and everything else must come from somewhere.
pub(crate) fn fits_command(reader: &mut Reader<'_>, command: &At<OnCommand>, inputs: &[Input]) {
    let operation = command.value.operation;
    let word = operation.word();
    if operation == Operation::Scale {
        let takes =
            inputs.iter().any(|input| input.name == "replicas" && matches!(input.kind, InputKind::Integer { .. }));
        if !takes {
            let hint = "add `replicas: { type: integer, min: 1, max: 20 }` to its `inputs`";
            reader.hinted(command.place, "`/scale` says how many `replicas`, and the runbook takes none", hint);
        }
    }
    for input in inputs.iter().filter(|input| !operation.gives().contains(&input.name.as_str())) {
        if matches!(input.source, InputSource::Given { default: None, .. }) {
            let hint = format!("give it a `default`; `/{word}` gives `{}`", operation.gives().join("`, `"));
            reader.hinted(command.place, format!("`/{word}` does not know what `{}` is", input.name), hint);
        }
    }
}

fn alert(reader: &mut Reader<'_>, node: &Node, entry: &mut TriggerEntry) {
    let matchers = reader
        .keys(node, "`trigger.alert`", ALERT_KEYS)
        .and_then(|_| reader.required(node, "`trigger.alert`", "match", "add `match: ['alertname=\"…\"']`"));
    entry.matchers = Some(Vec::new());
    let Some(matchers) = matchers else { return };
    let items = reader.list(matchers, "`match`", 20);
    if items.is_empty() {
        reader.hinted(
            matchers.place,
            "every alert would start this runbook: `match` is empty",
            "name an alert, e.g. `match: ['alertname=\"HighErrorRate\"']`",
        );
    }
    entry.matchers = Some(items.iter().filter_map(|item| reader.text(item, "a matcher")).collect());
    entry.delay = node.field("delay").and_then(|node| reader.length(node, "`delay`", &(SECOND..=DAY)));
    entry.after = node.field("after").and_then(|node| {
        reader.keys(node, "`after`", &["count", "within"])?;
        let count = reader.required(node, "`after`", "count", "say how often it must fire, e.g. `count: 3`")?;
        let within = reader.required(node, "`after`", "within", "say in how long, e.g. `within: 10m`")?;
        let count = reader.integer(count, "`count`", 2..=1_000).map(small);
        let within = reader.length(within, "`within`", &(SECOND..=DAY));
        Some(After { count: count?, within: within? })
    });
}

fn incident(reader: &mut Reader<'_>, node: &Node) -> Option<OnIncident> {
    reader.keys(node, "`trigger.incident`", INCIDENT_KEYS)?;
    let severity = optional(node, "severity", |node| {
        let text = reader.text(node, "`severity`")?;
        let severity = text.value.parse::<Severity>();
        if let Err(what) = &severity {
            reader.problem(node.place, what.clone());
        }
        severity.ok()
    })?;
    let words: Vec<(&str, Phase)> = Phase::ALL.iter().map(|phase| (phase.word(), *phase)).collect();
    let phase = optional(node, "phase", |node| reader.word(node, "`phase`", &words))?;
    if severity.is_none() && phase.is_none() {
        let hint = "say which it must reach, e.g. `severity: SEV1` or `phase: mitigating`";
        reader.hinted(node.place, "every incident would start this runbook", hint);
    }
    Some(OnIncident { severity, phase })
}

fn schedule(reader: &mut Reader<'_>, node: &Node) -> Option<Schedule> {
    reader.keys(node, "`trigger.schedule`", SCHEDULE_KEYS)?;
    let cron = reader.required(node, "`trigger.schedule`", "cron", "e.g. `cron: \"30 2 * * 1-5\"`, where 1 is Monday");
    let zone = reader.required(node, "`trigger.schedule`", "zone", "e.g. `zone: Europe/Berlin`, or `zone: UTC`");
    let missed = reader.required(
        node,
        "`trigger.schedule`",
        "missed",
        "say what becomes of a time at which the bot was down: `run` it late, or `skip` it",
    );
    let cron = cron.and_then(|node| reader.text(node, "`cron`"));
    let zone = zone.and_then(|node| reader.text(node, "`zone`"));
    let missed = missed.and_then(|node| reader.word(node, "`missed`", &[("run", Missed::Run), ("skip", Missed::Skip)]));
    let (cron, zone, missed) = (cron?, zone?, missed?);
    let schedule = Schedule { cron: cron.value, zone: zone.value, missed };
    if let Err(what) = schedule.check() {
        reader.problem(cron.place, what);
    }
    Some(schedule)
}

fn run(reader: &mut Reader<'_>, node: &Node) -> Option<OnRun> {
    reader.keys(node, "`trigger.run`", RUN_KEYS)?;
    let runbook = reader.required(node, "`trigger.run`", "runbook", "name the runbook whose end starts this one")?;
    let runbook = runbook_name(reader, runbook)?;
    let ended = reader.required(node, "`trigger.run`", "ended", "say how it must have ended: `done` or `failed`")?;
    let ended = reader.word(ended, "`ended`", &[("done", RunEnd::Done), ("failed", RunEnd::Failed)])?;
    Some(OnRun { runbook: runbook.value, ended })
}
