//! Holds the parts of a runbook against each other, and compiles what is right into a plan.
//!
//! A step that changes something says how long it may take and what to do about doubt, or it is refused: this is what
//! lets a run survive a crash without doing anything twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use crate::domain::{
    alerts::matchers::Matcher,
    diagnostic::Diagnostic,
    runbooks::{
        fields::{self, Names},
        format::{self, File, INPUT_KEYS},
        inputs,
        plan::{Approval, Input, InputKind, InputSource, Mode, OnFailure, Plan, Step, TargetTemplate, Trigger},
        reader::{At, Reader, shown},
        step_format::{MOST_STEPS, StepEntry},
        steps::{gives, steps},
        template, trigger_format,
        yaml::{self, Key, Node},
    },
};

/// How long one attempt of a reading step may take if the file does not say.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a runbook file, given as its name and its bytes.
///
/// # Errors
/// Every problem that one look can find, in the order of the file, each with its place where it is known.
pub fn read(file: &Path, bytes: &[u8]) -> Result<Plan, Vec<Diagnostic>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        vec![Diagnostic::new(file, "the file is not UTF-8 text").at(line, 1)]
    })?;
    let root = yaml::read(file, text, "a runbook").map_err(|problem| vec![problem])?;
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
    if let Some(command) = &file.trigger.command {
        trigger_format::fits_command(reader, command, &inputs);
        if let Some(when) = &command.value.when {
            fields::condition(reader, &names, &At { value: when.clone(), place: command.place });
        }
    }
    let mut only_inputs = Names::default();
    for input in &file.inputs {
        only_inputs.add(&input.0.name, Vec::new());
    }
    for text in [&file.service, &file.environment].into_iter().flatten() {
        fields::template(reader, &only_inputs, &text.value, text.place);
    }
    if let Some(together) = &file.guards.concurrency {
        fields::template(reader, &only_inputs, &together.key, file.key_place);
    }
    for text in file.trigger.matchers.iter().flatten() {
        if let Err(what) = Matcher::parse(&text.value) {
            reader.hinted(text.place, what, "write `name=\"value\"`, with `=`, `!=`, `=~` or `!~`");
        }
    }
    unique_names(reader, file);
    let known_before = names.clone();
    let compiled = steps(reader, &file.steps, &mut names, "");
    let approval = approval(reader, file, &known_before);
    consent(reader, file, &compiled);
    let outputs = file.outputs.iter().map(|(key, node)| (key.place, key.name.as_str(), node));
    fields::expressions(reader, &names, outputs);
    let failed = names.with("failure", &["reason", "step", "detail"].map(str::to_owned));
    let mut aside = |entries: &[StepEntry], names: &Names, path: &str| {
        for entry in entries.iter().filter(|entry| entry.undo.is_some()) {
            let what = format!("`undo` means nothing in `{path}`: what was done there stays");
            reader.hinted(entry.place, what, "say `irreversible: true` or `repeat: safe`");
        }
        steps(reader, entries, &mut names.clone(), &format!("{path}.")).into_iter().collect::<Option<Vec<Step>>>()
    };
    let before_mutation = aside(&file.before_mutation, &failed, "before_mutation");
    let after_mutation = aside(&file.after_mutation, &failed, "after_mutation");
    let ending = failed.with("ending", &["state", "reason", "detail"].map(str::to_owned));
    let finally = aside(&file.finally, &ending, "finally");
    Some(Plan {
        name: file.name.as_ref()?.value.clone(),
        description: file.description.as_ref().map(|text| text.value.clone()),
        owner: file.owner.as_ref().map(|text| text.value.clone()),
        mode: file.mode,
        trigger: Trigger {
            alert: file.trigger.matchers.as_ref().map(|texts| texts.iter().map(|text| text.value.clone()).collect()),
            chat: file.trigger.chat,
            command: file.trigger.command.as_ref().map(|command| command.value.clone()),
            after: file.trigger.after,
            delay: file.trigger.delay,
            incident: file.trigger.incident,
            schedule: file.trigger.schedule.clone(),
            webhook: file.trigger.webhook,
            run: file.trigger.run.clone(),
        },
        inputs,
        target: TargetTemplate {
            service: file.service.as_ref()?.value.clone(),
            environment: file.environment.as_ref()?.value.clone(),
        },
        guards: file.guards.clone(),
        approval,
        steps: compiled.into_iter().collect::<Option<_>>()?,
        timeout: file.timeout,
        on_failure: OnFailure { before_mutation: before_mutation?, after_mutation: after_mutation? },
        finally: finally?,
        undo: file.undo,
        outputs: file
            .outputs
            .iter()
            .filter_map(|(key, node)| Some((key.name.clone(), node.text()?.to_owned())))
            .collect(),
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
    if file.trigger.is_by_itself() && open {
        let by = if file.trigger.matchers.is_some() { "an alert" } else { "its trigger" };
        let what = format!("{by} could not start this runbook: {of} has no `const`, `label` or `default`");
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

/// Every step, those within others after them.
fn all_entries(file: &File) -> Vec<&StepEntry> {
    let parts = [&file.steps, &file.before_mutation, &file.after_mutation, &file.finally];
    let mut left: Vec<&StepEntry> = parts.into_iter().flatten().rev().collect();
    let mut all = Vec::new();
    while let Some(entry) = left.pop() {
        all.push(entry);
        left.extend(entry.within().into_iter().rev());
    }
    all
}

fn unique_names(reader: &mut Reader<'_>, file: &File) {
    let all = all_entries(file);
    if all.len() > MOST_STEPS {
        reader.problem(file.place, format!("the runbook has {} steps, more than {MOST_STEPS}", all.len()));
    }
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for name in all.iter().filter_map(|step| step.name.as_ref()) {
        if !seen.insert(&name.value) {
            reader.hinted(
                name.place,
                format!("two steps are named `{}`", shown(&name.value)),
                "give each a name of its own",
            );
        }
    }
    let mut taken: BTreeMap<&str, &str> = file.inputs.iter().map(|(key, _)| (key.name.as_str(), "an input")).collect();
    for output in all.iter().filter_map(|step| step.output.as_ref()) {
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
    file.steps[..index].iter().for_each(|step| gives(step, &mut names));
    for condition in entry.when.iter().chain(&entry.abort_when) {
        fields::condition(reader, &names, condition);
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
        abort_when: entry.abort_when.as_ref().map(|text| text.value.clone()),
    })
}

/// How many people may agree, if only people and no roles are named.
fn named_people(by: &[super::plan::Approver]) -> Option<u32> {
    let people = by.iter().all(|approver| matches!(approver, super::plan::Approver::Person(_)));
    if people && !by.is_empty() { u32::try_from(by.len()).ok() } else { None }
}

/// Nothing is changed before the people agreed who are to be asked; in mode `ask`, somebody is.
fn consent(reader: &mut Reader<'_>, file: &File, steps: &[Option<Step>]) {
    let Some(first) = steps.iter().position(|step| step.as_ref().is_some_and(Step::changes)) else { return };
    let place = file.steps.get(first).and_then(|step| step.place);
    let Some(approval) = &file.approval else {
        if file.mode == Mode::Ask {
            let hint = "add `approval: { before: …, by: [\"role:on-call\"] }`, or choose `mode: auto`";
            reader.hinted(file.place, "in mode `ask` somebody must agree, and there is no `approval`", hint);
        }
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
