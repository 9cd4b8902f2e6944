//! Every guard there is, as its page in `docs/guards` lists it: what it takes, when it is looked at, how it refuses.

use crate::domain::runs::reason::Reason;

/// A guard, described.
#[derive(Debug, Clone, Copy)]
pub struct GuardSpec {
    /// The name of its page.
    pub name: &'static str,
    /// What must hold, in a sentence without a period.
    pub summary: &'static str,
    /// Where it is declared or ordered.
    pub declared: &'static str,
    /// What it takes there.
    pub keys: &'static [GuardKey],
    /// When it is looked at.
    pub looked_at: &'static [Look],
    /// How it refuses.
    pub reasons: &'static [Reason],
}

/// Something that a guard takes.
#[derive(Debug, Clone, Copy)]
pub struct GuardKey {
    /// Its key.
    pub name: &'static str,
    /// What it holds.
    pub holds: &'static str,
    /// What is meant if it is left out; none if it must be there.
    pub default: Option<&'static str>,
    /// What it means, in a sentence without a period.
    pub help: &'static str,
}

/// A moment at which guards are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A run is about to start, or is next in a queue.
    Start,
    /// A step is about to reach out, whether it changes something or not.
    Effect,
    /// A step is about to change something, the first of the run.
    FirstChange,
    /// A step is about to change something, after another one did.
    LaterChange,
    /// Something is about to be taken back.
    Undo,
    /// People are asked, or answer.
    Question,
}

impl GuardSpec {
    /// How it refuses, by code and in words. An action that is its own guard has a code of its own.
    pub fn codes(&self) -> Vec<(&'static str, &'static str)> {
        self.reasons.iter().map(|reason| (reason.code(), reason.words())).collect()
    }
}

impl Look {
    fn words(self) -> &'static str {
        match self {
            Look::Start => "when a run is about to start",
            Look::Effect => "before every step that reaches out, also one that only reads",
            Look::FirstChange => "before the first change",
            Look::LaterChange => "before every later change",
            Look::Undo => "before every undo",
            Look::Question => "while people are asked, and when they answer",
        }
    }
}

const fn needed(name: &'static str, holds: &'static str, help: &'static str) -> GuardKey {
    GuardKey { name, holds, default: None, help }
}

const fn free(name: &'static str, holds: &'static str, default: &'static str, help: &'static str) -> GuardKey {
    GuardKey { name, holds, default: Some(default), help }
}

const LENGTH: &str = "length of time";
const NUMBER: &str = "whole number";
const EVERY_CHANGE: &[Look] = &[Look::Start, Look::FirstChange, Look::LaterChange];
const FIRST_CHANGE: &[Look] = &[Look::Start, Look::FirstChange];

/// Every guard there is.
pub const ALL: &[GuardSpec] = &[
    GuardSpec {
        name: "halt",
        summary: "No halt stands, on everything or on the service",
        declared: "`/halt`, `firewarden halt`, a file beside the store",
        keys: &[],
        looked_at: &[Look::Start, Look::FirstChange, Look::LaterChange, Look::Undo],
        reasons: &[Reason::Halted, Reason::HaltFile],
    },
    GuardSpec {
        name: "target",
        summary: "No other run is at work on the service and environment that the run changes",
        declared: "`target` of every runbook",
        keys: &[
            needed("service", "text, which may be a template", "The service"),
            needed("environment", "text, which may be a template", "The environment"),
        ],
        looked_at: EVERY_CHANGE,
        reasons: &[Reason::TargetLocked],
    },
    GuardSpec {
        name: "still_firing",
        summary: "The alert that set the run off still fires, and does not flap",
        declared: "`guards.still_firing`; that it does not flap always",
        keys: &[needed(
            "until",
            "`first_mutation` or `end`",
            "Whether it must fire only until the run has changed something, or before each change",
        )],
        looked_at: &[Look::Start, Look::FirstChange, Look::LaterChange],
        reasons: &[Reason::StillFiring, Reason::Flapping],
    },
    GuardSpec {
        name: "cooldown",
        summary: "The runbook has not changed the target a short while ago",
        declared: "`guards.cooldown`",
        keys: &[
            needed("for", LENGTH, "How long the target is left alone after the first change of a run"),
            free(
                "factor",
                "number from 1 to 10",
                "2",
                "By what that is multiplied each time the same alert comes back",
            ),
            free("max", LENGTH, "24h", "The longest that it becomes, at most `24h`"),
        ],
        looked_at: FIRST_CHANGE,
        reasons: &[Reason::Cooldown],
    },
    GuardSpec {
        name: "max_runs",
        summary: "The runbook has not changed the target too often",
        declared: "`guards.max_runs`",
        keys: &[
            needed("count", NUMBER, "How many runs may change the target"),
            needed("per", LENGTH, "In how long, looking back"),
        ],
        looked_at: FIRST_CHANGE,
        reasons: &[Reason::MaxRuns],
    },
    GuardSpec {
        name: "concurrency",
        summary: "There is room for another run with the same key",
        declared: "`guards.concurrency`",
        keys: &[
            needed("key", "text, which may be a template over the inputs", "What runs share, whatever their runbooks"),
            free("limit", NUMBER, "1", "How many of them may be at work"),
            needed("when_busy", "`attach`, `queue` or `skip`", "What becomes of one more"),
        ],
        looked_at: &[Look::Start],
        reasons: &[Reason::Concurrency],
    },
    GuardSpec {
        name: "breaker",
        summary: "The runbook's last runs on the target did not fail, and helped",
        declared: "`guards.breaker`",
        keys: &[
            needed("after", "whole number from 1 to 15", "After how many in a row it opens"),
            free("of", "`failed` or `failed_or_ineffective`", "`failed_or_ineffective`", "Which runs count"),
            needed("open_for", LENGTH, "How long it stays open; then people have to agree to the next run"),
        ],
        looked_at: FIRST_CHANGE,
        reasons: &[Reason::BreakerOpen],
    },
    GuardSpec {
        name: "bulkhead",
        summary: "There is room for another effect in the system that the step reaches",
        declared: "`[limits]` in `firewarden.toml`",
        keys: &[free(
            "NAME",
            "whole number from 1",
            "no limit",
            "How many effects may be in flight, by `github`, `kubernetes`, `prometheus`, `shell`, or `http:` with host and port",
        )],
        looked_at: &[Look::Effect],
        reasons: &[Reason::Bulkhead],
    },
    GuardSpec {
        name: "budget",
        summary: "What may be changed of the service within an hour is not spent",
        declared: "`[budgets.SERVICE]` or `[budgets.default]` in `firewarden.toml`, `touches` of a step",
        keys: &[
            free("steps", NUMBER, "no limit", "How many steps may change something"),
            free("pods", NUMBER, "no limit", "How many pods they may touch, as they say in `touches.pods`"),
            free("percent", NUMBER, "no limit", "How much of the service, as they say in `touches.percent`"),
        ],
        looked_at: &[Look::FirstChange, Look::LaterChange],
        reasons: &[Reason::Budget],
    },
    GuardSpec {
        name: "freeze",
        summary: "The service is not frozen",
        declared: "`/freeze`, `[[freezes]]` in `firewarden.toml`, `guards.allowed_in_freeze`",
        keys: &[
            needed("name", "text", "Its name"),
            free("match", "list of matchers", "every target", "What must hold of `service` and `environment`"),
            free("reason", "text", "none", "Why, for those who wonder"),
            free("start", "moment", "see `weekly`", "When it begins"),
            free("end", "moment", "see `weekly`", "When it ends"),
            free(
                "weekly",
                "`from`, `to` and `zone`",
                "see `start`",
                "When it begins and ends every week, by the clocks there",
            ),
        ],
        looked_at: EVERY_CHANGE,
        reasons: &[Reason::Frozen],
    },
    GuardSpec {
        name: "service_lock",
        summary: "Nobody else keeps the service for themselves",
        declared: "`/lock`, `/unlock`",
        keys: &[],
        looked_at: EVERY_CHANGE,
        reasons: &[Reason::ServiceLocked],
    },
    GuardSpec {
        name: "approval",
        summary: "People who may agree did so, to the values that they were shown",
        declared: "`approval`",
        keys: &[
            needed("before", "name of a step", "The step that waits; the reads above it run first"),
            free("when", "condition", "in the mode `ask`", "Whether people are asked at all"),
            needed(
                "by",
                "list of `role:NAME` or `person:NAME`",
                "Who may agree; whoever started the run does not count",
            ),
            free("count", "whole number from 1 to 10", "1", "How many people must agree"),
            free("binds", "list of paths", "none", "The values that are shown and agreed to; a change of one voids it"),
            free("expires", LENGTH, "15m", "How long they have; then a person is paged and the run holds"),
            free("abort_when", "condition", "never", "What withdraws the question while people think"),
        ],
        looked_at: &[Look::Start, Look::Question],
        reasons: &[
            Reason::NoApprovers,
            Reason::Rejected,
            Reason::ApprovalExpired,
            Reason::Drift,
            Reason::AbortCondition,
        ],
    },
    GuardSpec {
        name: "ban",
        summary: "The version that the step would deploy is not banned there",
        declared: "`deployments.ban`, `/version ban`, `/version unban`",
        keys: &[],
        looked_at: &[Look::FirstChange, Look::LaterChange],
        reasons: &[Reason::BannedVersion],
    },
    GuardSpec {
        name: "scale_bounds",
        summary: "The number of replicas that the step comes to is within its bounds",
        declared: "`with` of `kubernetes.scale`",
        keys: &[
            free("min", NUMBER, "1", "Fewer are refused"),
            free("max", NUMBER, "no limit", "More are refused"),
            free("largest_step", NUMBER, "no limit", "A change by more is refused"),
        ],
        looked_at: &[Look::FirstChange, Look::LaterChange, Look::Undo],
        reasons: &[Reason::ScaleBounds],
    },
];

/// What a guard takes, when it is looked at and how it refuses, in Markdown.
pub fn guard(spec: &GuardSpec) -> String {
    let mut text = format!("{}.\n\nDeclared by {}.\n", spec.summary, spec.declared);
    if !spec.keys.is_empty() {
        text.push_str("\n| | | holds | if left out | |\n|---|---|---|---|---|\n");
    }
    for key in spec.keys {
        let (needed, default) = key.default.map_or(("required", ""), |default| ("", default));
        text.push_str(&format!("| `{}` | {needed} | {} | {default} | {} |\n", key.name, key.holds, key.help));
    }
    let looks: Vec<&str> = spec.looked_at.iter().map(|look| look.words()).collect();
    text.push_str(&format!("\nLooked at {}.\n\n", looks.join("; ")));
    text.push_str("| reason code | in words |\n|---|---|\n");
    for (code, words) in spec.codes() {
        text.push_str(&format!("| `{code}` | {words} |\n"));
    }
    text
}

/// Every guard in one table, with links to pages that are named for them.
pub fn index() -> String {
    let mut text = "| guard | what must hold | where it is declared | reason codes |\n|---|---|---|---|\n".to_owned();
    for spec in ALL {
        let codes: Vec<String> = spec.codes().into_iter().map(|(code, _)| format!("`{code}`")).collect();
        let (name, summary, declared) = (spec.name, spec.summary, spec.declared);
        text.push_str(&format!("| [{name}]({name}.md) | {summary} | {declared} | {} |\n", codes.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::RunId,
        runbooks::{
            format::APPROVAL_KEYS,
            guarding::{BREAKER_KEYS, CONCURRENCY_KEYS, COOLDOWN_KEYS, GUARD_KEYS, MAX_RUNS_KEYS, STILL_FIRING_KEYS},
            plan::{Cooldown, Guards, MaxRuns, StillFiring},
        },
        runs::{
            RunState,
            breaker::Standing,
            guards::{Charge, Facts, Firing, Moment, evaluate},
        },
        time::Time,
    };

    fn named(name: &str) -> &'static GuardSpec {
        ALL.iter().find(|spec| spec.name == name).unwrap()
    }

    #[test]
    fn every_key_that_a_runbook_can_declare_is_described() {
        for (name, keys) in [
            ("still_firing", STILL_FIRING_KEYS),
            ("cooldown", COOLDOWN_KEYS),
            ("max_runs", MAX_RUNS_KEYS),
            ("concurrency", CONCURRENCY_KEYS),
            ("breaker", BREAKER_KEYS),
            ("approval", APPROVAL_KEYS),
        ] {
            assert_eq!(named(name).keys.iter().map(|key| key.name).collect::<Vec<_>>(), keys);
        }
        for key in GUARD_KEYS {
            let declared = format!("`guards.{key}`");
            assert!(ALL.iter().any(|spec| spec.declared.contains(&declared)), "{key} belongs to a guard");
        }
    }

    #[test]
    fn every_reason_to_refuse_belongs_to_one_guard() {
        // That something cannot be read is said of all of them; an assertion is a step of its own.
        let others = [Reason::Unreadable, Reason::Assertion];
        for reason in Reason::ALL.iter().filter(|reason| !others.contains(reason)) {
            let count = ALL.iter().filter(|spec| spec.reasons.contains(reason)).count();
            assert!(count <= 1, "{reason}");
            assert!(count == 1 || reason.ends_as() != RunState::Refused, "{reason} belongs to a guard");
        }
    }

    /// What refuses, with all else in order.
    fn facts(reason: Reason, now: Time) -> Option<Facts> {
        let fine = Facts { firing: Some(Firing::Yes), ..Facts::default() };
        let until = now + std::time::Duration::from_mins(1);
        let charged = Some(Charge { level: 0, at: now, until, alert: None });
        let known = [
            (Reason::Halted, Facts { halted: Some(String::new()), ..fine.clone() }),
            (Reason::HaltFile, Facts { is_halt_file_there: true, ..fine.clone() }),
            (Reason::TargetLocked, Facts { locked_by: Some(RunId(1)), ..fine.clone() }),
            (Reason::Frozen, Facts { frozen: Some(String::new()), ..fine.clone() }),
            (Reason::ServiceLocked, Facts { service_locked: Some(String::new()), ..fine.clone() }),
            (Reason::StillFiring, Facts { firing: Some(Firing::No), ..fine.clone() }),
            (Reason::Cooldown, Facts { charged, ..fine.clone() }),
            (Reason::MaxRuns, Facts { runs_in_window: 9, ..fine.clone() }),
            (Reason::BreakerOpen, Facts { breaker: Standing::Open { failures: 3, until: now }, ..fine }),
        ];
        known.into_iter().find(|(known, _)| *known == reason).map(|(_, facts)| facts)
    }

    #[test]
    fn guards_are_looked_at_when_their_pages_say_so() {
        let now = Time::EPOCH;
        let hour = std::time::Duration::from_hours(1);
        let guards = Guards {
            still_firing: Some(StillFiring::End),
            cooldown: Some(Cooldown { length: hour, factor: 2.0, max: hour }),
            max_runs: Some(MaxRuns { count: 3, per: hour }),
            ..Guards::default()
        };
        let mut looked_at = 0;
        for spec in ALL {
            for reason in spec.reasons {
                let Some(facts) = facts(*reason, now) else { continue };
                for (look, moment) in [
                    (Look::Start, Moment::Start),
                    (Look::FirstChange, Moment::FirstMutation),
                    (Look::LaterChange, Moment::LaterMutation),
                    (Look::Undo, Moment::Undo),
                ] {
                    let refused = evaluate(&guards, moment, &facts, now).err().map(|refused| refused.reason);
                    let expected = spec.looked_at.contains(&look).then_some(*reason);
                    assert_eq!(refused, expected, "{} at {moment:?}", spec.name);
                    looked_at += 1;
                }
            }
        }
        assert!(looked_at >= 36, "{looked_at}");
    }
}
