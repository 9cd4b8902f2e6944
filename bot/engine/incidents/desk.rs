//! The incidents that the alerts of one decision are about: looked up together, kept at hand, written together.
//!
//! However many alerts a decision is about, the statements are the same few, but for what an incident says or does
//! beyond its record. Each incident is settled once: one save, one card, at most one page.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    News,
    acts::{self, QUIET},
    decide::monitor,
};
use crate::{
    domain::{
        alerts::{AlertState, What},
        ids::{AlertKey, IncidentId},
        incidents::{Counts, Incident},
        timeline::Chain,
    },
    engine::{Context, alerts},
    store::{
        self, Fault,
        incidents::{self, Changed, Membership},
        timeline, timers,
    },
};

/// How many incidents of a group are looked at, newest first.
const LOOKED_AT: i64 = 10;

/// The incidents that the alerts of one decision are about.
#[derive(Default)]
pub(super) struct Desk {
    files: BTreeMap<IncidentId, File>,
    /// Each alert in the newest incident that it belongs to.
    members: HashMap<AlertKey, Membership>,
    /// The incidents with a group key, newest first.
    groups: HashMap<String, Vec<IncidentId>>,
    changed: HashMap<(IncidentId, AlertKey), Changed>,
    kept_quiet: Vec<(AlertKey, String)>,
    pub(super) told: Vec<News>,
}

/// One incident on the desk.
pub(super) struct File {
    pub(super) incident: Incident,
    /// Both as the decision found them.
    found: (Incident, Counts),
    /// How its alerts stand, with what this decision has found.
    pub(super) counts: Counts,
    /// Whether this decision opened it.
    is_new: bool,
    /// What this decision has found about its alerts.
    pub(super) latest: Latest,
    /// Why people are paged.
    pub(super) page: Option<&'static str>,
}

/// What a decision has found about the alerts of an incident, the latest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Latest {
    /// Nothing: it was only looked at.
    Nothing,
    /// Something was told that changes no alert's state.
    Told,
    /// One fires.
    Fired,
    /// One does not fire any more, as far as is known.
    Quieted,
}

impl File {
    fn of(incident: Incident, counts: Counts) -> Self {
        Self { found: (incident.clone(), counts), incident, counts, is_new: false, latest: Latest::Nothing, page: None }
    }

    /// One that this decision opened; its alert has yet to join.
    pub(super) fn of_new(incident: Incident, page: Option<&'static str>) -> Self {
        Self { is_new: true, page, ..Self::of(incident, Counts::default()) }
    }

    /// Something was told in it, so its card changes.
    pub(super) fn told(&mut self) {
        if self.latest == Latest::Nothing {
            self.latest = Latest::Told;
        }
    }

    /// An alert of it does not fire any more, as far as is known.
    pub(super) fn quiets(&mut self, item: &alerts::News, context: &Context<'_>) {
        self.latest = Latest::Quieted;
        let last = item.alert.last_fired(context.now);
        self.incident.last_fired_at = Some(self.incident.last_fired_at.map_or(last, |known| known.max(last)));
    }

    fn count(&mut self, state: AlertState) -> &mut u64 {
        match state {
            AlertState::Firing => &mut self.counts.firing,
            AlertState::Stale => &mut self.counts.stale,
            AlertState::Resolved => &mut self.counts.resolved,
        }
    }
}

impl Desk {
    /// Looks up what the news are about: the alerts' incidents, and those of their groups.
    pub(super) async fn laid_out(context: &mut Context<'_>, news: &[alerts::News]) -> store::Result<Self> {
        let mut desk = Self::default();
        if news.is_empty() {
            return Ok(desk);
        }
        // What fires for the first time is in no incident yet, and most of a storm is that.
        let known = news.iter().filter(|item| item.what != What::Fired);
        let keys: BTreeSet<&AlertKey> = known.map(|item| &item.alert.key).collect();
        let members = incidents::of_alerts(context.tx, keys).await?;
        desk.members = members.into_iter().map(|member| (member.key.clone(), member)).collect();
        let groups: BTreeSet<String> =
            news.iter().filter(|item| fires(item.what)).map(|item| item.decision.group.text()).collect();
        for (group, id) in incidents::by_groups(context.tx, groups.iter().map(String::as_str), LOOKED_AT).await? {
            desk.groups.entry(group).or_default().push(id);
        }
        let of_members = desk.members.values().map(|member| member.incident);
        let ids: BTreeSet<IncidentId> = of_members.chain(desk.groups.values().flatten().copied()).collect();
        timeline::open(context.tx, ids.iter().map(|id| Chain::Incident(*id))).await?;
        for (incident, counts) in incidents::by_ids(context.tx, ids).await? {
            desk.files.insert(incident.id, File::of(incident, counts));
        }
        Ok(desk)
    }

    /// The incident of this name, which is one that was looked up or opened.
    pub(super) fn file(&mut self, id: IncidentId) -> store::Result<&mut File> {
        self.files.get_mut(&id).ok_or_else(|| Fault::defect(format!("an alert is in `{id}`, which is not")))
    }

    /// Puts an incident on the desk that this decision opened.
    pub(super) fn opened(&mut self, file: File) {
        let id = file.incident.id;
        if let Some(group) = &file.incident.group {
            self.groups.entry(group.clone()).or_default().insert(0, id);
        }
        self.files.insert(id, file);
    }

    /// The alert in the newest incident that it belongs to.
    pub(super) fn member(&self, key: &AlertKey) -> Option<&Membership> {
        self.members.get(key)
    }

    /// The alert in this incident.
    pub(super) async fn member_in(
        &self,
        context: &mut Context<'_>,
        id: IncidentId,
        key: &AlertKey,
    ) -> store::Result<Option<Membership>> {
        match self.members.get(key) {
            Some(newest) if newest.incident == id => Ok(Some(newest.clone())),
            Some(newest) if newest.incident > id => match self.changed.get(&(id, key.clone())) {
                Some(changed) => Ok(Some(changed.member.clone())),
                None => incidents::alert_in(context.tx, id, key).await,
            },
            Some(_) | None => Ok(None),
        }
    }

    /// The newest incidents with this group key, newest first.
    pub(super) fn of_group(&self, group: &str) -> impl Iterator<Item = &File> {
        self.groups.get(group).into_iter().flatten().filter_map(|id| self.files.get(id))
    }

    /// How an alert stands in an incident from here on; `before` is how it stood there.
    pub(super) fn put(&mut self, before: Option<AlertState>, member: Membership) -> store::Result<()> {
        let file = self.file(member.incident)?;
        if let Some(before) = before {
            let count = file.count(before);
            *count = count.saturating_sub(1);
        }
        *file.count(member.state) += 1;
        let newest = self.members.entry(member.key.clone()).or_insert_with(|| member.clone());
        if newest.incident <= member.incident {
            newest.clone_from(&member);
        }
        let place = (member.incident, member.key.clone());
        let before = self.changed.get(&place).map_or(before, |earlier| earlier.before);
        self.changed.insert(place, Changed { before, member });
        Ok(())
    }

    /// The alert is ignored, because its incident was declined.
    pub(super) fn keeps_quiet(&mut self, item: &alerts::News) {
        self.kept_quiet.push((item.alert.key.clone(), item.alert.source.clone()));
    }

    /// Moves what has cleared to monitoring, watches over the quiet, and writes every incident that was touched.
    pub(super) async fn settle(mut self, context: &mut Context<'_>) -> store::Result<Vec<News>> {
        let changed: Vec<Changed> = self.changed.into_values().collect();
        incidents::put_alerts(context.tx, &changed).await?;
        let quiet: Vec<_> = self.kept_quiet.iter().map(|(key, source)| (key, "declined", source.as_str())).collect();
        store::alerts::suppressed(context.tx, &quiet, context.now).await?;
        self.files.retain(|_, file| file.latest != Latest::Nothing);
        for file in self.files.values_mut() {
            let id = file.incident.id;
            if file.counts.firing > 0 {
                file.incident.asked_at = None;
                // While something fires, no quiet is counted.
                if file.found.1.firing == 0 {
                    timers::clear(context.tx, QUIET, &id.to_string()).await?;
                }
            } else if file.incident.phase.is_open() && file.latest == Latest::Quieted {
                if file.counts.are_cleared() {
                    self.told.extend(monitor(context, &mut file.incident).await?);
                }
                let at = context.now + context.rules.incidents.quiet;
                timers::set(context.tx, QUIET, &id.to_string(), at).await?;
            }
            match file.page {
                Some(reason) if file.is_new => acts::tell_page(context, &file.incident, reason).await?,
                Some(reason) => acts::page(context, &file.incident, reason).await?,
                None => {}
            }
            acts::show(context, &file.incident, file.page.is_some()).await?;
        }
        let changed = self.files.values().filter(|file| file.is_new || file.incident != file.found.0);
        incidents::save(context.tx, changed.map(|file| &file.incident)).await?;
        Ok(self.told)
    }
}

/// Whether the alert is to be placed in an incident.
fn fires(what: What) -> bool {
    matches!(what, What::Fired | What::Refired | What::HeardAgain)
}
