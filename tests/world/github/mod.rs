//! GitHub on one port of this machine: stateful, with its limits, by the story's clock, and faulty when a story wants it.
//!
//! It knows one repository, `acme/checkout`. Deployments and runs take the time that the story gives them. What it does not
//! know it answers with 501, and [`GitHub::finish`] fails; so it does on whoever asks without waiting out a limit.

mod faults;
mod record;
mod routes;
mod shapes;
mod state;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{Router, extract::State as Held, routing::any};
use tokio::net::TcpListener;

use self::state::{Deployed, State};
pub(crate) use self::{
    faults::Trouble,
    state::{Course, LIVE},
};
use super::{Hand, Moment, held, openapi};

/// The token that it takes.
const TOKEN: &str = "github-token-of-the-story";
/// The repository that it knows.
pub(crate) const REPO: &str = "acme/checkout";

/// A running GitHub.
pub(crate) struct GitHub {
    url: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    /// Starts it on a free port, by this clock. One commit, [`LIVE`], is deployed to production.
    pub(crate) async fn start(clock: Hand) -> Self {
        let state = Arc::new(Mutex::new(State::new(clock)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = async |Held(state): Held<Arc<Mutex<State>>>, request| routes::answer(&state, request).await;
        let routes = Router::new().fallback(any(answer)).with_state(Arc::clone(&state));
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// The configuration that points the bot at it by a token.
    pub(crate) fn config(&self) -> String {
        format!("[github]\ntoken = {{ file = \"secrets/github\" }}\napi_url = \"{}\"\n\n", self.url)
    }

    /// The configuration that points the bot at it as an App.
    pub(crate) fn app_config(&self) -> String {
        format!(
            "[github]\napp = {{ id = 7, installation = 70, key = {{ file = \"secrets/github\" }} }}\napi_url = \"{}\"\n\n",
            self.url
        )
    }

    /// Writes the token where the configuration looks for it.
    pub(crate) fn keep_token(folder: &Path) {
        std::fs::write(folder.join("secrets/github"), TOKEN).unwrap();
    }

    /// Takes an App in place of the token.
    pub(crate) fn takes_an_app(&self) {
        self.state().is_for_app = true;
    }

    /// Lets the next request of this method, whose path ends so, meet trouble.
    pub(crate) fn plan(&self, method: &'static str, path: &'static str, moment: Moment, trouble: Trouble) {
        self.state().plan(method, path, moment, trouble, 1);
    }

    /// Lets so many requests of this method, whose path ends so, meet trouble.
    pub(crate) fn plan_times(&self, times: usize, method: &'static str, path: &'static str, trouble: &Trouble) {
        self.state().plan(method, path, Moment::Before, trouble.clone(), times);
    }

    /// Lets the request with this number, counted from 1 since the story began, meet trouble.
    pub(crate) fn plan_numbered(&self, number: usize, moment: Moment, trouble: Trouble) {
        self.state().numbered = Some((number, moment, trouble));
    }

    /// The commit that is live in production: that of the newest deployment which ended well.
    pub(crate) fn live(&self) -> String {
        let state = self.state();
        let now = state.now();
        let has_ended = |it: &&Deployed| it.course.ends == "success" && now.since(it.made) >= it.course.takes;
        state.deployments.iter().rev().find(has_ended).map(|it| it.sha.clone()).unwrap_or_default()
    }

    /// Answers only so many more requests, and then none for so long.
    pub(crate) fn allows(&self, requests: u64, reset: Duration) {
        let mut state = self.state();
        state.allowance = Some((requests, state.now() + reset));
    }

    /// Says how deployments and runs go from here on.
    pub(crate) fn go(&self, course: Course) {
        self.state().course = course;
    }

    /// Lets somebody else deploy a commit with success.
    pub(crate) fn somebody_deploys(&self, sha: &str) {
        self.state().deployed_before(sha);
    }

    /// Merges nothing and deploys nothing where it is asked to: answers deployments with 202.
    pub(crate) fn merges_instead(&self) {
        self.state().merges_instead = true;
    }

    /// A pull request of somebody, merged or not; its number.
    pub(crate) fn has_pull_request(&self, is_merged: bool) -> u64 {
        self.state().add_pull_request("Faster checkout", "", is_merged)
    }

    /// The deployments that the bot made: their commits, oldest first.
    pub(crate) fn made(&self) -> Vec<String> {
        self.state().deployments.iter().filter(|it| it.is_by_bot).map(|it| it.sha.clone()).collect()
    }

    /// What the bot asked for when it made its newest deployment.
    pub(crate) fn asked_of_newest(&self) -> serde_json::Value {
        let made = |it: &&Deployed| it.is_by_bot;
        self.state().deployments.iter().rev().find(made).map(|it| it.asked.clone()).unwrap_or_default()
    }

    /// Everything of this sort that people can read: `issues`, `comments` or `pulls`.
    pub(crate) fn written(&self, sort: &str) -> Vec<(u64, String)> {
        self.state().written(sort)
    }

    /// The runs of workflows: their titles and how often each was begun.
    pub(crate) fn runs(&self) -> Vec<(String, u64)> {
        self.state().runs.iter().map(|run| (run.title(), run.attempt)).collect()
    }

    /// How many requests of this method, whose path ends so, have arrived.
    pub(crate) fn calls(&self, method: &str, path: &str) -> usize {
        self.state().calls.iter().filter(|call| call.method == method && call.path.ends_with(path)).count()
    }

    /// Ends a story with it.
    ///
    /// # Panics
    /// When it was asked for what it does not have, or asked although it had said to wait; or where what was asked is not
    /// as GitHub's document has it.
    pub(crate) async fn finish(&self) {
        let faults = self.state().faults.clone();
        assert!(faults.is_empty(), "GitHub was asked for what it does not do: {faults:#?}");
        let exchanges = record::exchanges(&self.state().calls);
        openapi::conform(exchanges, "github-api.github.com.json").await;
    }
}
