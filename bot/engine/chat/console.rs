//! Reads a command as it is typed: `/incident note incident:INC-1 text:"all quiet"`.
//!
//! Options may be named or stand in their order; the last one that takes words takes all that is left.

use super::{Args, Command, Kind};
use crate::engine::{Refusal, features};

/// The longest line that is read, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// Reads a line into a command and what is given for its options.
pub fn read(line: &str) -> Result<(&'static Command, Args), Refusal> {
    if line.len() > LONGEST {
        return Err(Refusal::new(format!("The line is {} bytes long, the most is {LONGEST}", line.len())));
    }
    let words = split(line.trim().trim_start_matches('/'))?;
    let (command, rest) = find(&words)?;
    let mut given: Vec<(String, String)> = Vec::new();
    for word in rest {
        let named = word.text.split_once(':').filter(|(name, _)| !word.starts_quoted && has_option(command, name));
        if let Some((name, value)) = named {
            given.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let next = command.options.iter().find(|option| !given.iter().any(|(name, _)| name == option.name));
        match (next, given.last_mut()) {
            (Some(option), _) => given.push((option.name.to_owned(), word.text.clone())),
            (None, Some((name, value))) if takes_words(command, name) => {
                value.push(' ');
                value.push_str(&word.text);
            }
            (None, _) => {
                return Err(Refusal::new(format!(
                    "Cannot run `{}`: `{}` is one word too many",
                    command.name(),
                    word.text
                ))
                .hint(usage(command)));
            }
        }
    }
    let args = command.check(given)?;
    match command.missing(&args) {
        None => Ok((command, args)),
        Some(option) => {
            Err(Refusal::new(format!("Cannot run `{}`: `{}` is missing", command.name(), option.name))
                .hint(usage(command)))
        }
    }
}

/// How the command is typed: `/incident note text [incident]`.
pub fn usage(command: &Command) -> String {
    let options = command
        .options
        .iter()
        .map(|option| if option.is_required { format!(" {}:…", option.name) } else { format!(" [{}:…]", option.name) });
    format!("{}{}", command.name(), options.collect::<String>())
}

fn has_option(command: &Command, name: &str) -> bool {
    command.options.iter().any(|option| option.name == name)
}

fn takes_words(command: &Command, name: &str) -> bool {
    command.options.iter().any(|option| option.name == name && matches!(option.kind, Kind::Text { .. }))
}

struct Word {
    text: String,
    starts_quoted: bool,
}

fn find(words: &[Word]) -> Result<(&'static Command, &[Word]), Refusal> {
    let known = features::commands().filter(|command| {
        words.len() >= command.path.len() && command.path.iter().zip(words).all(|(part, word)| *part == word.text)
    });
    if let Some(command) = known.max_by_key(|command| command.path.len()) {
        return Ok((command, &words[command.path.len()..]));
    }
    let first = words.first().map_or("", |word| word.text.as_str());
    let mut of_group: Vec<String> =
        features::commands().filter(|command| command.path[0] == first).map(Command::name).collect();
    let typed: Vec<&str> = words.iter().take(2).map(|word| word.text.as_str()).collect();
    let typed: String = typed.join(" ").chars().take(60).collect();
    if of_group.is_empty() {
        of_group.push("/help".to_owned());
    }
    Err(Refusal::new(format!("There is no command `/{typed}`")).hint(format!("try `{}`", of_group.join("`, `"))))
}

/// Splits at spaces; double quotes hold words together, and a backslash takes the next character as it is inside them.
fn split(line: &str) -> Result<Vec<Word>, Refusal> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(first) = letters.peek() {
        if first.is_whitespace() {
            letters.next();
            continue;
        }
        let starts_quoted = *first == '"';
        let mut text = String::new();
        let mut quoted = false;
        while let Some(letter) = letters.next_if(|letter| quoted || !letter.is_whitespace()) {
            match letter {
                '"' => quoted = !quoted,
                '\\' if quoted => text.extend(letters.next()),
                _ => text.push(letter),
            }
        }
        if quoted {
            return Err(Refusal::new("A quotation mark is not closed").hint("close it with another `\"`"));
        }
        words.push(Word { text, starts_quoted });
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::Time;

    #[test]
    fn an_unknown_command_says_what_there_is() {
        assert_eq!(read("/nonsense").unwrap_err().to_string(), "There is no command `/nonsense`\nhint: try `/help`");
    }

    /// A command of the registry with something for some of its options.
    fn commands() -> impl Strategy<Value = (&'static Command, Vec<(&'static str, String)>)> {
        let known: Vec<&'static Command> = features::commands().collect();
        proptest::sample::select(known).prop_flat_map(|command| {
            let values = command.options.iter().map(|option| {
                let fits = fitting(option.kind).boxed();
                let any = prop_oneof![4 => fits, 1 => any::<String>().boxed()];
                let is_given = if option.is_required { 0.95 } else { 0.5 };
                proptest::option::weighted(is_given, any).prop_map(|value| value.map(|value| (option.name, value)))
            });
            let values: Vec<_> = values.collect();
            values.prop_map(move |values| (command, values.into_iter().flatten().collect()))
        })
    }

    /// What an option of this kind takes, with everything that a person could type or paste.
    fn fitting(kind: Kind) -> BoxedStrategy<String> {
        match kind {
            Kind::Text { .. } | Kind::Name(_) | Kind::Person => {
                prop_oneof!["[a-z:= \"\\\\/-]{1,40}", "\\PC{1,40}", "[\u{1F600}-\u{1F64F}\u{0}-\u{1F}é\"\\\\]{1,20}"]
                    .boxed()
            }
            Kind::Integer { min, max } => (min..=max).prop_map(|number| number.to_string()).boxed(),
            Kind::Choice(choices) => proptest::sample::select(choices).prop_map(str::to_owned).boxed(),
            Kind::Duration => "[1-9][0-9]{0,2}[smhd]".boxed(),
            Kind::Time => (0_i64..4_000_000_000_000).prop_map(|at| Time::from_millis(at).to_string()).boxed(),
        }
    }

    fn quoted(value: &str) -> String {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back_as_it_was((command, values) in commands()) {
            let typed: Vec<String> = values.iter().map(|(name, value)| format!(" {name}:{}", quoted(value))).collect();
            let line = format!("{}{}", command.name(), typed.concat());
            let given = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
            // What the registry says of the values themselves is what the line has to come to.
            let wanted = command.check(given).ok().filter(|args| command.missing(args).is_none());
            match (read(&line), wanted) {
                (Ok((found, args)), Some(wanted)) => {
                    prop_assert_eq!(found.path, command.path);
                    prop_assert_eq!(args, wanted);
                }
                (Err(_), None) => {}
                (read, wanted) => prop_assert!(false, "{line:?} is read as {read:?} and not as {wanted:?}"),
            }
        }

        #[test]
        fn no_line_after_a_command_breaks_the_reader((command, _) in commands(), rest in "[\"\\\\:a-z \u{e9}\u{1F600}/-]{0,60}") {
            drop(read(&format!("{} {rest}", command.name())));
        }

        #[test]
        fn no_line_breaks_the_reader(line in ".{0,200}") {
            drop(read(&line));
        }
    }
}
