//! OpenTelemetry's protocol over HTTP, as protobuf: what any collector of traces takes.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>
//!
//! Spans are written as they are. OpenTelemetry's own SDK is not used: it names spans at random and keeps them in memory
//! while they last, and these have their names and times from the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as Written, Status,
        span::{Event, Link, SpanKind},
        status::StatusCode,
    },
};
use prost::Message;
use secrecy::SecretString;

use crate::{
    domain::{
        time::Time,
        traces::{Kind, Remote, Span, Value},
    },
    engine::ports::{Collector, Http, HttpOutcome, HttpRequest, Untaken},
};

/// Where a collector takes traces: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>
const PATH: &str = "/v1/traces";
/// How long a collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const LIMIT: usize = 64 * 1024;
/// The answers after which the same may be sent again.
/// <https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes>
const AGAIN: [u16; 4] = [429, 502, 503, 504];

/// A collector behind an address.
pub struct Otlp {
    url: String,
    headers: Vec<(String, SecretString)>,
    http: Arc<dyn Http>,
    resource: Resource,
}

impl Otlp {
    /// The collector at this address, which may leave the usual path out; it is sent these headers, which may be secret.
    pub fn new(
        endpoint: &str,
        headers: Vec<(String, SecretString)>,
        (service, instance): (&str, &str),
        http: Arc<dyn Http>,
    ) -> Self {
        let base = endpoint.trim_end_matches('/');
        let url = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
        let about = [
            ("service.name", service),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance),
        ];
        let attributes = about.into_iter().map(|(key, value)| text(key, value.to_owned())).collect();
        Self { url, headers, http, resource: Resource { attributes, ..Resource::default() } }
    }

    fn body(&self, spans: &[Span]) -> Vec<u8> {
        let scope = InstrumentationScope { name: "firewarden".to_owned(), ..InstrumentationScope::default() };
        let spans = spans.iter().map(written).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
        let all = ResourceSpans { resource: Some(self.resource.clone()), scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![all] }.encode_to_vec()
    }
}

#[async_trait]
impl Collector for Otlp {
    async fn take(&self, spans: &[Span]) -> Result<usize, Untaken> {
        let mut headers = self.headers.clone();
        headers.push(("content-type".to_owned(), SecretString::from("application/x-protobuf")));
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: self.url.clone(),
            headers,
            body: Some(self.body(spans)),
            timeout: TIMEOUT,
            limit: LIMIT,
        };
        match self.http.send(request).await {
            HttpOutcome::Answered(answer) if (200..300).contains(&answer.status) => {
                // What cannot be read is no refusal: the status says that it was taken.
                let answer = ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap_or_default();
                let refused = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
                Ok(usize::try_from(refused).unwrap_or(0).min(spans.len()))
            }
            HttpOutcome::Answered(answer) => Err(Untaken {
                why: format!("it answered {}", answer.status),
                again: AGAIN.contains(&answer.status).then(|| pause(&answer.headers)),
            }),
            HttpOutcome::NotSent(why) | HttpOutcome::Unknown(why) => Err(Untaken { why, again: Some(Duration::ZERO) }),
        }
    }
}

/// How long the collector asks to be left alone.
fn pause(headers: &BTreeMap<String, String>) -> Duration {
    let seconds = headers.get("retry-after").and_then(|value| value.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

fn written(span: &Span) -> Written {
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
    };
    let code = if span.is_failed { StatusCode::Error } else { StatusCode::Unset };
    Written {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: attributes(&span.attributes),
        events: span
            .happenings
            .iter()
            .map(|it| Event {
                time_unix_nano: nanos(it.at),
                name: it.name.clone(),
                attributes: attributes(&it.attributes),
                ..Event::default()
            })
            .collect(),
        links: span.links.iter().map(link).collect(),
        status: Some(Status { code: code.into(), ..Status::default() }),
        ..Written::default()
    }
}

fn link(to: &Remote) -> Link {
    Link { trace_id: to.trace.0.to_vec(), span_id: to.span.0.to_vec(), ..Link::default() }
}

fn attributes(known: &[(&'static str, Value)]) -> Vec<KeyValue> {
    known
        .iter()
        .map(|(key, value)| match value {
            Value::Text(value) => text(key, value.clone()),
            Value::Number(number) => pair(key, any_value::Value::IntValue(*number)),
        })
        .collect()
}

fn text(key: &str, value: String) -> KeyValue {
    pair(key, any_value::Value::StringValue(value))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanos(at: Time) -> u64 {
    u64::try_from(at.millis()).unwrap_or(0).saturating_mul(1_000_000)
}
