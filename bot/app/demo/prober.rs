//! A small prober that watches the example service and posts what it finds as Alertmanager would.
//!
//! It says that an alert fires once two looks in a row were bad, says so again every few seconds while it does, and says
//! that it is over once three looks in a row were good. A look that failed is neither.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{domain::time::Time, engine::ports::Clock};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// Between two posts about an alert that goes on.
const REPEAT: Duration = Duration::from_secs(5);
/// More errors than this are bad.
const LIMIT: f64 = 0.05;
/// Bad looks until it fires.
const BAD_LOOKS: u32 = 2;
/// Good looks until it is over.
const GOOD_LOOKS: u32 = 3;

/// Where the prober looks and where it posts.
pub(super) struct Prober {
    pub(super) clock: Arc<dyn Clock>,
    /// The service's address.
    pub(super) service: String,
    /// The intake's address.
    pub(super) intake: String,
    /// The token of the source.
    pub(super) token: String,
    /// What it noticed, for people to read.
    pub(super) notices: mpsc::UnboundedSender<String>,
}

/// What the looks add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Fires,
    IsOver,
}

#[derive(Debug, Default)]
struct Looks {
    bad: u32,
    good: u32,
    since: Option<Time>,
}

impl Looks {
    /// Counts a look; says when it changes what is to be said.
    fn count(&mut self, error_ratio: f64, now: Time) -> Option<Finding> {
        if error_ratio > LIMIT {
            (self.bad, self.good) = (self.bad + 1, 0);
            if self.bad >= BAD_LOOKS && self.since.is_none() {
                self.since = Some(now);
                return Some(Finding::Fires);
            }
        } else {
            (self.bad, self.good) = (0, self.good + 1);
            if self.good >= GOOD_LOOKS && self.since.is_some() {
                return Some(Finding::IsOver);
            }
        }
        None
    }
}

impl Prober {
    /// Looks and posts until it is told to stop.
    pub(super) async fn work(self, stop: CancellationToken) {
        let client = reqwest::Client::new();
        let mut looks = Looks::default();
        let mut posted_at = None;
        while !stop.is_cancelled() {
            let now = self.clock.now();
            if let Some(error_ratio) = self.look(&client).await {
                let finding = looks.count(error_ratio, now);
                let is_repeat = posted_at.is_some_and(|at| now.since(at) >= REPEAT);
                if let Some(since) = looks.since.filter(|_| finding.is_some() || is_repeat) {
                    let is_over = finding == Some(Finding::IsOver);
                    let body = delivery(since, is_over.then_some(now), error_ratio);
                    match self.post(&client, &body).await {
                        Ok(()) => posted_at = Some(now),
                        Err(why) => self.notice(format!("the prober cannot post: {why}")),
                    }
                    match finding {
                        Some(Finding::Fires) => self.notice(format!("the prober posts: {}", firing(error_ratio))),
                        Some(Finding::IsOver) => {
                            self.notice("the prober posts: the alert is resolved".to_owned());
                            (looks, posted_at) = (Looks::default(), None);
                        }
                        None => {}
                    }
                }
            }
            tokio::select! {
                () = self.clock.sleep_until(now + EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn look(&self, client: &reqwest::Client) -> Option<f64> {
        let url = format!("{}/health", self.service);
        let answer = client.get(url).timeout(EVERY).send().await.ok()?;
        answer.json::<Value>().await.ok()?["error_ratio"].as_f64()
    }

    async fn post(&self, client: &reqwest::Client, body: &Value) -> Result<(), String> {
        let request = client.post(&self.intake).bearer_auth(&self.token).json(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it was answered {}", answer.status())) }
    }

    fn notice(&self, what: String) {
        // Nobody listens once the demo is over.
        let _ended = self.notices.send(what);
    }
}

fn firing(error_ratio: f64) -> String {
    format!("{:.0} % of the requests to checkout fail", error_ratio * 100.0)
}

/// What Alertmanager would post: version 4 of its webhook.
fn delivery(since: Time, ended: Option<Time>, error_ratio: f64) -> Value {
    let status = if ended.is_some() { "resolved" } else { "firing" };
    let labels = json!({
        "alertname": "CheckoutErrorRate", "service": "checkout", "env": "production", "severity": "page",
    });
    json!({
        "version": "4", "groupKey": "{}:{alertname=\"CheckoutErrorRate\"}", "truncatedAlerts": 0, "status": status,
        "receiver": "firewarden", "groupLabels": { "alertname": "CheckoutErrorRate" }, "commonLabels": labels,
        "commonAnnotations": {}, "externalURL": "http://127.0.0.1/prober",
        "alerts": [{
            "status": status, "labels": labels, "annotations": { "summary": firing(error_ratio) },
            "startsAt": since.to_string(),
            "endsAt": ended.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
            "generatorURL": "http://127.0.0.1/prober", "fingerprint": "",
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_look_says_nothing_and_three_good_ones_end_it() {
        let now = Time::from_millis(0);
        let mut looks = Looks::default();
        let said: Vec<_> =
            [0.3, 0.0, 0.3, 0.3, 0.3, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0].map(|ratio| looks.count(ratio, now)).into();
        let mut expected = vec![None; 11];
        expected[3] = Some(Finding::Fires);
        expected[10] = Some(Finding::IsOver);
        assert_eq!(said, expected);
    }
}
