//! Why a run was refused, held or ended: stable codes, which the log keeps and `/why` reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::runs::run::RunState;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// Why a run was refused, held or ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// The stable code, as it stands in the log.
            pub fn code(self) -> &'static str {
                match self {
                    $(Reason::$name => $code,)*
                }
            }

            /// The same for people.
            pub fn words(self) -> &'static str {
                match self {
                    $(Reason::$name => $words,)*
                }
            }
        }
    };
}

reasons! {
    /// A halt stands, ordered from chat or by the command line.
    Halted = "halted", "a halt stands";
    /// The file that halts without the store is there.
    HaltFile = "halt_file", "the halt file is there";
    /// Another run holds the target.
    TargetLocked = "target_locked", "another run holds the target";
    /// The service is frozen.
    Frozen = "frozen", "the service is frozen";
    /// Somebody keeps the service for themselves.
    ServiceLocked = "service_locked", "somebody has locked the service";
    /// There is no room for another run with this key.
    Concurrency = "concurrency", "as many runs as may be are at work for its key";
    /// The last runs failed or did not help.
    BreakerOpen = "breaker_open", "its last runs failed or did not help";
    /// As many effects as may be are in flight to a system.
    Bulkhead = "bulkhead", "as many effects as may be are in flight to the system";
    /// What may be changed of the service in an hour is spent.
    Budget = "budget", "what may be changed of the service in an hour is spent";
    /// The step would go further than its bounds.
    ScaleBounds = "scale_bounds", "the step would go too far";
    /// What had to be read for a guard cannot be read.
    Unreadable = "guard_unreadable", "what a guard goes by cannot be read";
    /// What was to end the question came true while people were asked.
    AbortCondition = "abort_condition", "what the approval is withdrawn for came true";
    /// The alert changes its state too often.
    Flapping = "flapping", "the alert is flapping";
    /// The alert is not known to fire any more.
    StillFiring = "still_firing", "the alert does not fire any more, as far as is known";
    /// The runbook has changed this target a short while ago.
    Cooldown = "cooldown", "the runbook is cooling down on this target";
    /// The runbook has changed this target often enough.
    MaxRuns = "max_runs", "the runbook has changed this target as often as it may";
    /// Nobody could approve.
    NoApprovers = "no_approvers", "nobody in the configuration could approve it";
    /// The alert has not fired often enough.
    TooFew = "too_few", "the alert has not fired often enough for it";
    /// The alert must go on firing first.
    Delayed = "delayed", "the alert has to go on firing first";
    /// The bot could not start it at its time.
    Missed = "missed", "the bot could not start it at its time";
    /// It would start itself again and again.
    Circular = "circular", "it would start itself again and again";
    /// The version shall not be deployed there.
    BannedVersion = "banned_version", "the version is banned there";
    /// The route of the alert does not name the runbook.
    NotRouted = "not_routed", "the alert's route does not name the runbook";
    /// The source of the alert may not set this off.
    SourceScope = "source_scope", "the alert's source may not set this off";
    /// The inputs or the target are missing or wrong.
    BadInputs = "bad_inputs", "an input is missing or not what it must be";
    /// A value that a step reads is missing.
    NoValue = "no_value", "a value that the step reads is missing";
    /// An `assert` did not hold; its own code stands beside.
    Assertion = "assertion", "an assertion does not hold";
    /// A step failed.
    StepFailed = "step_failed", "a step failed";
    /// A verification measured that it is not good, or somebody said so.
    VerificationBad = "verification_bad", "the verification says that it is not good";
    /// The run took longer than it may.
    TimedOut = "timed_out", "it took longer than it may";
    /// The people who were asked said no.
    Rejected = "rejected", "the approval was rejected";
    /// Nobody answered in time.
    ApprovalExpired = "approval_expired", "nobody answered in time";
    /// Something that was approved is another thing by now.
    Drift = "drift", "a value that was approved has changed";
    /// Somebody cancelled the run.
    Cancelled = "cancelled", "somebody cancelled it";
    /// Nobody knows whether a step happened.
    InDoubt = "in_doubt", "it is unknown whether a step happened";
    /// Somebody ended the run without knowing whether a step happened.
    Aborted = "aborted", "it was ended in doubt";
    /// Taking a step back failed.
    UndoFailed = "undo_failed", "a step could not be undone";
    /// Somebody let go of the target.
    Released = "released", "somebody let go of it";
    /// The store was restored from a copy.
    Restored = "restored", "the store was restored from a copy";
    /// Another run of the same runbook is at work on the target.
    Attached = "attached", "a run of the same runbook is at work on the target";
    /// Everything was done.
    Completed = "completed", "every step is done";
    /// Everything was taken back.
    Undone = "undone", "what was done is undone";
    /// The mode lets nothing be changed.
    Observed = "observed", "the mode `observe` changes nothing";
}

impl Reason {
    /// How a run ends that stops for this reason before it changed anything.
    pub fn ends_as(self) -> RunState {
        let by_people = [Reason::Rejected, Reason::Cancelled];
        let by_guards = [
            Reason::TargetLocked,
            Reason::Frozen,
            Reason::ServiceLocked,
            Reason::Concurrency,
            Reason::BreakerOpen,
            Reason::Budget,
            Reason::ScaleBounds,
            Reason::Unreadable,
            Reason::AbortCondition,
            Reason::Flapping,
            Reason::StillFiring,
            Reason::Cooldown,
            Reason::MaxRuns,
            Reason::NoApprovers,
            Reason::BannedVersion,
            Reason::Assertion,
        ];
        if by_people.contains(&self) {
            RunState::Cancelled
        } else if by_guards.contains(&self) {
            RunState::Refused
        } else {
            RunState::Failed
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::str::FromStr for Reason {
    type Err = String;

    fn from_str(code: &str) -> Result<Self, String> {
        Reason::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == code)
            .ok_or_else(|| format!("`{code}` is not a reason"))
    }
}
