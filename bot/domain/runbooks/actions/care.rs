//! What a careful person wants to know of the actions that change something, beside those on a Kubernetes cluster.

use super::Care;

const BY_PROBE: &str =
    "what it writes bears the step's key, by which the probe finds it; it is never sent twice blindly";
const BY_TRANSACTION: &str = "it is written in the transaction of the step, so it is never in doubt";

/// One entry for each action, by its name.
pub(super) const CARE: &[(&str, Care)] = &[
    (
        "shell",
        Care {
            touches: "whatever the program changes, of which the bot knows nothing",
            undo: "another `shell` that takes it back, with values of the step's output and of the steps before it",
            doubt: "a program that was killed, or did not end within its `timeout`, may have done its work. It has the \
                    step's key in `FIREWARDEN_KEY`: `repeat: safe` if it heeds it, or may simply be run twice; or a `probe`",
        },
    ),
    (
        "http",
        Care {
            touches: "whatever the address does with the request",
            undo: "another `http` that sets what was there before, as an earlier step has read it",
            doubt: "the request carries the step's key as `Idempotency-Key`, the same at each attempt: `repeat: safe` if the \
                    other side heeds it; or a `probe` that looks for what it does",
        },
    ),
    (
        "runbook",
        Care {
            touches: "what the other runbook changes, on its own target and within its own guards and budget",
            undo: "another `runbook` that takes it back",
            doubt: "the other run is started in the transaction of the step, so it is never in doubt whether it was; what is \
                    in doubt in that run is asked there",
        },
    ),
    (
        "deployments.ban",
        Care {
            touches: "the ledger: the bot does not deploy the version to the target any more, in any run",
            undo: "`deployments.unban` with the same `sha`, which takes back only what the run itself has ordered",
            doubt: BY_TRANSACTION,
        },
    ),
    (
        "deployments.unban",
        Care {
            touches: "the ledger: the version may be deployed to the target again",
            undo: "`deployments.ban` with the same `sha`",
            doubt: BY_TRANSACTION,
        },
    ),
    (
        "github.deploy",
        Care {
            touches: "the environment, by whatever acts on deployments of the repository; nothing is merged",
            undo: "`github.deploy` of the commit that was live, with `expect_live` the one that the step deployed",
            doubt: "a `probe` by `github.find_deployment`: the step's key stands in the deployment's payload, and it is never \
                    made twice blindly",
        },
    ),
    (
        "github.dispatch_workflow",
        Care {
            touches: "whatever the workflow changes",
            undo: "another workflow that takes it back, or `irreversible: true`",
            doubt: "a `probe` by `github.find_workflow_run`, if the workflow shows the input `key_input` in its `run-name`; \
                    else people are asked",
        },
    ),
    (
        "github.rerun_workflow",
        Care {
            touches: "whatever the workflow changes",
            undo: "another workflow that takes it back, or `irreversible: true`",
            doubt: "`repeat: safe` with the `attempt` that is to be run again: a newer attempt is followed instead of making \
                    another one",
        },
    ),
    (
        "github.revert_pull_request",
        Care {
            touches: "the repository's pull requests, by one more; merging it is people's",
            undo: "people close it: declare `irreversible: true`, or `probe` alone",
            doubt: BY_PROBE,
        },
    ),
    (
        "github.create_issue",
        Care {
            touches: "the repository's issues, by one more",
            undo: "people close it: declare `irreversible: true`, or `probe` alone",
            doubt: BY_PROBE,
        },
    ),
    (
        "github.comment",
        Care {
            touches: "the issue or pull request, by one comment",
            undo: "people delete it: declare `irreversible: true`, or `probe` alone",
            doubt: BY_PROBE,
        },
    ),
];
