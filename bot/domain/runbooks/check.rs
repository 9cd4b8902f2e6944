//! Holds the parts of a runbook against each other, and compiles what is right into a plan.
//!
//! A step that changes something says how long it may take and what to do about doubt, or it is refused: this is what
//! lets a run survive a crash without doing anything twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::domain::{
    alerts::matchers::Matcher,
    diagnostic::Diagnostic,
    runbooks::{
        actions::{ActionSpec, Changes},
        fields::{self, Names},
        format::{self, File, INPUT_KEYS, StepEntry},
        inputs,
        plan::{
            Approval, Call, Class, Handling, Input, InputKind, InputSource, Mode, Plan, Probe, Step, TargetTemplate,
            Trigger, Until,
        },
        reader::{At, Reader, shown},
        template, words,
        yaml::{self, Data, Key, Node},
    },
};

/// How long one attempt of a reading step may take if the file does not say.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

const LONGEST_ATTEMPT: Duration = Duration::from_hours(1);

/// Reads a runbook file, given as its name and its bytes.
///
/// # Errors
/// Every problem that one look can find, in the order of the file, each with its place where it is known.
pub fn read(file: &Path, bytes: &[u8]) -> Result<Plan, Vec<Diagnostic>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        vec![Diagnostic::new(file, "the file is not UTF-8 text").at(line, 1)]
    })?;
    let root = yaml::read(file, text).map_err(|problem| vec![problem])?;
    let mut reader = Reader::new(file);
    let plan = format::read(&mut reader, &root).and_then(|file| compile(&mut reader, &file));
    match plan {
        Some(plan) if !reader.found_any() => Ok(plan),
        Some(_) | None => Err(reader.problems()),
    }
}

fn compile(reader: &mut Reader<'_>, file: &File) -> Option<Plan> {
    let mut names = Names::roots();
    let inputs: Vec<Input> = file.inputs.iter().filter_map(|(key, node)| input(reader, file, key, node)).collect();
    for (key, _) in &file.inputs {
        names.add(&key.name, Vec::new());
    }
    let mut only_inputs = Names::default();
    for input in &file.inputs {
        only_inputs.add(&input.0.name, Vec::new());
    }
    for text in [&file.service, &file.environment].into_iter().flatten() {
        fields::template(reader, &only_inputs, &text.value, text.place);
    }
    for text in file.matchers.iter().flatten() {
        if let Err(what) = Matcher::parse(&text.value) {
            reader.hinted(text.place, what, "write `name=\"value\"`, with `=`, `!=`, `=~` or `!~`");
        }
    }
    unique_names(reader, file);
    let known_before = names.clone();
    let steps = steps(reader, file, names);
    let approval = approval(reader, file, &known_before);
    consent(reader, file, &steps);
    let whole = steps.iter().all(Option::is_some);
    Some(Plan {
        name: file.name.as_ref()?.value.clone(),
        description: file.description.as_ref().map(|text| text.value.clone()),
        owner: file.owner.as_ref().map(|text| text.value.clone()),
        mode: file.mode,
        trigger: Trigger {
            alert: file.matchers.as_ref().map(|texts| texts.iter().map(|text| text.value.clone()).collect()),
            chat: file.chat,
        },
        inputs,
        target: TargetTemplate {
            service: file.service.as_ref()?.value.clone(),
            environment: file.environment.as_ref()?.value.clone(),
        },
        guards: file.guards.clone(),
        approval,
        steps: if whole { steps.into_iter().flatten().collect() } else { return None },
    })
}

fn input(reader: &mut Reader<'_>, file: &File, key: &Key, node: &Node) -> Option<Input> {
    let name = &key.name;
    if !super::reader::is_name(name) || fields::reserved(name) {
        let hint = "use lower-case letters, digits and `_`, and no word of the language such as `alert` or `size`";
        reader.hinted(key.place, format!("`{}` cannot be the name of an input", shown(name)), hint);
    }
    let of = format!("input `{}`", shown(name));
    reader.keys(node, &of, INPUT_KEYS)?;
    let kind = input_kind(reader, node, &of)?;
    let typed = |reader: &mut Reader<'_>, key: &str| {
        let field = node.field(key)?;
        match fields::typed(&kind, field) {
            Ok(value) => Some(value),
            Err(hint) => {
                reader.hinted(field.place, format!("`{key}` of {of} is not of its type"), hint);
                None
            }
        }
    };
    let (constant, default) = (typed(reader, "const"), typed(reader, "default"));
    let label = node.field("label").and_then(|label| reader.text(label, "`label`")).map(|label| label.value);
    let required = match node.field("required") {
        Some(field) => reader.boolean(field, "`required`").unwrap_or(true),
        None => node.field("default").is_none(),
    };
    if node.field("const").is_some() && (node.field("default").is_some() || label.is_some()) {
        reader.hinted(node.place, format!("{of} is fixed by `const` and yet read from elsewhere"), "keep one of them");
    }
    if required && node.field("default").is_some() {
        reader.problem(node.place, format!("{of} is required and yet has a default"));
    }
    if !required && node.field("default").is_none() {
        reader.hinted(
            node.place,
            format!("{of} may be left out but has no `default`"),
            "every value must come from somewhere",
        );
    }
    let open = node.field("const").is_none() && node.field("default").is_none() && label.is_none();
    if file.matchers.is_some() && open {
        let what = format!("an alert could not start this runbook: {of} has no `const`, `label` or `default`");
        reader.hinted(node.place, what, "say where its value comes from, e.g. `label: instance`");
    }
    let source = match constant {
        Some(value) => InputSource::Const(value),
        None => InputSource::Given { label, default },
    };
    let description = node.field("description").and_then(|node| reader.line(node, "`description`", 300));
    Some(Input { name: name.clone(), kind, description: description.map(|text| text.value), source })
}

fn input_kind(reader: &mut Reader<'_>, node: &Node, of: &str) -> Option<InputKind> {
    let kinds = ["text", "integer", "service", "choice", "duration", "boolean"];
    let types: Vec<(&str, usize)> = kinds.iter().enumerate().map(|(index, word)| (*word, index)).collect();
    let field =
        reader.required(node, of, "type", "one of `text`, `integer`, `service`, `choice`, `duration`, `boolean`")?;
    let kind = kinds[reader.word(field, "`type`", &types)?];
    let unused = |key: &str| match key {
        "choices" => kind != "choice",
        "min" => !matches!(kind, "integer" | "duration"),
        "max" => !matches!(kind, "integer" | "duration" | "text"),
        _ => false,
    };
    for key in ["choices", "min", "max"] {
        if let Some(field) = node.field(key)
            && unused(key)
        {
            reader.problem(field.place, format!("`{key}` means nothing for a `{kind}`"));
        }
    }
    let (min, max) = (node.field("min"), node.field("max"));
    Some(match kind {
        "integer" => {
            let min = min.and_then(|node| reader.integer(node, "`min`", i64::MIN..=i64::MAX)).unwrap_or(i64::MIN);
            InputKind::Integer {
                min,
                max: max.and_then(|node| reader.integer(node, "`max`", min..=i64::MAX)).unwrap_or(i64::MAX),
            }
        }
        "duration" => {
            let (least, most) = inputs::LENGTHS;
            let min = min.and_then(|node| reader.length(node, "`min`", &(least..=most))).unwrap_or(least);
            InputKind::Duration {
                min,
                max: max.and_then(|node| reader.length(node, "`max`", &(min..=most))).unwrap_or(most),
            }
        }
        "choice" => {
            let choices = reader.required(node, of, "choices", "list them: `choices: [one, two]`")?;
            let choices: Vec<String> = reader
                .list(choices, "`choices`", 25)
                .iter()
                .filter_map(|item| reader.line(item, "a choice", 100))
                .map(|text| text.value)
                .collect();
            if choices.is_empty() {
                reader.problem(node.place, format!("{of} has nothing to choose from"));
            }
            InputKind::Choice { choices }
        }
        "boolean" => InputKind::Boolean,
        "service" => InputKind::Service,
        _ => {
            let most = max.and_then(|node| reader.integer(node, "`max`", 1..=10_000));
            InputKind::Text { max: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(inputs::LONGEST_TEXT) }
        }
    })
}

fn unique_names(reader: &mut Reader<'_>, file: &File) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for name in file.steps.iter().filter_map(|step| step.name.as_ref()) {
        if !seen.insert(&name.value) {
            reader.hinted(
                name.place,
                format!("two steps are named `{}`", shown(&name.value)),
                "give each a name of its own",
            );
        }
    }
    let mut taken: BTreeMap<&str, &str> = file.inputs.iter().map(|(key, _)| (key.name.as_str(), "an input")).collect();
    for output in file.steps.iter().filter_map(|step| step.output.as_ref()) {
        if fields::reserved(&output.value) {
            reader.problem(
                output.place,
                format!("`{}` cannot be the name of an output: it means something else", output.value),
            );
        } else if let Some(what) = taken.insert(&output.value, "an output") {
            reader.problem(output.place, format!("`{}` is already the name of {what}", output.value));
        }
    }
}

fn steps(reader: &mut Reader<'_>, file: &File, mut names: Names) -> Vec<Option<Step>> {
    let mut steps = Vec::new();
    for (index, entry) in file.steps.iter().enumerate() {
        steps.push(step(reader, entry, &names, (index + 1).to_string()));
        if let Some(output) = &entry.output {
            names.add(&output.value, produced(entry));
        }
    }
    steps
}

fn produced(entry: &StepEntry) -> Vec<String> {
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

fn approval(reader: &mut Reader<'_>, file: &File, inputs: &Names) -> Option<Approval> {
    let entry = file.approval.as_ref()?;
    let before = entry.before.as_ref()?;
    let found = file.steps.iter().position(|step| step.name.as_ref().is_some_and(|name| name.value == before.value));
    let Some(index) = found else {
        let known: Vec<&str> =
            file.steps.iter().filter_map(|step| step.name.as_ref()).map(|name| name.value.as_str()).collect();
        reader.unknown(before.place, &format!("no step is named `{}`", shown(&before.value)), &before.value, &known);
        return None;
    };
    let mut names = inputs.clone();
    for step in &file.steps[..index] {
        if let Some(output) = &step.output {
            names.add(&output.value, produced(step));
        }
    }
    if let Some(when) = &entry.when {
        fields::condition(reader, &names, when);
    }
    for bind in &entry.binds {
        let path: Vec<String> = bind.value.split('.').map(str::to_owned).collect();
        if template::is_template(&bind.value) {
            reader.hinted(
                bind.place,
                format!("`{}` is not a path", shown(&bind.value)),
                "write it without braces, e.g. `live.version`",
            );
        } else {
            names.check(reader, bind.place, &path);
        }
    }
    if let Some(short) = named_people(&entry.by).filter(|people| *people < entry.count) {
        reader.problem(entry.place, format!("{} people must agree but only {short} may", entry.count));
    }
    Some(Approval {
        before: (index + 1).to_string(),
        when: entry.when.as_ref().map(|text| text.value.clone()),
        by: entry.by.clone(),
        count: entry.count,
        binds: entry.binds.iter().map(|bind: &At<String>| bind.value.clone()).collect(),
        expires: entry.expires,
    })
}

/// How many people may agree, if only people and no roles are named.
fn named_people(by: &[super::plan::Approver]) -> Option<u32> {
    let people = by.iter().all(|approver| matches!(approver, super::plan::Approver::Person(_)));
    if people && !by.is_empty() { u32::try_from(by.len()).ok() } else { None }
}

/// In mode `ask`, nothing is changed before people agreed.
fn consent(reader: &mut Reader<'_>, file: &File, steps: &[Option<Step>]) {
    if file.mode != Mode::Ask {
        return;
    }
    let Some(first) = steps.iter().position(|step| step.as_ref().is_some_and(|step| !step.reads())) else { return };
    let place = file.steps.get(first).and_then(|step| step.place);
    let Some(approval) = &file.approval else {
        let hint = "add `approval: { before: …, by: [\"role:on-call\"] }`, or choose `mode: auto`";
        reader.hinted(file.place, "in mode `ask` somebody must agree, and there is no `approval`", hint);
        return;
    };
    let asked = approval.before.as_ref().and_then(|before| {
        file.steps.iter().position(|step| step.name.as_ref().is_some_and(|name| name.value == before.value))
    });
    if asked.is_some_and(|asked| asked > first) {
        let name = file.steps[first].name.as_ref().map_or("", |name| name.value.as_str());
        let what = format!("step `{}` changes something before anybody was asked", shown(name));
        reader.hinted(place, what, "let `approval.before` name the first step that changes something");
    }
}
