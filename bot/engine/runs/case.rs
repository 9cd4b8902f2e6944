//! One run with its journal inside a decision: whatever changes is written, told and shown together.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        alerts::{Alert, AlertState},
        ids::RunId,
        incidents::Incident,
        people::Actor,
        runbooks::{
            plan::{Step, named},
            scope::Scope,
        },
        runs::{
            Approval, ApprovalState, Event, Hold, Journal, Reason, Run, RunState, StepKey, StepRecord, next::CHILD,
        },
        time::Time,
        timeline::{Draft, EntryRef},
    },
    engine::{
        Context,
        chat::{
            Line, Message, Subject,
            outbox::{self, Post, Stand},
        },
        incidents::acts,
        runs::{TIMER, facts, queue},
    },
    store::{
        self, Wake, approvals, incidents, locks, restores,
        runs::{self, Driven},
        steps, timers,
    },
};

/// A run with its journal, inside a decision.
pub(super) struct Case<'c, 'r> {
    pub(super) context: &'c mut Context<'r>,
    pub(super) run: Run,
    pub(super) journal: Journal,
    /// What was read already and cannot change within the decision.
    known: Known,
}

#[derive(Default)]
struct Known {
    instance: OnceLock<String>,
    channel: Option<String>,
    halted: OnceLock<Option<String>>,
    alert: OnceLock<Option<Arc<Alert>>>,
}

impl<'c, 'r> Case<'c, 'r> {
    /// Opens the run, if there is one of this name.
    pub(super) async fn open(context: &'c mut Context<'r>, id: RunId) -> store::Result<Option<Case<'c, 'r>>> {
        let Some(run) = runs::by_id(context.tx, id).await? else { return Ok(None) };
        Self::of(context, run).await.map(Some)
    }

    /// Opens a run that was just read.
    pub(super) async fn of(context: &'c mut Context<'r>, run: Run) -> store::Result<Case<'c, 'r>> {
        let journal = steps::journal(context.tx, run.id).await?;
        Ok(Self { context, run, journal, known: Known::default() })
    }

    /// Opens a run that a worker drives; one that is untouched has an empty journal.
    pub(super) async fn driven(
        context: &'c mut Context<'r>,
        driven: Driven,
        is_untouched: bool,
    ) -> store::Result<Case<'c, 'r>> {
        let Driven { run, instance } = driven;
        let journal = if is_untouched { Journal::default() } else { steps::journal(context.tx, run.id).await? };
        let known = Known { instance: instance.into(), ..Known::default() };
        Ok(Self { context, run, journal, known })
    }

    pub(super) fn now(&self) -> Time {
        self.context.now
    }

    /// The run itself, as the cause of an entry.
    pub(super) fn itself(&self) -> Actor {
        Actor::Run(self.run.id)
    }

    pub(super) async fn tell(&mut self, actor: Actor, event: &Event) -> store::Result<EntryRef> {
        self.context.tell_of(self.run.incident, Draft::new(actor, event)).await
    }

    /// Writes the run as it is and shows it.
    pub(super) async fn save(&mut self) -> store::Result<()> {
        runs::save(self.context.tx, &self.run).await?;
        let stand = self.stand(false).await?;
        outbox::show(self.context, Subject::Run(self.run.id), &stand).await
    }

    /// Where the run's cards stand.
    pub(super) async fn stand(&mut self, is_page: bool) -> store::Result<Stand> {
        if self.known.channel.is_none() {
            self.incident().await?;
        }
        let channel = self.known.channel.clone().unwrap_or_else(|| self.context.rules.default_channel.clone());
        Ok(Stand { channel, incident: self.run.incident, is_page })
    }

    /// The incident that the run works on, as it is at this moment.
    async fn incident(&mut self) -> store::Result<Option<Incident>> {
        let Some(id) = self.run.incident else { return Ok(None) };
        let incident = incidents::by_id(self.context.tx, id).await?;
        self.known.channel = incident.as_ref().map(|incident| incident.channel.clone());
        Ok(incident)
    }

    /// The alert that started the run, as it is; none if none did, or nothing is known of it any more.
    pub(super) async fn alert(&mut self) -> store::Result<Option<Arc<Alert>>> {
        if let Some(known) = self.known.alert.get() {
            return Ok(known.clone());
        }
        let alert = facts::alert(&mut self.context.view(), self.run.cause.as_ref()).await?;
        Ok(self.known.alert.get_or_init(|| alert).clone())
    }

    /// Why nothing may be changed on the run's service, if a halt stands.
    pub(super) async fn halted(&mut self) -> store::Result<Option<String>> {
        if let Some(known) = self.known.halted.get() {
            return Ok(known.clone());
        }
        let halted = facts::halted(&mut self.context.view(), &self.run.target.service).await?;
        Ok(self.known.halted.get_or_init(|| halted).clone())
    }

    /// Says something in the run's channel.
    pub(super) async fn say(&mut self, message: Message, is_page: bool) -> store::Result<()> {
        let stand = self.stand(is_page).await?;
        let message = if is_page {
            message.notify(super::cards::whom(&mut self.context.view(), &self.run).await?)
        } else {
            message
        };
        let post = Post { channel: stand.channel, incident: stand.incident, message, is_page, expires_at: None };
        outbox::post(self.context, post).await
    }

    /// The values that templates and conditions see at this place, as they were before an attempt (`None`: as they are).
    pub(super) async fn scope(&mut self, before: Option<i64>, place: &str) -> store::Result<Scope> {
        let mut scope = self.run.scope(self.now());
        if let Some(incident) = self.incident().await? {
            scope.set(
                "incident",
                json!({
                    "id": incident.id, "title": incident.title, "severity": incident.severity,
                    "peak_severity": incident.peak_severity, "phase": incident.phase, "service": incident.service,
                    "environment": incident.environment,
                }),
            );
        }
        if self.run.cause.is_some() {
            let state = self.alert().await?.map_or("unknown", |alert| alert.state.word());
            let mut alert = scope.values().get("alert").cloned().unwrap_or_default();
            alert["state"] = state.into();
            alert["firing"] = (state == AlertState::Firing.word()).into();
            scope.set("alert", alert);
        }
        scope.extend(self.journal.outputs(&self.run.plan, before, place));
        scope.extend(self.journal.items(&self.run.plan, place));
        let (catalog, target) = (&self.context.rules.catalog, &self.run.target);
        if let Some(entry) = catalog.entry(&target.service, &target.environment) {
            scope.set("catalog", entry);
        }
        if self.run.plan.speaks_of("services") {
            scope.set("services", catalog.values());
        }
        Ok(scope)
    }

    /// The same, with what a step sees of itself.
    pub(super) async fn scope_of(&mut self, step: &Step, effect: &str, before: Option<i64>) -> store::Result<Scope> {
        let scope = self.scope(before, &step.path).await?;
        Ok(scope.with("step", json!({ "name": step.name, "path": step.path, "key": effect })))
    }

    /// The idempotency key of an attempt: the same for ever, and of no other attempt of any store.
    pub(super) async fn effect(&mut self, key: &StepKey) -> store::Result<String> {
        let instance = self.store().await?;
        let digest = Sha256::digest(format!("{instance}/{}/{key}", self.run.id).as_bytes());
        Ok(format!("fw-{}", hex::encode(digest.get(..16).unwrap_or_default())))
    }

    /// The identity of the store.
    pub(super) async fn store(&mut self) -> store::Result<String> {
        if let Some(known) = self.known.instance.get() {
            return Ok(known.clone());
        }
        let instance = runs::instance(self.context.tx).await?;
        Ok(self.known.instance.get_or_init(|| instance).clone())
    }

    /// Adds an attempt to the journal.
    pub(super) async fn note(&mut self, mut record: StepRecord) -> store::Result<()> {
        record.seq = self.journal.0.last().map_or(1, |last| last.seq + 1);
        steps::put(self.context.tx, self.run.id, &record).await?;
        self.journal.0.push(record);
        Ok(())
    }

    /// Writes what became of an attempt.
    pub(super) async fn amend(&mut self, record: StepRecord) -> store::Result<()> {
        steps::put(self.context.tx, self.run.id, &record).await?;
        if let Some(old) = self.journal.0.iter_mut().find(|old| old.key == record.key) {
            *old = record;
        }
        Ok(())
    }

    /// A record of an attempt that begins at this moment.
    pub(super) fn record(&self, key: StepKey, effect: String, action: &str) -> StepRecord {
        StepRecord {
            key,
            seq: 0,
            state: crate::domain::runs::StepState::Intent,
            epoch: self.run.epoch,
            about: None,
            effect,
            action: action.to_owned(),
            system: None,
            with: Value::Null,
            before: Value::Null,
            output: Value::Null,
            error: None,
            may_have_changed: false,
            verdict: None,
            due_at: None,
            question: None,
            started: self.now(),
            ended: None,
        }
    }

    /// The name of the step at this path.
    pub(super) fn name_of(&self, path: &str) -> String {
        self.run.plan.step(path).map_or_else(|| path.to_owned(), |step| named(&step.name, path))
    }

    /// Lets the run rest until a moment, or until something happens to it.
    pub(super) async fn rest(&mut self, state: RunState, wake_at: Option<Time>) -> store::Result<()> {
        self.run.state = state;
        self.run.owner = None;
        self.run.lease_until = None;
        self.run.wake_at = wake_at;
        // What a worker before had begun is in doubt by then, so that nobody takes it for undisturbed any more.
        self.run.may_overlap &= self.is_left_open();
        let subject = self.run.id.to_string();
        match wake_at {
            Some(at) => timers::set(self.context.tx, TIMER, &subject, at).await?,
            None => timers::clear(self.context.tx, TIMER, &subject).await?,
        }
        self.save().await
    }

    /// Hands the run to a worker because a moment has come; what it waited for is known until it does not any more.
    pub(super) async fn wakes(&mut self) -> store::Result<()> {
        self.rest(RunState::Running, None).await
    }

    /// Whether its worker has an effect in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        let is_own = |record: &StepRecord| record.is_open() && record.epoch == self.run.epoch && record.action != CHILD;
        self.run.state == RunState::Running
            && self.run.owner.is_some()
            && self.journal.0.iter().any(|it| is_own(it) && it.due_at.is_none() && it.question.is_none())
    }

    /// Whether an effect that a worker before had begun is still taken for being in flight.
    fn is_left_open(&self) -> bool {
        let waits = |record: &StepRecord| record.due_at.is_some() || record.question.is_some();
        let is_before = |record: &StepRecord| record.epoch < self.run.epoch && record.action != CHILD;
        self.journal.0.iter().any(|record| record.is_open() && is_before(record) && !waits(record))
    }

    /// Hands the run to a worker; to the one that has an effect of it in flight, if there is one.
    pub(super) async fn go_on(&mut self) -> store::Result<()> {
        self.run.hold = None;
        if self.is_in_flight() {
            self.context.tx.wake(Wake::Answers);
            return self.save().await;
        }
        self.rest(RunState::Running, None).await
    }

    /// Stops in the middle: the target stays locked, and people are paged with what was done.
    pub(super) async fn hold(&mut self, state: RunState, hold: Hold) -> store::Result<()> {
        self.withdraw().await?;
        let done = self.journal.standing(&self.run.plan);
        let event = Event::RunHeld {
            run: self.run.id,
            runbook: self.run.plan.name.clone(),
            reason: hold.reason,
            detail: hold.detail.clone(),
            done: done.clone(),
        };
        let actor = self.itself();
        self.tell(actor, &event).await?;
        self.run.revision += 1;
        self.run.hold = Some(hold);
        self.rest(state, None).await?;
        let card = super::cards::of_run(&self.run, &self.journal, self.now());
        self.say(Message::card(card), true).await
    }

    /// Lets the run stand, because somebody wants it to: the target stays locked.
    pub(super) async fn pause(&mut self) -> store::Result<()> {
        self.withdraw().await?;
        self.run.paused_by = None;
        let event = Event::RunPaused { run: self.run.id, runbook: self.run.plan.name.clone() };
        let actor = self.itself();
        self.tell(actor, &event).await?;
        self.run.revision += 1;
        self.rest(RunState::Paused, None).await
    }

    /// Ends the run: the target is free again.
    pub(super) async fn end(&mut self, state: RunState, reason: Reason, detail: &str) -> store::Result<()> {
        self.withdraw().await?;
        super::settle::close_waits(self).await?;
        let event = Event::RunEnded {
            run: self.run.id,
            runbook: self.run.plan.name.clone(),
            target: self.run.target.to_string(),
            state,
            reason,
            detail: detail.to_owned(),
        };
        let actor = self.itself();
        self.tell(actor, &event).await?;
        if self.run.root.is_none() {
            locks::release(self.context.tx, self.run.id).await?;
        }
        if let Some(incident) = self.run.incident {
            let incident = acts::count_runs(self.context, incident, -1).await?;
            self.known.channel = incident.map(|incident| incident.channel);
        }
        self.run.hold = None;
        self.run.reason = Some(reason);
        self.run.ended_at = Some(self.now());
        self.run.revision += 1;
        self.rest(state, None).await?;
        if let Some(key) = self.run.concurrency.clone() {
            queue::go_on(self.context, &key).await?;
        }
        super::child::ended(self, state, reason, detail).await?;
        super::triggers::by_run(self.context, &self.run, state).await?;
        if matches!(state, RunState::Failed | RunState::Refused) {
            let line = Line::text("Runbook ").code(&self.run.plan.name).and(format!(
                " ended as {state} ({}): {}",
                self.run.id,
                reason.words()
            ));
            let line = if detail.is_empty() { line } else { line.and(": ").code(detail) };
            let is_page = state == RunState::Failed && self.run.cause.is_some();
            self.say(Message::line(line), is_page).await?;
        }
        Ok(())
    }

    /// Takes back the questions that are open.
    pub(super) async fn withdraw(&mut self) -> store::Result<()> {
        let now = self.now();
        for mut approval in approvals::of_run(self.context.tx, self.run.id).await? {
            if approval.state == ApprovalState::Open {
                approval.state = ApprovalState::Withdrawn;
                approval.decided_at = Some(now);
                self.put(&approval).await?;
            }
        }
        Ok(())
    }

    /// Writes a question as it stands and shows it.
    pub(super) async fn put(&mut self, approval: &Approval) -> store::Result<()> {
        approvals::save(self.context.tx, approval).await?;
        let stand = self.stand(true).await?;
        outbox::show(self.context, Subject::Approval(approval.id), &stand).await
    }

    /// Puts a question to people, ahead of everything else that waits to be said.
    pub(super) async fn ask(&mut self, mut approval: Approval) -> store::Result<Approval> {
        approval.revision = approval.revision.max(restores::revisions_from(self.context.tx).await?);
        approval.id = approvals::add(self.context.tx, &approval).await?;
        let event = Event::ApprovalAsked {
            run: self.run.id,
            approval: approval.id,
            question: approval.question.clone(),
            by: approval.by.iter().map(ToString::to_string).collect(),
            count: approval.count,
            bound: approval.bound.clone(),
            expires_at: approval.expires_at,
        };
        let actor = self.itself();
        self.tell(actor, &event).await?;
        let stand = self.stand(true).await?;
        outbox::show(self.context, Subject::Approval(approval.id), &stand).await?;
        Ok(approval)
    }

    /// A question of this run, to be asked at this moment.
    pub(super) fn question(&self, path: &str, question: String, expires: Duration) -> Approval {
        Approval {
            id: crate::domain::ids::ApprovalId(0),
            run: self.run.id,
            asks: crate::domain::runs::approvals::Asks::Approval,
            path: path.to_owned(),
            revision: 1,
            epoch: self.run.epoch,
            question,
            by: Vec::new(),
            count: 1,
            bound: std::collections::BTreeMap::new(),
            state: ApprovalState::Open,
            answers: Vec::new(),
            asked_at: self.now(),
            expires_at: self.now() + expires,
            decided_at: None,
        }
    }
}
