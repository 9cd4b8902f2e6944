//! Compiles the steps of a runbook, and holds each against what its action needs.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::domain::{
    diagnostic::Place,
    duration,
    runbooks::{
        actions::{self, ActionSpec, Changes},
        check::READ_TIMEOUT,
        fields::{self, Names},
        plan::{Branch, Call, Class, ForEach, Group, Handling, Probe, Step, Until},
        reader::{At, Reader, shown},
        step_format::{GroupEntry, StepEntry},
        words,
        yaml::{Data, Node},
    },
};

/// How often an action looks that waits by itself, if the file does not say.
const LOOK: Duration = Duration::from_secs(5);
const LONGEST_ATTEMPT: Duration = Duration::from_hours(1);
/// How often a verification looks if it does not say.
const USUAL_LOOK: Duration = Duration::from_secs(15);
/// How often an `until` may look: each look is a row of the journal, which is read whole at each step.
const MOST_LOOKS: u64 = 1_000;

/// The action that starts another runbook: what it gives, and how long it takes, is that one's to say.
pub(crate) const CHILD: &str = "runbook";
/// How deep steps may hold steps.
const DEEPEST: usize = 3;

/// The steps, each with the names that those before it give; what is wrong with one is told and leaves a gap. The names
/// that all of them give are added. Paths begin with `prefix`.
pub(super) fn steps(
    reader: &mut Reader<'_>,
    entries: &[StepEntry],
    names: &mut Names,
    prefix: &str,
) -> Vec<Option<Step>> {
    let mut compiled = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{prefix}{}", index + 1);
        compiled.push(match &entry.group {
            None => step(reader, entry, names, path),
            Some(group) => holder(reader, (entry, group), names, path),
        });
        gives(entry, names);
    }
    compiled
}

/// Adds the names that a step gives to those after it.
pub(super) fn gives(entry: &StepEntry, names: &mut Names) {
    if let Some(GroupEntry::Parallel(branches)) = &entry.group {
        branches.iter().flat_map(|(_, steps)| steps).for_each(|step| gives(step, names));
    }
    if let Some(output) = &entry.output {
        names.add(&output.value, if entry.group.is_some() { Vec::new() } else { produced(entry) });
    }
}

/// A step that holds others.
fn holder(
    reader: &mut Reader<'_>,
    (entry, group): (&StepEntry, &GroupEntry),
    names: &Names,
    path: String,
) -> Option<Step> {
    if let Some(when) = &entry.when {
        fields::condition(reader, names, when);
    }
    let is_lane = |part: &&str| part.ends_with(']') || part.starts_with(|letter: char| letter.is_ascii_lowercase());
    if path.split('.').filter(is_lane).count() >= DEEPEST {
        reader.problem(entry.place, format!("steps hold steps more than {DEEPEST} deep"));
    }
    if entry.within().is_empty() {
        reader.problem(entry.place, "a step that holds others has at least one in it");
    }
    let (action, group) = match group {
        GroupEntry::Parallel(branches) => {
            let mut compiled = Vec::new();
            for (name, entries) in branches {
                let within = steps(reader, entries, &mut names.clone(), &format!("{path}.{}.", name.value));
                compiled.push(Branch { name: name.value.clone(), steps: within.into_iter().collect::<Option<_>>()? });
            }
            ("parallel", Group::Parallel(compiled))
        }
        GroupEntry::ForEach { items, name, concurrency, steps: inner } => {
            if let Some(items) = items {
                fields::condition(reader, names, items);
            }
            let item = name.as_ref().map_or("item", |name| name.value.as_str());
            if let Some(name) = name
                && (fields::reserved(item) || names.knows(item))
            {
                reader.problem(name.place, format!("`{item}` cannot be the name of an item: it means something else"));
            }
            let within = steps(reader, inner, &mut names.with(item, &[]), &format!("{path}[]."));
            let each = ForEach {
                items: items.as_ref()?.value.clone(),
                name: item.to_owned(),
                concurrency: *concurrency,
                steps: within.into_iter().collect::<Option<_>>()?,
            };
            ("for_each", Group::ForEach(each))
        }
    };
    Some(Step {
        path,
        name: entry.name.as_ref()?.value.clone(),
        action: action.to_owned(),
        with: Value::Null,
        class: Class::Reads,
        when: entry.when.as_ref().map(|text| text.value.clone()),
        until: None,
        timeout: READ_TIMEOUT,
        retry: None,
        undo: None,
        probe: None,
        touches: BTreeMap::new(),
        marks: None,
        output: entry.output.as_ref().map(|output| output.value.clone()),
        group: Some(group),
    })
}

/// The names that the output of a step has.
pub(super) fn produced(entry: &StepEntry) -> Vec<String> {
    let spec = entry.action.as_ref().and_then(|action| actions::named(&action.value));
    spec.map(|spec| fields::outputs(spec, entry.with.as_ref())).unwrap_or_default()
}

fn step(reader: &mut Reader<'_>, entry: &StepEntry, names: &Names, path: String) -> Option<Step> {
    let spec = fields::action(reader, entry.action.as_ref());
    if let Some(when) = &entry.when {
        fields::condition(reader, names, when);
    }
    let spec = spec?;
    fields::with(reader, names, spec, entry.with.as_ref(), entry.place);
    let with = entry.with.as_ref().map_or(Value::Null, Node::json);
    if let Some(reads_only) = &entry.reads_only
        && spec.changes != Changes::Declared
    {
        reader.problem(reads_only.place, format!("`reads_only` means nothing for `{}`", spec.name));
    }
    let reads = spec.reads(&with, entry.reads_only.as_ref().is_some_and(|declared| declared.value));
    let fields = produced(entry);
    if entry.output.is_some() && fields.is_empty() && spec.name != CHILD {
        reader.problem(entry.place, format!("`{}` has no output to name", spec.name));
    }
    let own = entry.output.as_ref().map_or_else(|| names.clone(), |output| names.with(&output.value, &fields));
    let until = until(reader, entry, &own.with("output", &fields), reads);
    let class = class(reader, entry, spec, reads);
    let undo = entry.undo.as_ref().and_then(|call| {
        let (spec, with) = fields::call(reader, &own, call, (entry.action.as_ref(), entry.with.as_ref()))?;
        let with = with.as_ref().map_or(Value::Null, Node::json);
        if spec.reads(&with, false) {
            reader.problem(call.place, "`undo` changes nothing");
        }
        Some(Call { action: spec.name.to_owned(), with })
    });
    let probe = probe(reader, entry, names, &fields);
    Some(Step {
        path,
        name: entry.name.as_ref()?.value.clone(),
        action: spec.name.to_owned(),
        with,
        class,
        when: entry.when.as_ref().map(|text| text.value.clone()),
        timeout: match &until {
            Some(until) => READ_TIMEOUT.min(until.timeout),
            None => entry.timeout.as_ref().map_or(READ_TIMEOUT, |timeout| timeout.value),
        },
        until,
        retry: entry.retry,
        undo,
        probe,
        touches: touches(reader, entry, names, reads),
        marks: entry.marks,
        output: entry.output.as_ref().map(|output| output.value.clone()),
        group: None,
    })
}

fn until(reader: &mut Reader<'_>, entry: &StepEntry, names: &Names, reads: bool) -> Option<Until> {
    if let Some(holds) = entry.action.as_ref().and_then(|action| actions::waits_until(&action.value)) {
        return waits(reader, entry, holds);
    }
    if entry.action.as_ref().is_some_and(|action| action.value == "prometheus.wait") {
        return verification(reader, entry);
    }
    let Some(holds) = &entry.until else {
        if let Some(every) = &entry.every {
            reader.hinted(every.place, "`every` means nothing without `until`", "add the condition that ends the step");
        }
        if let Some(timeout) = &entry.timeout
            && timeout.value > LONGEST_ATTEMPT
        {
            reader.problem(timeout.place, "`timeout` of one attempt is at most `1h`");
        }
        return None;
    };
    fields::condition(reader, names, holds);
    if !reads {
        reader.hinted(
            holds.place,
            "`until` repeats a step, and this one changes something",
            "look in a step of its own",
        );
    }
    if entry.every.is_none() || entry.timeout.is_none() {
        let hint = "say how often to look and when to give up, e.g. `every: 10s` and `timeout: 15m`";
        reader.hinted(holds.place, "`until` needs `every` and `timeout`", hint);
    }
    let (every, timeout) = (entry.every.as_ref()?, entry.timeout.as_ref()?);
    if every.value > timeout.value {
        reader.problem(every.place, "`every` is longer than `timeout`");
    }
    few_looks(reader, every.place, "`until`", (every.value, timeout.value));
    Some(Until { holds: holds.value.clone(), every: every.value, timeout: timeout.value, asks: false })
}

/// The waiting of an action that knows by itself for what.
fn waits(reader: &mut Reader<'_>, entry: &StepEntry, holds: &str) -> Option<Until> {
    if let Some(until) = &entry.until {
        reader.hinted(until.place, "this action waits by itself", "take `until` out");
    }
    let Some(timeout) = &entry.timeout else {
        reader.hinted(entry.place, "it waits and has no `timeout`", "say when to give up, e.g. `timeout: 10m`");
        return None;
    };
    let every = entry.every.clone().unwrap_or(At { value: LOOK.min(timeout.value), place: timeout.place });
    if every.value > timeout.value {
        reader.problem(every.place, "`every` is longer than `timeout`");
    }
    few_looks(reader, every.place, "`until`", (every.value, timeout.value));
    Some(Until { holds: holds.to_owned(), every: every.value, timeout: timeout.value, asks: false })
}

/// How much the step touches, as numbers or expressions over what is known before it.
fn touches(reader: &mut Reader<'_>, entry: &StepEntry, names: &Names, reads: bool) -> BTreeMap<String, String> {
    let mut touches = BTreeMap::new();
    let Some(node) = &entry.touches else { return touches };
    if reads {
        reader.problem(node.place, "`touches` means nothing for a step that changes nothing");
    }
    if reader.keys(node, "`touches`", &["pods", "percent"]).is_none() {
        return touches;
    }
    for key in ["pods", "percent"] {
        match node.field(key) {
            Some(Node { data: Data::Integer(number), .. }) if *number >= 0 => {
                touches.insert(key.to_owned(), number.to_string());
            }
            Some(node) => {
                if let Some(text) = reader.text(node, &format!("`{key}`")) {
                    fields::condition(reader, names, &text);
                    touches.insert(key.to_owned(), text.value);
                }
            }
            None => {}
        }
    }
    touches
}

fn few_looks(reader: &mut Reader<'_>, place: Option<Place>, what: &str, (every, timeout): (Duration, Duration)) {
    let looks = timeout.as_secs() / every.as_secs().max(1);
    if looks > MOST_LOOKS {
        let what = format!("{what} would look {looks} times, more than {MOST_LOOKS}");
        let least = Duration::from_secs(timeout.as_secs().div_ceil(MOST_LOOKS));
        let hint = format!("look less often, e.g. `every: {}`, or give up sooner", duration::compact(least));
        reader.hinted(place, what, hint);
    }
}

/// The repetition of a verification, whose own fields say how often it looks and when it ends. What is wrong with the
/// fields themselves is noted already.
fn verification(reader: &mut Reader<'_>, entry: &StepEntry) -> Option<Until> {
    for (key, place) in [
        ("until", entry.until.as_ref().map(|it| it.place)),
        ("every", entry.every.as_ref().map(|it| it.place)),
        ("timeout", entry.timeout.as_ref().map(|it| it.place)),
    ] {
        if let Some(place) = place {
            let hint = "its `with` says how often it looks and until when";
            reader.hinted(place, format!("`{key}` of the step means nothing for `prometheus.wait`"), hint);
        }
    }
    let with = entry.with.as_ref()?;
    let length = |key: &str| with.field(key).and_then(|node| Some((node.place, duration::parse(node.text()?).ok()?)));
    let (held, timeout) = (length("for")?, length("timeout")?);
    let every = length("every").unwrap_or((with.place, USUAL_LOOK));
    if held.1 >= timeout.1 {
        reader.hinted(held.0, "`for` is not shorter than `timeout`", "it could never have been good for long enough");
    }
    if every.1 > held.1 {
        reader.hinted(every.0, "`every` is longer than `for`", "one look says nothing of the time around it");
    }
    few_looks(reader, every.0, "`prometheus.wait`", (every.1, timeout.1));
    Some(Until { holds: with.field("good")?.text()?.to_owned(), every: every.1, timeout: timeout.1, asks: true })
}

fn class(reader: &mut Reader<'_>, entry: &StepEntry, spec: &ActionSpec, reads: bool) -> Class {
    let handling = Handling {
        repeatable: entry.repeatable,
        probed: entry.probe.is_some(),
        undoable: entry.undo.is_some(),
        irreversible: entry.irreversible,
    };
    let name = entry.name.as_ref().map_or("", |name| name.value.as_str());
    if reads {
        let declared: Vec<&str> = [
            (handling.repeatable, "repeat"),
            (handling.probed, "probe"),
            (handling.undoable, "undo"),
            (handling.irreversible, "irreversible"),
        ]
        .into_iter()
        .filter_map(|(there, key)| there.then_some(key))
        .collect();
        if !declared.is_empty() {
            let what = format!("step `{}` changes nothing, so {} mean nothing", shown(name), words::listed(&declared));
            reader.problem(entry.place, what);
        }
        return Class::Reads;
    }
    let is_ours = spec.name == CHILD || spec.changes == Changes::Record;
    if entry.timeout.is_none() && entry.until.is_none() && !is_ours {
        let what = format!("step `{}` changes something and has no `timeout`", shown(name));
        reader.hinted(entry.place, what, "say when its outcome is in doubt, e.g. `timeout: 2m`");
    }
    if handling == Handling::default() {
        let what = format!("step `{}` changes something and does not say what to do about it", shown(name));
        let mut hint = "add `undo`, `probe`, `repeat: safe` or `irreversible: true`".to_owned();
        if spec.changes == Changes::Declared {
            hint.push_str("; or `reads_only: true` if it changes nothing");
        }
        reader.hinted(entry.place, what, hint);
    }
    if handling.irreversible && handling.undoable {
        reader.problem(entry.place, format!("step `{}` is irreversible and yet has an `undo`", shown(name)));
    }
    Class::Mutates(handling)
}

fn probe(reader: &mut Reader<'_>, entry: &StepEntry, names: &Names, produced: &[String]) -> Option<Probe> {
    let probe = entry.probe.as_ref()?;
    let called = fields::call(reader, names, &probe.call, (entry.action.as_ref(), entry.with.as_ref()));
    let (spec, with) = called.map_or((None, None), |(spec, with)| (Some(spec), with));
    let seen = spec.map(|spec| fields::outputs(spec, with.as_ref())).unwrap_or_default();
    let with = with.as_ref().map_or(Value::Null, Node::json);
    let gives = |field: &str| seen.iter().any(|name| name == field);
    let names = names.with("output", &seen);
    for text in [&probe.found, &probe.failed].into_iter().flatten() {
        fields::condition(reader, &names, text);
    }
    if probe.found.is_none() && spec.is_some() && !gives("found") {
        let hint = "give the condition over `output` that says that it happened";
        reader.hinted(probe.call.place, "`probe` has no `found`", hint);
    }
    fields::expressions(reader, &names, probe.output.iter().map(|(key, node)| (key.place, key.name.as_str(), node)));
    if let (Some(output), Some(Data::Map(_))) =
        (&entry.output, entry.with.as_ref().and_then(|with| with.field("extract")).map(|node| &node.data))
    {
        let missing: Vec<&String> =
            produced.iter().filter(|name| !probe.output.iter().any(|(key, _)| key.name == **name)).collect();
        if !missing.is_empty() {
            let what = format!("the probe of `{}` does not give {}", output.value, words::listed(&missing));
            let hint = "name it under `probe.output`, so that later steps can read it after a doubt too";
            reader.hinted(probe.call.place, what, hint);
        }
    }
    if let Some(spec) = spec
        && !spec.reads(&with, spec.name == "shell")
    {
        reader.hinted(probe.call.place, "a probe only looks, and this one changes something", "use `GET`, or `shell`");
    }
    let mut output: BTreeMap<String, String> =
        probe.output.iter().filter_map(|(key, node)| Some((key.name.clone(), node.text()?.to_owned()))).collect();
    if output.is_empty() && gives("found") {
        // A look that is made for the action gives what the action itself would have given.
        let same = produced.iter().filter(|name| gives(name));
        output.extend(same.map(|name| (name.clone(), format!("output.{name}"))));
    }
    let stated = |text: &Option<At<String>>, field: &str| {
        let usual = || gives(field).then(|| format!("output.{field}"));
        text.as_ref().map(|text| text.value.clone()).or_else(usual)
    };
    let (found, failed) = (stated(&probe.found, "found"), stated(&probe.failed, "failed"));
    let call = Call { action: spec?.name.to_owned(), with };
    Some(Probe { call, settle: probe.settle, found: found?, failed, output })
}
