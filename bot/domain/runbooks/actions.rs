//! What a step can do: the one list that the check, the runner and the reference read.
//!
//! The runner has an executor for each name; a test holds the two lists together.

use serde_json::Value;

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
    /// Always.
    World,
    /// As far as the step does not declare otherwise; see [`ActionSpec::reads`].
    Declared,
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
    /// What it means, in a sentence without a period.
    pub help: &'static str,
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
}

impl Kind {
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
            Kind::Data => "any value",
            Kind::Condition => "condition",
            Kind::Reason => "reason code",
            Kind::Extract(_) => "names with expressions",
            Kind::Approvers => "list of `role:NAME` or `person:NAME`",
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
                help: "`GET` if left out",
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
                help: "The answers, two to five; `yes` and `no` if left out",
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
            Field { name: "channel", required: false, kind: Kind::Text, help: "A channel of the configuration" },
        ],
        outputs: "nothing",
    },
];

/// The action with this name.
pub fn named(name: &str) -> Option<&'static ActionSpec> {
    ALL.iter().find(|spec| spec.name == name)
}

impl ActionSpec {
    /// Whether a step with these fields only reads. `declared` is the step's `reads_only`.
    pub fn reads(&self, with: &Value, declared: bool) -> bool {
        match self.changes {
            Changes::Nothing => true,
            Changes::World => false,
            Changes::Declared => {
                let method = with.get("method").and_then(Value::as_str).unwrap_or("GET");
                declared || (self.name == "http" && matches!(method, "GET" | "HEAD"))
            }
        }
    }
}
