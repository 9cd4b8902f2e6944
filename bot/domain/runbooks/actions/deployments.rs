//! Actions that ask the ledger of deployments, or write into it; described.

use super::{ActionSpec, Changes, Field, Kind};

const SERVICE: Field =
    Field { name: "service", required: false, kind: Kind::Text, help: "Of which service, the target's if left out" };
const ENVIRONMENT: Field =
    Field { name: "environment", required: false, kind: Kind::Text, help: "Where, the target's if left out" };

pub(super) const LIVE: ActionSpec = ActionSpec {
    name: "deployments.live",
    summary: "Asks the ledger what is live; fails with `no_deployment_known` if nobody has reported it",
    changes: Changes::Nothing,
    many: false,
    fields: &[SERVICE, ENVIRONMENT],
    outputs: "`sha`, `version`, `since`, `age` (as in `live.age < duration('2h')`), `by`, `url`, `deployment`, `service`, \
                  `environment`, `fate` and `baked`; what nobody said is null",
};

pub(super) const LAST_GOOD: ActionSpec = ActionSpec {
    name: "deployments.last_good",
    summary: "Asks the ledger for the newest version before the live one that baked, has no incident, is not banned and was \
                  not rolled back; fails with `no_last_good` and says of the others why not",
    changes: Changes::Nothing,
    many: false,
    fields: &[
        Field {
            name: "before",
            required: false,
            kind: Kind::Text,
            help: "The version before which it was deployed, what is live if left out",
        },
        Field {
            name: "version",
            required: false,
            kind: Kind::Text,
            help: "The version to give, good or not, by its name or hash, the last good one if left out",
        },
        SERVICE,
        ENVIRONMENT,
    ],
    outputs: "as `deployments.live`, and `reversible`: whether no migration lies between, null if that is unknown",
};

pub(super) const BAN: ActionSpec = ActionSpec {
    name: "deployments.ban",
    summary: "Writes down that a version shall not be deployed to the target: the bot refuses it with `banned_version`, and \
                  tells if somebody else does it",
    changes: Changes::Record,
    many: false,
    fields: &[
        Field { name: "sha", required: true, kind: Kind::Text, help: "The version" },
        Field { name: "reason", required: false, kind: Kind::Text, help: "Why, for those who wonder" },
    ],
    outputs: "`sha`, and `banned`: false if it was banned before",
};

pub(super) const UNBAN: ActionSpec = ActionSpec {
    name: "deployments.unban",
    summary: "Takes that back; as an `undo`, only what the run itself has written down",
    changes: Changes::Record,
    many: false,
    fields: &[
        Field { name: "sha", required: true, kind: Kind::Text, help: "The version" },
        Field { name: "reason", required: false, kind: Kind::Text, help: "Why, for those who wonder" },
    ],
    outputs: "`sha`, and `lifted`: false if there was nothing to lift",
};
