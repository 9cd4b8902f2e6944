//! What the emulated GitHub knows: deployments, runs, pull requests, issues and comments, and how they go with time.

use std::time::Duration;

use firewarden::{domain::time::Time, engine::ports::Clock};
use serde_json::Value;

use super::{
    Hand, Moment,
    faults::{Planned, Trouble},
    record::Call,
};

/// The commit that is deployed to production when a story begins.
pub(crate) const LIVE: &str = "4242424242424242424242424242424242424242";

/// How a deployment or a run goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// How long it is waited for.
    pub(crate) starts: Duration,
    /// How long it takes, with that.
    pub(crate) takes: Duration,
    /// How it ends: `success`, `failure`, …
    pub(crate) ends: &'static str,
}

impl Course {
    /// How it goes, after so many seconds.
    pub(crate) const fn ends(ends: &'static str, seconds: u64) -> Self {
        Self { starts: Duration::from_secs(2), takes: Duration::from_secs(seconds), ends }
    }
}

/// A deployment.
pub(super) struct Deployed {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) asked: Value,
    pub(super) made: Time,
    pub(super) course: Course,
    pub(super) is_by_bot: bool,
}

/// A run of a workflow.
pub(super) struct Ran {
    pub(super) id: u64,
    pub(super) workflow: String,
    pub(super) inputs: Value,
    pub(super) attempt: u64,
    pub(super) begun: Time,
    pub(super) course: Course,
}

impl Ran {
    /// Its title: the workflow shows its input `key` in `run-name`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.workflow, self.inputs["key"].as_str().unwrap_or_default()).trim_end().to_owned()
    }
}

/// What people read: an issue, a pull request, a comment.
pub(super) struct Written {
    pub(super) sort: &'static str,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    /// Under which issue a comment stands.
    pub(super) under: u64,
    pub(super) is_merged: bool,
}

/// Everything.
pub(super) struct State {
    clock: Hand,
    pub(super) deployments: Vec<Deployed>,
    pub(super) runs: Vec<Ran>,
    pub(super) written: Vec<Written>,
    pub(super) calls: Vec<Call>,
    pub(super) faults: Vec<String>,
    pub(super) planned: Vec<Planned>,
    /// Trouble for the request with this number, counted from 1 since the story began.
    pub(super) numbered: Option<(usize, Moment, Trouble)>,
    pub(super) course: Course,
    pub(super) merges_instead: bool,
    pub(super) is_for_app: bool,
    /// How many requests are allowed until this moment.
    pub(super) allowance: Option<(u64, Time)>,
    /// Until when everybody was told to wait.
    pub(super) wait_until: Option<Time>,
    next: u64,
}

impl State {
    pub(super) fn new(clock: Hand) -> Self {
        let mut state = Self {
            clock,
            deployments: Vec::new(),
            runs: Vec::new(),
            written: Vec::new(),
            calls: Vec::new(),
            faults: Vec::new(),
            planned: Vec::new(),
            numbered: None,
            course: Course::ends("success", 20),
            merges_instead: false,
            is_for_app: false,
            allowance: None,
            wait_until: None,
            next: 1,
        };
        state.deployed_before(LIVE);
        state
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Somebody else's deployment, which has succeeded.
    pub(super) fn deployed_before(&mut self, sha: &str) {
        let course = Course { starts: Duration::ZERO, takes: Duration::ZERO, ends: "success" };
        self.deploy(sha, Value::Null, course, false);
    }

    pub(super) fn deploy(&mut self, sha: &str, asked: Value, course: Course, is_by_bot: bool) -> u64 {
        let (id, made) = (self.id(), self.now());
        self.deployments.push(Deployed { id, sha: sha.to_owned(), asked, made, course, is_by_bot });
        id
    }

    pub(super) fn add_pull_request(&mut self, title: &str, body: &str, is_merged: bool) -> u64 {
        self.write("pulls", (title, body), 0, is_merged)
    }

    pub(super) fn write(
        &mut self,
        sort: &'static str,
        (title, body): (&str, &str),
        under: u64,
        is_merged: bool,
    ) -> u64 {
        let number = self.id();
        let (title, body) = (title.to_owned(), body.to_owned());
        self.written.push(Written { sort, number, title, body, under, is_merged });
        number
    }

    pub(super) fn written(&self, sort: &str) -> Vec<(u64, String)> {
        self.written.iter().filter(|it| it.sort == sort).map(|it| (it.number, it.body.clone())).collect()
    }
}
