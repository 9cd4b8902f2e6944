//! What is known of an incident, as the store holds it: all that a review may say comes from here.

use serde_json::Value;

use crate::domain::{
    ids::IncidentId,
    incidents::{self, Incident, Phase},
    runs,
    time::Time,
    timeline::{Chain, Entry, EntryRef},
};

/// Everything that a review is drafted from.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The incident as it stands.
    pub incident: Incident,
    /// Its whole timeline, oldest first.
    pub entries: Vec<Entry>,
    /// What the bot said in its channel and thread, in order.
    pub posts: Vec<Post>,
    /// Incidents that its timeline names.
    pub related: Vec<Related>,
}

/// Something that the bot said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Its number in the outbox, by which it is cited: `POST-3`.
    pub id: i64,
    /// The channel's name in the configuration.
    pub channel: String,
    /// Whether it was a page.
    pub is_page: bool,
    /// Its first line.
    pub words: String,
    /// When it was committed.
    pub created_at: Time,
    /// When a chat took it.
    pub sent_at: Option<Time>,
}

/// Another incident that the timeline names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Its name.
    pub id: IncidentId,
    /// What was wrong.
    pub title: String,
    /// Where it stands.
    pub phase: Phase,
    /// How many entries its timeline has.
    pub entries: i64,
    /// The entry that brought it where it stands.
    pub from: EntryRef,
    /// Action items that were written down in it, each with its entry.
    pub items: Vec<(ActionItem, EntryRef)>,
}

/// Something to be done later, written down during an incident as a note that begins with `action:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionItem {
    /// What is to be done.
    pub what: String,
    /// Who does it.
    pub owner: Option<String>,
    /// Until when, as a date.
    pub due: Option<String>,
}

impl ActionItem {
    /// The action item that a note is: `action: add a canary owner:ana due:2026-12-01`, in any order of the last two.
    pub fn read(note: &str) -> Option<Self> {
        let start = note.trim_start();
        let rest = start.get(.."action:".len()).filter(|word| word.eq_ignore_ascii_case("action:"));
        let rest = rest.map(|word| &start[word.len()..])?;
        let mut item = Self { what: String::new(), owner: None, due: None };
        let mut words = Vec::new();
        for word in rest.split_whitespace() {
            match word.split_once(':') {
                Some(("owner", name)) if is_name(name) => item.owner = Some(name.to_owned()),
                Some(("due", date)) if is_date(date) => item.due = Some(date.to_owned()),
                _ => words.push(word),
            }
        }
        item.what = words.join(" ");
        (!item.what.is_empty()).then_some(item)
    }

    /// What a finished action item still lacks.
    pub fn missing(&self) -> Vec<&'static str> {
        let owner = self.owner.is_none().then_some("owner");
        let due = self.due.is_none().then_some("due date");
        owner.into_iter().chain(due).collect()
    }
}

/// Whether the text can be the name of a person or a team.
fn is_name(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@' | '+');
    text.chars().all(is_plain) && text.contains(char::is_alphanumeric) && text != "unknown"
}

/// Whether the text is a day of the calendar, such as `2026-12-01`.
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// What one entry says, by the feature that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Of the incident.
    Incident(incidents::Event),
    /// Of a run.
    Run(runs::Event),
    /// Of something else.
    Other,
}

impl Said {
    /// What the entry says.
    pub fn of(entry: &Entry) -> Self {
        if let Some(event) = entry.event::<incidents::Event>() {
            return Said::Incident(event);
        }
        entry.event::<runs::Event>().map_or(Said::Other, Said::Run)
    }
}

impl Facts {
    /// The incident's own log.
    pub fn chain(&self) -> Chain {
        Chain::Incident(self.incident.id)
    }

    /// Every entry with what it says.
    pub fn said(&self) -> Vec<(&Entry, Said)> {
        self.entries.iter().map(|entry| (entry, Said::of(entry))).collect()
    }

    /// The entry of the incident's own log.
    pub fn entry(&self, reference: EntryRef) -> Option<&Entry> {
        let index = usize::try_from(reference.seq).ok()?.checked_sub(1)?;
        self.entries.get(index).filter(|entry| entry.reference == reference)
    }

    /// Whether there is such an entry, here or in a related incident.
    pub fn knows(&self, reference: EntryRef) -> bool {
        if reference.chain == self.chain() {
            return self.entry(reference).is_some();
        }
        let related = self.related.iter().find(|related| Chain::Incident(related.id) == reference.chain);
        related.is_some_and(|related| (1..=related.entries).contains(&reference.seq))
    }

    /// Whether this citation, such as `INC-7#12` or `POST-3`, leads somewhere.
    pub fn supports(&self, citation: &str) -> bool {
        if let Some(post) = citation.strip_prefix("POST-") {
            return post.parse().is_ok_and(|id: i64| self.posts.iter().any(|post| post.id == id));
        }
        reference(citation).is_some_and(|reference| self.knows(reference))
    }
}

/// Reads a citation of an entry of an incident: `INC-7#12`.
pub fn reference(citation: &str) -> Option<EntryRef> {
    let (incident, seq) = citation.strip_prefix("INC-")?.split_once('#')?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| plain && *number > 0)
    };
    Some(EntryRef { chain: Chain::Incident(IncidentId(number(incident)?)), seq: number(seq)? })
}

/// The values in an output, by their paths, at most `most` of them and two levels deep.
pub fn values(output: &Value, most: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(output, "", 2, &mut found);
    found.truncate(most);
    found
}

fn collect(value: &Value, path: &str, depth: u8, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) if depth > 0 => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &path, depth - 1, found);
            }
        }
        Value::Null if path.is_empty() => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let name = if path.is_empty() { "output" } else { path };
            found.push((name.to_owned(), runs::approvals::shown(value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_item_is_read_from_a_note() {
        let item = ActionItem::read("Action: add a canary owner:ana due:2026-12-01").unwrap();
        assert_eq!((item.what.as_str(), item.missing()), ("add a canary", vec![]));
        let item = ActionItem::read("action: look at due:soon").unwrap();
        assert_eq!((item.what.as_str(), item.missing()), ("look at due:soon", vec!["owner", "due date"]));
        for note in ["", "action:", "actions speak", "größe: x", "action: owner:ana"] {
            assert_eq!(ActionItem::read(note), None, "{note}");
        }
    }

    #[test]
    fn a_citation_reads_back() {
        let cited = reference("INC-7#12").unwrap();
        assert_eq!(cited.to_string(), "INC-7#12");
        for text in ["", "INC-7", "INC-0#1", "INC-7#0", "RUN-7#1", "INC-7#x", "INC--7#1"] {
            assert_eq!(reference(text), None, "{text}");
        }
    }
}
