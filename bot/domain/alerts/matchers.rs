//! Conditions on labels, written as Alertmanager writes them: `severity="page"`, `pod=~"api-.*"`.
//!
//! A pattern must match the whole value and its compiled size is bounded, so that a configuration cannot be made to
//! exhaust memory. A missing label has the empty value.

use std::{fmt, str::FromStr};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::domain::alerts::labels::Labels;

/// The most bytes that a matcher's text may have.
pub const LONGEST: usize = 4_096;

/// The most bytes that one compiled pattern may take.
const COMPILED: usize = 1 << 20;

/// Characters that end a bare name or value, beside white space.
const RESERVED: &[char] = &['{', '}', '!', '=', '~', ',', '\\', '"', '\'', '`'];

/// One condition on one label.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    pattern: Option<Regex>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the pattern matches the whole value.
    Like,
    /// `!~`: the pattern does not match the whole value.
    NotLike,
}

impl Operator {
    /// Longer ones first, so that `=~` is not read as `=`.
    const ALL: [Operator; 4] = [Operator::Like, Operator::NotLike, Operator::NotEqual, Operator::Equal];

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Like => "=~",
            Operator::NotLike => "!~",
        }
    }
}

impl Matcher {
    /// A condition on the label `name`. Fails on an empty name and on a pattern that is wrong or too large.
    pub fn new(name: impl Into<String>, operator: Operator, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err("a matcher needs the name of a label, such as `severity=\"page\"`".to_owned());
        }
        let pattern = match operator {
            Operator::Like | Operator::NotLike => Some(compile(&value)?),
            Operator::Equal | Operator::NotEqual => None,
        };
        Ok(Self { name, operator, value, pattern })
    }

    /// Reads `name="value"` with one of `=`, `!=`, `=~`, `!~`. A name that is not plain stands in quotes; the quotes
    /// of a plain value may be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = || text.chars().take(80).collect::<String>();
        if text.len() > LONGEST {
            return Err(format!("`{}…` is longer than a matcher may be, {LONGEST} bytes", shown()));
        }
        let wrong = |what: &str| format!("`{}` is not a matcher such as `severity=\"page\"`: {what}", shown());
        let (name, rest) = word(text.trim()).map_err(|what| wrong(&what))?;
        let rest = rest.trim_start();
        let operator = Operator::ALL.into_iter().find(|operator| rest.starts_with(operator.sign()));
        let operator = operator.ok_or_else(|| wrong("no `=`, `!=`, `=~` or `!~` after the name"))?;
        let rest = rest[operator.sign().len()..].trim_start();
        if rest.is_empty() {
            return Err(wrong("no value; an empty one is written `\"\"`"));
        }
        let (value, rest) = word(rest).map_err(|what| wrong(&what))?;
        if !rest.trim().is_empty() {
            return Err(wrong("something follows the value; quote values that are not plain"));
        }
        Self::new(name, operator, value).map_err(|what| wrong(&what))
    }

    /// Reads what [`parse`](Self::parse) does, and a value without quotes whatever it holds, as Alertmanager does:
    /// everything after the operator is the value.
    pub fn parse_loosely(text: &str) -> Result<Self, String> {
        Self::parse(text).or_else(|wrong| {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
            let (name, rest) = text.trim().split_at(text.trim().find(|letter| !plain(letter)).ok_or(wrong.clone())?);
            let rest = rest.trim_start();
            let operator = Operator::ALL.into_iter().find(|operator| rest.starts_with(operator.sign()));
            let sign = operator.ok_or(wrong.clone())?.sign();
            let value = rest[sign.len()..].trim_start();
            if name.is_empty() || value.contains('"') {
                return Err(wrong);
            }
            Self::parse(&format!("{name}{sign}\"{value}\"")).map_err(|_| wrong)
        })
    }

    /// The label that it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether these labels fulfil it.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.value(&self.name);
        let like = || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(value));
        match self.operator {
            Operator::Equal => value == self.value,
            Operator::NotEqual => value != self.value,
            Operator::Like => like(),
            Operator::NotLike => !like(),
        }
    }

    /// The first of these that the labels do not fulfil; none means that all hold.
    pub fn first_unmet<'a>(matchers: &'a [Matcher], labels: &Labels) -> Option<&'a Matcher> {
        matchers.iter().find(|matcher| !matcher.matches(labels))
    }
}

/// The pattern alone must be sound before it is anchored, or `a)|(b` would slip out of the anchors.
fn compile(value: &str) -> Result<Regex, String> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED).nest_limit(50).build();
    let refused = |error: regex::Error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return "the pattern is too large".to_owned();
        }
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim();
        format!("the pattern is wrong: {}", why.trim_start_matches("error: "))
    };
    build(value).map_err(refused)?;
    build(&format!("^(?s:{value})$")).map_err(refused)
}

/// Reads a quoted or a bare word and gives what follows it.
fn word(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|letter: char| letter.is_whitespace() || RESERVED.contains(&letter));
        let (bare, rest) = text.split_at(end.unwrap_or(text.len()));
        return if bare.is_empty() { Err("a word is missing".to_owned()) } else { Ok((bare.to_owned(), rest)) };
    };
    let mut read = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((read, &quoted[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => read.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => read.push(escaped),
                // A backslash before anything else stands for itself: patterns are full of `\d` and `\.`.
                Some((_, other)) => read.extend(['\\', other]),
                None => break,
            },
            plain => read.push(plain),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':');
        let name = if plain { self.name.clone() } else { quoted(&self.name) };
        write!(f, "{name}{}{}", self.operator.sign(), quoted(&self.value))
    }
}

impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Matcher {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> String {
        matcher.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(matcher: &str, labels: &[(&str, &str)]) -> bool {
        Matcher::parse(matcher).unwrap().matches(&labels.iter().copied().collect())
    }

    #[test]
    fn each_operator_compares_as_alertmanager_does() {
        let labels = [("severity", "page"), ("pod", "api-0"), ("größe", "5")];
        for matcher in [
            "severity=\"page\"",
            "severity=page",
            " severity = \"page\" ",
            "pod=~\"api-.*\"",
            "pod=~\"api-\\d\"",
            "pod!~\"api\"",
            "pod!=\"web\"",
            "\"größe\"=\"5\"",
            "größe=5",
        ] {
            assert!(holds(matcher, &labels), "{matcher}");
        }
        for matcher in ["severity=\"pag\"", "pod=~\"pi-0\"", "pod=~\"api\"", "pod!~\"api-0|web\"", "pod=~\"x|api\""] {
            assert!(!holds(matcher, &labels), "{matcher}");
        }
    }

    #[test]
    fn a_value_without_quotes_may_hold_anything_if_it_is_read_loosely() {
        for (loose, strict) in [
            ("node=~ba.", "node=~\"ba.\""),
            ("path=~/x/\\d{1,2}, or ~", "path=~\"/x/\\\\d{1,2}, or ~\""),
            ("team=", "team=\"\""),
            ("\"größe\"=\"5\"", "\"größe\"=\"5\""),
        ] {
            assert_eq!(Matcher::parse_loosely(loose), Matcher::parse(strict), "{loose}");
        }
        for wrong in ["", "node", "=x", "a=\"b\" c", "a=b\"c", "a=~(", "a=b\\"] {
            assert!(Matcher::parse_loosely(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_label_is_an_empty_one() {
        assert!(holds("team=\"\"", &[]) && holds("team=~\".*\"", &[]) && holds("team!=\"a\"", &[]));
        assert!(!holds("team=~\".+\"", &[]) && !holds("team!=\"\"", &[]));
    }

    #[test]
    fn a_pattern_cannot_slip_out_of_its_anchors() {
        assert!(Matcher::parse("pod=~\"a)|(b\"").is_err());
        assert!(!holds("pod=~\"a|b\"", &[("pod", "ab")]));
        assert!(holds("text=~\"a.b\"", &[("text", "a\nb")]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("", "a word is missing"),
            ("severity", "no `=`"),
            ("severity=", "no value"),
            ("\"a=b", "a quote is not closed"),
            ("a=\"b\" c", "something follows"),
            ("a=~\"(\"", "the pattern is wrong"),
            ("a=~\"(x{1000}){1000}\"", "the pattern is too large"),
            ("\"\"=\"x\"", "needs the name"),
        ] {
            let error = Matcher::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(Matcher::parse(&format!("a=\"{}\"", "x".repeat(LONGEST))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(name in ".{1,20}", value in "(?s).{0,20}", pick in 0_usize..4) {
            if let Ok(matcher) = Matcher::new(name, Operator::ALL[pick], value) {
                prop_assert_eq!(Matcher::parse(&matcher.to_string()), Ok(matcher));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in "(?s).*", shaped in "\"?[a-z\"]{0,3}\"?[=!~]{1,2}\"?[a-z(){}\\\\\"]{0,8}") {
            drop(Matcher::parse(&text));
            drop(Matcher::parse(&shaped));
        }
    }
}
