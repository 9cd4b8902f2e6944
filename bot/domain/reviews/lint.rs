//! Reads a review and refuses what the log does not support.
//!
//! It reads the Markdown, not the template, so it holds for templates that others wrote and for reviews that people have
//! edited. Quoted blocks are for people and claim nothing; values in code and words in quotation marks are not judged.

use std::{fmt, sync::OnceLock};

use regex::Regex;

use super::{
    facts::{Facts, is_date, reference},
    markdown,
    timeline::GAP,
    wording,
};
use crate::domain::{duration, time::Time};

/// What may stand in a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Statements about what happened.
    Facts,
    /// What people think.
    People,
    /// What is to be done.
    Items,
}

/// The sections of a review, in their order.
const SECTIONS: [(&str, Kind); 17] = [
    ("Header", Kind::Facts),
    ("Summary", Kind::Facts),
    ("Impact", Kind::Facts),
    ("Key times", Kind::Facts),
    ("Detection", Kind::Facts),
    ("Nearby changes", Kind::Facts),
    ("Response", Kind::Facts),
    ("What the automation did", Kind::Facts),
    ("Resolution", Kind::Facts),
    (TIMELINE, Kind::Facts),
    ("Contributing factors", Kind::People),
    ("Lessons", Kind::People),
    ("Action items", Kind::Items),
    ("Related incidents", Kind::Facts),
    ("Communications", Kind::Facts),
    ("Draft quality", Kind::People),
    ("Supporting material", Kind::Facts),
];

const TIMELINE: &str = "Timeline";

/// What a review must hold to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every statement about what happened cites its entry.
    Supported,
    /// Every citation leads to an entry of the record.
    Cited,
    /// Nobody is blamed.
    Blameless,
    /// A silence of more than 15 minutes has a marker.
    Marked,
    /// An action item has an owner and a due date.
    Owned,
    /// The sections are there, in their order.
    Complete,
}

impl Rule {
    /// The stable code of the rule.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Supported => "unsupported_claim",
            Rule::Cited => "unknown_citation",
            Rule::Blameless => "blaming_words",
            Rule::Marked => "unmarked_gap",
            Rule::Owned => "action_item_incomplete",
            Rule::Complete => "section_missing",
        }
    }
}

/// Where a review does not hold to a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The line of the Markdown, from 1.
    pub line: usize,
    /// The rule.
    pub rule: Rule,
    /// Whether the review is refused for it; otherwise people are only told.
    pub is_refused: bool,
    /// What is wrong, without a period.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} (`{}`)", self.line, self.what, self.rule.code())
    }
}

/// Everything in the review that the record does not support or that should not stand in one, in the order of its lines.
pub fn lint(review: &str, facts: &Facts) -> Vec<Finding> {
    let mut reading = Reading { facts, kind: Kind::People, next: 0, parents: Vec::new(), last: None, marked: false };
    let lines: Vec<&str> = review.lines().collect();
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_table_head = lines.get(index + 1).is_some_and(|next| is_rule_of_table(next));
        let mut found = |rule, is_refused, what| findings.push(Finding { line: index + 1, rule, is_refused, what });
        if !is_table_head && !is_rule_of_table(line) {
            reading.read(line, &mut found);
        }
    }
    for (title, _) in &SECTIONS[reading.next..] {
        let what = format!("the section `{title}` is missing or not in its place");
        findings.push(Finding { line: lines.len().max(1), rule: Rule::Complete, is_refused: true, what });
    }
    findings
}

struct Reading<'a> {
    facts: &'a Facts,
    kind: Kind,
    next: usize,
    /// The items that this line may stand under: how far each is indented, and whether it is supported.
    parents: Vec<(usize, bool)>,
    last: Option<Time>,
    marked: bool,
}

impl Reading<'_> {
    fn read(&mut self, line: &str, found: &mut impl FnMut(Rule, bool, String)) {
        let text = line.trim();
        if text.is_empty() || text.starts_with("# ") || text.starts_with("### ") {
            self.parents.clear();
            return;
        }
        if let Some(title) = text.strip_prefix("## ") {
            return self.open(title, found);
        }
        let own = self.without_entries(text);
        let bare = without_values(&own);
        let cites = citations(&bare);
        for cite in cites.iter().filter(|cite| !self.facts.supports(cite)) {
            found(Rule::Cited, true, format!("`{cite}` leads to nothing in the record"));
        }
        let is_prompt = text.starts_with('>');
        let blaming = wording::blaming(&bare);
        if !blaming.is_empty() {
            let is_refused = self.kind == Kind::Facts && !is_prompt;
            found(Rule::Blameless, is_refused, format!("the words `{}` read as blame", blaming.join("`, `")));
        }
        if is_prompt {
            return;
        }
        match self.kind {
            Kind::Facts => self.facts_line(line, &bare, &cites, found),
            Kind::Items => item(&bare, found),
            Kind::People => {}
        }
    }

    fn open(&mut self, title: &str, found: &mut impl FnMut(Rule, bool, String)) {
        self.parents.clear();
        let place = SECTIONS.iter().position(|(known, _)| *known == title);
        match place {
            Some(place) if place >= self.next => {
                for (skipped, _) in &SECTIONS[self.next..place] {
                    let what = format!("the section `{skipped}` is missing or not in its place");
                    found(Rule::Complete, true, what);
                }
                self.next = place + 1;
            }
            Some(_) | None => found(Rule::Complete, true, format!("`{}` is no section here", markdown::cut(title, 60))),
        }
        self.kind = place.map_or(Kind::Facts, |place| SECTIONS[place].1);
    }

    fn facts_line(&mut self, line: &str, bare: &str, cites: &[String], found: &mut impl FnMut(Rule, bool, String)) {
        let indent = line.len() - line.trim_start().len();
        self.parents.retain(|(outer, _)| *outer < indent);
        let under = self.parents.last().is_some_and(|(_, supported)| *supported);
        let unsupported = sentences(bare).into_iter().find(|sentence| {
            let is_cited = citations(sentence).iter().any(|cite| self.facts.supports(cite));
            !is_cited && !says_nothing_known(sentence)
        });
        if let Some(sentence) = unsupported.as_ref().filter(|_| !under) {
            let shown = markdown::cut(sentence.trim_start_matches(['-', ' ']), 80).replace('`', "'");
            found(Rule::Supported, true, format!("`{shown}` cites no entry"));
        }
        self.parents.push((indent, under || unsupported.is_none()));
        if self.next > 0 && SECTIONS[self.next - 1].0 == TIMELINE {
            self.timeline_line(line, cites, found);
        }
    }

    fn timeline_line(&mut self, line: &str, cites: &[String], found: &mut impl FnMut(Rule, bool, String)) {
        if line.trim_start_matches(['-', '*', ' ']).starts_with('…') {
            self.marked = true;
            return;
        }
        let entries = cites.iter().filter_map(|cite| self.facts.entry(reference(cite)?));
        let Some((at, name)) = entries.map(|entry| (entry.at, entry.reference)).next() else { return };
        let silence = self.last.map(|last| at.since(last)).filter(|length| *length > GAP);
        if let Some(length) = silence.filter(|_| !self.marked) {
            let length = duration::human(length);
            found(Rule::Marked, true, format!("before `{name}` the log is silent for {length} and no marker says so"));
        }
        self.last = Some(at);
        self.marked = false;
    }

    /// The line without what its entries say, so that only the words of the template and of people are judged.
    fn without_entries(&self, line: &str) -> String {
        let mut own = line.to_owned();
        for cite in citations(line) {
            let Some(entry) = reference(&cite).and_then(|reference| self.facts.entry(reference)) else { continue };
            let sentence = markdown::sentence(&entry.draft.text);
            let actor = markdown::text(&entry.draft.actor.to_string());
            // Of an entry without words only who made it is told.
            let sentence = if sentence.is_empty() { actor.clone() } else { sentence };
            // What it says stands before its citation, after who said it; either may hold the same letters elsewhere.
            let cited = own.rfind(&format!("[{cite}]")).unwrap_or(own.len());
            let begins = |place: usize| {
                let before = own[..place].strip_suffix(": ").or(own[..place].strip_suffix(' '))?;
                before.strip_suffix(actor.as_str()).map(str::len)
            };
            let places: Vec<usize> = own[..cited].match_indices(&sentence).map(|(place, _)| place).collect();
            let said = places.iter().rev().find_map(|place| Some((begins(*place)?, *place)));
            let alone = places.last().map(|place| (*place, *place));
            if let Some((start, place)) = said.or(alone).filter(|_| !sentence.is_empty()) {
                own.replace_range(start..place + sentence.len(), "“”");
            }
        }
        own
    }
}

fn item(bare: &str, found: &mut impl FnMut(Rule, bool, String)) {
    if !bare.starts_with("- ") && !bare.starts_with("* ") {
        return;
    }
    let field = |name: &str| {
        let rest = bare.split_once(name)?.1;
        let value = rest.split([',', '[']).next()?.trim();
        (!value.is_empty() && value != "unknown").then_some(value)
    };
    if field("owner:").is_none() {
        found(Rule::Owned, true, "an action item has no owner".to_owned());
    }
    if !field("due:").is_some_and(is_date) {
        found(Rule::Owned, true, "an action item has no due date such as `2026-12-01`".to_owned());
    }
}

fn citations(text: &str) -> Vec<String> {
    static CITATION: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = CITATION.get_or_init(|| Regex::new(r"\[(INC-[0-9]+#[0-9]+|POST-[0-9]+)\]").ok());
    let Some(pattern) = pattern else { return Vec::new() };
    pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str().to_owned())).collect()
}

fn is_rule_of_table(line: &str) -> bool {
    line.starts_with('|') && line.contains("---") && line.chars().all(|letter| matches!(letter, '|' | '-' | ':' | ' '))
}

/// Whether the sentence says that something is not known, or that there is none of it.
fn says_nothing_known(sentence: &str) -> bool {
    let mut words = sentence.split(|letter: char| !letter.is_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("unknown") || word.eq_ignore_ascii_case("none"))
}

/// The line without values in code and words in quotation marks.
pub(super) fn without_values(line: &str) -> String {
    let mut bare = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
            '`' => code_span(rest),
            '“' => rest.find('”').map_or('“'.len_utf8(), |end| end + '”'.len_utf8()),
            other => {
                bare.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[skipped..];
    }
    bare
}

/// The length of the code that the text begins with, or of its opening backticks if they are not closed.
fn code_span(text: &str) -> usize {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let opening = run(text);
    let mut at = opening;
    while let Some(next) = text[at..].find('`') {
        let closing = run(&text[at + next..]);
        at += next + closing;
        if closing == opening {
            return at;
        }
    }
    opening
}

/// The sentences of a line: a period, question or exclamation mark, a space and a capital letter part two of them.
fn sentences(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let letters: Vec<(usize, char)> = line.char_indices().collect();
    for window in letters.windows(3) {
        let [(_, mark), (space, gap), (next, capital)] = window else { continue };
        if matches!(mark, '.' | '?' | '!') && *gap == ' ' && capital.is_uppercase() {
            parts.push(&line[start..*space]);
            start = *next;
        }
    }
    parts.push(&line[start..]);
    parts.retain(|part| part.chars().any(char::is_alphanumeric));
    parts
}
