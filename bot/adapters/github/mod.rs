//! GitHub, or GitHub Enterprise, as the place where code is kept and released.
//!
//! A token or an App asks; limits are waited out, outages told, and a write is never sent twice where the first may have
//! arrived. Tokens are neither logged nor told.

mod asking;
mod client;
mod limits;
mod shapes;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

pub use self::client::{API, Credentials, read_key};
use self::{asking::Asking, client::Client};
use crate::{
    domain::time::Time,
    engine::ports::{
        Clock, CodeHost, Comparison, Deployment, DeploymentStatus, Dispatch, Http, Job, NewDeployment, NewIssue,
        Posting, PullRequest, Unwritten, WorkflowRun,
    },
};

/// How many of the newest are looked through for what a step wrote.
const NEWEST: usize = 300;
/// How many comments of one issue, jobs of one run, or words about one deployment are read at most.
const MOST: usize = 1_000;
/// Opens a pull request that takes another back. <https://docs.github.com/en/graphql/reference/mutations>
const REVERT: &str = "mutation($input: RevertPullRequestInput!) { revertPullRequest(input: $input) { \
                      revertPullRequest { number body url } } }";

/// How GitHub is reached.
pub struct Settings {
    /// Who asks.
    pub credentials: Credentials,
    /// The address of the API.
    pub api_url: String,
}

/// A GitHub.
pub struct GitHub {
    asking: Asking,
}

impl GitHub {
    /// A GitHub that is asked by way of this sender of requests. Asks nothing yet.
    ///
    /// # Errors
    /// When the private key of the App is none.
    pub fn new(settings: &Settings, http: Arc<dyn Http>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let client = Client::new(http, &settings.credentials, &settings.api_url)?;
        Ok(Self { asking: Asking::new(client, clock) })
    }

    /// What stands in the way of asking it, in words; `None` while nothing is known to.
    pub fn trouble(&self) -> Option<String> {
        self.asking.trouble()
    }

    async fn write_one<T>(
        &self,
        (path, body): (String, Value),
        read: fn(&Value) -> Option<T>,
        until: Time,
    ) -> Result<T, Unwritten> {
        let (status, answer) = self.asking.write(&path, &body, until).await?;
        read(&answer).ok_or_else(|| Unwritten::Unknown(format!("GitHub answered {status}, and not with what it made")))
    }

    async fn read_one<T>(&self, path: String, read: fn(&Value) -> Option<T>, until: Time) -> Result<T, String> {
        let answer = self.asking.read(&path, until).await?;
        read(&answer).ok_or_else(|| "GitHub answered with something else than what was asked for".to_owned())
    }

    async fn read_list<T>(
        &self,
        (path, items): (String, fn(&Value) -> &Value),
        read: fn(&Value) -> Option<T>,
        most: usize,
        until: Time,
    ) -> Result<Vec<T>, String> {
        Ok(self.asking.list(&path, items, most, until).await?.iter().filter_map(read).collect())
    }
}

fn whole(body: &Value) -> &Value {
    body
}

/// A part of a path, whatever is in it.
fn part(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[async_trait]
impl CodeHost for GitHub {
    async fn deployments(
        &self,
        repo: &str,
        environment: &str,
        most: usize,
        until: Time,
    ) -> Result<Vec<Deployment>, String> {
        let path = format!("/repos/{repo}/deployments?environment={}", part(environment));
        let mut found = self.read_list((path, whole), shapes::deployment, most, until).await?;
        found.sort_by_key(|deployment| std::cmp::Reverse(deployment.id));
        Ok(found)
    }

    async fn deployment_status(
        &self,
        repo: &str,
        deployment: u64,
        until: Time,
    ) -> Result<Option<DeploymentStatus>, String> {
        let path = format!("/repos/{repo}/deployments/{deployment}/statuses");
        let all = self.asking.list(&path, whole, MOST, until).await?;
        Ok(shapes::newest_status(&all))
    }

    async fn deploy(&self, repo: &str, deployment: &NewDeployment, until: Time) -> Result<Deployment, Unwritten> {
        let path = format!("/repos/{repo}/deployments");
        let (status, answer) = self.asking.write(&path, &shapes::new_deployment(deployment), until).await?;
        if status == 202 {
            // It merged, or would merge, something: <https://docs.github.com/en/rest/deployments/deployments>
            let said = answer.get("message").and_then(Value::as_str).unwrap_or("no reason");
            return Err(Unwritten::Refused(format!("GitHub made no deployment: it answered 202, {said}")));
        }
        let made = shapes::deployment(&answer);
        made.ok_or_else(|| Unwritten::Unknown(format!("GitHub answered {status}, and not with a deployment")))
    }

    async fn dispatch(&self, repo: &str, dispatch: &Dispatch, until: Time) -> Result<Option<u64>, Unwritten> {
        let path = format!("/repos/{repo}/actions/workflows/{}/dispatches", part(&dispatch.workflow));
        let mut body = json!({ "ref": dispatch.reference, "return_run_details": true });
        if !dispatch.inputs.is_empty() {
            body["inputs"] = Value::Object(dispatch.inputs.clone());
        }
        let (_, answer) = self.asking.write(&path, &body, until).await?;
        Ok(answer.get("workflow_run_id").and_then(Value::as_u64))
    }

    async fn dispatched_runs(&self, repo: &str, workflow: &str, until: Time) -> Result<Vec<WorkflowRun>, String> {
        let path = format!("/repos/{repo}/actions/workflows/{}/runs?event=workflow_dispatch", part(workflow));
        self.read_list((path, |body| &body["workflow_runs"]), shapes::workflow_run, NEWEST, until).await
    }

    async fn workflow_run(&self, repo: &str, run: u64, until: Time) -> Result<WorkflowRun, String> {
        self.read_one(format!("/repos/{repo}/actions/runs/{run}"), shapes::workflow_run, until).await
    }

    async fn jobs(&self, repo: &str, run: u64, until: Time) -> Result<Vec<Job>, String> {
        let path = format!("/repos/{repo}/actions/runs/{run}/jobs?filter=latest");
        self.read_list((path, |body| &body["jobs"]), |job| Some(shapes::job(job)), MOST, until).await
    }

    async fn rerun(&self, repo: &str, run: u64, only_failed: bool, until: Time) -> Result<(), Unwritten> {
        let which = if only_failed { "rerun-failed-jobs" } else { "rerun" };
        let path = format!("/repos/{repo}/actions/runs/{run}/{which}");
        self.asking.write(&path, &json!({}), until).await.map(drop)
    }

    async fn pull_request(&self, repo: &str, number: u64, until: Time) -> Result<PullRequest, String> {
        self.read_one(format!("/repos/{repo}/pulls/{number}"), shapes::pull_request, until).await
    }

    async fn pull_requests(&self, repo: &str, until: Time) -> Result<Vec<Posting>, String> {
        let path = format!("/repos/{repo}/pulls?state=all&sort=created&direction=desc");
        self.read_list((path, whole), shapes::posting, NEWEST, until).await
    }

    async fn revert(
        &self,
        pull_request: &PullRequest,
        title: Option<&str>,
        body: &str,
        until: Time,
    ) -> Result<Posting, Unwritten> {
        let mut input = json!({ "pullRequestId": pull_request.node, "body": body });
        if let Some(title) = title {
            input["title"] = title.into();
        }
        let data = self.asking.mutate(REVERT, &input, until).await?;
        let made = data.pointer("/revertPullRequest/revertPullRequest").cloned().unwrap_or_default();
        match (made.get("number").and_then(Value::as_u64), made.get("url").and_then(Value::as_str)) {
            (Some(number), Some(url)) => Ok(Posting { number, body: body.to_owned(), url: url.to_owned() }),
            _ => Err(Unwritten::Unknown("GitHub answered, and not with a pull request".to_owned())),
        }
    }

    async fn issues(&self, repo: &str, until: Time) -> Result<Vec<Posting>, String> {
        let path = format!("/repos/{repo}/issues?state=all&sort=created&direction=desc");
        self.read_list((path, whole), shapes::posting, NEWEST, until).await
    }

    async fn open_issue(&self, repo: &str, issue: &NewIssue, until: Time) -> Result<Posting, Unwritten> {
        let mut body = json!({ "title": issue.title, "body": issue.body });
        for (name, values) in [("labels", &issue.labels), ("assignees", &issue.assignees)] {
            if !values.is_empty() {
                body[name] = values.as_slice().into();
            }
        }
        self.write_one((format!("/repos/{repo}/issues"), body), shapes::posting, until).await
    }

    async fn comments(&self, repo: &str, number: u64, until: Time) -> Result<Vec<Posting>, String> {
        let path = format!("/repos/{repo}/issues/{number}/comments");
        let comments = self.read_list((path, whole), shapes::comment, MOST, until).await?;
        if comments.len() >= MOST {
            return Err(format!("there are more than {MOST} comments"));
        }
        Ok(comments)
    }

    async fn comment(&self, repo: &str, number: u64, body: &str, until: Time) -> Result<Posting, Unwritten> {
        let path = format!("/repos/{repo}/issues/{number}/comments");
        self.write_one((path, json!({ "body": body })), shapes::comment, until).await
    }

    async fn compare(&self, repo: &str, base: &str, head: &str, until: Time) -> Result<Comparison, String> {
        let path = format!("/repos/{repo}/compare/{}...{}?per_page=1", part(base), part(head));
        self.read_one(path, |body| Some(shapes::comparison(body)), until).await
    }
}
