//! What a step can do: the one list that the check, the runner and the reference read.
//!
//! The runner has an executor for each name; a test holds the two lists together.

mod care;
mod deployments;
mod github;
pub(crate) mod kubernetes;
pub mod prometheus;

use serde_json::Value;

use crate::domain::runbooks::words;

/// An action, described.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    /// The word of the file.
    pub name: &'static str,
    /// What it does, in a sentence without a period.
    pub summary: &'static str,
    /// Whether it changes something outside.
    pub changes: Changes,
    /// Whether `with` is a list of such fields instead of one.
    pub many: bool,
    /// What `with` holds.
    pub fields: &'static [Field],
    /// What its output holds.
    pub outputs: &'static str,
}

/// Whether an action changes something outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Never.
    Nothing,
    /// Only what the bot itself writes down, in the transaction: there is no doubt about it, and no time to wait for it.
    Record,
    /// Always.
    World,
    /// As far as the step does not declare otherwise; see [`ActionSpec::reads`].
    Declared,
}

/// What a careful person wants to know of an action that changes something; each in a sentence without a period.
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// What it may change.
    pub touches: &'static str,
    /// How it is taken back.
    pub undo: &'static str,
    /// What fits when nobody knows whether it happened.
    pub doubt: &'static str,
}

/// A field of `with`.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it holds.
    pub kind: Kind,
    /// What it means, in a sentence without a period. It ends with `, VALUE if left out` where something is meant then.
    pub help: &'static str,
}

impl Field {
    /// What it means, and what is meant if it is left out.
    pub fn meaning(&self) -> (&'static str, Option<&'static str>) {
        let parts = self.help.strip_suffix(" if left out").and_then(|told| told.rsplit_once(", "));
        parts.map_or((self.help, None), |(meaning, default)| (meaning, Some(default)))
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, which may be a template.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A length of time such as `90s`.
    Duration,
    /// A list of texts, which may be templates.
    Texts,
    /// Text in which no template may stand.
    Script,
    /// Names with texts, templates or references to secrets.
    Values,
    /// A list of whole numbers.
    Integers,
    /// A whole number, or a template that gives one.
    Integer,
    /// A whole number from 1, or a template.
    Number,
    /// The whole id of a commit: 40 hexadecimal digits, or a template.
    Commit,
    /// A repository as `owner/name`, or a template.
    Repository,
    /// Any value, with templates in its texts.
    Data,
    /// A condition.
    Condition,
    /// A short word such as `no_recent_change`, which explanations show.
    Reason,
    /// Names with expressions; these may read the given names besides the usual ones.
    Extract(&'static [&'static str]),
    /// A list of people and roles.
    Approvers,
    /// A length of time in which no template may stand.
    Length,
    /// A query, which may be a template; no value may change more of it than the text between two quotes.
    Query,
    /// A query under `query`, and a number under `min`.
    Traffic,
    /// A condition that may read the given names besides the usual ones.
    ConditionOver(&'static [&'static str]),
}

impl Kind {
    /// What the reference calls it, with the words that it may be.
    pub fn shown(self) -> String {
        if let Kind::Word(words) = self {
            return words::listed(words).replace(", ", " or ");
        }
        self.word().to_owned()
    }

    /// What the reference calls it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Word(_) => "word",
            Kind::Duration => "length of time",
            Kind::Texts => "list of texts",
            Kind::Script => "text without templates",
            Kind::Values => "names with texts or `{secret: name}`",
            Kind::Integers => "list of whole numbers",
            Kind::Integer | Kind::Number => "whole number",
            Kind::Commit => "id of a commit, 40 digits",
            Kind::Repository => "`owner/name`",
            Kind::Data => "any value",
            Kind::Condition => "condition",
            Kind::Reason => "reason code",
            Kind::Extract(_) => "names with expressions",
            Kind::Approvers => "list of `role:NAME` or `person:NAME`",
            Kind::Length => "length of time without templates",
            Kind::Query => "query",
            Kind::Traffic => "`query` and `min`",
            Kind::ConditionOver(_) => "condition over `value`",
        }
    }
}

/// Every action there is.
pub const ALL: &[ActionSpec] = &[
    ActionSpec {
        name: "shell",
        summary: "Runs a program, without a shell (`argv`) or as a script that reads its values from the environment",
        changes: Changes::Declared,
        many: false,
        fields: &[
            Field {
                name: "argv",
                required: false,
                kind: Kind::Texts,
                help: "The program and its arguments, each as it is",
            },
            Field {
                name: "script",
                required: false,
                kind: Kind::Script,
                help: "Text for `sh -eu`; values come through `env`",
            },
            Field {
                name: "env",
                required: false,
                kind: Kind::Values,
                help: "Environment variables, beside `PATH` and `HOME`",
            },
            Field {
                name: "expect_exit",
                required: false,
                kind: Kind::Integers,
                help: "Exit codes that mean success, `[0]` if left out",
            },
            Field { name: "directory", required: false, kind: Kind::Text, help: "Where it runs" },
            Field {
                name: "extract",
                required: false,
                kind: Kind::Extract(&["exit", "stdout", "json"]),
                help: "What the output holds; `json` is the standard output read as JSON",
            },
        ],
        outputs: "what `extract` names; without it `exit`, `stdout`, and `json` if the standard output is JSON",
    },
    ActionSpec {
        name: "http",
        summary: "Sends a request; `GET` and `HEAD` read, the other methods change something and carry an idempotency key",
        changes: Changes::Declared,
        many: false,
        fields: &[
            Field {
                name: "method",
                required: false,
                kind: Kind::Word(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
                help: "What is asked for, `GET` if left out",
            },
            Field { name: "url", required: true, kind: Kind::Text, help: "Where to, with `http://` or `https://`" },
            Field { name: "headers", required: false, kind: Kind::Values, help: "Headers; a secret by its name" },
            Field { name: "body", required: false, kind: Kind::Data, help: "Text as it is, anything else as JSON" },
            Field {
                name: "expect",
                required: false,
                kind: Kind::Integers,
                help: "Status codes that mean success, any 2xx if left out",
            },
            Field {
                name: "extract",
                required: false,
                kind: Kind::Extract(&["response"]),
                help: "What the output holds, from `response.status`, `response.json`, `response.text` and `response.headers`",
            },
        ],
        outputs: "what `extract` names; without it `status` and `json`, or `text` if the body is not JSON",
    },
    ActionSpec {
        name: "wait",
        summary: "Lets time pass, also over a restart",
        changes: Changes::Nothing,
        many: false,
        fields: &[Field { name: "for", required: true, kind: Kind::Duration, help: "How long" }],
        outputs: "nothing",
    },
    ActionSpec {
        name: "assert",
        summary: "Stops the run unless every condition holds",
        changes: Changes::Nothing,
        many: true,
        fields: &[
            Field { name: "that", required: true, kind: Kind::Condition, help: "What must hold" },
            Field {
                name: "else",
                required: true,
                kind: Kind::Reason,
                help: "The reason that is recorded and shown if it does not",
            },
        ],
        outputs: "nothing",
    },
    ActionSpec {
        name: "ask",
        summary: "Puts a question to people and waits for the answer",
        changes: Changes::Nothing,
        many: false,
        fields: &[
            Field { name: "question", required: true, kind: Kind::Text, help: "What to ask" },
            Field {
                name: "choices",
                required: false,
                kind: Kind::Texts,
                help: "The answers, two to five, `yes` and `no` if left out",
            },
            Field { name: "by", required: true, kind: Kind::Approvers, help: "Who may answer" },
            Field {
                name: "expires",
                required: true,
                kind: Kind::Duration,
                help: "How long the question stands; then the run holds",
            },
        ],
        outputs: "`answer` and `by`",
    },
    ActionSpec {
        name: "announce",
        summary: "Says something in the incident's channel, or in another",
        changes: Changes::Nothing,
        many: false,
        fields: &[
            Field { name: "text", required: true, kind: Kind::Text, help: "What to say" },
            Field {
                name: "channel",
                required: false,
                kind: Kind::Text,
                help: "A channel of the configuration, the incident's if left out",
            },
        ],
        outputs: "nothing",
    },
    ActionSpec {
        name: "set",
        summary: "Gives names to values that expressions make of others",
        changes: Changes::Nothing,
        many: false,
        fields: &[Field {
            name: "values",
            required: true,
            kind: Kind::Extract(&[]),
            help: "What the output holds: names with expressions",
        }],
        outputs: "what `values` names",
    },
    ActionSpec {
        name: "runbook",
        summary: "Starts another runbook on its own target and waits for the end of that run, whose own `timeout` counts",
        changes: Changes::World,
        many: false,
        fields: &[
            Field { name: "name", required: true, kind: Kind::Text, help: "The runbook" },
            Field { name: "inputs", required: false, kind: Kind::Data, help: "Its inputs: names with plain values" },
        ],
        outputs: "what the runbook's `outputs` name",
    },
    ActionSpec {
        name: "incident.update",
        summary: "Says how bad the run's incident is, what is wrong, or something worth noting",
        changes: Changes::Nothing,
        many: false,
        fields: &[
            Field { name: "severity", required: false, kind: Kind::Text, help: "`SEV1` to `SEV4`; a higher one pages" },
            Field { name: "summary", required: false, kind: Kind::Text, help: "What is wrong, in a sentence or two" },
            Field { name: "note", required: false, kind: Kind::Text, help: "What the timeline shall tell" },
        ],
        outputs: "nothing",
    },
    kubernetes::READ,
    kubernetes::SCALE,
    kubernetes::ROLLOUT_UNDO,
    kubernetes::ROLLOUT_RESTART,
    kubernetes::WAIT_ROLLOUT,
    kubernetes::CORDON,
    kubernetes::DRAIN,
    prometheus::QUERY,
    prometheus::WAIT,
    deployments::LIVE,
    deployments::LAST_GOOD,
    deployments::BAN,
    deployments::UNBAN,
    github::ALL[0],
    github::ALL[1],
    github::ALL[2],
    github::ALL[3],
    github::ALL[4],
    github::ALL[5],
    github::ALL[6],
    github::ALL[7],
    github::ALL[8],
    github::ALL[9],
    github::ALL[10],
    github::ALL[11],
];

/// The actions whose target itself refuses a worker that another has followed: it bears the epoch of whoever wrote last,
/// and takes a write only to the version that was read. They may be repeated while an earlier worker may still be at it.
pub fn is_fenced(name: &str) -> bool {
    name.starts_with("kubernetes.")
}

/// What a careful person wants to know of an action, beyond what it does.
pub fn care(name: &str) -> Option<&'static Care> {
    care::CARE.iter().chain(kubernetes::CARE).find(|(action, _)| *action == name).map(|(_, care)| care)
}

/// The condition over `output` that ends the waiting of an action that waits by itself.
pub fn waits_until(name: &str) -> Option<&'static str> {
    (name == kubernetes::WAIT_ROLLOUT.name).then_some("output.complete")
}

/// Whether `text` is the whole id of a commit.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether `text` is the name of a repository, `owner/name`.
pub fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && part.len() <= 100 && part.bytes().all(is_plain) && !matches!(part, "." | "..")
    };
    text.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}

/// The action with this name.
pub fn named(name: &str) -> Option<&'static ActionSpec> {
    ALL.iter().find(|spec| spec.name == name)
}

impl ActionSpec {
    /// Whether a step with these fields only reads. `declared` is the step's `reads_only`.
    pub fn reads(&self, with: &Value, declared: bool) -> bool {
        match self.changes {
            Changes::Nothing => true,
            Changes::Record | Changes::World => false,
            Changes::Declared => {
                let method = with.get("method").and_then(Value::as_str).unwrap_or("GET");
                declared || (self.name == "http" && matches!(method, "GET" | "HEAD"))
            }
        }
    }
}
