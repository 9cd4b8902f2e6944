//! Actions that ask Prometheus, and never change anything.

use super::{ActionSpec, Changes, Field, Kind};

/// The answers of the question that a verification puts that cannot tell.
pub const ANSWERS: [&str; 2] = ["good", "bad"];

const SERVER: Field = Field {
    name: "server",
    required: false,
    kind: Kind::Text,
    help: "A server of `[prometheus.servers]`, that of `[prometheus]` if left out",
};

pub(super) const QUERY: ActionSpec = ActionSpec {
    name: "prometheus.query",
    summary: "Asks Prometheus for the values of a query at this moment",
    changes: Changes::Nothing,
    many: false,
    fields: &[Field { name: "query", required: true, kind: Kind::Query, help: "What to ask, in PromQL" }, SERVER],
    outputs: "`value` if the answer is one sample, else null; `samples`, each with `labels`, `value` and `at`; `unknown`, \
              why there is no `value`: no series, several, or `NaN`",
};

pub(super) const WAIT: ActionSpec = ActionSpec {
    name: "prometheus.wait",
    summary: "Looks at a query again and again until it was good for a while, is bad, or people have to say because \
              nothing can be told",
    changes: Changes::Nothing,
    many: false,
    fields: &[
        Field { name: "query", required: true, kind: Kind::Query, help: "What to look at, in PromQL; one series" },
        Field {
            name: "traffic",
            required: false,
            kind: Kind::Traffic,
            help: "A query, and the `min` of its value below which nothing can be told: no traffic is not health",
        },
        Field {
            name: "good",
            required: true,
            kind: Kind::ConditionOver(&["value"]),
            help: "What holds of `value` when it is well",
        },
        Field {
            name: "bad",
            required: false,
            kind: Kind::ConditionOver(&["value"]),
            help: "What holds of `value` when it is not: the step fails at once, with `verification_bad`",
        },
        Field { name: "for", required: true, kind: Kind::Length, help: "How long it has to stay good" },
        Field { name: "timeout", required: true, kind: Kind::Length, help: "When to stop looking" },
        Field { name: "every", required: false, kind: Kind::Length, help: "How often to look, `15s` if left out" },
        Field {
            name: "by",
            required: false,
            kind: Kind::Approvers,
            help: "Who says how it is if nothing can be told, whoever may operate if left out",
        },
        Field {
            name: "expires",
            required: false,
            kind: Kind::Length,
            help: "How long people may take to say so until the run holds, `1h` if left out",
        },
        SERVER,
    ],
    outputs: "`verdict`, which is `good`; `value` at the last look; `since` when it is good, and `by` whom it was said if \
              people had to say; `samples`, each with `at`, `value` and `traffic`",
};
