//! GitHub's limits: which answers say that a request was refused for now, and until when.
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::Duration;

use serde_json::Value;

use super::client::Answer;
use crate::domain::time::Time;

/// How long to wait where GitHub does not say it: "at least one minute".
const UNSAID: Duration = Duration::from_mins(1);
/// Clocks differ a little, and a request that comes too early makes the wait longer.
const MARGIN: Duration = Duration::from_secs(1);

/// Until when to wait, if this answer says that the request was refused because of a limit. It certainly did not happen.
pub(super) fn refused_until(answer: &Answer, now: Time) -> Option<Time> {
    let is_limited_query = is_limited_query(&answer.body);
    if !matches!(answer.status, 403 | 429) && !is_limited_query {
        return None;
    }
    if let Some(seconds) = number(answer, "retry-after") {
        return Some(now + Duration::from_secs(seconds));
    }
    if let Some(reset) = used_up_until(answer) {
        return Some(reset.max(now));
    }
    let said = answer.body.get("message").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    (answer.status == 429 || is_limited_query || said.contains("rate limit")).then(|| now + UNSAID)
}

/// Until when nothing more may be asked, if this answer was the last one allowed.
pub(super) fn used_up_until(answer: &Answer) -> Option<Time> {
    if number(answer, "x-ratelimit-remaining") != Some(0) {
        return None;
    }
    let reset = i64::try_from(number(answer, "x-ratelimit-reset")?).ok()?;
    Some(Time::from_millis(reset.checked_mul(1_000)?) + MARGIN)
}

/// GraphQL tells of its limit with the status 200.
fn is_limited_query(body: &Value) -> bool {
    let errors = body.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().any(|error| error.get("type").and_then(Value::as_str) == Some("RATE_LIMITED"))
}

fn number(answer: &Answer, header: &str) -> Option<u64> {
    answer.headers.get(header)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: Value) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body }
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        let now = Time::from_millis(1_000_000);
        let seconds = |answer: &Answer| refused_until(answer, now).map(|until| until.since(now).as_secs());
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1060")];
        assert_eq!(seconds(&answer(403, &primary, Value::Null)), Some(61));
        assert_eq!(seconds(&answer(429, &[("retry-after", "30")], Value::Null)), Some(30));
        let secondary = json!({ "message": "You have exceeded a secondary rate limit." });
        assert_eq!(seconds(&answer(403, &[("x-ratelimit-remaining", "4999")], secondary)), Some(60));
        assert_eq!(seconds(&answer(200, &primary, json!({ "errors": [{ "type": "RATE_LIMITED" }] }))), Some(61));
        let forbidden = json!({ "message": "Resource not accessible by integration" });
        assert_eq!(seconds(&answer(403, &[("x-ratelimit-remaining", "4999")], forbidden)), None);
        assert_eq!(seconds(&answer(200, &primary, Value::Null)), None, "it was answered");
        assert_eq!(used_up_until(&answer(200, &primary, Value::Null)), Some(Time::from_millis(1_061_000)));
    }
}
