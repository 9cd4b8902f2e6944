//! Checks the fields of an action, and every template and condition, against the names that are known at that place.

use std::collections::BTreeMap;

use crate::domain::{
    diagnostic::Place,
    runbooks::{
        actions::{self, ActionSpec, Kind},
        condition::{Condition, FUNCTIONS},
        duration_range,
        format::{self, CallEntry},
        inputs,
        reader::{At, Reader, is_name, shown},
        scope::ROOTS,
        template, words,
        yaml::{Data, Node},
    },
};

/// The names that templates and conditions of one place can read, each with its fields; no fields means any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeMap<String, Vec<String>>);

impl Names {
    /// Those that every step knows.
    pub(crate) fn roots() -> Self {
        let owned = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
        Self(ROOTS.iter().map(|root| (root.name.to_owned(), owned(root.fields))).collect())
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, fields: Vec<String>) {
        self.0.insert(name.into(), fields);
    }

    /// The same with one more.
    pub(crate) fn with(&self, name: &str, fields: &[String]) -> Self {
        let mut names = self.clone();
        names.add(name, fields.to_vec());
        names
    }

    /// Notes a path whose beginning is not known.
    pub(crate) fn check(&self, reader: &mut Reader<'_>, place: Option<Place>, path: &[String]) {
        let Some(root) = path.first() else { return };
        let whole = shown(&path.join("."));
        let Some(fields) = self.0.get(root) else {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            reader.unknown(place, &format!("`{whole}` is not known here: there is no `{}`", shown(root)), root, &known);
            return;
        };
        if let Some(field) = path.get(1)
            && !fields.is_empty()
            && !fields.contains(field)
        {
            let known: Vec<&str> = fields.iter().map(String::as_str).collect();
            reader.unknown(
                place,
                &format!("`{whole}` is not known here: `{root}` has no `{}`", shown(field)),
                field,
                &known,
            );
        }
    }
}

/// Notes what is wrong with a template.
pub(crate) fn template(reader: &mut Reader<'_>, names: &Names, text: &str, place: Option<Place>) {
    match template::variables(text) {
        Ok(paths) => paths.iter().for_each(|path| names.check(reader, place, path)),
        Err(error) => {
            reader.hinted(place, error.what, "a template reads values, e.g. `{{ live.version }}`");
        }
    }
}

/// Notes what is wrong with a condition.
pub(crate) fn condition(reader: &mut Reader<'_>, names: &Names, text: &At<String>) {
    if template::is_template(&text.value) {
        let hint = "a condition names values without braces, e.g. `live.version == 'v42'`";
        reader.hinted(text.place, format!("`{}` is not a condition", shown(&text.value)), hint);
        return;
    }
    match Condition::compile(&text.value) {
        Ok(condition) => condition.variables().iter().for_each(|path| names.check(reader, text.place, path)),
        Err(error) => {
            let what = format!("`{}`: {}", shown(&text.value), error.what);
            let unknown =
                error.what.strip_suffix("is not a function of conditions").map(|name| name.trim().trim_matches('`'));
            let near = unknown.and_then(|name| words::nearest(name, FUNCTIONS));
            let hint = near.map_or_else(
                || "conditions are CEL, e.g. `live.replicas < 10 && mode == 'ask'`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            reader.hinted(text.place, what, hint);
        }
    }
}

/// The action of a step, undo or probe; its absence is noted.
pub(crate) fn action(reader: &mut Reader<'_>, action: Option<&At<String>>) -> Option<&'static ActionSpec> {
    let action = action?;
    let found = actions::named(&action.value);
    if found.is_none() {
        let known: Vec<&str> = actions::ALL.iter().map(|spec| spec.name).collect();
        reader.unknown(action.place, &format!("there is no action `{}`", shown(&action.value)), &action.value, &known);
    }
    found
}

/// Checks an undo or a probe, and gives its action.
pub(crate) fn call(reader: &mut Reader<'_>, names: &Names, call: &CallEntry) -> Option<&'static ActionSpec> {
    let spec = action(reader, call.action.as_ref())?;
    with(reader, names, spec, call.with.as_ref(), call.place);
    Some(spec)
}

/// Checks the fields of an action.
pub(crate) fn with(
    reader: &mut Reader<'_>,
    names: &Names,
    spec: &ActionSpec,
    with: Option<&Node>,
    place: Option<Place>,
) {
    let of = format!("`with` of `{}`", spec.name);
    let Some(node) = with else {
        let needed: Vec<&str> = spec.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let needed = if spec.name == "shell" { vec!["argv"] } else { needed };
        reader.hinted(place, format!("`{}` has no `with`", spec.name), format!("it needs {}", words::listed(&needed)));
        return;
    };
    if spec.many {
        let items = reader.list(node, &of, 50);
        if items.is_empty() && matches!(node.data, Data::List(_)) {
            reader.problem(node.place, format!("{of} is empty"));
        }
        for item in items {
            group(reader, names, spec, item, &format!("an item of {of}"));
        }
    } else {
        group(reader, names, spec, node, &of);
    }
    if spec.name == "shell" {
        shell(reader, node);
    }
}

/// What the output of a step holds, as far as the file says; empty if it has none.
pub(crate) fn outputs(spec: &ActionSpec, with: Option<&Node>) -> Vec<String> {
    let extract = with.and_then(|with| with.field("extract")).map(|extract| &extract.data);
    if let Some(Data::Map(entries)) = extract {
        return entries.iter().map(|(key, _)| key.name.clone()).collect();
    }
    let fields: &[&str] = match spec.name {
        "http" => &["status", "json", "text"],
        "shell" => &["exit", "stdout", "json"],
        "ask" => &["answer", "by"],
        _ => &[],
    };
    fields.iter().map(|field| (*field).to_owned()).collect()
}

/// Checks names with expressions, as in `extract`.
pub(crate) fn expressions<'n>(
    reader: &mut Reader<'_>,
    names: &Names,
    entries: impl IntoIterator<Item = (Option<Place>, &'n str, &'n Node)>,
) {
    for (place, name, value) in entries {
        if !is_name(name) {
            let hint = "use lower-case letters, digits and `_`, beginning with a letter";
            reader.hinted(place, format!("`{}` cannot be the name of an output", shown(name)), hint);
        }
        if let Some(text) = reader.text(value, &format!("`{}`", shown(name))) {
            condition(reader, names, &text);
        }
    }
}

fn group(reader: &mut Reader<'_>, names: &Names, spec: &ActionSpec, node: &Node, of: &str) {
    let known: Vec<&str> = spec.fields.iter().map(|field| field.name).collect();
    if reader.keys(node, of, &known).is_none() {
        return;
    }
    for field in spec.fields {
        match node.field(field.name) {
            Some(value) => one(reader, names, field.kind, value, &format!("`{}`", field.name)),
            None if field.required => {
                reader.hinted(node.place, format!("{of} has no `{}`", field.name), field.help);
            }
            None => {}
        }
    }
}

fn one(reader: &mut Reader<'_>, names: &Names, kind: Kind, node: &Node, of: &str) {
    match kind {
        Kind::Text => {
            if let Some(text) = reader.text(node, of) {
                template(reader, names, &text.value, node.place);
                if of == "`url`" && !template::is_template(&text.value) && !is_web(&text.value) {
                    let what = format!("`{}` is not an address", shown(&text.value));
                    reader.hinted(node.place, what, "begin it with `http://` or `https://`");
                }
            }
        }
        Kind::Word(known) => {
            let known: Vec<(&str, ())> = known.iter().map(|word| (*word, ())).collect();
            reader.word(node, of, &known);
        }
        Kind::Duration => {
            if node.text().is_some_and(template::is_template) {
                template(reader, names, node.text().unwrap_or_default(), node.place);
            } else {
                reader.length(node, of, &duration_range());
            }
        }
        Kind::Texts => {
            for item in reader.list(node, of, 100) {
                scalar(reader, names, item, &format!("an item of {of}"));
            }
        }
        Kind::Script => {
            if let Some(text) = reader.text(node, of)
                && template::is_template(&text.value)
            {
                let hint = "give the value a name under `env` and write `\"$NAME\"` in the script";
                reader.hinted(node.place, "a template cannot stand in a script: a value could become a command", hint);
            }
        }
        Kind::Values => {
            for (key, value) in format::entries(reader, node, of) {
                value_of(reader, names, &key.name, &value, of);
            }
        }
        Kind::Integers => {
            for item in reader.list(node, of, 100) {
                reader.integer(item, &format!("an item of {of}"), 0..=999);
            }
        }
        Kind::Data => data(reader, names, node),
        Kind::Condition => {
            if let Some(text) = reader.text(node, of) {
                condition(reader, names, &text);
            }
        }
        Kind::Reason => {
            reader.name(node, "a reason");
        }
        Kind::Extract(places) => {
            let entries = format::entries(reader, node, of);
            let names = places.iter().fold(names.clone(), |names, place| names.with(place, &[]));
            expressions(reader, &names, entries.iter().map(|(key, value)| (key.place, key.name.as_str(), value)));
        }
        Kind::Approvers => {
            format::approvers(reader, node);
        }
    }
}

/// A header or environment variable: a plain value, a template, or a reference to a secret.
fn value_of(reader: &mut Reader<'_>, names: &Names, key: &str, node: &Node, of: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (of == "`headers`" && byte == b'-');
    if key.is_empty() || key.len() > 100 || !key.bytes().all(plain) {
        reader.problem(node.place, format!("`{}` cannot be a name in {of}", shown(key)));
    }
    if let Data::Map(_) = node.data {
        if reader.keys(node, &format!("`{}`", shown(key)), &["secret"]).is_some()
            && let Some(name) =
                reader.required(node, &format!("`{}`", shown(key)), "secret", "write `{ secret: name }`")
        {
            reader.name(name, "the name of a secret");
        }
        return;
    }
    scalar(reader, names, node, &format!("`{}`", shown(key)));
}

fn scalar(reader: &mut Reader<'_>, names: &Names, node: &Node, of: &str) {
    match &node.data {
        Data::Text(text) => template(reader, names, text, node.place),
        Data::Integer(_) | Data::Float(_) | Data::Boolean(_) => {}
        Data::Null | Data::List(_) | Data::Map(_) => {
            reader.problem(node.place, format!("{of} must be text, not {}", node.sort()));
        }
    }
}

fn data(reader: &mut Reader<'_>, names: &Names, node: &Node) {
    match &node.data {
        Data::Text(text) => template(reader, names, text, node.place),
        Data::List(items) => items.iter().for_each(|item| data(reader, names, item)),
        // As everywhere a secret is named: by the file, never by a value.
        Data::Map(fields) if fields.len() == 1 && fields[0].0.name == "secret" && fields[0].1.text().is_some() => {
            reader.name(&fields[0].1, "the name of a secret");
        }
        Data::Map(fields) => fields.iter().for_each(|(_, value)| data(reader, names, value)),
        Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) => {}
    }
}

fn is_web(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// One of `argv` and `script`; no value decides which program runs, and none becomes the text of one.
fn shell(reader: &mut Reader<'_>, node: &Node) {
    let (argv, script) = (node.field("argv"), node.field("script"));
    if argv.is_some() == script.is_some() {
        let what = if argv.is_some() { "`shell` has both `argv` and `script`" } else { "`shell` has nothing to run" };
        reader.hinted(node.place, what, "give either `argv: [program, argument]` or `script: …`");
    }
    let Some(Node { data: Data::List(items), place }) = argv else { return };
    let Some(program) = items.first() else {
        reader.problem(*place, "`argv` is empty");
        return;
    };
    let text = program.text().unwrap_or_default();
    if template::is_template(text) {
        reader.problem(program.place, "a value cannot choose the program that runs");
    }
    let base = text.rsplit('/').next().unwrap_or_default();
    let interpreters = [
        "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "env", "eval", "python3", "python", "perl", "ruby",
        "node",
    ];
    if interpreters.contains(&base) {
        for pair in items.windows(2) {
            let flag = pair[0].text().unwrap_or_default();
            let code = pair[1].text().unwrap_or_default();
            if flag.starts_with('-') && flag.ends_with(['c', 'e']) && template::is_template(code) {
                let hint = "use `script` with `env`, or pass the value as an argument of its own";
                reader.hinted(pair[1].place, format!("a template cannot stand in the text that `{base}` runs"), hint);
            }
        }
    }
}

/// Whether a name may be given to an input or output.
pub(crate) fn reserved(name: &str) -> bool {
    const WORDS: [&str; 26] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
        "this",
        "list",
        "map",
        "optional",
        "raw",
        "log",
    ];
    ROOTS.iter().any(|root| root.name == name)
        || super::scope::PLACES.contains(&name)
        || template::HELPERS.contains(&name)
        || FUNCTIONS.contains(&name)
        || WORDS.contains(&name)
}

/// The value of a `const` or `default`, read as a given text would be.
pub(crate) fn typed(kind: &super::plan::InputKind, node: &Node) -> Result<serde_json::Value, String> {
    let text = match &node.data {
        Data::Text(text) => text.clone(),
        Data::Boolean(truth) => truth.to_string(),
        Data::Integer(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Null | Data::List(_) | Data::Map(_) => return Err(format!("give a plain value, not {}", node.sort())),
    };
    inputs::read(kind, &text)
}
