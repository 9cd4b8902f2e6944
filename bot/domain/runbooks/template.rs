//! Templates render values as data: what a value contains is never read as a template, a path or a program.
//!
//! A text that is one expression gives the value itself, so a number stays a number. Everything else gives text, from
//! handlebars in strict mode without partials and without escaping. Input and output are bounded.

use std::{io, sync::OnceLock};

use handlebars::{
    Handlebars, Path, Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;

use crate::domain::runbooks::scope::Scope;

/// The longest template, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// The most bytes that all texts of one rendered tree may hold.
pub const MOST_OUTPUT: usize = 64 * 1024;

/// The block helpers and functions that templates know.
pub const HELPERS: [&str; 15] =
    ["if", "unless", "each", "with", "lookup", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

/// Why a template could not be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct RenderError {
    /// What is wrong, as a sentence without a period.
    pub what: String,
}

impl RenderError {
    /// The error with this sentence.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// Whether the text holds a template expression.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// Renders every text of a tree; keys stay as they are.
pub fn render(tree: &Value, scope: &Scope) -> Result<Value, RenderError> {
    let mut left = MOST_OUTPUT;
    render_within(tree, scope, &mut left)
}

/// Renders a template to text; a value that is neither text, number nor boolean is refused.
pub fn render_text(text: &str, scope: &Scope) -> Result<String, RenderError> {
    match render_one(text, scope)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        value @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(RenderError::new(format!("`{}` is {}, not text", shown(text), sort(&value))))
        }
    }
}

/// Reads a template without values and lists what it reads from the scope.
///
/// Names inside `{{#each}}` and `{{#with}}` belong to the items and are left out.
pub fn variables(text: &str) -> Result<Vec<Vec<String>>, RenderError> {
    if !is_template(text) {
        return Ok(Vec::new());
    }
    if let Some(path) = only_path(text) {
        return Ok(vec![path.split('.').map(str::to_owned).collect()]);
    }
    let template = compile(text)?;
    let mut found = Vec::new();
    walk(&template, &Depth { blocks: 0, loops: 0, items: false }, &mut found)?;
    Ok(found)
}

/// Whether the text is one expression that names a value, and nothing else.
pub fn is_path(text: &str) -> bool {
    only_path(text).is_some()
}

/// Whether the text holds nothing but words and values: nothing that looks at a value, or repeats.
///
/// # Errors
/// It is not a template.
pub fn is_plain(text: &str) -> Result<bool, RenderError> {
    if only_path(text).is_some() {
        return Ok(true);
    }
    let plain =
        |element: &TemplateElement| matches!(element, TemplateElement::RawString(_)) || plain_path(element).is_some();
    Ok(compile(text)?.elements.iter().all(plain))
}

fn render_within(tree: &Value, scope: &Scope, left: &mut usize) -> Result<Value, RenderError> {
    Ok(match tree {
        Value::String(text) => {
            let value = render_one(text, scope)?;
            let size = match &value {
                Value::String(text) => text.len(),
                Value::Null | Value::Bool(_) | Value::Number(_) => 16,
                Value::Array(_) | Value::Object(_) => value.to_string().len(),
            };
            *left = left.checked_sub(size).ok_or_else(too_much)?;
            value
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| render_within(item, scope, left)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), render_within(value, scope, left)?)))
                .collect::<Result<_, RenderError>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => tree.clone(),
    })
}

fn render_one(text: &str, scope: &Scope) -> Result<Value, RenderError> {
    if !is_template(text) {
        return Ok(Value::from(text));
    }
    if let Some(path) = only_path(text) {
        return scope.at(path).cloned().ok_or_else(|| RenderError::new(format!("`{path}` is not known")));
    }
    let template = compile(text)?;
    walk(&template, &Depth { blocks: 0, loops: 0, items: false }, &mut Vec::new())?;
    for element in &template.elements {
        if let Some(path) = plain_path(element) {
            match scope.at(&path) {
                None => return Err(RenderError::new(format!("`{path}` is not known"))),
                Some(value @ (Value::Null | Value::Array(_) | Value::Object(_))) => {
                    return Err(RenderError::new(format!("`{path}` is {}, not text", sort(value))));
                }
                Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => {}
            }
        }
    }
    let mut output = Bounded(Vec::new());
    match registry().render_template_to_write(text, scope.values(), &mut output) {
        Ok(()) => {
            let text = String::from_utf8(output.0).map_err(|_| RenderError::new("the rendered text is not UTF-8"))?;
            Ok(Value::String(text))
        }
        Err(_) if output.0.len() > MOST_OUTPUT => Err(too_much()),
        Err(error) => {
            Err(RenderError::new(if let handlebars::RenderErrorReason::MissingVariable(Some(path)) = error.reason() {
                format!("`{path}` is not known")
            } else {
                format!("`{}` cannot be rendered: {}", shown(text), error.reason())
            }))
        }
    }
}

/// The path, if the whole text is one expression such as `{{ live.version }}`.
fn only_path(text: &str) -> Option<&str> {
    let path = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let reserved = |part: &str| HELPERS.contains(&part) || ["this", "else", "true", "false", "null"].contains(&part);
    let starts = path.bytes().next()?.is_ascii_alphabetic() || path.starts_with('_');
    let first = path.split('.').next()?;
    (starts && !reserved(first) && path.split('.').all(plain)).then_some(path)
}

fn compile(text: &str) -> Result<Template, RenderError> {
    if text.len() > LONGEST {
        return Err(RenderError::new(format!("a template is longer than {LONGEST} bytes")));
    }
    // The parser calls itself for each bracket and each block, so their depth is bounded before it starts.
    let opened = text.bytes().fold((0_usize, 0_usize), |(depth, most), byte| {
        let depth = match byte {
            b'(' | b'[' => depth + 1,
            b')' | b']' => depth.saturating_sub(1),
            _ => depth,
        };
        (depth, most.max(depth))
    });
    if opened.1 > 8 || text.matches("{{#").count() > 16 || longest_run(text, b'{') > 3 {
        return Err(RenderError::new(format!("`{}` is nested too deeply for a template", shown(text))));
    }
    Template::compile(text).map_err(|error| {
        let reason = error.reason().to_string();
        let reason = reason.lines().find(|line| line.contains("opened")).unwrap_or("it is not a handlebars expression");
        RenderError::new(format!("`{}` cannot be read as a template: {reason}", shown(text)))
    })
}

fn longest_run(text: &str, wanted: u8) -> usize {
    let (_, most) = text.bytes().fold((0, 0), |(run, most), byte| {
        let run = if byte == wanted { run + 1 } else { 0 };
        (run, most.max(run))
    });
    most
}

#[derive(Clone, Copy)]
struct Depth {
    blocks: usize,
    loops: usize,
    items: bool,
}

fn walk(template: &Template, depth: &Depth, found: &mut Vec<Vec<String>>) -> Result<(), RenderError> {
    if depth.blocks > 8 {
        return Err(RenderError::new("blocks of a template are nested more than 8 deep"));
    }
    for element in &template.elements {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::HtmlExpression(helper) | TemplateElement::Expression(helper) => {
                expression(helper, depth, found)?;
            }
            TemplateElement::HelperBlock(helper) => block(helper, depth, found)?,
            TemplateElement::DecoratorExpression(_)
            | TemplateElement::DecoratorBlock(_)
            | TemplateElement::PartialExpression(_)
            | TemplateElement::PartialBlock(_)
            | _ => {
                return Err(RenderError::new("partials and decorators are not part of a runbook's templates"));
            }
        }
    }
    Ok(())
}

fn expression(helper: &HelperTemplate, depth: &Depth, found: &mut Vec<Vec<String>>) -> Result<(), RenderError> {
    if helper.params.is_empty() && helper.hash.is_empty() {
        return parameter(&helper.name, depth, found);
    }
    known_helper(&helper.name)?;
    for given in helper.params.iter().chain(helper.hash.values()) {
        parameter(given, depth, found)?;
    }
    Ok(())
}

fn block(helper: &HelperTemplate, depth: &Depth, found: &mut Vec<Vec<String>>) -> Result<(), RenderError> {
    let name = known_helper(&helper.name)?;
    for given in helper.params.iter().chain(helper.hash.values()) {
        parameter(given, depth, found)?;
    }
    let loops = depth.loops + usize::from(name == "each");
    if loops > 1 {
        return Err(RenderError::new("`{{#each}}` cannot stand inside another `{{#each}}`"));
    }
    let items = depth.items || matches!(name.as_str(), "each" | "with");
    let inner = Depth { blocks: depth.blocks + 1, loops, items };
    if let Some(template) = &helper.template {
        walk(template, &inner, found)?;
    }
    if let Some(template) = &helper.inverse {
        walk(template, &Depth { blocks: depth.blocks + 1, ..*depth }, found)?;
    }
    Ok(())
}

fn known_helper(name: &Parameter) -> Result<String, RenderError> {
    let name = name.as_name().unwrap_or_default();
    if HELPERS.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(RenderError::new(format!("`{}` is not something that a template can do", shown(name))))
}

fn parameter(given: &Parameter, depth: &Depth, found: &mut Vec<Vec<String>>) -> Result<(), RenderError> {
    match given {
        Parameter::Subexpression(inner) => {
            if let TemplateElement::Expression(helper) = inner.as_element() {
                expression(helper, depth, found)?;
            }
            Ok(())
        }
        Parameter::Name(name) => {
            note(name, depth, found);
            Ok(())
        }
        Parameter::Path(Path::Relative((_, raw))) => {
            note(raw, depth, found);
            Ok(())
        }
        Parameter::Literal(_) | Parameter::Path(Path::Local(_)) | _ => Ok(()),
    }
}

fn note(raw: &str, depth: &Depth, found: &mut Vec<Vec<String>>) {
    let (raw, from_root) = match raw.strip_prefix("@root.").or_else(|| raw.strip_prefix("@root/")) {
        Some(rest) => (rest, true),
        None => (raw, false),
    };
    if (depth.items && !from_root) || raw.starts_with("..") || raw == "this" || HELPERS.contains(&raw) {
        return;
    }
    let raw = raw.strip_prefix("this.").or_else(|| raw.strip_prefix("./")).unwrap_or(raw);
    found.push(raw.split(['.', '/']).map(|part| part.trim_matches(['[', ']']).to_owned()).collect());
}

/// The path of an expression that stands alone at the top of a template.
fn plain_path(element: &TemplateElement) -> Option<String> {
    let (TemplateElement::Expression(helper) | TemplateElement::HtmlExpression(helper)) = element else { return None };
    if !helper.params.is_empty() || !helper.hash.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    parameter(&helper.name, &Depth { blocks: 0, loops: 0, items: false }, &mut found).ok()?;
    found.pop().map(|path| path.join("."))
}

fn registry() -> &'static Handlebars<'static> {
    static REGISTRY: OnceLock<Handlebars<'static>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        registry.unregister_helper("log");
        registry.unregister_helper("raw");
        registry
    })
}

fn too_much() -> RenderError {
    RenderError::new(format!("the rendered text is longer than {MOST_OUTPUT} bytes"))
}

/// What sort of value it is, for a sentence.
pub(crate) fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a group of values",
    }
}

fn shown(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    if short.len() < text.trim().len() { format!("{short}…") } else { short }
}

/// Takes bytes until they are too many.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > MOST_OUTPUT {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        if self.0.len() > MOST_OUTPUT { Err(io::Error::other("too long")) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        Scope::new()
            .with("live", json!({"version": "v42", "replicas": 3, "tags": ["a", "b"], "none": null}))
            .with("evil", "$(reboot) {{ live.version }} \"'; <b>")
    }

    #[test]
    fn one_expression_gives_the_value_itself() {
        let tree =
            json!({"n": "{{ live.replicas }}", "all": ["{{live}}"], "text": "at {{ live.version }}", "plain": 7});
        let rendered = render(&tree, &scope()).unwrap();
        assert_eq!(rendered["n"], json!(3));
        assert_eq!(rendered["all"][0]["version"], json!("v42"));
        assert_eq!(rendered["text"], json!("at v42"));
        assert_eq!(rendered["plain"], json!(7));
    }

    #[test]
    fn a_value_is_never_read_as_a_template_nor_escaped() {
        let evil = scope().at("evil").unwrap().clone();
        assert_eq!(render(&json!("{{ evil }}"), &scope()).unwrap(), evil);
        assert_eq!(render_text("<{{ evil }}>", &scope()).unwrap(), format!("<{}>", evil.as_str().unwrap()));
    }

    #[test]
    fn what_is_unknown_stays_an_error() {
        for (text, what) in [
            ("{{ live.gone }}", "`live.gone` is not known"),
            ("a {{ gone }}", "`gone` is not known"),
            ("a {{ live.none }}", "`live.none` is nothing, not text"),
            ("a {{ live }}", "`live` is a group of values, not text"),
            ("{{> other}}", "partials and decorators are not part of a runbook's templates"),
            ("a {{ shout live }}", "`shout` is not something that a template can do"),
        ] {
            assert_eq!(render_text(text, &scope()).unwrap_err().what, what, "{text}");
        }
    }

    #[test]
    fn output_is_bounded() {
        let big = Scope::new().with("a", "x".repeat(40_000)).with("l", vec!["y".repeat(100); 2_000]);
        for text in ["{{ a }}{{ a }}", "{{#each l}}{{ this }}{{/each}}"] {
            assert!(render_text(text, &big).unwrap_err().what.contains("longer than 65536"), "{text}");
        }
        assert!(render(&json!(["{{ a }}", "{{ a }}"]), &big).is_err());
    }

    #[test]
    fn variables_are_those_of_the_scope() {
        let found =
            variables("{{ a.b }} {{#each hosts}}{{ name }} {{ @root.c }}{{/each}}{{#if (eq d 1)}}{{ e }}{{/if}}");
        let found: Vec<String> = found.unwrap().iter().map(|path| path.join(".")).collect();
        assert_eq!(found, ["a.b", "hosts", "c", "d", "e"]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_renderer(text in ".{0,80}") {
            drop(render_text(&text, &scope()));
        }

        #[test]
        fn no_near_template_breaks_the_renderer(text in r#"([{}(\[#/>!~&* ]|live|each|if|else|as|\||=|"|'|\.|@|this|[a-z0-9\]\)]){0,60}"#) {
            drop(variables(&text));
            drop(render_text(&text, &scope()));
        }
    }
}
