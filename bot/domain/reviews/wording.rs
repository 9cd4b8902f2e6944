//! Words that lay the blame on somebody instead of saying what happened.

/// Each as the words that follow one another; a star stands for any ending.
const BLAMING: &[&str] = &[
    "blame*",
    "at fault",
    "fault of",
    "'s fault",
    "their fault",
    "human error",
    "operator error",
    "careless*",
    "negligen*",
    "sloppy",
    "lazy",
    "stupid*",
    "idiot*",
    "incompeten*",
    "culprit*",
    "guilty",
    "screwed up",
    "messed up",
    "forgot to",
    "should have known",
    "should have checked",
    "should have tested",
    "should have noticed",
    "failed to follow",
    "failed to check",
    "failed to test",
    "failed to notice",
];

/// The blaming words in a text, each once, in the order of the list.
pub fn blaming(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let fits = |word: &str, wanted: &str| match wanted.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == wanted,
    };
    let found = BLAMING.iter().filter(|phrase| {
        let wanted: Vec<&str> = phrase.split([' ', '\'']).filter(|word| !word.is_empty()).collect();
        words.windows(wanted.len()).any(|window| window.iter().zip(&wanted).all(|(word, wanted)| fits(word, wanted)))
    });
    found.map(|phrase| phrase.trim_end_matches('*')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_is_found_and_facts_are_not_taken_for_it() {
        assert_eq!(blaming("It was Ana's fault, blamed by all"), ["blame", "'s fault"]);
        assert_eq!(blaming("HUMAN  error: someone should have tested it"), ["human error", "should have tested"]);
        for fine in ["a page fault", "the step failed to start", "the default was changed", "error budget", ""] {
            assert!(blaming(fine).is_empty(), "{fine}");
        }
    }
}
