//! What would come of a wish to start a run, judged by what stands at the moment and without writing anything.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    domain::{
        ids::RunId,
        people::Actor,
        runbooks::{
            inputs,
            plan::{Mode, Plan, Target, WhenBusy, trigger_key},
            scope::Scope,
            template, words,
        },
        runs::{
            Reason,
            breaker::Standing,
            guards::{self, Facts, Moment, Refused},
        },
    },
    engine::{
        Rules, View,
        runs::{facts, queue, start::Wish},
    },
    store::{self, Reader, guards as asked, runs},
};

/// A wish whose aim is right, and what would come of it.
pub(super) struct Judged {
    pub(super) aim: Aim,
    /// What a second trigger of the same would have, too.
    pub(super) key: String,
    /// How far the run would go by itself.
    pub(super) mode: Mode,
    pub(super) verdict: Verdict,
}

/// What would come of a wish.
pub(super) enum Verdict {
    /// A run would start.
    Start,
    /// It would wait for these, and then start.
    Queue(Vec<RunId>),
    /// It would count for this run, which is at work.
    Attach(RunId),
    /// A guard does not hold.
    Refuse(Refused),
}

/// What would come of the wish at this moment, or why it is aimed at nothing.
pub(super) async fn judge(view: &mut View<'_>, wish: &Wish<'_>) -> store::Result<Result<Judged, Refused>> {
    let plan = wish.plan;
    let mut aim = match aim(view.rules, wish) {
        Ok(aimed) => aimed,
        Err(what) => return Ok(Err(Refused::new(Reason::BadInputs, what))),
    };
    let key = trigger_key(&plan.name, &aim.target, &wish.fault);
    let mode = plan.mode.min(view.rules.runs.mode);
    let mode = wish.parent.as_ref().map_or(mode, |(_, _, most)| mode.min(*most));
    let verdict = verdict(view, wish, &mut aim, (&key, mode)).await?;
    Ok(Ok(Judged { aim, key, mode, verdict }))
}

async fn verdict(
    view: &mut View<'_>,
    wish: &Wish<'_>,
    aim: &mut Aim,
    (key, mode): (&str, Mode),
) -> store::Result<Verdict> {
    let waiting: Vec<RunId> = wish.parent.iter().flat_map(|(parent, holder, _)| [parent.run, *holder]).collect();
    let beside = beside(view.reader, (wish.plan, mode), aim, (key, &waiting)).await?;
    let is_queued = match beside {
        Verdict::Attach(_) | Verdict::Refuse(_) => return Ok(beside),
        Verdict::Queue(_) => true,
        Verdict::Start => false,
    };
    let facts = facts_of(view, wish, (&aim.target, mode, is_queued)).await?;
    if let Err(refused) = guards::evaluate(&wish.plan.guards, Moment::Start, &facts, view.now) {
        return Ok(Verdict::Refuse(refused));
    }
    Ok(beside)
}

/// What other runs mean for one that would start. Those that wait for its end hold their place for it.
pub(super) async fn beside(
    reader: &mut Reader,
    (plan, mode): (&Plan, Mode),
    aim: &mut Aim,
    (key, waiting): (&str, &[RunId]),
) -> store::Result<Verdict> {
    let same = match mode {
        Mode::Ask | Mode::Auto if aim.together.is_none() => runs::same(reader, key, (&plan.name, &aim.target)).await?,
        Mode::Observe | Mode::Ask | Mode::Auto => runs::by_trigger(reader, key).await?,
    };
    if let Some((run, _)) = same {
        return Ok(Verdict::Attach(run));
    }
    if let (Some((key, _, _)), false) = (&aim.together, waiting.is_empty()) {
        let at_work = asked::at_work_for(reader, key).await?;
        aim.together.take_if(|_| waiting.iter().any(|run| at_work.contains(run)));
    }
    let together = aim.together.as_ref().filter(|_| mode != Mode::Observe);
    let Some((key, limit, when_busy)) = together else { return Ok(Verdict::Start) };
    let Some(at_work) = queue::busy(reader, key, *limit).await? else { return Ok(Verdict::Start) };
    let first = at_work.first().copied().unwrap_or(RunId(0));
    Ok(match when_busy {
        WhenBusy::Attach => Verdict::Attach(first),
        WhenBusy::Skip => Verdict::Refuse(Refused::new(Reason::Concurrency, format!("{first} is at work for `{key}`"))),
        WhenBusy::Queue => Verdict::Queue(at_work),
    })
}

/// What guards are evaluated by for a run that is about to start, perhaps behind others.
async fn facts_of(
    view: &mut View<'_>,
    wish: &Wish<'_>,
    (target, mode, is_queued): (&Target, Mode, bool),
) -> store::Result<Facts> {
    let about = facts::Subject {
        started_at: None,
        run: None,
        holder: wish.parent.as_ref().map(|(_, holder, _)| *holder),
        plan: wish.plan,
        target,
        cause: wish.cause.as_ref(),
        requester: wish.requested_by.person(),
        mode,
    };
    let halted = facts::halted(view, &target.service).await?;
    let alert = facts::alert(view, wish.cause.as_ref()).await?;
    let mut facts = facts::of(view, about, (halted, alert.as_deref())).await?;
    if mode == Mode::Observe {
        facts = only_looking(facts);
    }
    if is_queued {
        // Those before it hold the target and charge the cooldown; when its turn comes, it is looked at again.
        facts.locked_by = None;
        facts.charged = None;
    }
    Ok(facts)
}

/// What is left of that for a run that changes nothing: what keeps others from changing something does not concern it.
pub(super) fn only_looking(facts: Facts) -> Facts {
    let breaker = Standing::Closed;
    Facts { locked_by: None, halted: None, frozen: None, service_locked: None, breaker, ..facts }
}

/// What a wish is aimed at.
pub(super) struct Aim {
    pub(super) inputs: BTreeMap<String, Value>,
    pub(super) target: Target,
    /// What it shares with how many other runs.
    pub(super) together: Option<(String, u32, WhenBusy)>,
}

/// What a wish is aimed at, or what is wrong with that.
pub(super) fn aim(rules: &Rules, wish: &Wish<'_>) -> Result<Aim, String> {
    let labels = wish.cause.as_ref().map_or_else(|| wish.labels.clone(), |cause| cause.labels.clone());
    let inputs = inputs::resolve(wish.plan, &wish.given, &labels).map_err(|problem| problem.briefly(wish.plan))?;
    let mut scope = Scope::new();
    scope.extend(inputs.clone());
    let target = wish.plan.target(&scope).map_err(|error| error.to_string())?;
    let known = rules.services();
    for service in wish.plan.aimed_at(&inputs, &target) {
        if !known.is_empty() && !known.contains(service) {
            let shown: String = service.chars().take(60).collect();
            let hint = match words::nearest(service, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name it in the catalog of services, in a route, or in the `services` of a source".to_owned(),
            };
            return Err(format!("`{shown}` is not a service of the configuration; {hint}"));
        }
    }
    let allowed = match &wish.requested_by {
        Actor::Source(source) => rules.scopes.get(source).and_then(|scope| scope.services.as_ref()),
        Actor::Person(_) | Actor::Run(_) | Actor::Bot => None,
    };
    if allowed.is_some_and(|services| !services.contains(&target.service)) {
        return Err(format!("the source may not act on `{}`", target.service));
    }
    let together = match &wish.plan.guards.concurrency {
        None => None,
        Some(together) => {
            let key = template::render_text(&together.key, &scope).map_err(|error| error.to_string())?;
            if key.is_empty() || key.chars().count() > 200 {
                return Err("the key of its `concurrency` is empty, or too long".to_owned());
            }
            Some((key, together.limit, together.when_busy))
        }
    };
    Ok(Aim { inputs, target, together })
}
