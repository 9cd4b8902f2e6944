//! A collector of traces: takes OTLP over HTTP as OpenTelemetry writes it down, and remembers every span.
//! <https://opentelemetry.io/docs/specs/otlp/>
//!
//! What it must not be sent is a fault, and fails the story that looks at its spans. It has one more address, `/join`,
//! for a neighbor whose own trace would join that of its caller.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode as Code},
};
use prost::Message;
use tokio::net::TcpListener;

use super::until;

/// What the collector wants to see as `authorization`.
const SECRET: &str = "Bearer traces-of-the-story";

/// A span, as a viewer shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) is_failed: bool,
    attributes: BTreeMap<String, String>,
    /// What happened in it.
    pub(crate) happenings: Vec<String>,
    /// The traces that it is linked to.
    pub(crate) links: Vec<String>,
}

impl Seen {
    /// An attribute; empty if it has none of this name.
    pub(crate) fn is(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Kept {
    spans: Vec<Seen>,
    faults: Vec<String>,
    joined: Vec<String>,
    is_down: bool,
}

/// A collector on a free port.
pub(crate) struct Collector {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

fn held(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Collector {
    /// Starts it.
    pub(crate) async fn start() -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .route("/join", post(join))
            .fallback(unknown)
            .with_state(Arc::clone(&kept));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, kept }
    }

    /// Where it is reached.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The configuration that points the bot at it. The folder of the bot is where the secret is.
    pub(crate) fn config(&self) -> String {
        format!(
            "[traces]\nendpoint = \"{}\"\nheaders = {{ authorization = {{ file = \"collector\" }} }}\n\
             viewer = \"https://traces.example/trace/{{trace}}\"\n\n",
            self.url
        )
    }

    /// Writes the secret that the configuration names.
    pub(crate) fn keep_secret(folder: &Path) {
        std::fs::write(folder.join("collector"), SECRET).unwrap();
    }

    /// Takes nothing any more, or takes everything again.
    pub(crate) fn is_down(&self, is_down: bool) {
        held(&self.kept).is_down = is_down;
    }

    /// What its callers at `/join` named as the span that they come from.
    pub(crate) fn joined(&self) -> Vec<String> {
        held(&self.kept).joined.clone()
    }

    /// Every span so far.
    ///
    /// # Panics
    /// When the collector was sent something that it must not be sent.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        let kept = held(&self.kept);
        assert!(kept.faults.is_empty(), "the collector was sent what it must not be sent: {:#?}", kept.faults);
        kept.spans.clone()
    }

    /// Waits until there is such a span, and gives the first one.
    pub(crate) async fn sees(&self, what: &str, is_it: impl Fn(&Seen) -> bool) -> Seen {
        let mut found = None;
        until(20, async || {
            found = self.spans().into_iter().find(&is_it);
            found.is_some()
        })
        .await;
        found.unwrap_or_else(|| panic!("no span is {what}:\n{}", self.drawn()))
    }

    /// All traces, each span under the one that it belongs to.
    pub(crate) fn drawn(&self) -> String {
        let spans = self.spans();
        let known: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        let tops = spans.iter().filter(|span| !known.contains(span.parent.as_str()));
        tops.flat_map(|top| [format!("trace {}\n", top.trace), draw(top, &spans, 1)]).collect()
    }
}

fn draw(span: &Seen, all: &[Seen], depth: usize) -> String {
    let failed = if span.is_failed { " failed" } else { "" };
    let about: Vec<String> = span.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let line = format!("{:depth$}{} [{}]{failed}\n", "", span.name, about.join(" "), depth = depth * 2);
    let under = all.iter().filter(|other| other.parent == span.id);
    std::iter::once(line).chain(under.map(|other| draw(other, all, depth + 1))).collect()
}

async fn take(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Vec<u8>) {
    let mut kept = held(&kept);
    if kept.is_down {
        return (StatusCode::SERVICE_UNAVAILABLE, Vec::new());
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("authorization") != SECRET || header(CONTENT_TYPE.as_str()) != "application/x-protobuf" {
        kept.faults.push(format!("{headers:?}"));
        return (StatusCode::BAD_REQUEST, Vec::new());
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        kept.faults.push("it is no ExportTraceServiceRequest".to_owned());
        return (StatusCode::BAD_REQUEST, Vec::new());
    };
    for resource in request.resource_spans {
        let about = attributes(&resource.resource.unwrap_or_default().attributes);
        if about.get("service.name").map(String::as_str) != Some("firewarden") {
            kept.faults.push(format!("a resource is {about:?}"));
        }
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let faults = faults(&span);
            let seen = seen(span);
            let other = kept.spans.iter().find(|other| (&other.trace, &other.id) == (&seen.trace, &seen.id));
            let is_another = other.is_some_and(|other| (&other.name, &other.parent) != (&seen.name, &seen.parent));
            let is_told_again = other.is_some();
            kept.faults.extend(faults);
            if is_another {
                kept.faults.push(format!("two spans have one name: {other:?} and {seen:?}", other = seen.id));
            }
            if !is_told_again {
                kept.spans.push(seen);
            }
        }
    }
    (StatusCode::OK, ExportTraceServiceResponse::default().encode_to_vec())
}

async fn join(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap) -> StatusCode {
    let parent = headers.get_all("traceparent").iter().map(|value| value.to_str().unwrap_or_default().to_owned());
    held(&kept).joined.extend(parent);
    StatusCode::OK
}

async fn unknown(State(kept): State<Arc<Mutex<Kept>>>, request: Request) -> StatusCode {
    held(&kept).faults.push(format!("{} {}", request.method(), request.uri()));
    StatusCode::NOT_IMPLEMENTED
}

/// What the protocol does not allow.
fn faults(span: &Span) -> Vec<String> {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let mut faults = Vec::new();
    let mut check = |is_right: bool, what: &str| {
        if !is_right {
            faults.push(format!("{what}: {span:?}"));
        }
    };
    check(span.trace_id.len() == 16 && !is_zero(&span.trace_id), "a trace's name");
    check(span.span_id.len() == 8 && !is_zero(&span.span_id), "a span's name");
    check(matches!(span.parent_span_id.len(), 0 | 8), "a parent's name");
    check(span.parent_span_id != span.span_id, "a span under itself");
    check(!span.name.is_empty(), "no name");
    check(span.kind != 0, "no kind");
    check(span.start_time_unix_nano > 0, "no beginning");
    check(span.end_time_unix_nano >= span.start_time_unix_nano, "an end before the beginning");
    let names: BTreeSet<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
    check(names.len() == span.attributes.len(), "an attribute that stands twice");
    check(span.links.iter().all(|link| link.trace_id.len() == 16 && link.span_id.len() == 8), "a link's name");
    faults
}

fn seen(span: Span) -> Seen {
    Seen {
        trace: hex::encode(&span.trace_id),
        id: hex::encode(&span.span_id),
        parent: hex::encode(&span.parent_span_id),
        name: span.name,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        is_failed: span.status.is_some_and(|status| status.code == i32::from(Code::Error)),
        attributes: attributes(&span.attributes),
        happenings: span.events.into_iter().map(|event| event.name).collect(),
        links: span.links.iter().map(|link| hex::encode(&link.trace_id)).collect(),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}
