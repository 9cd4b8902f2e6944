//! Every table of the store, once: what is written out of it, in which order, and how it is read back.
//!
//! A test compares this list with the schema, so that a table or a column that is added later is not forgotten.

use std::{collections::BTreeMap, sync::LazyLock};

/// A column; the store has integers and texts, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Int(&'static str),
    Text(&'static str),
}

use Column::{Int, Text};

impl Column {
    pub(super) fn name(self) -> &'static str {
        match self {
            Int(name) | Text(name) => name,
        }
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// What tells its rows apart; they are written in this order.
    pub(super) key: &'static [&'static str],
    pub(super) columns: &'static [Column],
    /// Which rows belong to the incident `$1`, if any do.
    pub(super) of_incident: Option<&'static str>,
}

/// What leaves for a file, each of which says by its `$1` which rows are its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// An incident.
    Incident,
    /// A list of runs, with cards, for those have no incident to go with.
    Runs,
    /// The entries of the system's timeline up to one.
    Entries,
}

/// The runs of such a list.
macro_rules! in_list {
    ($column:literal) => {
        concat!($column, " in (select cast(value as bigint) from json_each($1))")
    };
}

/// The tables, each after those that it refers to.
#[rustfmt::skip]
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "instance", key: &["id"], of_incident: None,
        columns: &[Text("id"), Int("asks_for"), Int("beat_at"), Text("restored"), Int("revisions_from")],
    },
    Table {
        name: "archives", key: &["name"], of_incident: None,
        columns: &[
            Text("name"), Text("title"), Int("severity"), Text("phase"), Int("ended_at"), Int("archived_at"), Text("file"),
            Text("sha256"), Text("runs"), Int("chain"), Int("base"), Int("seq"), Text("hash"),
        ],
    },
    Table {
        name: "chains", key: &["chain"], of_incident: Some("chain = $1"),
        columns: &[Int("chain"), Int("seq"), Text("hash")],
    },
    Table {
        name: "timeline", key: &["chain", "seq"], of_incident: Some("chain = $1"),
        columns: &[
            Int("id"), Int("chain"), Int("seq"), Int("at"), Int("source_at"), Text("actor"), Text("kind"), Text("body"),
            Text("text"), Text("hash"),
        ],
    },
    Table {
        name: "inputs", key: &["source_key"], of_incident: None,
        columns: &[Text("source_key"), Int("at"), Text("answer")],
    },
    Table {
        name: "timers", key: &["kind", "subject"], of_incident: None,
        columns: &[Text("kind"), Text("subject"), Int("due_at")],
    },
    Table {
        name: "posts", key: &["id"], of_incident: Some("incident = $1"),
        columns: &[
            Int("id"), Text("channel"), Int("lane"), Int("incident"), Text("body"), Text("nonce"), Int("created_at"),
            Int("expires_at"), Text("state"), Int("sent_at"), Text("message"), Text("trouble"), Int("told_at"),
        ],
    },
    Table {
        name: "halts", key: &["scope"], of_incident: None,
        columns: &[Text("scope"), Text("reason"), Text("actor"), Int("at")],
    },
    Table {
        name: "alerts", key: &["id"], of_incident: None,
        columns: &[Int("id"), Text("key"), Text("state"), Int("due_at"), Int("last_seen"), Text("record")],
    },
    Table {
        name: "suppressions", key: &["alert", "reason", "source"], of_incident: None,
        columns: &[Text("alert"), Text("reason"), Text("source"), Int("first_at"), Int("last_at"), Int("count")],
    },
    Table {
        name: "silences", key: &["id"], of_incident: None,
        columns: &[
            Int("id"), Text("uuid"), Text("matchers"), Int("starts_at"), Int("ends_at"), Text("author"), Text("comment"),
            Text("annotations"), Text("set_by"), Int("updated_at"), Text("told"),
        ],
    },
    Table {
        name: "silenced", key: &["alert"], of_incident: None,
        columns: &[Text("alert"), Int("since")],
    },
    Table {
        name: "incidents", key: &["id"], of_incident: Some("id = $1"),
        columns: &[
            Int("id"), Text("title"), Text("summary"), Int("severity"), Int("peak_severity"), Text("phase"),
            Int("phase_since"), Text("prior_phase"), Text("service"), Text("environment"), Text("route"),
            Text("group_key"), Text("channel"), Text("runbooks"), Text("pages"), Text("origin"), Int("opened_at"),
            Int("last_fired_at"), Int("truncated"), Text("roles"), Text("milestones"), Text("earlier"),
            Int("merged_into"), Int("asked_at"), Int("open_runs"), Int("firing"), Int("stale"), Int("resolved"),
        ],
    },
    Table {
        name: "incident_groups", key: &["group_key", "incident"], of_incident: Some("incident = $1"),
        columns: &[Text("group_key"), Int("incident")],
    },
    Table {
        name: "incident_alerts", key: &["incident", "alert"], of_incident: Some("incident = $1"),
        columns: &[
            Int("incident"), Int("alert"), Text("alert_key"), Text("name"), Int("severity"), Int("episode"), Text("state"),
            Int("is_flapping"), Int("is_quiet"), Int("joined_at"), Int("fired_at"), Int("cleared_at"),
            Text("cleared_in"), Int("silent_since"),
        ],
    },
    Table {
        name: "deployments", key: &["id"], of_incident: None,
        columns: &[
            Int("id"), Text("service"), Text("environment"), Text("repository"), Text("sha"), Text("version"),
            Text("deployer"), Text("source"), Text("external"), Text("url"), Int("run"), Text("state"), Int("began_at"),
            Int("ended_at"), Int("bake"), Int("migration"), Int("incident"), Int("rolled_back_by"), Int("recorded_at"),
        ],
    },
    Table {
        name: "bans", key: &["service", "environment", "sha"], of_incident: None,
        columns: &[Text("service"), Text("environment"), Text("sha"), Text("reason"), Text("actor"), Int("at")],
    },
    Table {
        name: "changes", key: &["external", "service"], of_incident: None,
        columns: &[
            Text("external"), Text("service"), Text("environment"), Text("kind"), Text("what"), Int("at"), Text("person"),
            Text("url"), Int("run"),
        ],
    },
    Table {
        name: "plans", key: &["hash"], of_incident: Some("hash in (select plan_hash from runs where incident = $1)"),
        columns: &[Text("hash"), Text("plan")],
    },
    Table {
        name: "runs", key: &["id"], of_incident: Some("incident = $1"),
        columns: &[
            Int("id"), Text("runbook"), Text("plan_hash"), Text("trigger_key"), Text("service"),
            Text("environment"), Int("incident"), Text("cause"), Text("requested_by"), Text("mode"), Text("state"),
            Text("pass"), Text("inputs"), Text("concurrency"), Text("hold"), Text("reason"), Int("revision"), Int("epoch"), Text("owner"),
            Int("lease_until"), Int("may_overlap"), Int("wake_at"), Text("cancelled_by"), Text("paused_by"), Int("deadline"),
            Text("failure"), Text("ending"), Text("parent"), Int("root"), Int("needs_approval"),
            Int("mutated_at"), Int("started_at"), Int("ended_at"),
        ],
    },
    Table {
        name: "steps", key: &["run", "path", "pass", "attempt"],
        of_incident: Some("run in (select id from runs where incident = $1)"),
        columns: &[
            Int("run"), Text("path"), Text("pass"), Int("attempt"), Int("seq"), Text("state"), Int("epoch"), Int("about"),
            Text("effect"), Text("action"), Text("system"), Text("fields"), Text("before"), Text("output"), Text("error"),
            Int("may_have_changed"), Text("verdict"), Int("due_at"), Int("question"), Int("started_at"), Int("ended_at"),
        ],
    },
    Table {
        name: "approvals", key: &["id"], of_incident: Some("run in (select id from runs where incident = $1)"),
        columns: &[
            Int("id"), Int("run"), Text("asks"), Text("path"), Int("revision"), Int("epoch"), Text("question"),
            Text("approvers"), Int("people"), Text("bound"), Text("state"), Text("answers"), Int("asked_at"),
            Int("expires_at"), Int("decided_at"),
        ],
    },
    Table {
        name: "cards", key: &["subject"], of_incident: Some("incident = $1"),
        columns: &[
            Text("subject"), Text("channel"), Int("incident"), Int("lane"), Int("wanted"), Int("shown"), Text("message"),
            Int("lost"), Text("thread"), Int("changed_at"), Text("trouble"), Int("told_at"),
        ],
    },
    Table {
        name: "runs_left", key: &["runbook", "state"], of_incident: None,
        columns: &[Text("runbook"), Text("state"), Int("number")],
    },
    Table {
        name: "locks", key: &["service", "environment"], of_incident: None,
        columns: &[Text("service"), Text("environment"), Int("run"), Int("at")],
    },
    Table {
        name: "service_locks", key: &["service"], of_incident: None,
        columns: &[Text("service"), Text("owner"), Text("reason"), Int("at"), Int("until")],
    },
    Table {
        name: "freezes", key: &["service"], of_incident: None,
        columns: &[Text("service"), Int("until"), Text("reason"), Text("actor"), Int("at")],
    },
    Table {
        name: "spendings", key: &["effect"], of_incident: None,
        columns: &[
            Text("effect"), Text("service"), Int("run"), Int("at"), Int("steps"), Int("pods"), Int("percent"),
        ],
    },
    Table {
        name: "cooldowns", key: &["runbook", "service", "environment"], of_incident: None,
        columns: &[
            Text("runbook"), Text("service"), Text("environment"), Int("level"), Int("at"), Int("until"), Text("alert"),
        ],
    },
    Table {
        name: "firings", key: &["runbook", "incident", "at"], of_incident: Some("incident = $1"),
        columns: &[Text("runbook"), Int("incident"), Int("at"), Int("times")],
    },
];

/// The table of this name.
pub(super) fn named(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The statements of a table, which are made once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statements {
    /// All rows, in the order of the key, which is the same on both databases.
    pub(super) all: &'static str,
    /// Whether there is any row.
    pub(super) any: &'static str,
    incident: Share,
    runs: Share,
    entries: Share,
}

/// What goes of a table into the file of what leaves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    /// The rows, in the order of the key.
    pub(super) rows: Option<&'static str>,
    /// Takes them away.
    pub(super) delete: Option<&'static str>,
}

impl Statements {
    /// What goes of the table into a file of this kind.
    pub(super) fn share(&self, kind: Kind) -> Share {
        match kind {
            Kind::Incident => self.incident,
            Kind::Runs => self.runs,
            Kind::Entries => self.entries,
        }
    }
}

impl Table {
    /// Whether its key is a number that the database gives.
    pub(super) fn is_numbered(&self) -> bool {
        self.columns.contains(&Int("id"))
    }

    pub(super) fn column(&self, name: &str) -> Option<Column> {
        self.columns.iter().copied().find(|column| column.name() == name)
    }

    pub(super) fn statements(&self) -> Statements {
        static MADE: LazyLock<BTreeMap<&str, Statements>> =
            LazyLock::new(|| TABLES.iter().map(|table| (table.name, table.make())).collect());
        MADE.get(self.name).copied().unwrap_or_else(|| self.make())
    }

    fn make(&self) -> Statements {
        let name = self.name;
        let columns: Vec<&str> = self.columns.iter().map(|column| column.name()).collect();
        let columns = columns.join(", ");
        let collated = |key: &&str| match self.column(key) {
            Some(Text(name)) => format!("{name} collate binary"),
            Some(Int(_)) | None => (*key).to_owned(),
        };
        let order = self.key.iter().map(collated).collect::<Vec<_>>().join(", ");
        let share = |kind| {
            let Some((from, condition, is_taken)) = self.condition(kind) else { return Share::default() };
            let rows = format!("select {columns} from {from} where {condition} order by {order}");
            let delete = is_taken.then(|| format!("delete from {name} where {condition}"));
            Share { rows: Some(rows.leak()), delete: delete.map(|delete| &*delete.leak()) }
        };
        Statements {
            all: format!("select {columns} from {name} order by {order}").leak(),
            any: format!("select 1 as found from {name} limit 1").leak(),
            incident: share(Kind::Incident),
            runs: share(Kind::Runs),
            entries: share(Kind::Entries),
        }
    }

    /// Which rows go into a file of this kind: of which table, and whether they are taken away with it.
    fn condition(&self, kind: Kind) -> Option<(&'static str, &'static str, bool)> {
        match (kind, self.name) {
            // They go when no run follows them any more.
            (Kind::Incident, "plans") => self.of_incident.map(|condition| ("plans", condition, false)),
            (Kind::Runs, "plans") => {
                let followed = concat!("hash in (select plan_hash from runs where ", in_list!("id"), ")");
                Some(("plans", followed, false))
            }
            (Kind::Incident, name) => self.of_incident.map(|condition| (name, condition, true)),
            (Kind::Runs, "runs") => Some(("runs", in_list!("id"), true)),
            (Kind::Runs, name @ ("steps" | "approvals")) => Some((name, in_list!("run"), true)),
            (Kind::Runs, "cards") => {
                let condition = concat!(
                    "(subject in (select 'RUN-' || cast(value as bigint) from json_each($1)) \
                     or subject in (select 'APR-' || id from approvals where ",
                    in_list!("run"),
                    "))"
                );
                Some(("cards", condition, true))
            }
            (Kind::Entries, "timeline") => Some(("timeline", "chain = 0 and seq <= $1", true)),
            // Where they end, and what left before them, where they begin.
            (Kind::Entries, "chains") => Some(("timeline", "chain = 0 and seq = $1", false)),
            (Kind::Entries, "archives") => {
                let before = "chain = 0 and seq = (select max(seq) from archives where chain = 0 and seq < $1)";
                Some(("archives", before, false))
            }
            (Kind::Runs | Kind::Entries, _) => None,
        }
    }

    /// Adds a list of rows that is bound as JSON; only these columns are named, the others take what the schema gives.
    ///
    /// Made anew for each file that is read: files of older versions may lack columns.
    pub(super) fn insert(&self, columns: &[Column]) -> &'static str {
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|column| match column {
                Int(name) => format!("cast(value ->> '{name}' as bigint)"),
                Text(name) => format!("value ->> '{name}'"),
            })
            .collect();
        let (names, values) = (names.join(", "), values.join(", "));
        format!("insert into {} ({names}) select {values} from json_each($1)", self.name).leak()
    }

    /// Lets PostgreSQL number the next row after the last that is there.
    pub(super) fn renumber(&self) -> &'static str {
        let name = self.name;
        format!(
            "select setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 0) + 1, false) as next from {name}"
        )
        .leak()
    }
}
