//! Checks the fields of an action, and every template and condition, against the names that are known at that place.

mod outputs;
mod shell;

use std::collections::BTreeMap;

pub(crate) use self::outputs::outputs;
use crate::domain::{
    diagnostic::Place,
    runbooks::{
        actions::{self, ActionSpec, Kind},
        condition::{Condition, FUNCTIONS},
        duration_range, format, inputs,
        reader::{At, Reader, is_name, shown},
        scope::ROOTS,
        step_format::CallEntry,
        template, words,
        yaml::{Data, Node},
    },
};

/// The longest query, in characters: it travels in an address.
const LONGEST_QUERY: usize = 2_000;

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

    /// Whether the name is taken.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
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

/// Checks an undo or a probe, and gives its action with its fields.
///
/// One of the same family as its step (`github.…`) takes from the step what it needs and does not name itself.
pub(crate) fn call(
    reader: &mut Reader<'_>,
    names: &Names,
    call: &CallEntry,
    step: (Option<&At<String>>, Option<&Node>),
) -> Option<(&'static ActionSpec, Option<Node>)> {
    let spec = action(reader, call.action.as_ref())?;
    let family = |name: &str| name.split_once('.').map(|(family, _)| family.to_owned());
    let of_step = step.0.and_then(|action| family(&action.value));
    let with = match step.1 {
        Some(given) if of_step.is_some() && family(spec.name) == of_step => completed(spec, call, given),
        Some(_) | None => call.with.clone(),
    };
    self::with(reader, names, spec, with.as_ref(), call.place);
    Some((spec, with))
}

/// The fields of a call, with those that it needs and has not from its step.
fn completed(spec: &ActionSpec, call: &CallEntry, step: &Node) -> Option<Node> {
    let Data::Map(given) = &step.data else { return call.with.clone() };
    let mut with = call.with.clone().unwrap_or(Node { data: Data::Map(Vec::new()), place: call.place });
    let Data::Map(fields) = &mut with.data else { return Some(with) };
    for field in spec.fields.iter().filter(|field| field.required) {
        if !fields.iter().any(|(key, _)| key.name == field.name) {
            fields.extend(given.iter().find(|(key, _)| key.name == field.name).cloned());
        }
    }
    Some(with)
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
        if needed.is_empty() {
            return;
        }
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
        shell::check(reader, node);
    }
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
        Kind::Integer => match node.text() {
            Some(text) if template::is_template(text) => template(reader, names, text, node.place),
            Some(_) | None => drop(reader.integer(node, of, i64::MIN..=i64::MAX)),
        },
        Kind::Number if node.text().is_some_and(template::is_template) => {
            template(reader, names, node.text().unwrap_or_default(), node.place);
        }
        Kind::Number => {
            reader.integer(node, of, 1..=i64::MAX);
        }
        Kind::Commit => shaped(reader, names, node, (of, actions::is_commit, "write all of its 40 digits")),
        Kind::Repository => shaped(reader, names, node, (of, actions::is_repository, "write it as `owner/name`")),
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
        Kind::Length => {
            reader.length(node, of, &duration_range());
        }
        Kind::Query => query(reader, names, node, of),
        Kind::Traffic => {
            if reader.keys(node, of, &["query", "min"]).is_none() {
                return;
            }
            if let Some(node) = reader.required(node, of, "query", "say what counts the traffic") {
                query(reader, names, node, "`query`");
            }
            if let Some(node) = reader.required(node, of, "min", "say below which traffic nothing can be told") {
                reader.number(node, "`min`", 0.0..=1e15);
            }
        }
        Kind::ConditionOver(over) => {
            if let Some(text) = reader.text(node, of) {
                condition(reader, &over.iter().fold(names.clone(), |names, name| names.with(name, &[])), &text);
            }
        }
    }
}

/// A query may be longer than a line, and is a template.
fn query(reader: &mut Reader<'_>, names: &Names, node: &Node, of: &str) {
    if let Some(text) = reader.text(node, of) {
        if text.value.chars().count() > LONGEST_QUERY {
            reader.problem(node.place, format!("{of} is longer than {LONGEST_QUERY} characters"));
        }
        if text.value.contains("{{#") || text.value.contains("{{~#") {
            reader.hinted(node.place, "a query reads plain values only", "take the block out: `{{ service }}`");
        }
        template(reader, names, &text.value, node.place);
    }
}

/// A text of a certain shape, as far as it is no template.
fn shaped(reader: &mut Reader<'_>, names: &Names, node: &Node, (of, is_right, hint): (&str, fn(&str) -> bool, &str)) {
    let Some(text) = reader.text(node, of) else { return };
    template(reader, names, &text.value, node.place);
    if !template::is_template(&text.value) && !is_right(&text.value) {
        reader.hinted(node.place, format!("`{}` cannot be {of}", shown(&text.value)), hint);
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
