//! What steps can do at GitHub, described. Each write has a look that finds it by the idempotency key of its effect.

use super::{ActionSpec, Changes, Field, Kind};

/// Every action of this family.
pub(super) const ALL: [ActionSpec; 12] = [
    action(
        "github.deploy",
        "Makes a deployment of one commit (never merging anything) and follows it to its end; undone by a deployment \
         of the commit that was live, found by `github.find_deployment`",
        Changes::World,
        &[
            REPO,
            ENVIRONMENT,
            required("sha", Kind::Commit, "The commit, whole"),
            optional(
                "expect_live",
                Kind::Commit,
                "The commit that must be the newest deployment with success there, or nothing is deployed",
            ),
            optional("description", Kind::Text, "What people read about it at GitHub"),
            optional("task", Kind::Text, "What the deployer is to do, `deploy` if left out"),
            optional(
                "required_contexts",
                Kind::Texts,
                "The checks of the commit that must have passed: `[]` for none, all that GitHub knows of if left out",
            ),
            optional("payload", Kind::Data, "Names with values for the deployer, beside the step's own key"),
        ],
        DEPLOYMENT,
    ),
    action(
        "github.find_deployment",
        "Looks for the deployment that a step made, by its key in the payload, and follows it to its end",
        Changes::Nothing,
        &[REPO, ENVIRONMENT],
        FOUND_DEPLOYMENT,
    ),
    action(
        "github.dispatch_workflow",
        "Sets off a workflow by `workflow_dispatch` and follows its run to the end, naming the job and step that fail; \
         found by `github.find_workflow_run`",
        Changes::World,
        &[
            REPO,
            WORKFLOW,
            required("ref", Kind::Text, "The branch or tag that it runs on"),
            optional("inputs", Kind::Data, "Names with values that the workflow declares"),
            optional(
                "key_input",
                Kind::Text,
                "The input that takes the step's key: show it in the workflow's `run-name`, and the run can be found by it",
            ),
        ],
        RUN,
    ),
    action(
        "github.find_workflow_run",
        "Looks for the run that a step set off, by its key in the run's title, and follows it to its end",
        Changes::Nothing,
        &[REPO, WORKFLOW],
        FOUND_RUN,
    ),
    action(
        "github.rerun_workflow",
        "Runs a workflow's run again and follows it to its end, naming the job and step that fail; with `attempt` it may \
         be repeated",
        Changes::World,
        &[
            REPO,
            required("run", Kind::Number, "The run's id"),
            optional("jobs", Kind::Word(&["all", "failed"]), "Which jobs, `failed` if left out"),
            optional("attempt", Kind::Number, "The attempt that is to be run again; a newer one is followed instead"),
        ],
        RUN,
    ),
    action(
        "github.revert_pull_request",
        "Opens a pull request that takes a merged one back, without merging it; found by `github.find_pull_request`",
        Changes::World,
        &[
            REPO,
            required("number", Kind::Number, "The number of the merged pull request"),
            optional("title", Kind::Text, "Its title, GitHub's own if left out"),
            optional("body", Kind::Text, "Its text"),
        ],
        "`number` and `url`",
    ),
    action(
        "github.find_pull_request",
        "Looks for the pull request that a step opened, by the hidden key in its text",
        Changes::Nothing,
        &[REPO],
        "`found`, `number` and `url`",
    ),
    action(
        "github.create_issue",
        "Opens an issue; found by `github.find_issue`",
        Changes::World,
        &[
            REPO,
            required("title", Kind::Text, "Its title"),
            optional("body", Kind::Text, "Its text; a hidden key is added, by which it can be found"),
            optional("labels", Kind::Texts, "Its labels"),
            optional("assignees", Kind::Texts, "Who is to look after it, by their names at GitHub"),
        ],
        "`number` and `url`",
    ),
    action(
        "github.find_issue",
        "Looks for the issue that a step opened, by the hidden key in its text",
        Changes::Nothing,
        &[REPO],
        "`found`, `number` and `url`",
    ),
    action(
        "github.comment",
        "Comments on an issue or a pull request; found by `github.find_comment`",
        Changes::World,
        &[REPO, NUMBER, required("body", Kind::Text, "The text; a hidden key is added, by which it can be found")],
        "`id` and `url`",
    ),
    action(
        "github.find_comment",
        "Looks for the comment that a step made, by the hidden key in its text",
        Changes::Nothing,
        &[REPO, NUMBER],
        "`found`, `id` and `url`",
    ),
    action(
        "github.compare",
        "Tells what lies between two commits",
        Changes::Nothing,
        &[
            REPO,
            required("base", Kind::Text, "A commit, branch or tag"),
            required("head", Kind::Text, "The commit, branch or tag that is held against it"),
        ],
        "`status` (`ahead`, `behind`, `identical`, `diverged`), `ahead_by`, `behind_by`, `files` (the names of those that \
         differ), `is_cut` (there may be more files) and `url`",
    ),
];

const REPO: Field = required("repo", Kind::Repository, "The repository, as `owner/name`");
const ENVIRONMENT: Field = required("environment", Kind::Text, "The environment's name at GitHub");
const WORKFLOW: Field = required("workflow", Kind::Text, "The workflow's file name, such as `restart.yml`, or its id");
const NUMBER: Field = required("number", Kind::Number, "The number of the issue or pull request");

const DEPLOYMENT: &str = "`id`, `sha`, `environment`, `repo`, `state` and `url` (the deployment's log)";
const FOUND_DEPLOYMENT: &str = "`found`, `failed` (it ended without success), `why`, and `id`, `sha`, `environment`, `repo`, \
                                `state` and `url` as of `github.deploy`";
const RUN: &str = "`id`, `attempt`, `conclusion` and `url`";
const FOUND_RUN: &str =
    "`found`, `failed` (it ended without success), `why`, and `id`, `attempt`, `conclusion` and `url` of the run";

const fn action(
    name: &'static str,
    summary: &'static str,
    changes: Changes,
    fields: &'static [Field],
    outputs: &'static str,
) -> ActionSpec {
    ActionSpec { name, summary, changes, many: false, fields, outputs }
}

const fn required(name: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, required: true, kind, help }
}

const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Field {
    Field { name, required: false, kind, help }
}
