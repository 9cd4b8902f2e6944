//! What the measurements of the engine alone share: one runbook in force, and a world that does everything at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use firewarden::{
    adapters::clock::SystemClock,
    domain::{
        people::{Capability, PersonId},
        runbooks::{self, plan::Mode},
    },
    engine::{
        Rules,
        ports::{
            Http, HttpAnswer, HttpOutcome, HttpRequest, Metrics, Program, ProgramOutcome, Programs, Sample, Secrets,
        },
        rules::People,
        runs::{self, Ports},
    },
};
use secrecy::SecretString;

/// Who starts the runs, in the role [`ROLE`].
pub(crate) const PERSON: &str = "ada";
/// The role that may do everything.
pub(crate) const ROLE: &str = "on-call";

/// The rules that have this runbook.
pub(crate) fn rules(runbook: &str) -> Rules {
    let plan = runbooks::read(Path::new("runbook.yaml"), runbook.as_bytes()).unwrap_or_else(|why| panic!("{why:?}"));
    let people = People {
        known: BTreeMap::from([(PersonId(PERSON.to_owned()), BTreeSet::from([ROLE.to_owned()]))]),
        roles: BTreeMap::from([(ROLE.to_owned(), Capability::Administer)]),
        ..People::default()
    };
    let runbooks = BTreeMap::from([(plan.name.clone(), Arc::new(plan))]);
    Rules {
        people,
        default_channel: "incidents".to_owned(),
        runs: runs::Settings { runbooks, mode: Mode::Auto },
        ..Rules::default()
    }
}

/// Ports to a world that answers everything at once: every request by a version.
pub(crate) fn ports() -> Ports {
    Ports {
        http: Arc::new(Instantly),
        programs: Arc::new(Instantly),
        metrics: Arc::new(Instantly),
        secrets: Arc::new(Instantly),
        clusters: BTreeMap::new(),
        code_host: None,
        clock: Arc::new(SystemClock),
        is_halt_file_there: Arc::new(|| false),
    }
}

struct Instantly;

#[async_trait]
impl Http for Instantly {
    async fn send(&self, _: HttpRequest) -> HttpOutcome {
        let body = b"{\"version\":\"v1\"}".to_vec();
        HttpOutcome::Answered(HttpAnswer { status: 200, headers: BTreeMap::new(), body, is_cut: false })
    }
}

#[async_trait]
impl Programs for Instantly {
    async fn run(&self, _: Program) -> ProgramOutcome {
        ProgramOutcome::NotStarted("there are no programs here".to_owned())
    }

    async fn end(&self, _: &str) {}
}

#[async_trait]
impl Metrics for Instantly {
    async fn query(&self, _: Option<&str>, _: &str, _: Duration) -> Result<Vec<Sample>, String> {
        Ok(Vec::new())
    }
}

impl Secrets for Instantly {
    fn find(&self, name: &str) -> Result<SecretString, String> {
        Err(format!("there is no secret `{name}`"))
    }

    fn known(&self) -> Vec<SecretString> {
        Vec::new()
    }
}
