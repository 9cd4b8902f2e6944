//! What Alertmanager sends: webhook payloads of version 4.
//!
//! A group is `firing` while any of its alerts fires, so only the status of each alert counts. `endsAt` is the year 1
//! while an alert fires. Alerts left out by `max_alerts` are only counted. Unknown fields are ignored.
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>, and the payloads under
//! `tests/captures/`, which Alertmanager 0.25 sent.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::{
    alerts::{Batch, Malformed, Says, Signal, bounds},
    time::Moment,
};

/// The only version of the payload that there is.
const VERSION: &str = "4";

#[derive(Deserialize)]
struct Payload {
    version: String,
    alerts: Vec<Told>,
    #[serde(default, rename = "truncatedAlerts")]
    truncated: Option<u64>,
}

#[derive(Deserialize)]
struct Head {
    version: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    starts_at: Moment,
    #[serde(default)]
    ends_at: Moment,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

/// Reads a webhook's body; `source` is the name under which the configuration knows the sender.
///
/// # Errors
/// Says where the body is not such a payload. Nothing of a refused body is taken.
pub fn parse(body: &[u8], source: &str) -> Result<Batch, Malformed> {
    // Following the path costs time, so it is done only for a body that is refused.
    let payload: Payload = match serde_json::from_slice(body) {
        Ok(payload) => payload,
        Err(_) => return Err(refused(body)),
    };
    if payload.version != VERSION {
        return Err(other_version(&payload.version));
    }
    bounds::alerts("alerts", payload.alerts.len())?;
    let alerts = payload.alerts.into_iter().enumerate();
    let signals = alerts.map(|(index, told)| signal(index, told, source)).collect::<Result<_, _>>()?;
    let truncated = payload.truncated.unwrap_or(0);
    Ok(Batch { source: source.to_owned(), signals, truncated, source_key: None })
}

fn signal(index: usize, told: Told, source: &str) -> Result<Signal, Malformed> {
    let labels = bounds::labels(&format!("alerts[{index}].labels"), told.labels)?;
    let annotations = told.annotations.unwrap_or_default();
    Ok(Signal {
        source: source.to_owned(),
        labels,
        annotations: bounds::annotations(&format!("alerts[{index}].annotations"), annotations)?,
        says: match told.status {
            Status::Firing => Says::Firing { ends_at: told.ends_at.0 },
            Status::Resolved => Says::Resolved { at: told.ends_at.0 },
        },
        starts_at: told.starts_at.0,
        generator_url: told.generator_url.filter(|url| !url.is_empty()).map(bounds::text),
    })
}

/// Why a body is no such payload: another version if it names one, else the first fault and its place.
fn refused(body: &[u8]) -> Malformed {
    if let Ok(Head { version }) = serde_json::from_slice::<Head>(body) {
        match version {
            Some(serde_json::Value::String(version)) if version == VERSION => {}
            Some(version) => return other_version(version.to_string().trim_matches('"')),
            None => {
                return Malformed::new("version", "it is missing, so this is no webhook of Alertmanager")
                    .hint("other senders go to `/webhooks/generic/NAME`");
            }
        }
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Payload>(&mut json) {
        Ok(_) => Malformed::new("", "something follows the JSON value"),
        Err(error) => bounds::unreadable(&error.path().to_string(), error.inner()),
    }
}

fn other_version(version: &str) -> Malformed {
    Malformed::new("version", format!("`{version}` is not a version that is known, only `{VERSION}` is"))
        .hint("Alertmanager 0.5 and later send version 4; other senders go to `/webhooks/generic/NAME`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::Time;

    macro_rules! capture {
        ($name:literal) => {
            parse(include_bytes!(concat!("../../tests/captures/am_webhook_", $name, ".json")), "am").unwrap()
        };
    }

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn fires(batch: &Batch) -> usize {
        batch.signals.iter().filter(|signal| matches!(signal.says, Says::Firing { .. })).count()
    }

    #[test]
    fn a_real_firing_alert_is_read_whole() {
        let batch = capture!("firing_prometheus");
        let [signal] = batch.signals.as_slice() else { panic!("{batch:?}") };
        assert_eq!(signal.says, Says::Firing { ends_at: None });
        assert_eq!(signal.starts_at, Some(time("2026-11-23T20:29:22.568Z")));
        assert_eq!((signal.labels.alertname(), signal.labels.value("service")), ("TargetDown", "payments"));
        assert_eq!(signal.annotations["summary"], "Target 127.0.0.1:19999 is down");
        assert_eq!(signal.generator_url.as_deref(), Some("http://vm:19090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"));
        assert_eq!((batch.source.as_str(), batch.truncated), ("am", 0));
    }

    #[test]
    fn a_mixed_group_keeps_each_alert_s_own_status() {
        let batch = capture!("group_mixed_firing_resolved");
        assert_eq!((batch.signals.len(), fires(&batch)), (5, 3));
        assert_eq!(batch.signals[0].says, Says::Resolved { at: Some(time("2026-11-23T20:30:04.378Z")) });
        assert_eq!(fires(&capture!("grouped5_firing")), 5);
        let resolved = capture!("group_resolved");
        assert_eq!((resolved.signals.len(), fires(&resolved)), (5, 0));
        assert_eq!(fires(&capture!("resolved_prometheus")), 0);
    }

    #[test]
    fn truncated_and_large_and_bare_groups_are_taken() {
        let truncated = capture!("truncated_max3of10");
        assert_eq!((truncated.signals.len(), truncated.truncated), (3, 7));
        assert_eq!(capture!("big_500").signals.len(), 500);
        let bare = capture!("bare_no_annotations");
        assert!(bare.signals[0].annotations.is_empty());
        assert_eq!(bare.signals[0].generator_url, None);
    }

    #[test]
    fn missing_and_unknown_fields_do_no_harm() {
        let body =
            r#"{"version":"4","new":[{}],"alerts":[{"status":"firing","labels":{"alertname":"größe 🔥"},"x":1}]}"#;
        let batch = parse(body.as_bytes(), "am").unwrap();
        assert_eq!((batch.signals[0].labels.alertname(), batch.signals[0].starts_at), ("größe 🔥", None));
        let body = r#"{"version":"4","alerts":[{"status":"resolved","labels":{"a":"b"},"annotations":null}]}"#;
        assert_eq!(parse(body.as_bytes(), "am").unwrap().signals[0].says, Says::Resolved { at: None });
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        let alert = |fields: &str| format!(r#"{{"version":"4","alerts":[{{"status":"firing",{fields}}}]}}"#);
        for (body, says) in [
            (
                alert(r#""labels":{"a":"b"},"startsAt":"yesterday""#),
                "`alerts[0].startsAt`: `yesterday` is not a time such as `2026-11-23T03:20:00Z`",
            ),
            (alert(r#""labels":{"a":5}"#), "`alerts[0].labels.a`: invalid type: integer `5`, expected a string"),
            (alert(r#""labels":{}"#), "`alerts[0].labels`: there is no label"),
            (alert(r#""annotations":{}"#), "`alerts[0]`: missing field `labels`"),
            (r#"{"version":"4"}"#.into(), "`body`: missing field `alerts`"),
            (r#"{"version":"4","alerts":[{"status":"sad"}]}"#.into(), "`alerts[0].status`: unknown variant `sad`"),
            (r#"{"version":"3","alerts":[]}"#.into(), "`version`: `3` is not a version that is known"),
            (r#"{"version":4,"alerts":[]}"#.into(), "`version`: `4` is not a version that is known"),
            (r#"{"alerts":[]}"#.into(), "`version`: it is missing"),
            ("[]".into(), "`body`: "),
            (String::new(), "`body`: EOF while parsing a value"),
            ("{".repeat(100_000), "`body`: "),
            (r#"{"version":"4","alerts":[]} x"#.into(), "`body`: something follows the JSON value"),
        ] {
            let refused = parse(body.as_bytes(), "am").unwrap_err().to_string();
            assert!(refused.starts_with(says), "{refused}");
        }
        let deep = format!(r#"{{"version":"4","x":{}"#, "[".repeat(200_000));
        assert!(parse(deep.as_bytes(), "am").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            field in "(status|labels|annotations|startsAt|endsAt|x)",
            value in r#"("(\\PC|\\\\u0000){0,8}"|null|-?[0-9]{1,30}|\{"\\PC{0,4}":("\\PC{0,4}"|1)\}|\[\])"#,
        ) {
            drop(parse(&body, "am"));
            let body = format!(r#"{{"version":"4","alerts":[{{"status":"firing","labels":{{"a":"b"}},"{field}":{value}}}]}}"#);
            drop(parse(body.as_bytes(), "am"));
        }

        #[test]
        fn a_damaged_payload_is_refused_with_words_or_read(at in 0_usize..2_000, byte in any::<u8>()) {
            let mut body = include_bytes!("../../tests/captures/am_webhook_group_mixed_firing_resolved.json").to_vec();
            if let Some(hit) = body.get_mut(at) {
                *hit = byte;
            }
            if let Err(refused) = parse(&body, "am") {
                prop_assert!(!refused.what.is_empty());
            }
        }
    }
}
