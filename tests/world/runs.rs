//! Runs as people see them: how one stands, when it comes to stand so, and what people were paged with.

use std::time::{Duration, Instant};

use firewarden::{
    app::demo::checkout::Change,
    domain::{
        ids::RunId,
        runs::{Journal, Run},
    },
    store,
};

use super::{PATIENCE, World, store::is_on_postgres};

/// How far time moves at once while a run is waited for.
const STRIDE: Duration = Duration::from_secs(20);

impl World {
    /// How a run stands, in a person's words; empty if there is no such run.
    pub(crate) async fn run_state(&self, run: &str) -> String {
        state(&self.console("ana").sees(&format!("/runbook show name:{run}")).await)
    }

    /// Waits until a run stands so, and gives its card. With a length of time, that much may pass meanwhile.
    pub(crate) async fn run_comes_to(&self, run: &str, wanted: &str, within: Duration) -> String {
        let line = format!("/runbook show name:{run}");
        let mut seen = String::new();
        let comes = self.comes(within, async || {
            seen = self.console("ana").sees(&line).await;
            state(&seen) == wanted
        });
        assert!(comes.await, "{run} does not come to be `{wanted}` within {} s but\n{seen}", within.as_secs());
        self.note(&format!("{run} is {wanted}"));
        seen
    }

    /// Lets that much time pass at most until something is so; whether it came to be. A slow machine is borne with for as
    /// long as time moves, by a second at the least.
    pub(crate) async fn comes(&self, within: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
        let deadline = self.now() + within;
        let (mut stood, mut since) = (self.now(), Instant::now());
        while !is_so().await {
            let before = self.now();
            if before < deadline {
                self.clock().step(deadline.since(before).min(STRIDE)).await;
            }
            if self.now().since(stood) >= Duration::from_secs(1) {
                (stood, since) = (self.now(), Instant::now());
            } else if since.elapsed() > Duration::from_secs(PATIENCE) {
                return false;
            }
            if self.now() == before {
                tokio::time::sleep(Duration::from_millis(10)).await; // bounded: by PATIENCE
            }
        }
        true
    }

    /// Says a line that must be carried out.
    pub(crate) async fn does(&self, person: &'static str, line: &str) -> String {
        let said = self.console(person).says(line).await;
        assert!(said.is_done(), "{person} cannot say `{line}`: {}", said.text);
        said.text
    }

    /// Says a line that must be refused; what the person is told.
    pub(crate) async fn is_refused(&self, person: &'static str, line: &str) -> String {
        let said = self.console(person).says(line).await;
        assert_eq!(said.status, 422, "{person} may say `{line}`: {}", said.text);
        said.text
    }

    /// Looks at the service, and says what became of the one change of a run of which nobody else can know.
    ///
    /// Where the store is a file, that of a shipped runbook is looked for or repeated. On a server whoever began it may be
    /// at it still, so people are asked.
    pub(crate) async fn settles_doubt(&self, person: &'static str, run: &str) {
        assert!(is_on_postgres(), "people are asked about {run}");
        let answer = match self.service.checkout.effects().first().map(|effect| &effect.change) {
            None => "did-not-happen".to_owned(),
            Some(Change::Restarted { generation }) => format!(r#"happened output:"{{\"generation\":{generation}}}""#),
            Some(other) => panic!("people are asked about what can be looked for: {other:?}"),
        };
        // Whoever is not answered says it again, and it counts once.
        let line = format!("/runbook answer question:{run} answer:{answer}");
        let _said = self.console(person).says_under(&line, "doubt").await;
    }

    /// A run with its journal, once the bot has ended.
    pub(crate) async fn run(&self, number: i64) -> (Run, Journal) {
        let store = self.store().await;
        let mut reader = store.read().await.unwrap();
        let run = store::runs::by_id(&mut reader, RunId(number)).await.unwrap().unwrap();
        let journal = store::steps::journal(&mut reader, run.id).await.unwrap();
        drop(reader);
        store.close().await;
        (run, journal)
    }

    /// What people were paged with, oldest first, once the bot has ended.
    pub(crate) async fn pages(&self) -> Vec<String> {
        let store = self.store().await;
        let mut reader = store.read().await.unwrap();
        let posts = store::posts::newest(&mut reader, 100).await.unwrap();
        drop(reader);
        store.close().await;
        posts.iter().filter(|post| post.is_page).map(|post| post.body.to_string()).collect()
    }
}

fn state(seen: &str) -> String {
    let state = seen.lines().find_map(|line| line.trim().strip_prefix("State"));
    state.map(str::trim).unwrap_or_default().to_owned()
}
