//! Alertmanager and other senders, as far as the bot can tell: what they post, and what they are answered.

use std::collections::BTreeMap;

use firewarden::domain::time::Time;
use serde_json::{Value, json};

use super::{World, config, http};

/// An alert as its source sees it.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: Option<Time>,
    ends_at: Option<Time>,
}

/// An alert with this name, about production and severe enough to page.
pub(crate) fn alert(name: &str) -> Alert {
    let labels = [("alertname", name), ("severity", "page"), ("env", "production")];
    Alert {
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        annotations: BTreeMap::from([("summary".to_owned(), format!("{name} fires"))]),
        starts_at: None,
        ends_at: None,
    }
}

impl Alert {
    /// About this service.
    pub(crate) fn service(self, service: &str) -> Self {
        self.label("service", service)
    }

    /// With this label.
    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Fires since this moment, as its source says.
    pub(crate) fn since(mut self, at: Time) -> Self {
        self.starts_at = Some(at);
        self
    }

    /// Ends at this moment, as its source says: in the past if it resolved, else when it counts as silent.
    pub(crate) fn until(mut self, at: Time) -> Self {
        self.ends_at = Some(at);
        self
    }
}

/// Alertmanager as a sender.
pub(crate) struct Alertmanager<'a>(pub(super) &'a World);

impl Alertmanager<'_> {
    /// Says that the alert fires; the bot must take it.
    pub(crate) async fn fires(&self, alert: &Alert) {
        self.takes(self.body("firing", &[alert])).await;
    }

    /// Says that the alert is over; the bot must take it.
    pub(crate) async fn resolves(&self, alert: &Alert) {
        self.takes(self.body("resolved", &[alert])).await;
    }

    /// Posts a body and answers with the status; `None` if there was no answer.
    pub(crate) async fn posts(&self, body: &Value) -> Option<u16> {
        let url = format!("{}/webhooks/alertmanager", self.0.url());
        let request = http().post(url).bearer_auth(config::SOURCE_TOKEN).json(body);
        let status = request.send().await.ok().map(|answer| answer.status().as_u16());
        self.0
            .note(&format!("alertmanager posts {} alerts: {status:?}", body["alerts"].as_array().map_or(0, Vec::len)));
        status
    }

    /// The body of a delivery, as Alertmanager writes it.
    pub(crate) fn body(&self, status: &str, alerts: &[&Alert]) -> Value {
        let now = self.0.now();
        let alerts: Vec<Value> = alerts
            .iter()
            .map(|alert| {
                let ends_at = alert.ends_at.or_else(|| (status == "resolved").then_some(now));
                json!({
                    "status": status,
                    "labels": alert.labels,
                    "annotations": alert.annotations,
                    "startsAt": alert.starts_at.unwrap_or(self.0.begun()).to_string(),
                    "endsAt": ends_at.map_or("0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
                    "generatorURL": "http://prometheus.example/graph",
                    "fingerprint": "",
                })
            })
            .collect();
        json!({
            "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": status, "receiver": "firewarden",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager.example", "alerts": alerts,
        })
    }

    async fn takes(&self, body: Value) {
        assert_eq!(self.posts(&body).await, Some(202), "the bot takes the delivery");
    }
}
