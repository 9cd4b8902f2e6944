//! What a condition is made of, read off its expression before it is ever evaluated.

use std::collections::BTreeSet;

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue},
};

/// Names of types, which stand for themselves and are not read from the scope.
const TYPES: [&str; 12] =
    ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type", "dyn", "optional"];

/// How large an expression is, what it calls, and what it reads.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) paths: BTreeSet<Vec<String>>,
    pub(super) paths_in_loops: BTreeSet<Vec<String>>,
    pub(super) functions: BTreeSet<String>,
    pub(super) loops: usize,
    pub(super) loops_within: usize,
    pub(super) sums: usize,
    pub(super) written: usize,
    pub(super) matches_in_loop: bool,
    pub(super) patterns: Vec<String>,
    pub(super) computed_patterns: bool,
    pub(super) structures: bool,
    level: usize,
    pub(super) levels: usize,
}

impl Facts {
    /// `bound` are the names of the loops around this place.
    pub(super) fn read(&mut self, expression: &IdedExpr, bound: &mut Vec<String>) {
        self.level += 1;
        self.levels = self.levels.max(self.level);
        self.read_inside(expression, bound);
        self.level -= 1;
    }

    fn read_inside(&mut self, expression: &IdedExpr, bound: &mut Vec<String>) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.path(vec![name.clone()], bound),
            Expr::Select(select) => {
                let (mut path, mut operand) = (vec![select.field.clone()], &select.operand.expr);
                while let Expr::Select(inner) = operand {
                    self.levels = self.levels.max(self.level + path.len());
                    path.push(inner.field.clone());
                    operand = &inner.operand.expr;
                }
                if let Expr::Ident(name) = operand {
                    path.push(name.clone());
                    path.reverse();
                    self.path(path, bound);
                } else {
                    self.read(&select.operand, bound);
                }
            }
            Expr::Call(call) => {
                if call.func_name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
                    self.functions.insert(call.func_name.clone());
                }
                self.sums += usize::from(call.func_name == "_+_");
                if call.func_name == "matches" {
                    self.matches_in_loop |= !bound.is_empty();
                    match call.args.last().map(|pattern| &pattern.expr) {
                        Some(Expr::Literal(LiteralValue::String(text))) => self.patterns.push(text.inner().to_owned()),
                        _ => self.computed_patterns = true,
                    }
                }
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.read(part, bound);
                }
            }
            Expr::List(list) => {
                self.written = self.written.max(list.elements.len());
                list.elements.iter().for_each(|element| self.read(element, bound));
            }
            Expr::Map(map) => {
                self.written = self.written.max(map.entries.len());
                self.entries(map.entries.iter().map(|entry| &entry.expr), bound);
            }
            Expr::Struct(message) => {
                self.structures = true;
                self.entries(message.entries.iter().map(|entry| &entry.expr), bound);
            }
            Expr::Comprehension(each) => {
                // A list that a loop goes over is copied as often as it is gone over, which is counted with its items.
                let before = self.paths_in_loops.clone();
                self.read(&each.iter_range, bound);
                if matches!(each.iter_range.expr, Expr::Ident(_) | Expr::Select(_)) {
                    self.paths_in_loops = before;
                }
                self.loops += 1;
                let before = bound.len();
                bound.push(each.iter_var.clone());
                bound.extend(each.iter_var2.clone());
                bound.push(each.accu_var.clone());
                let within = bound.iter().filter(|name| name.starts_with('@') || **name == each.accu_var).count();
                self.loops_within = self.loops_within.max(within);
                // `map` and `filter` are written with a sum of their own for each item.
                let sums = self.sums;
                for part in [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result] {
                    self.read(part, bound);
                }
                self.sums =
                    self.sums.max(sums).saturating_sub(usize::from(self.sums > sums && appends(&each.loop_step)));
                bound.truncate(before);
            }
        }
    }

    fn entries<'a>(&mut self, entries: impl Iterator<Item = &'a EntryExpr>, bound: &mut Vec<String>) {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.read(&field.value, bound),
                EntryExpr::MapEntry(pair) => {
                    self.read(&pair.key, bound);
                    self.read(&pair.value, bound);
                }
            }
        }
    }

    fn path(&mut self, path: Vec<String>, bound: &[String]) {
        let Some(root) = path.first() else { return };
        let is_type = path.len() == 1 && TYPES.contains(&root.as_str());
        if !(is_type || root.starts_with('@') || bound.contains(root)) {
            if !bound.is_empty() {
                self.paths_in_loops.insert(path.clone());
            }
            self.paths.insert(path);
        }
    }
}

fn appends(step: &IdedExpr) -> bool {
    let Expr::Call(call) = &step.expr else { return false };
    call.func_name == "_+_" || call.args.iter().any(appends)
}
