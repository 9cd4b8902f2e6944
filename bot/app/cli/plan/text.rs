//! A plan as people read it: what it is about, what the guards say, who is asked, and step after step.

use serde_json::Value;

use crate::domain::{
    runbooks::plan::WhenUndone,
    runs::{
        RunState,
        outlook::{Asking, Called, Comes, Foreseen, Outlook, Stopped},
    },
};

/// The longest value that is shown whole.
const LONGEST: usize = 300;

/// The whole plan.
pub(super) fn written(outlook: &Outlook) -> String {
    let mut lines = Lines::default();
    whole(outlook, &mut lines);
    lines.add(0, "");
    match (&outlook.refused, &outlook.approval) {
        (Some(stopped), _) => lines.add(0, format!("Verdict: `{}`", stopped.code)),
        (None, Some(asking)) if asking.is_certain => lines.add(0, "Verdict: it would run once people agree"),
        (None, _) => lines.add(0, "Verdict: it would run"),
    }
    lines.add(0, format!("Plan: sha256:{}", outlook.hash));
    lines.0
}

/// Why it would not come to its end, in a line.
pub(super) fn refused(outlook: &Outlook, stopped: &Stopped) -> String {
    let at = stopped.step.as_ref().map_or_else(String::new, |step| format!(" at step {step}"));
    let detail = if stopped.detail.is_empty() { String::new() } else { format!(" ({})", stopped.detail) };
    let fails = stopped.step.is_some() && stopped.code.ends_as() == RunState::Failed;
    let would = if fails { "would fail" } else { "would be refused" };
    format!("`{}` {would}{at}: `{}`, {}{detail}", outlook.runbook, stopped.code, stopped.code.words())
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, line: impl AsRef<str>) {
        let text = format!("{}{}", "  ".repeat(depth), line.as_ref());
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    fn head(&mut self, depth: usize, line: &str) {
        self.add(0, "");
        self.add(depth, line);
    }
}

fn whole(outlook: &Outlook, lines: &mut Lines) {
    let mode = outlook.mode.word();
    lines.add(0, format!("Plan of `{}` on `{}`, mode `{mode}`", outlook.runbook, outlook.target));
    about(outlook, 0, lines);
}

/// Everything but the title.
fn about(outlook: &Outlook, depth: usize, lines: &mut Lines) {
    for (name, value) in &outlook.inputs {
        lines.add(depth + 1, format!("{name} = {}", shown(value)));
    }
    if let Some(timeout) = &outlook.timeout {
        lines.add(depth + 1, format!("it may take {timeout}"));
    }
    lines.head(depth, "Guards");
    let plain: Vec<String> = outlook
        .guards
        .iter()
        .filter(|it| it.holds && it.detail.is_empty())
        .map(|it| format!("`{}`", it.code))
        .collect();
    if !plain.is_empty() {
        lines.add(depth + 1, format!("hold     {}", plain.join(", ")));
    }
    for ruling in outlook.guards.iter().filter(|it| !it.holds || !it.detail.is_empty()) {
        let says = if ruling.holds { "holds  " } else { "refuses" };
        let detail = if ruling.detail.is_empty() { String::new() } else { format!(": {}", ruling.detail) };
        lines.add(depth + 1, format!("{says}  `{}`{detail}", ruling.code));
    }
    if let Some(asking) = &outlook.approval {
        approval(asking, depth, lines);
    }
    let undone = match outlook.undo {
        WhenUndone::Auto => "by itself",
        WhenUndone::Asked => "when somebody wants it",
    };
    for (title, part) in [
        ("Steps".to_owned(), &outlook.steps),
        ("After a failure before the first change".to_owned(), &outlook.before_mutation),
        (
            format!("After a failure after the first change (what was done is taken back {undone})"),
            &outlook.after_mutation,
        ),
        ("At every end".to_owned(), &outlook.finally),
    ] {
        if !part.is_empty() {
            lines.head(depth, &title);
            for step in part {
                self::step(step, depth + 1, lines);
            }
        }
    }
}

fn approval(asking: &Asking, depth: usize, lines: &mut Lines) {
    let may = if asking.is_certain { "" } else { ", perhaps" };
    lines.head(depth, &format!("Approval before `{}`{may}: {}", asking.name, asking.why));
    let by = if asking.by.is_empty() {
        "everybody who may operate".to_owned()
    } else {
        format!("`{}`", asking.by.join("`, `"))
    };
    let people = if asking.people.is_empty() { String::new() } else { format!(" ({})", asking.people.join(", ")) };
    lines.add(depth + 1, format!("{} of {by}{people}, within {}", asking.count, asking.expires));
    for (path, value) in &asking.bound {
        lines.add(depth + 1, format!("agreed to: {path} = {}", shown(value)));
    }
    if let Some(condition) = &asking.abort_when {
        lines.add(depth + 1, format!("withdrawn when `{condition}`"));
    }
}

fn step(step: &Foreseen, depth: usize, lines: &mut Lines) {
    lines.add(depth, format!("{}  {}  [{}]  {}", step.path, step.name, step.action, comes(step)));
    let depth = depth + 2;
    if let Some(note) = &step.note {
        lines.add(depth, note);
    }
    if let Some(when) = &step.when {
        lines.add(depth, format!("when: {when}"));
    }
    fields(&step.with, depth, lines);
    let mut handling: Vec<String> = step.timeout.iter().map(|timeout| format!("timeout {timeout}")).collect();
    handling.extend(step.handling.iter().map(|word| (*word).to_owned()));
    handling.extend(step.system.iter().filter(|_| step.changes).map(|system| format!("reaches `{system}`")));
    handling.extend(step.touches.iter().map(|(part, value)| format!("touches {part} {}", shown(value))));
    handling.extend(step.marks.iter().map(|mark| format!("marks `{mark}`")));
    if !handling.is_empty() && step.comes != Comes::Skipped {
        lines.add(depth, handling.join(" · "));
    }
    called("undo", step.undo.as_ref(), depth, lines);
    called("probe", step.probe.as_ref(), depth, lines);
    if let Some(output) = &step.output {
        lines.add(depth, format!("→ {}", shown(output)));
    }
    for lane in &step.lanes {
        lines.add(depth - 1, format!("{}:", lane.name));
        for within in &lane.steps {
            self::step(within, depth, lines);
        }
    }
    if let Some(starts) = &step.starts {
        lines.add(depth, format!("starts `{}` on `{}`, mode `{}`", starts.runbook, starts.target, starts.mode.word()));
        about(starts, depth + 1, lines);
    }
}

fn comes(step: &Foreseen) -> &'static str {
    match step.comes {
        Comes::Read => "was read",
        Comes::Later => "reads later",
        Comes::Runs if step.changes => "CHANGES",
        Comes::Runs => "runs",
        Comes::Waits => "waits",
        Comes::Skipped => "left out",
        Comes::Open if step.changes => "MAY CHANGE",
        Comes::Open => "may run",
        Comes::Observed => "would only be told",
        Comes::Stops => "STOPS",
        Comes::Unreached => "not reached",
        Comes::Aside if step.changes => "changes, if it comes to that",
        Comes::Aside => "runs, if it comes to that",
    }
}

fn called(word: &str, call: Option<&Called>, depth: usize, lines: &mut Lines) {
    if let Some(call) = call {
        lines.add(depth, format!("{word}: {} {}", call.action, shown(&call.with)));
    }
}

fn fields(with: &Value, depth: usize, lines: &mut Lines) {
    match with {
        Value::Object(fields) => {
            for (name, value) in fields {
                lines.add(depth, format!("{name}: {}", shown(value)));
            }
        }
        Value::Array(items) => {
            for item in items {
                lines.add(depth, format!("- {}", shown(item)));
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => lines.add(depth, shown(with)),
    }
}

/// A value in one line: text as it is, anything else as JSON.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.replace('\n', "\\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}
