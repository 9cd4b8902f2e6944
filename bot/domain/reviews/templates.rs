//! The templates of a review: those that the program brings, and others in their place.
//!
//! They are strict: a name that a review does not have is an error of the check, not an empty place. What they write is
//! escaped for Markdown unless a helper does so itself.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason, TemplateError};
use serde_json::Value;

use super::{
    document::Document,
    facts::Facts,
    lint::{self, Finding},
    markdown, sample,
};
use crate::domain::{diagnostic::Diagnostic, runbooks::words};

/// Where somebody finds what the parts of a review are called.
const EXAMPLES: &str = "`templates/review/` of Firewarden's sources shows what each section has";
/// The longest template, in bytes.
pub const LONGEST: usize = 64 * 1024;

macro_rules! templates {
    ($($name:literal),*) => {
        /// Every template by its name, with the text that the program brings.
        const EMBEDDED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../templates/review/", $name, ".hbs")))),*];
    };
}

templates!(
    "review",
    "header",
    "summary",
    "impact",
    "times",
    "detection",
    "changes",
    "response",
    "automation",
    "resolution",
    "timeline",
    "factors",
    "lessons",
    "items",
    "related",
    "communications",
    "quality",
    "material"
);

/// The names of the templates: a file of a configured folder replaces one, as `summary.hbs`.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

/// A set of templates, ready to render.
#[derive(Clone)]
pub struct Templates {
    registry: Arc<Handlebars<'static>>,
    files: Arc<BTreeMap<String, PathBuf>>,
}

impl Default for Templates {
    /// The templates that the program brings.
    fn default() -> Self {
        static OURS: LazyLock<Templates> = LazyLock::new(|| Templates::compiled(&BTreeMap::new()).0);
        OURS.clone()
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Templates {
    /// The templates that the program brings, with these in place of some, each with the file that it comes from.
    ///
    /// # Errors
    /// Every problem with its file and line: names that are no template, templates that cannot be read, that name what a
    /// review does not have, or whose review the lint refuses. They are tried on the record of a made-up incident.
    pub fn with(others: &[(PathBuf, String)]) -> Result<Self, Vec<Diagnostic>> {
        let mut texts = BTreeMap::new();
        let mut problems = Vec::new();
        for (file, text) in others {
            let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if !names().any(|known| known == name) {
                let known: Vec<&str> = names().collect();
                let problem = Diagnostic::new(file, format!("`{name}` is no template of a review"));
                problems.push(problem.hint(format!("the templates are `{}`", known.join("`, `"))));
            } else if text.len() > LONGEST {
                let what = format!("it is {} bytes long, the most is {LONGEST}", text.len());
                problems.push(Diagnostic::new(file, what));
            } else {
                texts.insert(name.to_owned(), (file.clone(), text.clone()));
            }
        }
        let (templates, unread) = Self::compiled(&texts);
        problems.extend(unread);
        if problems.is_empty() && !texts.is_empty() {
            problems.extend(templates.tried());
        }
        if problems.is_empty() { Ok(templates) } else { Err(problems) }
    }

    /// The review of these facts, as Markdown. The same facts give the same bytes.
    ///
    /// # Errors
    /// When a template names what the review does not have, with its file and line.
    pub fn render(&self, document: &Document) -> Result<String, Diagnostic> {
        let written = self.registry.render("review", document).map_err(|error| {
            let template = error.template_name.clone().unwrap_or_else(|| "review".to_owned());
            let (what, hint) = if let RenderErrorReason::MissingVariable(Some(name)) = error.reason() {
                (format!("a review has no `{name}`"), near(document, name))
            } else {
                (error.reason().to_string().replace('\n', " "), EXAMPLES.to_owned())
            };
            let diagnostic = Diagnostic::new(self.file(&template), what).hint(hint);
            match (error.line_no, error.column_no) {
                (Some(line), Some(column)) => diagnostic.at(line, column),
                (line, _) => line.map_or(diagnostic.clone(), |line| diagnostic.at(line, 1)),
            }
        })?;
        Ok(tidied(&written))
    }

    fn compiled(texts: &BTreeMap<String, (PathBuf, String)>) -> (Self, Vec<Diagnostic>) {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(markdown::text);
        registry.register_helper("code", Box::new(code));
        registry.register_helper("quote", Box::new(quote));
        registry.register_helper("sentence", Box::new(sentence));
        registry.register_helper("cite", Box::new(cite));
        registry.register_helper("known", Box::new(known));
        let mut problems = Vec::new();
        for (name, ours) in EMBEDDED {
            let (file, text) = match texts.get(*name) {
                Some((file, text)) => (file.clone(), text.as_str()),
                None => (embedded(name), *ours),
            };
            if let Err(error) = registry.register_template_string(name, text) {
                problems.push(unreadable(&file, &error));
            }
        }
        let files = texts.iter().map(|(name, (file, _))| (name.clone(), file.clone())).collect();
        (Self { registry: Arc::new(registry), files: Arc::new(files) }, problems)
    }

    /// What is wrong with the review of a made-up incident.
    fn tried(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for facts in sample::all() {
            match self.render(&Document::of(&facts)) {
                Err(problem) => problems.push(problem),
                Ok(review) => {
                    let refused = lint::lint(&review, &facts).into_iter().filter(|finding| finding.is_refused);
                    problems.extend(refused.map(|finding| self.refused(&review, &finding)));
                }
            }
        }
        problems.sort();
        problems.dedup();
        problems
    }

    /// The sections stand in the order of the templates, so the section names the file that made the line.
    fn refused(&self, review: &str, finding: &Finding) -> Diagnostic {
        let sections = review.lines().take(finding.line).filter(|line| line.starts_with("## ")).count();
        let made = EMBEDDED.get(sections).and_then(|(name, _)| self.files.get(*name));
        let file = made.or(self.files.values().next()).cloned().unwrap_or_default();
        Diagnostic::new(file, format!("the review of a made-up incident is refused, {finding}"))
            .hint("write `{{cite cites}}` after each statement, and what is for people in a block with `>`")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.get(name).cloned().unwrap_or_else(|| embedded(name))
    }
}

/// A draft with what the lint found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// What it says, section by section.
    pub document: Document,
    /// The same as Markdown.
    pub markdown: String,
    /// What people should look at; nothing that the review would be refused for.
    pub warnings: Vec<Finding>,
}

/// Why there is no draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDraft {
    /// A template is wrong.
    Template(Diagnostic),
    /// The lint refuses what the templates made.
    Refused(Vec<Finding>),
}

/// Drafts the review. The same facts and templates give the same bytes.
///
/// # Errors
/// When a template is wrong, or when the lint refuses what it made: never with the templates that the program brings.
pub fn draft(facts: &Facts, templates: &Templates) -> Result<Review, NoDraft> {
    let document = Document::of(facts);
    let markdown = templates.render(&document).map_err(NoDraft::Template)?;
    let (refused, warnings): (Vec<Finding>, Vec<Finding>) =
        lint::lint(&markdown, facts).into_iter().partition(|finding| finding.is_refused);
    if refused.is_empty() { Ok(Review { document, markdown, warnings }) } else { Err(NoDraft::Refused(refused)) }
}

/// What a review has by nearly this name.
fn near(document: &Document, name: &str) -> String {
    let (parents, field) = name.rsplit_once('.').unwrap_or(("", name));
    let whole = serde_json::to_value(document).unwrap_or_default();
    let parent = parents.split('.').filter(|part| !part.is_empty()).try_fold(&whole, |value, part| value.get(part));
    let Some(Value::Object(fields)) = parent else { return EXAMPLES.to_owned() };
    let full = |field: &str| if parents.is_empty() { field.to_owned() } else { format!("{parents}.{field}") };
    match words::nearest(field, fields.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{}`?", full(near)),
        None => format!("there is `{}`", fields.keys().map(|field| full(field)).collect::<Vec<_>>().join("`, `")),
    }
}

fn embedded(name: &str) -> PathBuf {
    PathBuf::from(format!("templates/review/{name}.hbs"))
}

fn unreadable(file: &Path, error: &TemplateError) -> Diagnostic {
    let problem = Diagnostic::new(file, format!("the template cannot be read: {}", error.reason()))
        .hint("close each `{{` with `}}`, and each block such as `{{#if x}}` with its `{{/if}}`");
    error.pos().map_or(problem.clone(), |(line, column)| problem.at(line, column))
}

/// Without spaces at the ends of lines, and with at most one empty line in a row.
fn tidied(written: &str) -> String {
    let mut tidy = String::with_capacity(written.len());
    let mut was_empty = true;
    for line in written.lines().map(str::trim_end) {
        if !(line.is_empty() && was_empty) {
            tidy.push_str(line);
            tidy.push('\n');
        }
        was_empty = line.is_empty();
    }
    format!("{}\n", tidy.trim_end())
}

fn text_of(helper: &Helper<'_>) -> String {
    match helper.param(0).map(handlebars::PathAndJson::value) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "unknown".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn cited(cites: &Value) -> String {
    let cites = cites.as_array().map(Vec::as_slice).unwrap_or_default();
    cites.iter().filter_map(Value::as_str).map(|cite| format!("[{cite}]")).collect::<Vec<_>>().join(" ")
}

macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident = $written:expr;)*) => {
        $($(#[$doc])*
        fn $name(
            helper: &Helper<'_>,
            _: &Handlebars<'_>,
            _: &Context,
            _: &mut RenderContext<'_, '_>,
            out: &mut dyn Output,
        ) -> HelperResult {
            let written: fn(&Helper<'_>) -> String = $written;
            out.write(&written(helper))?;
            Ok(())
        })*
    };
}

helpers! {
    /// `{{code value}}`: a value, set as code.
    code = |helper| markdown::code(&text_of(helper));
    /// `{{quote words}}`: what somebody wrote, in quotation marks.
    quote = |helper| markdown::quote(&text_of(helper));
    /// `{{sentence text}}`: a sentence of the timeline, its values as code.
    sentence = |helper| markdown::sentence(&text_of(helper));
    /// `{{cite cites}}`: the entries that a statement comes from.
    cite = |helper| helper.param(0).map(|cites| cited(cites.value())).unwrap_or_default();
    /// `{{known value}}`: a value with its entries, or `unknown`.
    known = |helper| match helper.param(0).map(handlebars::PathAndJson::value) {
        Some(Value::Object(known)) => {
            let text = |name| known.get(name).and_then(Value::as_str);
            let by = text("by").map(|by| format!(" by {}", markdown::code(by))).unwrap_or_default();
            let cites = known.get("cites").map(cited).unwrap_or_default();
            format!("{}{by} {cites}", markdown::code(text("value").unwrap_or_default()))
        }
        _ => "unknown".to_owned(),
    };
}
