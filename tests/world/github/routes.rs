//! What the emulated GitHub does with a request.

use std::sync::Mutex;

use axum::{
    Json,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Moment, TOKEN, held, record::Call, shapes, state::State};

/// The token of the App's installation.
const INSTALLED: &str = "token-of-the-installation";
/// The most that a list holds.
const PAGE: usize = 100;

type Answer = (u16, Value);

/// Answers a request, after whatever trouble is planned for it.
pub(super) async fn answer(state: &Mutex<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let mut state = held(state);
    state.calls.push(call.clone());
    if let Some(refused) = refused(&mut state, &call, header("authorization")) {
        return refused;
    }
    if let Some(trouble) = state.meet(&call.method, &call.path, Moment::Before) {
        drop(state);
        return trouble.answer();
    }
    let (status, answer) = carry_out(&mut state, &call);
    if let Some(trouble) = state.meet(&call.method, &call.path, Moment::After) {
        drop(state);
        return trouble.answer();
    }
    let left = state.allowance;
    let mut response = (StatusCode::from_u16(status).unwrap(), Json(answer)).into_response();
    if let Some((left, reset)) = left {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-remaining", left.to_string().parse().unwrap());
        headers.insert("x-ratelimit-reset", (reset.millis() / 1_000).to_string().parse().unwrap());
    }
    response
}

/// Whoever may not ask, or not yet.
fn refused(state: &mut State, call: &Call, authorization: &str) -> Option<Response> {
    let is_sign_in = call.path.ends_with("/access_tokens");
    let expected = format!("Bearer {}", if state.is_for_app { INSTALLED } else { TOKEN });
    let is_jwt = authorization.strip_prefix("Bearer ey").is_some_and(|rest| rest.split('.').count() == 3);
    if !(if is_sign_in { is_jwt } else { authorization == expected }) {
        let body = Json(json!({ "message": "Bad credentials" }));
        return Some((StatusCode::UNAUTHORIZED, body).into_response());
    }
    let now = state.now();
    if state.wait_until.is_some_and(|until| until > now) {
        state.faults.push(format!("{} {} although everybody was told to wait", call.method, call.path));
    }
    let (left, reset) = state.allowance?;
    if reset <= now {
        state.allowance = None;
        return None;
    }
    if left > 0 {
        state.allowance = Some((left - 1, reset));
        return None;
    }
    state.wait_until = Some(reset);
    let headers =
        [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", (reset.millis() / 1_000).to_string())];
    let body = Json(json!({ "message": "API rate limit exceeded" }));
    Some((StatusCode::FORBIDDEN, headers, body).into_response())
}

fn carry_out(state: &mut State, call: &Call) -> Answer {
    let path = call.path.clone();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let now = state.now();
    let is_known = |repo: &[&str]| repo.join("/") == super::REPO;
    match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["app", "installations", "70", "access_tokens"]) => {
            let permissions = json!({ "deployments": "write", "metadata": "read" });
            (201, json!({ "token": INSTALLED, "expires_at": "2099-01-01T00:00:00Z", "permissions": permissions }))
        }
        ("POST", ["graphql"]) => revert(state, &call.body),
        (method, ["repos", owner, name, rest @ ..]) if is_known(&[owner, name]) => match (method, rest) {
            ("GET", ["deployments"]) => {
                let environment = call.query.split('&').any(|pair| pair == "environment=production");
                let found = state.deployments.iter().rev().filter(|_| environment).map(shapes::deployment);
                (200, paged(found.collect(), &call.query))
            }
            ("POST", ["deployments"]) => deploy(state, &call.body),
            ("GET", ["deployments", id, "statuses"]) => {
                let found = state.deployments.iter().find(|it| it.id.to_string() == *id);
                found.map_or_else(missing, |it| (200, shapes::statuses(it, now)))
            }
            ("POST", ["actions", "workflows", workflow, "dispatches"]) => dispatch(state, workflow, &call.body),
            ("GET", ["actions", "workflows", workflow, "runs"]) => {
                let found = state.runs.iter().rev().filter(|run| run.workflow == *workflow);
                let found: Vec<Value> = found.map(|run| shapes::run(run, now)).collect();
                (200, json!({ "total_count": found.len(), "workflow_runs": found }))
            }
            (method, ["actions", "runs", id, rest @ ..]) => of_run(state, (method, id, rest)),
            ("GET", ["pulls"]) => (200, shapes::postings(state, "pulls", 0)),
            ("GET", ["issues"]) => (200, shapes::postings(state, "issues", 0)),
            ("GET", ["pulls", number]) => {
                let found = state.written.iter().find(|it| it.sort == "pulls" && it.number.to_string() == *number);
                found.map_or_else(missing, |it| (200, shapes::posting(it)))
            }
            ("POST", ["issues"]) => write(state, "issues", &call.body, 0),
            ("GET", ["issues", number, "comments"]) => {
                (200, shapes::postings(state, "comments", number.parse().unwrap_or(0)))
            }
            ("POST", ["issues", number, "comments"]) => {
                write(state, "comments", &call.body, number.parse().unwrap_or(0))
            }
            ("GET", ["compare", range]) => compare(range),
            _ => unknown(state, call),
        },
        ("GET", ["repos", ..]) => missing(),
        _ => unknown(state, call),
    }
}

fn unknown(state: &mut State, call: &Call) -> Answer {
    state.faults.push(format!("{} {}", call.method, call.path));
    (501, json!({ "message": "the emulator does not know this" }))
}

fn missing() -> Answer {
    (404, json!({ "message": "Not Found" }))
}

fn paged(all: Vec<Value>, query: &str) -> Value {
    let page = query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse::<usize>().ok()).unwrap_or(1);
    all.into_iter().skip((page - 1) * PAGE).take(PAGE).collect()
}

fn deploy(state: &mut State, body: &Value) -> Answer {
    let sha = body["ref"].as_str().unwrap_or_default().to_owned();
    if body["auto_merge"] != json!(false) || state.merges_instead {
        return (202, json!({ "message": "Auto-merged main into topic on deployment." }));
    }
    let course = state.course;
    let id = state.deploy(&sha, body.clone(), course, true);
    let made = state.deployments.iter().find(|it| it.id == id).map(shapes::deployment);
    (201, made.unwrap_or_default())
}

fn dispatch(state: &mut State, workflow: &str, body: &Value) -> Answer {
    if workflow != "restart.yml" {
        return missing();
    }
    let (id, begun, course) = (state.id(), state.now(), state.course);
    let inputs = body.get("inputs").cloned().unwrap_or_default();
    state.runs.push(super::state::Ran { id, workflow: workflow.to_owned(), inputs, attempt: 1, begun, course });
    if body["return_run_details"] == json!(true) {
        (200, json!({ "workflow_run_id": id, "run_url": "https://api.test", "html_url": "https://github.test" }))
    } else {
        (204, Value::Null)
    }
}

fn of_run(state: &mut State, (method, id, rest): (&str, &str, &[&str])) -> Answer {
    let (now, course) = (state.now(), state.course);
    let Some(run) = state.runs.iter_mut().find(|run| run.id.to_string() == id) else { return missing() };
    match (method, rest) {
        ("GET", []) => (200, shapes::run(run, now)),
        ("GET", ["jobs"]) => (200, shapes::jobs(run)),
        ("POST", ["rerun" | "rerun-failed-jobs"]) if now.since(run.begun) < run.course.takes => {
            (403, json!({ "message": "This workflow is already running" }))
        }
        ("POST", ["rerun" | "rerun-failed-jobs"]) => {
            (run.attempt, run.begun, run.course) = (run.attempt + 1, now, course);
            (201, json!({}))
        }
        _ => (405, json!({ "message": "Method Not Allowed" })),
    }
}

fn write(state: &mut State, sort: &'static str, body: &Value, under: u64) -> Answer {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let number = state.write(sort, (text("title"), text("body")), under, false);
    (201, state.written.iter().find(|it| it.number == number).map(shapes::posting).unwrap_or_default())
}

fn revert(state: &mut State, body: &Value) -> Answer {
    let is_known = body["query"].as_str().is_some_and(|query| query.contains("revertPullRequest(input: $input)"));
    let input = &body["variables"]["input"];
    let node = input["pullRequestId"].as_str().unwrap_or_default();
    let found = state.written.iter().find(|it| it.sort == "pulls" && format!("PR_{}", it.number) == node);
    let Some(title) = found.filter(|it| is_known && it.is_merged).map(|it| format!("Revert \"{}\"", it.title)) else {
        let error = json!({ "type": "UNPROCESSABLE", "message": "Pull request is not reversible" });
        return (200, json!({ "data": { "revertPullRequest": null }, "errors": [error] }));
    };
    let title = input["title"].as_str().unwrap_or(&title).to_owned();
    let number = state.add_pull_request(&title, input["body"].as_str().unwrap_or_default(), false);
    let made = json!({ "number": number, "body": input["body"], "url": format!("https://github.test/pull/{number}") });
    (200, json!({ "data": { "revertPullRequest": { "revertPullRequest": made } } }))
}

fn compare(range: &str) -> Answer {
    let Some((base, head)) = range.split_once("...") else { return missing() };
    if base == "gone" {
        return missing();
    }
    let files = json!([{ "filename": "src/checkout.rs" }, { "filename": "migrations/0007_carts.sql" }]);
    let status = if base == head { "identical" } else { "ahead" };
    (
        200,
        json!({
            "status": status, "ahead_by": 3, "behind_by": 0, "files": files,
            "html_url": format!("https://github.test/compare/{range}"),
        }),
    )
}
