//! Where in a TOML file something stands, so that a problem points at what a person has to change.

use std::{fmt::Display, ops::Range};

use toml::de::{DeTable, DeValue};

use crate::domain::diagnostic::Place;

/// The place of a setting, by the keys and numbers that lead to it; of what is nearest to it if it is not there.
pub fn of(text: &str, path: &[&dyn Display]) -> Option<Place> {
    let table = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut within: Option<&DeValue<'_>> = None;
    for step in path {
        let step = step.to_string();
        let table = match within {
            None => Some(table.get_ref()),
            Some(value) => value.as_table(),
        };
        let next = match table {
            Some(table) => table.iter().find(|(key, _)| key.get_ref() == step.as_str()).map(|(key, value)| {
                // A table that a header opened has the span of its header, an array of them that of its first.
                let is_leaf = !matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
                (if is_leaf { value.span() } else { key.span() }, value.get_ref())
            }),
            None => within.and_then(DeValue::as_array).and_then(|array| {
                let value = array.get(step.parse::<usize>().ok()?)?;
                Some((value.span(), value.get_ref()))
            }),
        };
        let Some((found, value)) = next else { break };
        span = Some(found);
        within = Some(value);
    }
    span.map(|span| at(text, &span))
}

/// The place at which a span begins.
pub fn at(text: &str, span: &Range<usize>) -> Place {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_by_its_path() {
        let text = "[web]\nlisten = \"x\"\n\n[[sources]]\nname = \"a\"\n\n[[sources]]\nname = \"größe\"\nauth = { bearer = 1 }\n";
        let find = |path: &[&dyn Display]| of(text, path).map(|place| (place.line, place.column));
        assert_eq!(find(&[&"web", &"listen"]), Some((2, 10)));
        assert_eq!(find(&[&"sources", &1, &"name"]), Some((8, 8)));
        assert_eq!(find(&[&"sources", &1, &"auth", &"bearer"]), Some((9, 19)));
        assert_eq!(find(&[&"sources", &1, &"missing"]).map(|(line, _)| line), Some(7));
        assert_eq!(find(&[&"nowhere"]), None);
    }
}
