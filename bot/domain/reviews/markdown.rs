//! Writes text from outside into Markdown so that it stays text: no link, markup, heading or row can come out of it.
//!
//! Everything becomes one line. Values are set as code; where code cannot hold them, they are quoted and escaped, so
//! that the same form is safe in a paragraph, a list and a table.

/// Text as it is, with every sign escaped that Markdown or HTML would read.
pub fn text(outside: &str) -> String {
    let line = one_line(outside);
    let escaped = escaped(&line);
    let digits = line.len() - line.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let marker = line[digits..].chars().next();
    let ends_word = |at: usize| line[at..].chars().next().is_none_or(|letter| letter == ' ');
    match marker {
        Some('.' | ')') if digits > 0 && ends_word(digits + 1) => {
            let (number, rest) = escaped.split_at(digits);
            format!("{number}\\{rest}")
        }
        Some('#' | '+' | '-' | '=') if digits == 0 => format!("\\{escaped}"),
        _ => escaped,
    }
}

fn escaped(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 8);
    for (place, letter) in line.char_indices() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' => escaped.extend(['\\', letter]),
            // A bare address would become a link by itself; the escape is not shown and keeps it text.
            ':' if line[place..].starts_with("://") => escaped.push_str("&#58;"),
            // Typographic quotation marks are what sets quoted words apart.
            '“' | '”' => escaped.push('"'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A value, set as code; one that code cannot hold in every place is quoted.
pub fn code(value: &str) -> String {
    let line = one_line(value);
    if line.is_empty() {
        return "“”".to_owned();
    }
    if line.contains(['`', '|']) { quote(&line) } else { format!("`{line}`") }
}

/// What somebody wrote, in quotation marks that it cannot close.
pub fn quote(words: &str) -> String {
    format!("“{}”", escaped(&one_line(words)))
}

/// A sentence of the timeline, in which backticks set values apart; one that is not closed is shown as it is.
pub fn sentence(written: &str) -> String {
    let line = one_line(written);
    let mut shown = String::with_capacity(line.len() + 8);
    let mut parts = line.split('`').peekable();
    let mut is_value = false;
    while let Some(part) = parts.next() {
        let is_closed = parts.peek().is_some();
        match (is_value, is_closed) {
            (true, true) => shown.push_str(&code(part)),
            (true, false) => {
                shown.push_str("\\`");
                shown.push_str(&inner(part));
            }
            (false, _) => shown.push_str(&inner(part)),
        }
        is_value = !is_value;
    }
    shown.trim().to_owned()
}

/// At most so many characters; what was cut off is shown by `…`.
pub fn cut(value: &str, most: usize) -> String {
    match value.char_indices().nth(most) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

/// Text with its outer spaces, which keep it apart from the values around it.
fn inner(part: &str) -> String {
    let (before, after) = (part.starts_with(' '), part.ends_with(' '));
    let escaped = escaped(&one_line(part));
    match (before, after) {
        _ if escaped.is_empty() => if before { " " } else { "" }.to_owned(),
        (true, true) => format!(" {escaped} "),
        (true, false) => format!(" {escaped}"),
        (false, true) => format!("{escaped} "),
        (false, false) => escaped,
    }
}

/// One line without the signs that are not seen, such as those that turn the direction of writing.
fn one_line(outside: &str) -> String {
    let is_hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{feff}')
    };
    let plain: String = outside.chars().map(|letter| if is_hidden(letter) { ' ' } else { letter }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_labels_stay_text() {
        for (outside, expected) in [
            ("](http://x)", "\\](http&#58;//x)"),
            ("[click](javascript:alert(1))", "\\[click\\](javascript:alert(1))"),
            ("<script>alert(1)</script>", "\\<script\\>alert(1)\\</script\\>"),
            ("a | b\n| c", "a \\| b \\| c"),
            ("# not a heading\r\n## nor this", "\\# not a heading ## nor this"),
            ("1. not a list", "1\\. not a list"),
            ("&lt;b&gt;", "\\&lt;b\\&gt;"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("**bold** `code` __init__", "\\*\\*bold\\*\\* \\`code\\` \\_\\_init\\_\\_"),
        ] {
            assert_eq!(text(outside), expected, "{outside:?}");
        }
        assert_eq!(code("plain"), "`plain`");
        assert_eq!(code("a`b"), "“a\\`b”");
        assert_eq!(code("{job=\"a|b\"}"), "“{job=\"a\\|b\"}”");
        assert_eq!(code("x\n# y"), "`x # y`");
        assert_eq!(code(""), "“”");
        assert_eq!(quote("he said ”never” <b>"), "“he said \"never\" \\<b\\>”");
    }

    #[test]
    fn a_sentence_keeps_its_values_apart_however_they_pair() {
        assert_eq!(sentence("opened it as `SEV2`: `errors`, now"), "opened it as `SEV2`: `errors`, now");
        assert_eq!(sentence("noted: <b>x</b> `"), "noted: \\<b\\>x\\</b\\> \\`");
        assert_eq!(sentence("set `a` `[b](c)` of `d|e`"), "set `a` `[b](c)` of “d\\|e”");
        assert_eq!(sentence("a ``` b"), "a “”\\` b");
    }

    /// Whether a sign that opens markup stands outside of code and is not escaped.
    fn opens_markup(markdown: &str) -> bool {
        let mut letters = markdown.chars();
        let mut in_code = false;
        while let Some(letter) = letters.next() {
            match letter {
                '`' => in_code = !in_code,
                '\\' if !in_code => {
                    letters.next();
                }
                '[' | ']' | '<' | '>' | '*' | '_' | '|' if !in_code => return true,
                '|' | '\n' | '\r' => return true,
                _ => {}
            }
        }
        in_code
    }

    proptest! {
        #[test]
        fn nothing_from_outside_opens_markup(outside in "(?s).{0,80}|[\\[\\]()<>`|*_#\\\\ \na\u{202e}]{0,40}") {
            for markdown in [text(&outside), code(&outside), quote(&outside), sentence(&outside)] {
                prop_assert!(!opens_markup(&markdown), "{:?} became {:?}", outside, markdown);
            }
        }
    }
}
