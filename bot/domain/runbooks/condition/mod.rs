//! Conditions in CEL: a missing value is an error, never false, and no text or value can make one run long.
//!
//! Size, nesting and loops are bounded before the evaluator starts. It is kept from taking the program down: should
//! it panic, that is an error of the condition. The hand-written parser is used because the generated one takes 90 KiB
//! of stack for each bracket.

mod facts;

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use cel::{
    Context, Env, IdedExpr, Value as Cel,
    common::ast::{CallExpr, Expr},
    objects::Key,
    parser::PrattParser,
};
use serde_json::Value;

use self::facts::Facts;
use crate::domain::runbooks::{scope::Scope, template::sort};

/// The longest condition, in characters.
pub const LONGEST: usize = 1_000;

/// The most items that the loops of one evaluation may look at: conditions are evaluated inside the writer's
/// transaction, which everybody else waits for. Measured without optimization, 100,000 items take 0.25 s.
pub const MOST_ITEMS: usize = 100_000;
/// The same if `matches` stands in a loop: it compiles its pattern for each item.
pub const MOST_MATCHES: usize = 1_000;

/// The most bytes that a pattern of `matches` may take once it is compiled.
const MOST_PATTERN: usize = 32 * 1024;
/// The most bytes that an expression may give, with 16 for each value: nested loops multiply what they repeat.
const MOST_GIVEN: usize = 1024 * 1024;

const MOST_SIGNS: usize = 80;
const MOST_LEVELS: usize = 24;
const DEEPEST: usize = 12;
const MOST_LOOPS: usize = 4;
const MOST_SUMS: usize = 16;

/// The functions that conditions know, beside operators and the loops `all`, `exists`, `exists_one`, `map`, `filter`.
pub const FUNCTIONS: [&str; 30] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "dyn",
    "duration",
    "timestamp",
    "has",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "all",
    "exists",
    "map",
    "filter",
];

/// Why a condition could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Unreadable {
    /// What is wrong, as a sentence without a period.
    pub what: String,
    /// Where in the text: line and column, from 1.
    pub place: Option<(usize, usize)>,
}

/// Why a condition has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{condition}` has no answer: {why}")]
pub struct ConditionError {
    /// The text of the condition.
    pub condition: String,
    /// What stood in the way.
    pub why: String,
}

/// A condition that was read, ready to be evaluated.
#[derive(Debug)]
pub struct Condition {
    text: String,
    expression: IdedExpr,
    loops_within: usize,
    /// How many times longer than any value a list can become by sums.
    stretch: usize,
    /// The longest list that the text itself writes down.
    written: usize,
    /// What its loops read of the scope in each round.
    named_in_loops: BTreeSet<Vec<String>>,
    most: usize,
}

impl Condition {
    /// Reads a condition.
    pub fn compile(text: &str) -> Result<Self, Unreadable> {
        bounded(text)?;
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            PrattParser::new().max_recursion_depth(32).max_expression_node_count(500).parse(text)
        }));
        let expression = match parsed {
            Ok(Ok(expression)) => expression,
            Ok(Err(errors)) => return Err(unreadable(&errors)),
            Err(_) => return Err(refused("this text cannot be read as a condition")),
        };
        let mut facts = Facts::default();
        facts.read(&expression, &mut Vec::new());
        if let Some(name) = facts.functions.iter().find(|name| !FUNCTIONS.contains(&name.as_str())) {
            return Err(refused(format!("`{name}` is not a function of conditions")));
        }
        if let Some(pattern) = facts.patterns.iter().find(|pattern| !is_small(pattern)) {
            return Err(refused(format!("`{pattern}` is not a pattern, or stands for too much")));
        }
        if facts.computed_patterns {
            return Err(refused("the pattern of `matches` is written in the condition itself"));
        }
        if facts.structures {
            return Err(refused("a condition cannot build messages"));
        }
        if facts.levels > MOST_LEVELS {
            return Err(refused(format!("a condition is at most {MOST_LEVELS} operations deep")));
        }
        if facts.loops > MOST_LOOPS || facts.loops_within > 2 || facts.sums > MOST_SUMS {
            return Err(refused("a condition has at most 4 loops, 2 of them nested, and 16 sums"));
        }
        let mut expression = expression;
        measured(&mut expression);
        Ok(Self {
            text: text.to_owned(),
            expression,
            loops_within: facts.loops_within,
            stretch: facts.sums + 1,
            written: facts.written,
            named_in_loops: facts.paths_in_loops,
            most: if facts.matches_in_loop { MOST_MATCHES } else { MOST_ITEMS },
        })
    }

    /// The text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads from the scope, as paths: `live.version` is `["live", "version"]`. Each stands once.
    pub fn variables(&self) -> BTreeSet<Vec<String>> {
        let mut facts = Facts::default();
        facts.read(&self.expression, &mut Vec::new());
        facts.paths
    }

    /// Whether it holds. An answer that is neither true nor false is an error.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ConditionError> {
        match self.evaluate(scope)? {
            Value::Bool(truth) => Ok(truth),
            other @ (Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                Err(self.fails(format!("it gives {}, not true or false", sort(&other))))
            }
        }
    }

    /// The value it gives; times are RFC 3339 text and lengths of time such as `90s`.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, ConditionError> {
        if self.loops_within > 0 {
            let longest = scope.values().values().map(longest).max().unwrap_or(0).max(self.written);
            let items = longest.saturating_mul(self.stretch);
            let rounds = items.saturating_pow(u32::try_from(self.loops_within).unwrap_or(u32::MAX));
            if rounds.saturating_mul(self.copied(scope)) > self.most {
                return Err(self.fails(format!("its loops would look at more than {} items", self.most)));
            }
        }
        let mut context = Context::with_env(environment());
        let names: BTreeSet<String> = self.variables().into_iter().filter_map(|path| path.into_iter().next()).collect();
        for name in names {
            if let Some(value) = scope.values().get(&name) {
                context.add_variable_from_value(name, to_cel(value));
            }
        }
        match catch_unwind(AssertUnwindSafe(|| context.resolve(&self.expression))) {
            Ok(Ok(value)) => to_json(&value, &mut { MOST_GIVEN }).map_err(|why| self.fails(why)),
            Ok(Err(error)) => Err(self.fails(reason(&error))),
            Err(_) => Err(self.fails("the evaluator failed".to_owned())),
        }
    }

    /// How many values each round of its innermost loop may copy: a list that is named there is copied whole.
    fn copied(&self, scope: &Scope) -> usize {
        let named = self.named_in_loops.iter().map(|path| match scope.at(&path.join(".")) {
            Some(value) => longest(value),
            None => path.first().and_then(|root| scope.values().get(root)).map_or(0, longest),
        });
        let items = scope.values().values().filter(|_| self.loops_within > 1).map(longest_item);
        named.chain(items).max().unwrap_or(0).max(1)
    }

    fn fails(&self, why: String) -> ConditionError {
        ConditionError { condition: self.text.clone(), why }
    }
}

/// Reads a condition and says whether it holds; a text that cannot be read is an error like a missing value.
pub fn holds(text: &str, scope: &Scope) -> Result<bool, ConditionError> {
    read(text)?.holds(scope)
}

/// Reads an expression and gives its value.
pub fn evaluate(text: &str, scope: &Scope) -> Result<Value, ConditionError> {
    read(text)?.evaluate(scope)
}

/// Reads what is compared with a length of time or a moment as one, for values are plain texts: so `live.age <
/// duration('2h')` means what people who write it mean. A text that is none is an error, as everything else that is missing.
fn measured(expression: &mut IdedExpr) {
    const COMPARISONS: [&str; 6] = ["_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_"];
    if let Expr::Comprehension(each) = &mut expression.expr {
        let parts = [&mut each.iter_range, &mut each.loop_cond, &mut each.loop_step, &mut each.result];
        return parts.into_iter().for_each(measured);
    }
    let Expr::Call(call) = &mut expression.expr else { return };
    call.args.iter_mut().for_each(measured);
    if !COMPARISONS.contains(&call.func_name.as_str()) {
        return;
    }
    let function = call.args.iter().find_map(|side| {
        let Expr::Call(measure) = &side.expr else { return None };
        matches!(measure.func_name.as_str(), "duration" | "timestamp").then(|| measure.func_name.clone())
    });
    let Some(function) = function else { return };
    for side in call.args.iter_mut().filter(|side| matches!(side.expr, Expr::Ident(_) | Expr::Select(_))) {
        let plain = std::mem::replace(&mut side.expr, Expr::Unspecified);
        let args = vec![IdedExpr { id: side.id, expr: plain }];
        side.expr = Expr::Call(CallExpr { func_name: function.clone(), target: None, args });
    }
}

fn read(text: &str) -> Result<Condition, ConditionError> {
    Condition::compile(text).map_err(|error| ConditionError { condition: text.to_owned(), why: error.what })
}

fn refused(what: impl Into<String>) -> Unreadable {
    Unreadable { what: what.into(), place: None }
}

fn unreadable(errors: &cel::ParseErrors) -> Unreadable {
    let Some(first) = errors.errors.first() else { return refused("this text cannot be read as a condition") };
    let line = usize::try_from(first.pos.0).ok().filter(|line| *line > 0);
    let column = usize::try_from(first.pos.1).ok();
    let said = first.msg.lines().next().unwrap_or_default();
    let said: String = said.strip_prefix("Syntax error: ").unwrap_or(said).chars().take(120).collect();
    Unreadable { what: format!("this is not a condition: {said}"), place: line.zip(column) }
}

/// Refuses what would make the parser call itself too often.
fn bounded(text: &str) -> Result<(), Unreadable> {
    if text.trim().is_empty() {
        return Err(refused("a condition cannot be empty"));
    }
    if text.chars().count() > LONGEST {
        return Err(refused(format!("a condition is at most {LONGEST} characters long")));
    }
    let (mut depth, mut deepest, mut choices) = (0_usize, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b'?' => choices += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let signs = text.bytes().filter(|byte| b".+-*/%<>=!&|?:([{,".contains(byte)).count();
    if deepest + choices > DEEPEST || signs > MOST_SIGNS {
        return Err(refused(format!(
            "a condition has at most {DEEPEST} nested brackets and choices, and {MOST_SIGNS} signs"
        )));
    }
    Ok(())
}

/// Whether it is a pattern that compiles quickly: it may be compiled for each item of a loop.
fn is_small(pattern: &str) -> bool {
    regex::RegexBuilder::new(pattern).size_limit(MOST_PATTERN).build().is_ok()
}

fn environment() -> Arc<Env> {
    static ENVIRONMENT: OnceLock<Arc<Env>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| Arc::new(Env::stdlib())).clone()
}

fn longest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
        Value::Object(fields) => fields.values().map(longest).max().unwrap_or(0).max(fields.len()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The longest list or group that is an item of a list.
fn longest_item(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).max().unwrap_or(0),
        Value::Object(fields) => fields.values().map(longest_item).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Cel::Int(number),
            (None, Some(number)) => Cel::UInt(number),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let fields: HashMap<Key, Cel> =
                fields.iter().map(|(key, value)| (Key::from(key.as_str()), to_cel(value))).collect();
            Cel::Map(fields.into())
        }
    }
}

/// `left` is how many bytes it may still give.
fn to_json(value: &Cel, left: &mut usize) -> Result<Value, String> {
    let size = if let Cel::String(text) = value { 16 + text.len() } else { 16 };
    *left = left.checked_sub(size).ok_or_else(|| format!("it gives more than {MOST_GIVEN} bytes"))?;
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(truth) => Value::Bool(*truth),
        Cel::Int(number) => Value::from(*number),
        Cel::UInt(number) => Value::from(*number),
        Cel::Float(number) => {
            Value::from(serde_json::Number::from_f64(*number).ok_or_else(|| format!("`{number}` is not a number"))?)
        }
        Cel::String(text) => Value::from(text.as_str()),
        Cel::Duration(length) => match length.to_std() {
            Ok(length) => Value::from(crate::domain::duration::compact(length)),
            Err(_) => return Err("it gives a negative length of time".to_owned()),
        },
        Cel::Timestamp(time) => Value::from(time.to_rfc3339()),
        Cel::List(items) => Value::Array(items.iter().map(|item| to_json(item, left)).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let mut fields = serde_json::Map::new();
            for (key, value) in map.map.iter() {
                let key = match key {
                    Key::Int(number) => number.to_string(),
                    Key::Uint(number) => number.to_string(),
                    Key::Bool(truth) => truth.to_string(),
                    Key::String(text) => text.to_string(),
                };
                fields.insert(key, to_json(value, left)?);
            }
            Value::Object(fields)
        }
        Cel::Bytes(_) | Cel::Function(..) | Cel::Opaque(_) | Cel::Struct(_) => {
            return Err("it gives something that is not a plain value".to_owned());
        }
    })
}

fn reason(error: &cel::ExecutionError) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the evaluator's list is open, and its sentences are readable")]
    match error {
        cel::ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known"),
        cel::ExecutionError::NoSuchKey(name) => format!("there is no `{name}`"),
        other => {
            let mut text: String = other.to_string().chars().take(200).collect();
            if let Some(first) = text.get(..1).map(str::to_lowercase) {
                text.replace_range(..1, &first);
            }
            text
        }
    }
}

#[cfg(test)]
mod tests;
