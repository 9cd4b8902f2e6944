//! What GitHub and other deployers send, and what is made of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{generic, github};
use crate::domain::deployments::{About, ChangeKind, Report, State};

const SHA: &str = "1f0c9a2b3d4e5f60718293a4b5c6d7e8f9012345";

fn repository() -> Value {
    json!({ "full_name": "Acme/checkout", "default_branch": "main" })
}

fn status(state: &str, payload: &Value) -> Value {
    json!({
        "action": "created", "repository": repository(), "sender": { "login": "ben" },
        "deployment": {
            "id": 77, "sha": SHA, "ref": "main", "environment": "production", "payload": payload,
            "created_at": "2026-11-23T02:45:00Z", "creator": { "login": "ben" },
        },
        "deployment_status": {
            "state": state, "created_at": "2026-11-23T02:50:00Z", "log_url": "", "target_url": "https://ci.example/7",
        },
    })
}

fn reads(event: &str, body: &Value) -> Option<Report> {
    github::read(event, body.to_string().as_bytes()).unwrap()
}

#[test]
fn a_status_says_how_far_a_deployment_came() {
    let body = status("success", &json!("{\"version\":\"v42\",\"migration\":true,\"any\":\"fw-0011\"}"));
    let Some(Report::Deployment(seen)) = reads("deployment_status", &body) else { panic!() };
    assert_eq!((seen.state, seen.sha.as_str(), seen.environment.as_str()), (State::Succeeded, SHA, "production"));
    assert_eq!(
        (seen.version.as_deref(), seen.migration, seen.key.as_deref()),
        (Some("v42"), Some(true), Some("fw-0011"))
    );
    assert_eq!(seen.at.unwrap().to_string(), "2026-11-23T02:50:00Z");
    assert_eq!((seen.by.as_deref(), seen.url.as_deref()), (Some("ben"), Some("https://ci.example/7")));
    assert_eq!(seen.external.as_deref(), Some("github:acme/checkout:77"));
    assert_eq!(seen.about, About::Repository { name: "Acme/checkout".to_owned(), service: None });
    let Some(Report::Deployment(seen)) = reads("deployment", &status("pending", &json!({ "service": "cart" }))) else {
        panic!()
    };
    assert_eq!((seen.state, seen.migration, seen.version.as_deref()), (State::Pending, None, Some("main")));
    assert_eq!(seen.at.unwrap().to_string(), "2026-11-23T02:45:00Z");
    assert!(matches!(seen.about, About::Repository { service: Some(service), .. } if service == "cart"));
    for (word, state) in [("failure", State::Failed), ("error", State::Failed), ("queued", State::Pending)] {
        let Some(Report::Deployment(seen)) = reads("deployment_status", &status(word, &Value::Null)) else { panic!() };
        assert_eq!(seen.state, state, "{word}");
    }
    assert_eq!(reads("deployment_status", &status("inactive", &Value::Null)), None, "another one took its place");
}

#[test]
fn merges_and_workflows_count_on_the_main_branch_when_they_are_done() {
    let pull = |action: &str, merged: bool, base: &str| {
        json!({
            "action": action, "repository": repository(), "pull_request": {
                "number": 9, "title": "Faster\ncarts", "merged": merged, "merged_at": "2026-11-23T02:30:00Z",
                "merged_by": { "login": "ana" }, "base": { "ref": base }, "html_url": "https://github.com/acme/checkout/pull/9",
            },
        })
    };
    let Some(Report::Change { kind, what, by, external, .. }) = reads("pull_request", &pull("closed", true, "main"))
    else {
        panic!()
    };
    assert_eq!((kind, what.as_str(), by.as_deref()), (ChangeKind::Merge, "#9 Faster carts", Some("ana")));
    assert_eq!(external, "github:acme/checkout:pull:9");
    for other in [pull("closed", false, "main"), pull("opened", false, "main"), pull("closed", true, "next")] {
        assert_eq!(reads("pull_request", &other), None, "{other}");
    }
    let run = |action: &str, branch: &str| {
        json!({
            "action": action, "repository": repository(), "workflow_run": {
                "id": 5, "name": "deploy", "head_branch": branch, "conclusion": "success", "run_attempt": 2,
                "updated_at": "2026-11-23T02:49:00Z", "actor": { "login": "ben" },
            },
        })
    };
    let Some(Report::Change { kind, what, external, .. }) = reads("workflow_run", &run("completed", "main")) else {
        panic!()
    };
    assert_eq!((kind, what.as_str()), (ChangeKind::WorkflowRun, "deploy: success"));
    assert_eq!(external, "github:acme/checkout:run:5:2");
    assert_eq!(reads("workflow_run", &run("requested", "main")), None);
    assert_eq!(reads("workflow_run", &run("completed", "next")), None);
    for event in ["push", "ping", "star"] {
        assert_eq!(reads(event, &json!({ "zen": "" })), None);
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let mut body = status("success", &Value::Null);
    body["deployment"]["sha"] = json!(7);
    let said = github::read("deployment_status", body.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(said, "`deployment.sha`: it is not a text");
    assert!(github::read("push", b"[").is_err() && github::read("push", b"[]").is_err());
    let good = json!({ "service": "checkout", "environment": "production", "sha": "v42", "state": "success" });
    let says = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        generic::read("ci", body.to_string().as_bytes()).map(|_| ()).map_err(|malformed| malformed.to_string())
    };
    assert_eq!(says("version", json!("v42")), Ok(()));
    for (field, value, said) in [
        ("sevice", json!("a"), "`sevice`: there is no such field\nhint: did you mean `service`?"),
        ("service", json!(""), "`service`: it is missing"),
        ("sha", json!("a b"), "`sha`: it is not a name of at most 100 characters without spaces"),
        (
            "state",
            json!("done"),
            "`state`: `done` is no state of a deployment\nhint: say `pending`, `succeeded` or `failed`",
        ),
        ("migration", json!("no"), "`migration`: it is neither true nor false"),
        ("at", json!("soon"), "`at`: it is not a time as `2026-11-23T02:50:00Z`"),
        ("id", json!([]), "`id`: it is neither a text nor a number"),
    ] {
        assert_eq!(says(field, value), Err(said.to_owned()), "{field}");
    }
}

proptest! {
    #[test]
    fn no_body_breaks_the_readers(text in "\\PC{0,60}", event in "deployment_status|pull_request|workflow_run|deployment") {
        drop(github::read(&event, text.as_bytes()));
        drop(generic::read("ci", text.as_bytes()));
    }
}
