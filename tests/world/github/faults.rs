//! How the emulated GitHub misbehaves on purpose.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::json;

use super::{Moment, state::State};

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// It is answered with this status and a page of HTML, as by something in front of GitHub.
    Status(u16),
    /// It is answered with a refusal: this status and this message.
    Refusal(u16, &'static str),
    /// It comes too soon after others: 403 with this time to wait.
    Secondary(Duration),
    /// Its connection is broken.
    Reset,
    /// Something else happens first; then its connection is broken.
    Strike(Arc<dyn Fn() + Send + Sync>),
}

/// Trouble for the next requests of a kind.
pub(super) struct Planned {
    method: &'static str,
    path: &'static str,
    moment: Moment,
    trouble: Trouble,
    left: usize,
}

impl State {
    pub(super) fn plan(
        &mut self,
        method: &'static str,
        path: &'static str,
        moment: Moment,
        trouble: Trouble,
        left: usize,
    ) {
        self.planned.push(Planned { method, path, moment, trouble, left });
    }

    /// The trouble that a request meets, if any is planned for it.
    pub(super) fn meet(&mut self, method: &str, path: &str, moment: Moment) -> Option<Trouble> {
        let number = self.calls.len();
        if let Some((_, _, trouble)) = self.numbered.take_if(|(at, when, _)| (*at, *when) == (number, moment)) {
            return Some(trouble);
        }
        let is_it = |it: &Planned| it.moment == moment && it.method == method && path.ends_with(it.path);
        let at = self.planned.iter().position(is_it)?;
        self.planned[at].left -= 1;
        let trouble = self.planned[at].trouble.clone();
        if self.planned[at].left == 0 {
            self.planned.remove(at);
        }
        if let Trouble::Secondary(length) = trouble {
            self.wait_until = Some(self.now() + length);
        }
        Some(trouble)
    }
}

impl Trouble {
    /// What is answered, if anything.
    pub(super) fn answer(self) -> Response {
        match self {
            Trouble::Status(code) => {
                (StatusCode::from_u16(code).unwrap(), "<html><title>Unicorn!</title></html>").into_response()
            }
            Trouble::Refusal(code, message) => {
                (StatusCode::from_u16(code).unwrap(), json!({ "message": message }).to_string()).into_response()
            }
            Trouble::Secondary(length) => {
                let body = json!({ "message": "You have exceeded a secondary rate limit." }).to_string();
                (StatusCode::FORBIDDEN, [("retry-after", length.as_secs().to_string())], body).into_response()
            }
            Trouble::Reset => reset(),
            Trouble::Strike(act) => {
                act();
                reset()
            }
        }
    }
}

/// A body that breaks before its first byte, so that the server drops the connection unanswered.
fn reset() -> Response {
    let broken = stream::once(async { Err::<Bytes, _>(std::io::Error::other("the story breaks the connection")) });
    Response::new(Body::from_stream(broken))
}
