//! How the emulated Discord misbehaves on purpose, and where a story steps in between a call and its effect.

use std::time::Duration;

use super::clock::{Clock, Moment};

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// 429 with this `retry_after`; `global` says that every route is limited.
    TooManyRequests { retry_after: Duration, global: bool },
    /// This status with a page of HTML, as a gateway in front of Discord gives.
    ServerError(u16),
    /// This status with one of Discord's own codes, such as 403 with 50013 where a permission is missing.
    Refusal(u16, u32),
    /// No answer ever; nothing is applied.
    Hang,
    /// The connection is closed without an answer; nothing is applied.
    Reset,
    /// The call is applied, then the connection is closed without an answer.
    LostAnswer,
}

/// How long a fault goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    /// For so many calls.
    Times(usize),
    /// For so long, by the emulator's clock or the wall clock, whichever goes further.
    For(Duration),
    /// Until `Discord::heals`.
    Always,
}

/// Which calls: a method and a path without `/api/v10`, where `*` stands for one segment and `**` for the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    method: &'static str,
    pattern: &'static str,
}

impl Route {
    /// Every call.
    pub(crate) const ANY: Route = Route::new("*", "/**");
    /// A message is posted in a channel or thread.
    pub(crate) const POST: Route = Route::new("POST", "/channels/*/messages");
    /// A message in a channel or thread is edited.
    pub(crate) const EDIT: Route = Route::new("PATCH", "/channels/*/messages/*");
    /// A thread is opened from a message.
    pub(crate) const THREAD: Route = Route::new("POST", "/channels/*/messages/*/threads");
    /// An interaction is answered or deferred.
    pub(crate) const ANSWER: Route = Route::new("POST", "/interactions/*/*/callback");
    /// A deferred answer is given, or an answer edited.
    pub(crate) const EDIT_ANSWER: Route = Route::new("PATCH", "/webhooks/*/*/messages/*");
    /// Something is added to an answer.
    pub(crate) const FOLLOW_UP: Route = Route::new("POST", "/webhooks/*/*");

    pub(crate) const fn new(method: &'static str, pattern: &'static str) -> Route {
        Route { method, pattern }
    }

    /// Whether a call is meant.
    pub(crate) fn matches(&self, method: &str, path: &str) -> bool {
        if self.method != "*" && self.method != method {
            return false;
        }
        let mut wanted = self.pattern.split('/');
        let mut found = path.split('/');
        loop {
            match (wanted.next(), found.next()) {
                (Some("**"), _) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(want), Some(segment)) if want == segment => {}
                (Some(_) | None, _) => return false,
            }
        }
    }
}

/// A fault that waits for calls.
pub(crate) struct Script {
    pub(crate) fault: Fault,
    pub(crate) route: Route,
    span: Span,
    since: Moment,
}

impl Script {
    pub(crate) fn new(fault: Fault, route: Route, span: Span, clock: &Clock) -> Script {
        Script { fault, route, span, since: clock.moment() }
    }

    /// Takes one use of the fault, if it still goes on.
    pub(crate) fn take(&mut self, clock: &Clock) -> Option<Fault> {
        match &mut self.span {
            Span::Times(0) => None,
            Span::Times(left) => {
                *left -= 1;
                Some(self.fault.clone())
            }
            Span::For(length) => (self.since.elapsed(clock) < *length).then(|| self.fault.clone()),
            Span::Always => Some(self.fault.clone()),
        }
    }
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instant {
    /// The call has arrived and is never applied.
    BeforeApplying,
    /// The call is applied and is never answered.
    AfterApplying,
}

/// What a story does at the n-th call of a route; the call then gets no answer.
pub(crate) struct Hook {
    pub(crate) route: Route,
    pub(crate) when: Instant,
    pub(crate) countdown: usize,
    pub(crate) call: Option<Box<dyn FnOnce() + Send>>,
}
