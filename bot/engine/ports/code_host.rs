//! What the engine needs of the place where code is kept and released: deployments, workflows, pull requests, issues.
//!
//! A read waits out limits and outages until the moment that it is given. A write is tried once: where it may be tried again
//! later, whoever wants it looks first whether it is still wanted.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::domain::time::Time;

/// Why a write did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwritten {
    /// It certainly did not happen.
    Refused(String),
    /// It may have happened.
    Unknown(String),
    /// It certainly did not happen, and may be tried again.
    NotYet {
        /// From when on.
        at: Time,
        /// What stands in its way.
        why: String,
    },
}

/// Where code is kept. A repository is named as `owner/name`; every wait ends with the moment `until`.
///
/// What cannot be read is told in words.
#[async_trait]
pub trait CodeHost: Send + Sync {
    /// The newest deployments of an environment, newest first, at most as many as are asked for.
    async fn deployments(
        &self,
        repo: &str,
        environment: &str,
        most: usize,
        until: Time,
    ) -> Result<Vec<Deployment>, String>;
    /// How a deployment stands; `None` while nobody has said anything about it.
    async fn deployment_status(
        &self,
        repo: &str,
        deployment: u64,
        until: Time,
    ) -> Result<Option<DeploymentStatus>, String>;
    /// Makes a deployment; never merges anything.
    async fn deploy(&self, repo: &str, deployment: &NewDeployment, until: Time) -> Result<Deployment, Unwritten>;
    /// Sets off a workflow; the id of its run, if the host tells it.
    async fn dispatch(&self, repo: &str, dispatch: &Dispatch, until: Time) -> Result<Option<u64>, Unwritten>;
    /// The newest runs of a workflow that were set off by a dispatch, newest first.
    async fn dispatched_runs(&self, repo: &str, workflow: &str, until: Time) -> Result<Vec<WorkflowRun>, String>;
    /// A run of a workflow.
    async fn workflow_run(&self, repo: &str, run: u64, until: Time) -> Result<WorkflowRun, String>;
    /// The jobs of a run's newest attempt.
    async fn jobs(&self, repo: &str, run: u64, until: Time) -> Result<Vec<Job>, String>;
    /// Runs a workflow's run again: all of its jobs, or those that failed.
    async fn rerun(&self, repo: &str, run: u64, only_failed: bool, until: Time) -> Result<(), Unwritten>;
    /// A pull request.
    async fn pull_request(&self, repo: &str, number: u64, until: Time) -> Result<PullRequest, String>;
    /// The newest pull requests, newest first.
    async fn pull_requests(&self, repo: &str, until: Time) -> Result<Vec<Posting>, String>;
    /// Opens a pull request that takes a merged one back.
    async fn revert(
        &self,
        pull_request: &PullRequest,
        title: Option<&str>,
        body: &str,
        until: Time,
    ) -> Result<Posting, Unwritten>;
    /// The newest issues, newest first.
    async fn issues(&self, repo: &str, until: Time) -> Result<Vec<Posting>, String>;
    /// Opens an issue.
    async fn open_issue(&self, repo: &str, issue: &NewIssue, until: Time) -> Result<Posting, Unwritten>;
    /// The comments under an issue or a pull request, oldest first.
    async fn comments(&self, repo: &str, number: u64, until: Time) -> Result<Vec<Posting>, String>;
    /// Comments on an issue or a pull request.
    async fn comment(&self, repo: &str, number: u64, body: &str, until: Time) -> Result<Posting, Unwritten>;
    /// What lies between two commits.
    async fn compare(&self, repo: &str, base: &str, head: &str, until: Time) -> Result<Comparison, String>;
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its id.
    pub id: u64,
    /// The commit.
    pub sha: String,
    /// Where it is released.
    pub environment: String,
    /// The idempotency key of the effect that made it, if the bot did.
    pub key: Option<String>,
    /// Where it is found.
    pub url: String,
}

/// How a deployment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// One of the host's words.
    pub state: String,
    /// What the deployer says about it; may be empty.
    pub description: String,
    /// Where its log is read; may be empty.
    pub log: String,
}

/// A deployment to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDeployment {
    /// The idempotency key; it is kept with the deployment.
    pub key: String,
    /// The commit.
    pub sha: String,
    /// Where it is released.
    pub environment: String,
    /// What people read about it.
    pub description: Option<String>,
    /// What the deployer is to do; the host's usual word if none is named.
    pub task: Option<String>,
    /// The checks that must have passed; those that the host knows of if none are named.
    pub required_contexts: Option<Vec<String>>,
    /// What the deployer reads besides.
    pub payload: Map<String, Value>,
}

/// A workflow to be set off.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The workflow's file name or id.
    pub workflow: String,
    /// The branch or tag that it runs on.
    pub reference: String,
    /// Its inputs.
    pub inputs: Map<String, Value>,
}

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    /// Its id.
    pub id: u64,
    /// How often it was begun.
    pub attempt: u64,
    /// Its title.
    pub title: String,
    /// One of the host's words.
    pub status: String,
    /// How it ended, in one of the host's words.
    pub conclusion: Option<String>,
    /// Where people read it.
    pub url: String,
}

/// A job of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// How it ended, in one of the host's words.
    pub conclusion: Option<String>,
    /// The first of its steps that did not succeed.
    pub failed_step: Option<String>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The name by which the host knows it everywhere.
    pub node: String,
    /// Its number.
    pub number: u64,
    /// Whether it was merged.
    pub is_merged: bool,
}

/// What was written for people: an issue, a pull request, a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Its number; a comment's id.
    pub number: u64,
    /// Its text.
    pub body: String,
    /// Where people read it.
    pub url: String,
}

/// An issue to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIssue {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Who is to look after it.
    pub assignees: Vec<String>,
}

/// What lies between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// `ahead`, `behind`, `identical` or `diverged`.
    pub status: String,
    /// How many commits the head has that the base has not.
    pub ahead_by: u64,
    /// How many commits the base has that the head has not.
    pub behind_by: u64,
    /// The files that differ.
    pub files: Vec<String>,
    /// Whether more files may differ than are named.
    pub is_cut: bool,
    /// Where people read it.
    pub url: String,
}
