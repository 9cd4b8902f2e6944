//! Calls to others, as spans: each is told of its own by `traceparent`, so that what it does can join the trace.
//!
//! What a runbook sets itself is left as it is. Of a call only what the log shows is told: a method, a host, a program's
//! name, how it ended; no path, no header, no argument and no output.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use secrecy::SecretString;

use super::Traces;
use crate::{
    domain::{
        time::Time,
        traces::{Kind, Remote, Span, SpanId, Trace},
    },
    engine::ports::{Clock, Http, HttpOutcome, HttpRequest, Program, ProgramOutcome, Programs},
};

/// The header, as W3C names it: <https://www.w3.org/TR/trace-context/>
const HEADER: &str = "traceparent";
/// The variable: <https://opentelemetry.io/docs/specs/otel/context/env-carriers/>
const VARIABLE: &str = "TRACEPARENT";

tokio::task_local! {
    static WITHIN: Arc<Within>;
}

/// The step that is being done.
struct Within {
    trace: Trace,
    step: SpanId,
    calls: AtomicU32,
}

impl Within {
    /// The span of the next call.
    fn next(&self) -> SpanId {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.trace.span(&["call", &self.step.to_string(), &number.to_string()])
    }
}

/// Does something as a part of this step.
pub(super) async fn within<T>(trace: Trace, step: SpanId, acting: impl Future<Output = T>) -> T {
    let within = Within { trace, step, calls: AtomicU32::new(0) };
    WITHIN.scope(Arc::new(within), acting).await
}

/// The same ways to the outside, whose use is noted when it is a part of a step.
pub fn around(
    traces: &Traces,
    clock: &Arc<dyn Clock>,
    (http, programs): (Arc<dyn Http>, Arc<dyn Programs>),
) -> (Arc<dyn Http>, Arc<dyn Programs>) {
    let seen = |traces: &Traces| (traces.clone(), Arc::clone(clock));
    let (traces, clock) = seen(traces);
    let http = Seen { inner: http, traces: traces.clone(), clock: Arc::clone(&clock) };
    (Arc::new(http), Arc::new(Seen { inner: programs, traces, clock }))
}

struct Seen<T: ?Sized> {
    traces: Traces,
    clock: Arc<dyn Clock>,
    inner: Arc<T>,
}

impl<T: ?Sized> Seen<T> {
    /// Begins a call; none if it is a part of no step.
    fn begin(&self) -> Option<Call> {
        let within = WITHIN.try_with(Arc::clone).ok()?;
        let id = within.next();
        Some(Call { within, id, start: self.clock.now() })
    }

    fn end(&self, call: &Call, name: &str, finish: impl FnOnce(Span) -> Span) {
        let trace = call.within.trace.id;
        let span = Span::new(trace, call.id, name, (call.start, self.clock.now()));
        self.traces.note(finish(span.under(call.within.step).kind(Kind::Client)));
    }
}

struct Call {
    within: Arc<Within>,
    id: SpanId,
    start: Time,
}

impl Call {
    fn parent(&self) -> SecretString {
        SecretString::from(Remote { trace: self.within.trace.id, span: self.id }.to_string())
    }
}

#[async_trait]
impl Http for Seen<dyn Http> {
    async fn send(&self, mut request: HttpRequest) -> HttpOutcome {
        let Some(call) = self.begin() else { return self.inner.send(request).await };
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HEADER)) {
            request.headers.push((HEADER.to_owned(), call.parent()));
        }
        let (method, host) = (request.method.clone(), host(&request.url).to_owned());
        let outcome = self.inner.send(request).await;
        self.end(&call, &method, |span| {
            let span = span.with("http.request.method", method.as_str()).with("server.address", host);
            match &outcome {
                HttpOutcome::Answered(answer) => {
                    span.with("http.response.status_code", i64::from(answer.status)).failed(answer.status >= 400)
                }
                HttpOutcome::NotSent(_) => span.with("error.type", "not_sent").failed(true),
                HttpOutcome::Unknown(_) => span.with("error.type", "no_answer").failed(true),
            }
        });
        outcome
    }
}

#[async_trait]
impl Programs for Seen<dyn Programs> {
    async fn run(&self, mut program: Program) -> ProgramOutcome {
        let Some(call) = self.begin() else { return self.inner.run(program).await };
        if !program.environment.iter().any(|(name, _)| name == VARIABLE) {
            program.environment.push((VARIABLE.to_owned(), call.parent()));
        }
        let path = program.argv.first().cloned().unwrap_or_default();
        let outcome = self.inner.run(program).await;
        self.end(&call, "program", |span| {
            let span = span.with("process.executable.name", path.rsplit('/').next().unwrap_or_default());
            match &outcome {
                ProgramOutcome::Exited { code, .. } => {
                    span.with("process.exit.code", i64::from(*code)).failed(*code != 0)
                }
                ProgramOutcome::NotStarted(_) => span.with("error.type", "not_started").failed(true),
                ProgramOutcome::Killed { .. } => span.with("error.type", "killed").failed(true),
            }
        });
        outcome
    }

    async fn end(&self, key: &str) {
        self.inner.end(key).await;
    }
}

/// The host of a URL, without who asks and without the port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    match place.strip_prefix('[').and_then(|six| six.split_once(']')) {
        Some((six, _)) => six,
        None => place.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn of_a_url_only_the_host_is_told() {
        for (url, told) in [
            ("https://deploy.example/v1?token=s3cret", "deploy.example"),
            ("http://ada:s3cret@127.0.0.1:9797/version", "127.0.0.1"),
            ("http://[::1]:80/", "::1"),
            ("https://deploy.example#s3cret", "deploy.example"),
            ("", ""),
        ] {
            assert_eq!(host(url), told, "{url}");
        }
    }
}
