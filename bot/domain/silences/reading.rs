//! Matchers as people type them in one line: `alertname="Disk", env=~"prod.*"`, or as `amtool` takes them, `Disk env=prod`.

use crate::domain::alerts::{Matcher, Operator};

/// Reads matchers, parted by commas or spaces and perhaps in braces. A first word alone is an alert's name.
///
/// # Errors
/// Says which of them is none.
pub fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let mut words = words(inner).into_iter().peekable();
    let mut read = Vec::new();
    if let Some(name) = words.next_if(|word| !has_operator(word)) {
        let name = name.trim_matches('"');
        read.push(Matcher::new("alertname", Operator::Equal, name)?);
    }
    for word in words {
        read.push(Matcher::parse_loosely(&word)?);
    }
    Ok(read)
}

/// What stands before a letter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Nothing,
    Space,
    Comma,
}

/// The parts between commas and spaces outside of quotes; spaces around an operator part nothing.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_quoted = false;
    let mut gap = Gap::Comma;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ',' if !is_quoted => gap = Gap::Comma,
            space if space.is_whitespace() && !is_quoted => gap = if gap == Gap::Nothing { Gap::Space } else { gap },
            other => {
                is_quoted ^= other == '"';
                let last = words.last().map_or("", String::as_str);
                let goes_on = match gap {
                    Gap::Nothing => true,
                    Gap::Comma => false,
                    Gap::Space => waits_for_value(last) || (matches!(other, '=' | '!') && !has_operator(last)),
                };
                if !goes_on {
                    words.push(String::new());
                }
                gap = Gap::Nothing;
                if let Some(word) = words.last_mut() {
                    word.push(other);
                    if other == '\\' && is_quoted {
                        word.extend(letters.next());
                    }
                }
            }
        }
    }
    words
}

/// Whether the word is a name with an operator and nothing more.
fn waits_for_value(word: &str) -> bool {
    let name = word.trim_end_matches(['=', '!', '~']);
    name.len() < word.len() && !has_operator(name)
}

fn has_operator(word: &str) -> bool {
    let name = word.strip_prefix('"').and_then(|rest| rest.split_once('"')).map_or(word, |(_, rest)| rest);
    name.contains('=') || name.contains("!~")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let matchers = matchers(text).unwrap();
        matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn matchers_are_read_as_people_type_them() {
        for (typed, read) in [
            (r#"alertname="Disk", env=~"prod.*""#, r#"alertname="Disk" env=~"prod.*""#),
            (r#"{alertname = "Disk full" , env != "a,b"}"#, r#"alertname="Disk full" env!="a,b""#),
            ("Disk env=prod node=~ba.", r#"alertname="Disk" env="prod" node=~"ba.""#),
            ("\"Disk full\" env=prod", r#"alertname="Disk full" env="prod""#),
            (r#"path=~"a\"b c""#, r#"path=~"a\"b c""#),
            ("a!~b,c=", r#"a!~"b" c="""#),
        ] {
            assert_eq!(written(typed), read, "{typed}");
        }
        assert_eq!(matchers(" ").unwrap(), []);
        for wrong in ["a=b c", "a=~(", "a=\"b", "Disk Full", "=b"] {
            assert!(matchers(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[a-c=!~\",{}\\\\ é]{0,20}") {
            drop(matchers(&text));
        }

        #[test]
        fn what_is_written_reads_back_the_same(names in proptest::collection::vec(("[a-z]{1,5}", "(?s).{0,10}"), 1..4)) {
            let made: Vec<Matcher> =
                names.iter().map(|(name, value)| Matcher::new(name, Operator::NotEqual, value).unwrap()).collect();
            let text = made.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(matchers(&text), Ok(made));
        }
    }
}
