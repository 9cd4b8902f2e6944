//! Compiles the steps of a runbook, and holds each against what its action needs.

use std::time::Duration;

use serde_json::Value;

use crate::domain::{
    duration,
    runbooks::{
        actions::{ActionSpec, Changes},
        check::READ_TIMEOUT,
        fields::{self, Names},
        format::{File, StepEntry},
        plan::{Call, Class, Handling, Probe, Step, Until},
        reader::{Reader, shown},
        words,
        yaml::{Data, Node},
    },
};

const LONGEST_ATTEMPT: Duration = Duration::from_hours(1);
/// How often an `until` may look: each look is a row of the journal, which is read whole at each step.
const MOST_LOOKS: u64 = 1_000;

/// The steps, each with the names that those before it give; what is wrong with one is told and leaves a gap.
pub(super) fn steps(reader: &mut Reader<'_>, file: &File, mut names: Names) -> Vec<Option<Step>> {
    let mut steps = Vec::new();
    for (index, entry) in file.steps.iter().enumerate() {
        steps.push(step(reader, entry, &names, (index + 1).to_string()));
        if let Some(output) = &entry.output {
            names.add(&output.value, produced(entry));
        }
    }
    steps
}

/// The names that the output of a step has.
pub(super) fn produced(entry: &StepEntry) -> Vec<String> {
    let spec = entry.action.as_ref().and_then(|action| super::actions::named(&action.value));
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
    if entry.output.is_some() && fields.is_empty() {
        reader.problem(entry.place, format!("`{}` has no output to name", spec.name));
    }
    let own = entry.output.as_ref().map_or_else(|| names.clone(), |output| names.with(&output.value, &fields));
    let until = until(reader, entry, &own.with("output", &fields), reads);
    let class = class(reader, entry, spec, reads);
    let undo = entry.undo.as_ref().and_then(|call| {
        let spec = fields::call(reader, &own, call)?;
        let with = call.with.as_ref().map_or(Value::Null, Node::json);
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
        marks: entry.marks,
        output: entry.output.as_ref().map(|output| output.value.clone()),
    })
}

fn until(reader: &mut Reader<'_>, entry: &StepEntry, names: &Names, reads: bool) -> Option<Until> {
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
    let looks = timeout.value.as_secs() / every.value.as_secs().max(1);
    if looks > MOST_LOOKS {
        let what = format!("`until` would look {looks} times, more than {MOST_LOOKS}");
        let least = Duration::from_secs(timeout.value.as_secs().div_ceil(MOST_LOOKS));
        let hint = format!("look less often, e.g. `every: {}`, or give up sooner", duration::compact(least));
        reader.hinted(every.place, what, hint);
    }
    Some(Until { holds: holds.value.clone(), every: every.value, timeout: timeout.value })
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
    if entry.timeout.is_none() && entry.until.is_none() {
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
    let spec = fields::call(reader, names, &probe.call);
    let with = probe.call.with.as_ref().map_or(Value::Null, Node::json);
    let seen = spec.map(|spec| fields::outputs(spec, probe.call.with.as_ref())).unwrap_or_default();
    let names = names.with("output", &seen);
    if let Some(found) = &probe.found {
        fields::condition(reader, &names, found);
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
    let output =
        probe.output.iter().filter_map(|(key, node)| Some((key.name.clone(), node.text()?.to_owned()))).collect();
    let call = Call { action: spec?.name.to_owned(), with };
    Some(Probe { call, settle: probe.settle, found: probe.found.as_ref()?.value.clone(), output })
}
