//! Takes values out of a tree and notes every problem with its place, instead of stopping at the first.
//!
//! Each question answers with the value, or with nothing once its problem is noted.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use crate::domain::{
    diagnostic::{Diagnostic, Place},
    duration,
    runbooks::{
        words,
        yaml::{Data, Node},
    },
};

/// A value that was read, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Option<Place>,
}

/// Reads one file and gathers its problems.
pub(crate) struct Reader<'a> {
    file: &'a Path,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a Path) -> Self {
        Self { file, problems: Vec::new() }
    }

    /// The problems in the order of the file.
    pub(crate) fn problems(mut self) -> Vec<Diagnostic> {
        self.problems.sort_by(|a, b| (a.place, &a.what).cmp(&(b.place, &b.what)));
        self.problems.dedup();
        self.problems
    }

    pub(crate) fn found_any(&self) -> bool {
        !self.problems.is_empty()
    }

    pub(crate) fn problem(&mut self, place: Option<Place>, what: impl Into<String>) -> &mut Diagnostic {
        let problem = Diagnostic { place, ..Diagnostic::new(self.file, what) };
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    pub(crate) fn hinted(&mut self, place: Option<Place>, what: impl Into<String>, hint: impl Into<String>) {
        self.problem(place, what).hint = Some(hint.into());
    }

    /// The keys of a map; unknown ones are problems.
    pub(crate) fn keys<'n>(&mut self, node: &'n Node, of: &str, known: &[&str]) -> Option<&'n Node> {
        let Data::Map(fields) = &node.data else {
            let hint = format!("it has the keys {}", words::listed(known));
            self.hinted(node.place, format!("{of} must be keys with values, not {}", node.sort()), hint);
            return None;
        };
        for (key, _) in fields {
            if !known.contains(&key.name.as_str()) {
                self.unknown(key.place, &format!("`{}` is not a key of {of}", shown(&key.name)), &key.name, known);
            }
        }
        Some(node)
    }

    /// A word that is none of the known ones.
    pub(crate) fn unknown(&mut self, place: Option<Place>, what: &str, word: &str, known: &[&str]) {
        let hint = match words::nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there are none here".to_owned(),
            None => format!("known here: {}", words::listed(known)),
        };
        self.hinted(place, what, hint);
    }

    /// A field that must be there.
    pub(crate) fn required<'n>(&mut self, node: &'n Node, of: &str, key: &str, hint: &str) -> Option<&'n Node> {
        let found = node.field(key);
        if found.is_none() {
            self.hinted(node.place, format!("{of} has no `{key}`"), hint);
        }
        found
    }

    pub(crate) fn text(&mut self, node: &Node, of: &str) -> Option<At<String>> {
        match &node.data {
            Data::Text(text) if !text.trim().is_empty() => Some(At { value: text.clone(), place: node.place }),
            Data::Text(_) | Data::Null => {
                self.problem(node.place, format!("{of} is empty"));
                None
            }
            Data::Boolean(_) | Data::Integer(_) | Data::Float(_) => {
                self.hinted(node.place, format!("{of} must be text, not {}", node.sort()), "put it in quotes");
                None
            }
            Data::List(_) | Data::Map(_) => {
                let hint = "put it in quotes if it begins with `{` or `[`";
                self.hinted(node.place, format!("{of} must be text, not {}", node.sort()), hint);
                None
            }
        }
    }

    /// A text for people: one line of at most this many characters.
    pub(crate) fn line(&mut self, node: &Node, of: &str, most: usize) -> Option<At<String>> {
        let text = self.text(node, of)?;
        if text.value.chars().count() > most || text.value.chars().any(char::is_control) {
            self.problem(node.place, format!("{of} must be one line of at most {most} characters"));
            return None;
        }
        Some(text)
    }

    /// The name of an input or output.
    pub(crate) fn name(&mut self, node: &Node, of: &str) -> Option<At<String>> {
        let text = self.text(node, of)?;
        if is_name(&text.value) {
            return Some(text);
        }
        let what = format!("`{}` cannot be {of}", shown(&text.value));
        self.hinted(node.place, what, "use lower-case letters, digits and `_`, beginning with a letter");
        None
    }

    pub(crate) fn boolean(&mut self, node: &Node, of: &str) -> Option<bool> {
        if let Data::Boolean(truth) = node.data {
            return Some(truth);
        }
        self.problem(node.place, format!("{of} must be `true` or `false`"));
        None
    }

    pub(crate) fn integer(&mut self, node: &Node, of: &str, range: RangeInclusive<i64>) -> Option<i64> {
        if let Data::Integer(number) = node.data
            && range.contains(&number)
        {
            return Some(number);
        }
        let (least, most) = range.into_inner();
        let what = match most {
            i64::MAX if least == i64::MIN => format!("{of} must be a whole number"),
            i64::MAX => format!("{of} must be a whole number of at least {least}"),
            _ => format!("{of} must be a whole number from {least} to {most}"),
        };
        self.problem(node.place, what);
        None
    }

    pub(crate) fn number(&mut self, node: &Node, of: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match node.data {
            #[expect(
                clippy::cast_precision_loss,
                reason = "numbers of this kind are small, and larger ones are refused"
            )]
            Data::Integer(number) => number as f64,
            Data::Float(number) => number,
            Data::Null | Data::Boolean(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => f64::NAN,
        };
        if range.contains(&number) {
            return Some(number);
        }
        self.problem(node.place, format!("{of} must be a number from {} to {}", range.start(), range.end()));
        None
    }

    pub(crate) fn length(&mut self, node: &Node, of: &str, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let read = node.text().map(duration::parse);
        if let Some(Ok(length)) = read
            && range.contains(&length)
        {
            return Some(length);
        }
        let (least, most) = (duration::compact(*range.start()), duration::compact(*range.end()));
        let what = format!("{of} must be a length of time from `{least}` to `{most}`");
        self.hinted(node.place, what, "write it as `90s`, `15m` or `1h30m`");
        None
    }

    pub(crate) fn word<T: Copy>(&mut self, node: &Node, of: &str, known: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, of)?.value;
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        self.unknown(node.place, &format!("`{}` cannot be {of}", shown(&text)), &text, &words);
        None
    }

    /// The items of a list of at most this many.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, of: &str, most: usize) -> &'n [Node] {
        match &node.data {
            Data::List(items) if items.len() <= most => items,
            Data::List(items) => {
                self.problem(node.place, format!("{of} has {} items, more than {most}", items.len()));
                &items[..most]
            }
            Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::Map(_) => {
                let hint = "begin each item with `- `, or write `[one, two]`";
                self.hinted(node.place, format!("{of} must be a list, not {}", node.sort()), hint);
                &[]
            }
        }
    }
}

/// Whether a text can name an input or output.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A text of the file, short enough for a sentence.
pub(crate) fn shown(text: &str) -> String {
    let short: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(60).collect();
    if text.chars().count() > 60 { format!("{short}…") } else { short }
}
