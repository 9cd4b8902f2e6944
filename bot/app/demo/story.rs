//! What happens in the demo, from the bad release to the review, told as it happens.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{checkout::Checkout, terminal::Terminal};
use crate::{
    domain::{
        ids::{ApprovalId, IncidentId},
        incidents::Phase,
        runs::{Approval, RunState},
        timeline::Chain,
    },
    engine::Engine,
    store,
};

/// The version that breaks the service.
pub(super) const BAD: &str = "v43";
/// The version before it.
pub(super) const GOOD: &str = "v42";
/// The incident of the demo: the first of a fresh store.
const INCIDENT: IncidentId = IncidentId(1);
/// Between two looks at the store.
const LOOK: Duration = Duration::from_millis(150);
/// How long any part may take in which nobody is asked.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody of the demo.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) token: String,
}

/// The demo as it happens.
pub(super) struct Story<'a> {
    pub(super) engine: &'a Engine,
    pub(super) checkout: &'a Checkout,
    pub(super) terminal: Terminal,
    /// The bot's address.
    pub(super) url: String,
    /// Who answers at the terminal.
    pub(super) you: Person,
    /// Who approves if nobody is to be asked.
    pub(super) second: Person,
    /// Whether nobody is to be asked.
    pub(super) yes: bool,
    pub(super) notices: mpsc::UnboundedReceiver<String>,
}

/// What is known of the story so far.
#[derive(Default)]
struct Progress {
    told: i64,
    asked: Option<ApprovalId>,
    is_answered: bool,
}

impl Story<'_> {
    /// Lets it all happen; an error says which part failed.
    pub(super) async fn happen(&mut self, folder: &Path) -> anyhow::Result<std::path::PathBuf> {
        self.checkout.release(BAD, true);
        let told = format!("the pipeline releases `{BAD}` of `checkout`, and `{BAD}` is bad");
        self.terminal.tell(self.engine.now(), &told)?;
        let mut progress = Progress::default();
        let mut last = Instant::now();
        while !self.is_resolved().await? {
            let told = progress.told;
            self.tell_news(&mut progress).await?;
            let asks = self.ask_or_answer(&mut progress).await?;
            if asks || told != progress.told {
                last = Instant::now();
            }
            ensure!(last.elapsed() < PATIENCE, "nothing has happened for {} s", PATIENCE.as_secs());
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                Some(notice) = self.notices.recv() => self.terminal.tell(self.engine.now(), &notice)?,
                typed = self.terminal.typed() => self.take(&mut progress, &typed).await?,
                _ = tokio::signal::ctrl_c() => bail!("stopped before the end"),
            }
        }
        self.tell_news(&mut progress).await?;
        self.prove().await?;
        self.review(folder).await
    }

    async fn is_resolved(&self) -> anyhow::Result<bool> {
        let mut reader = self.engine.read().await?;
        if let Some(run) = store::runs::of_incident(&mut reader, INCIDENT).await?.first() {
            let is_well = !run.state.needs_people() && (!run.state.is_over() || run.state == RunState::Done);
            ensure!(is_well, "{} is {}", run.id, run.state);
        }
        let incident = store::incidents::by_id(&mut reader, INCIDENT).await?;
        Ok(incident.is_some_and(|incident| incident.phase == Phase::Resolved))
    }

    /// Tells what was written to the timeline since the last look.
    async fn tell_news(&self, progress: &mut Progress) -> anyhow::Result<()> {
        let mut reader = self.engine.read().await?;
        for entry in store::timeline::entries(&mut reader, Chain::Incident(INCIDENT)).await? {
            if entry.reference.seq > progress.told {
                progress.told = entry.reference.seq;
                let told = format!("{:<9} {}: {}", entry.reference.to_string(), entry.draft.actor, entry.draft.text);
                self.terminal.tell(entry.at, &told)?;
            }
        }
        Ok(())
    }

    /// Asks what is to be asked, or answers it; whether an answer is waited for.
    async fn ask_or_answer(&self, progress: &mut Progress) -> anyhow::Result<bool> {
        let mut reader = self.engine.read().await?;
        let open = store::approvals::open(&mut reader).await?;
        drop(reader);
        let Some(question) = open.first() else {
            if progress.asked.take().is_some() && !progress.is_answered {
                self.terminal.print("          (answered on the page)")?;
            }
            return Ok(false);
        };
        if progress.asked == Some(question.id) {
            return Ok(!progress.is_answered);
        }
        (progress.asked, progress.is_answered) = (Some(question.id), false);
        if self.yes {
            let line = format!("/incident ack {INCIDENT}");
            self.say(&self.second, &line).await?;
            self.terminal.tell(self.engine.now(), &format!("{} says `{line}`", self.second.name))?;
            self.answer(&self.second, question, "approve").await?;
            progress.is_answered = true;
        } else {
            let page = format!("{}/incidents/{INCIDENT}", self.url);
            let shown: Vec<String> =
                question.bound.iter().map(|(path, value)| format!("\n            {path}: {value}")).collect();
            self.terminal.print(&format!(
                "\n          {}{}\n          Type `yes` or `no`, or answer on the page: {page}\n",
                question.question,
                shown.concat(),
            ))?;
        }
        Ok(true)
    }

    /// Takes what was typed for the answer to the open question.
    async fn take(&self, progress: &mut Progress, typed: &str) -> anyhow::Result<()> {
        let answer = match typed {
            "y" | "yes" => "approve",
            "n" | "no" => "reject",
            _ => return Ok(self.terminal.print("          type `yes` or `no`")?),
        };
        let mut reader = self.engine.read().await?;
        let open = store::approvals::open(&mut reader).await?;
        drop(reader);
        match open.first() {
            Some(question) if progress.asked == Some(question.id) => {
                self.answer(&self.you, question, answer).await?;
                progress.is_answered = true;
                Ok(())
            }
            Some(_) | None => Ok(self.terminal.print("          nothing is asked at the moment")?),
        }
    }

    async fn answer(&self, person: &Person, question: &Approval, answer: &str) -> anyhow::Result<()> {
        let line = format!("/runbook answer question:{} revision:{} answer:{answer}", question.id, question.revision);
        let said = self.say(person, &line).await?;
        let first = said["text"].as_str().and_then(|text| text.lines().next()).unwrap_or_default();
        Ok(self.terminal.tell(self.engine.now(), &format!("{} says `{line}`\n{first}", person.name))?)
    }

    /// Says a line as `firewarden say` does.
    async fn say(&self, person: &Person, line: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/say", self.url);
        let body = json!({ "line": line });
        let answer = reqwest::Client::new().post(url).bearer_auth(&person.token).json(&body).send().await?;
        let is_done = answer.status().is_success();
        let said: Value = answer.json().await?;
        let why = || format!("{} {}", said["error"].as_str().unwrap_or("?"), said["hint"].as_str().unwrap_or(""));
        ensure!(is_done, "`{line}` was refused: {}", why());
        Ok(said)
    }

    /// Holds the world against what the bot says of it.
    async fn prove(&self) -> anyhow::Result<()> {
        let live = self.checkout.live();
        ensure!(live == GOOD, "`{live}` is live and not `{GOOD}`");
        let effects = self.checkout.effects();
        ensure!(effects.len() == 1, "the service was changed {} times and not once: {effects:?}", effects.len());
        let mut reader = self.engine.read().await?;
        let runs = store::runs::of_incident(&mut reader, INCIDENT).await?;
        let [run] = &runs[..] else { bail!("there are {} runs and not one", runs.len()) };
        ensure!(run.state == RunState::Done, "{} is {}", run.id, run.state);
        let ratio = self.checkout.health().error_ratio;
        let told = format!("`{live}` is live again, {:.1} % of its requests fail", ratio * 100.0);
        Ok(self.terminal.tell(self.engine.now(), &told)?)
    }

    /// What the review has to say: what was bad and what is good, who approved the rollback, and each time with how it
    /// was worked out.
    async fn owed(&self) -> anyhow::Result<Vec<String>> {
        let mut reader = self.engine.read().await?;
        let incident = store::incidents::by_id(&mut reader, INCIDENT).await?.context("there is no incident")?;
        let runs = store::runs::of_incident(&mut reader, INCIDENT).await?;
        let mut owed = vec![format!("`live.version` = `{BAD}`"), format!("`good.version` = `{GOOD}`")];
        for run in runs {
            owed.push(format!("{} of runbook `{}` on `{}` ended as `done`", run.id, run.plan.name, run.target));
            for approval in store::approvals::of_run(&mut reader, run.id).await? {
                let people = approval.answers.iter().map(|given| &given.person);
                owed.extend(people.map(|person| format!("{person}: approved {} ({})", run.id, approval.id)));
            }
        }
        ensure!(owed.len() > 3, "nobody has approved anything");
        for measure in incident.milestones.measures() {
            owed.push(format!("| {} = {} |", measure.name, measure.formula));
            let is_measured = measure.value.is_some();
            ensure!(is_measured || measure.name == "TTA", "{} is not known", measure.name);
            owed.extend(is_measured.then(|| format!("| {} |", measure.words())));
        }
        Ok(owed)
    }

    /// Has the review drafted and writes it to a file.
    async fn review(&self, folder: &Path) -> anyhow::Result<std::path::PathBuf> {
        self.say(&self.you, &format!("/postmortem draft incident:{INCIDENT}")).await?;
        let said = self.say(&self.you, &format!("/postmortem show incident:{INCIDENT}")).await?;
        let file = said["message"]["files"][0]["text"].as_str().context("the review came without its file")?;
        for part in self.owed().await? {
            ensure!(file.contains(&part), "the review does not say `{part}`");
        }
        let path = folder.join(format!("review-{INCIDENT}.md"));
        std::fs::write(&path, file).with_context(|| format!("`{}` cannot be written", path.display()))?;
        Ok(path)
    }
}
