//! Which alerts a query asks for, and which group each is in.
//!
//! The store is read once, row after row; of an alert that is wanted only its text in the answer is kept. Of many who ask
//! at once, few are answered at a time.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Query, State},
    response::Response,
};
use serde_json::json;

use super::{
    Told,
    asked::Asked,
    caller::Caller,
    shown::{Page, Piece, Shown},
};
use crate::{
    adapters::web::Site,
    domain::{
        alerts::{Labels, Matcher},
        people::Capability,
        routes::{self, GroupKey},
        silences::Silence,
    },
    engine::Rules,
    store::{
        self,
        alerts::{self, Open},
        silences,
    },
};

/// `GET /api/v2/alerts`
pub(super) async fn every(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let rules = site.engine.rules();
    let mut list = List::new(&asked, &rules)?;
    let mut shown = Vec::new();
    let _turn = site.lists.acquire().await;
    let mut reader = site.engine.read().await?;
    list.silences = silences::active(&mut reader, site.engine.now()).await?;
    alerts::open(&mut reader, |alert| {
        shown.extend(list.take(alert, &alert.labels()?)?);
        Ok(())
    })
    .await?;
    list.page.sort(&mut shown);
    let mut pieces = vec!["[".into()];
    pieces.extend(Page::items(shown));
    pieces.push("]".into());
    Ok(list.page.answer(pieces))
}

/// `GET /api/v2/alerts/groups`
pub(super) async fn grouped(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let with_muted = asked.wants("muted")?;
    let rules = site.engine.rules();
    let mut list = List::new(&asked, &rules)?;
    let mut groups: BTreeMap<GroupKey, Vec<Shown<'_>>> = BTreeMap::new();
    let _turn = site.lists.acquire().await;
    let mut reader = site.engine.read().await?;
    list.silences = silences::active(&mut reader, site.engine.now()).await?;
    alerts::open(&mut reader, |alert| {
        let labels = alert.labels()?;
        if let Some(shown) = list.take(alert, &labels)? {
            let group = routes::choose(&rules.routes, &rules.default_route, &labels).group;
            groups.entry(group).or_default().push(shown);
        }
        Ok(())
    })
    .await?;
    let mut pieces = vec!["[".into()];
    for (group, mut alerts) in groups {
        if !with_muted && alerts.iter().all(|shown| shown.is_suppressed) {
            continue;
        }
        list.page.sort(&mut alerts);
        let mut labels = group.values;
        labels.retain(|_, value| !value.is_empty());
        for (name, value) in [("service", group.service), ("environment", group.environment)] {
            if let Some(value) = value {
                labels.entry(name.to_owned()).or_insert(value);
            }
        }
        let channel = alerts.first().map_or("", |shown| shown.channel);
        let comma = if pieces.len() > 1 { "," } else { "" };
        pieces.push(Piece::Text(format!(
            r#"{comma}{{"labels":{},"receiver":{},"routeLabels":{},"alerts":["#,
            json!(labels),
            json!({ "name": channel }),
            json!({ "route": group.route }),
        )));
        pieces.extend(Page::items(alerts));
        pieces.push("]}".into());
    }
    pieces.push("]".into());
    Ok(list.page.answer(pieces))
}

/// What a query wants of alerts, and what was found of it.
struct List<'a> {
    rules: &'a Rules,
    matchers: Vec<Matcher>,
    receiver: Option<Matcher>,
    wants: Wants,
    /// Those that are active.
    silences: Vec<Silence>,
    /// Of each channel, whether its alerts are wanted.
    channels: BTreeMap<String, bool>,
    page: Page,
}

/// Which alerts are wanted by how they stand.
struct Wants {
    active: bool,
    silenced: bool,
    receivers: bool,
}

impl<'a> List<'a> {
    fn new(asked: &Asked, rules: &'a Rules) -> Result<Self, Told> {
        // Nothing is inhibited or unprocessed here, so these two leave nothing out.
        for other in ["inhibited", "unprocessed"] {
            asked.wants(other)?;
        }
        Ok(Self {
            rules,
            matchers: asked.matchers("filter")?,
            receiver: asked.receiver()?,
            wants: Wants {
                active: asked.wants("active")?,
                silenced: asked.wants("silenced")?,
                receivers: asked.wants_receivers()?,
            },
            silences: Vec::new(),
            channels: BTreeMap::new(),
            page: Page::default(),
        })
    }

    /// Writes the alert down if it is wanted.
    fn take(&mut self, alert: &Open<'_>, labels: &Labels) -> store::Result<Option<Shown<'a>>> {
        if !self.wants.receivers {
            return Ok(None);
        }
        if Matcher::first_unmet(&self.matchers, labels).is_some() {
            return Ok(None);
        }
        let channel = routes::channel(&self.rules.routes, &self.rules.default_route, labels);
        let channel = channel.unwrap_or(&self.rules.default_channel);
        if !self.wants_channel(channel) {
            return Ok(None);
        }
        let silences = self.silences.iter().filter(|silence| silence.matches(labels));
        let silenced_by: Vec<&str> = silences.map(|silence| silence.uuid.as_str()).collect();
        let is_suppressed = !silenced_by.is_empty();
        if if is_suppressed { !self.wants.silenced } else { !self.wants.active } {
            return Ok(None);
        }
        self.page.write(alert, channel, &silenced_by).map(Some)
    }

    fn wants_channel(&mut self, channel: &str) -> bool {
        let Some(receiver) = &self.receiver else { return true };
        if let Some(is_wanted) = self.channels.get(channel) {
            return *is_wanted;
        }
        let is_wanted = receiver.matches(&Labels::from_iter([("receiver", channel)]));
        self.channels.insert(channel.to_owned(), is_wanted);
        is_wanted
    }
}
