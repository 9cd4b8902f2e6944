//! Where Prometheus sends alerts: a 200 means that they are durable.
//!
//! An alert is over when its `endsAt` has passed. One without an `endsAt` is vouched for as long as the source may be
//! silent. Whoever sends here does not send again what was refused, so what can be taken is taken, and the 400 says what
//! could not.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{Caller, Told};
use crate::{
    adapters::web::{
        Site, SourceKind,
        answers::{Trouble, whole},
        webhooks::{arrival, elsewhere, note},
    },
    domain::{
        alerts::{Batch, Malformed, Says, Signal, bounds},
        time::{Moment, Time},
    },
};

/// The most alerts that an answer names.
const NAMED: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
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

/// `POST /api/v2/alerts`
pub(super) async fn alerts(State(site): State<Arc<Site>>, caller: Caller, request: Request) -> Response {
    let begun = Instant::now();
    let name = match &caller {
        Caller::Source(source) => source.name.clone(),
        Caller::Person(_) => "unknown".to_owned(),
    };
    let taken = take(&site, &caller, request).await;
    let trouble = taken.as_ref().err().map(|Told(trouble)| trouble.clone());
    let response = taken.map_or_else(IntoResponse::into_response, IntoResponse::into_response);
    note(name, begun, trouble.as_ref(), response.status());
    response
}

async fn take(site: &Site, caller: &Caller, request: Request) -> Result<StatusCode, Told> {
    let source = match caller {
        Caller::Source(source) if source.kind == SourceKind::Prometheus => source,
        Caller::Source(source) => return Err(elsewhere(source).into()),
        Caller::Person(person) => {
            let what = format!("`{}` is a person: alerts come from sources", person.id);
            let trouble = Trouble::new(StatusCode::FORBIDDEN, what);
            return Err(trouble.hint("send the token of a source of `kind = \"prometheus\"`").into());
        }
    };
    let arrival = arrival(site, request.headers());
    let _place = site.room.enter(source.kind, request.headers())?;
    let body = whole(request.into_body(), site.body_limit).await?;
    let (batch, refused) = read(&body, &source.name, site.engine.now())
        .map_err(|malformed| Trouble::new(StatusCode::BAD_REQUEST, malformed.to_string()))?;
    let receipt = site.engine.receive_from(batch, arrival).await?;
    metrics::counter!("firewarden_intake_alerts_total", "source" => source.name.clone())
        .increment(receipt.alerts.try_into().unwrap_or(u64::MAX));
    if refused.is_empty() {
        return Ok(StatusCode::OK);
    }
    let mut what = format!("{} alerts were taken, {} were not", receipt.alerts, refused.len());
    for malformed in refused.iter().take(NAMED) {
        what.push_str(&format!("\n{malformed}"));
    }
    Err(Trouble::new(StatusCode::BAD_REQUEST, what).into())
}

/// What the body says, and what of it cannot be taken.
fn read(body: &[u8], source: &str, now: Time) -> Result<(Batch, Vec<Malformed>), Malformed> {
    // Following the path costs time, so it is done only for a body that is refused.
    let posted: Vec<Posted> = match serde_json::from_slice(body) {
        Ok(posted) => posted,
        Err(_) => return Err(unreadable(body)),
    };
    bounds::alerts("", posted.len())?;
    let mut refused = Vec::new();
    let mut signals = Vec::with_capacity(posted.len());
    for (index, alert) in posted.into_iter().enumerate() {
        match signal(&format!("[{index}]"), alert, source, now) {
            Ok(signal) => signals.push(signal),
            Err(malformed) => refused.push(malformed),
        }
    }
    Ok((Batch { source: source.to_owned(), signals, truncated: 0, source_key: None }, refused))
}

fn signal(place: &str, alert: Posted, source: &str, now: Time) -> Result<Signal, Malformed> {
    let (starts_at, ends_at) = (alert.starts_at.0, alert.ends_at.0);
    if starts_at.zip(ends_at).is_some_and(|(start, end)| end < start) {
        return Err(Malformed::new(format!("{place}.endsAt"), "it is before `startsAt`"));
    }
    let annotations = alert.annotations.unwrap_or_default();
    Ok(Signal {
        source: source.to_owned(),
        labels: bounds::labels(&format!("{place}.labels"), alert.labels)?,
        annotations: bounds::annotations(&format!("{place}.annotations"), annotations)?,
        says: match ends_at {
            Some(at) if at <= now => Says::Resolved { at: Some(at) },
            ends_at => Says::Firing { ends_at },
        },
        starts_at,
        generator_url: alert.generator_url.filter(|url| !url.is_empty()).map(bounds::text),
    })
}

fn unreadable(body: &[u8]) -> Malformed {
    let mut json = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Vec<Posted>>(&mut json) {
        Ok(_) => Malformed::new("", "something follows the JSON value"),
        Err(error) => bounds::unreadable(&error.path().to_string(), error.inner()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-11-24T12:00:00Z";

    fn read(body: &str) -> Result<(Batch, Vec<String>), String> {
        let read = super::read(body.as_bytes(), "prom", NOW.parse().unwrap());
        let read = read.map_err(|malformed| malformed.to_string())?;
        Ok((read.0, read.1.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn the_end_says_whether_an_alert_fires() {
        let body = r#"[
            {"labels":{"alertname":"A"},"startsAt":"2026-11-24T11:59:00Z","endsAt":"2026-11-24T12:03:00.5Z"},
            {"labels":{"alertname":"B"},"startsAt":"2026-11-24T11:00:00Z","endsAt":"2026-11-24T12:00:00Z"},
            {"labels":{"alertname":"C"},"startsAt":"0001-01-01T00:00:00.000Z","endsAt":"0001-01-01T00:00:00.000Z"},
            {"labels":{"alertname":"D","empty":""},"annotations":null,"generatorURL":"","unknown":1}]"#;
        let (batch, refused) = read(body).unwrap();
        assert_eq!(refused, [""; 0]);
        let said: Vec<_> = batch.signals.iter().map(|signal| (signal.starts_at, signal.says)).collect();
        let time = |text: &str| Some(text.parse().unwrap());
        assert_eq!(
            said,
            [
                (time("2026-11-24T11:59:00Z"), Says::Firing { ends_at: time("2026-11-24T12:03:00.5Z") }),
                (time("2026-11-24T11:00:00Z"), Says::Resolved { at: time(NOW) }),
                (None, Says::Firing { ends_at: None }),
                (None, Says::Firing { ends_at: None }),
            ]
        );
        assert_eq!(batch.signals[3].labels.len(), 1);
        assert_eq!(batch.signals[3].generator_url, None);
    }

    #[test]
    fn what_can_be_taken_is_taken_beside_what_cannot() {
        let body = r#"[{"labels":{}},{"labels":{"alertname":"A"}},
            {"labels":{"a":"b"},"startsAt":"2026-11-24T12:00:00Z","endsAt":"2026-11-24T11:00:00Z"}]"#;
        let (batch, refused) = read(body).unwrap();
        assert_eq!(batch.signals.len(), 1);
        assert!(refused[0].starts_with("`[0].labels`: there is no label"), "{refused:?}");
        assert_eq!(refused[1], "`[2].endsAt`: it is before `startsAt`");
    }

    #[test]
    fn what_is_no_list_of_alerts_is_refused_with_its_place() {
        for (body, says) in [
            (r#"[{"labels":{"a":1}}]"#, "`[0].labels.a`: invalid type"),
            (r#"[{"annotations":{}}]"#, "`[0]`: missing field `labels`"),
            (r#"[{"labels":{"a":"b"},"endsAt":"soon"}]"#, "`[0].endsAt`: `soon` is not a time"),
            (r#"{"labels":{}}"#, "`body`: invalid type"),
            ("[] []", "`body`: "),
            ("", "`body`: EOF"),
        ] {
            let refused = read(body).unwrap_err();
            assert!(refused.starts_with(says), "{body}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            field in "(labels|annotations|startsAt|endsAt|generatorURL|x)",
            value in r#"("(\\PC|\\\\u0000){0,8}"|null|-?[0-9]{1,30}|\{"\\PC{0,4}":("\\PC{0,4}"|1)\}|\[\])"#,
        ) {
            let now = NOW.parse().unwrap();
            drop(super::read(&body, "prom", now));
            drop(super::read(format!(r#"[{{"labels":{{"a":"b"}},"{field}":{value}}}]"#).as_bytes(), "prom", now));
        }
    }
}
