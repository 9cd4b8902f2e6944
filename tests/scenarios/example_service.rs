//! The example service fails as real targets do, so that stories about doubt rest on something.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ExampleService, Fault, Hand, Moment, Which, http};

async fn ask(service: &ExampleService, method: Method, path: &str, body: Value) -> Option<(u16, Value)> {
    let request = http().request(method, format!("{}{path}", service.url()));
    let answer = request.header("idempotency-key", "key-1").json(&body).send().await.ok()?;
    Some((answer.status().as_u16(), answer.json().await.unwrap_or_default()))
}

/// A reply that is lost after the deployment was made is the doubt that a probe has to settle.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_leaves_a_deployment_that_is_listed_late_and_never_made_twice() {
    let hand = Hand::at("2026-11-23T12:00:00Z".parse().unwrap());
    let service = ExampleService::start(Arc::new(hand.clone())).await;
    service.delay_listing(Duration::from_secs(40));
    service.plan(Which::Next("POST", "/deployments"), Moment::After, Fault::Reset);
    let deploy = json!({ "version": "v41", "expect_live": "v42" });

    assert_eq!(ask(&service, Method::POST, "/deployments", deploy.clone()).await, None, "the reply is lost");
    assert_eq!(service.checkout.live(), "v41");
    let newest = async || {
        let (_, list) = ask(&service, Method::GET, "/deployments", Value::Null).await.unwrap();
        list["deployments"][0]["version"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(newest().await, "v42", "it is not listed yet");
    hand.advance(Duration::from_secs(40)).await;
    assert_eq!(newest().await, "v41");

    let (status, again) = ask(&service, Method::POST, "/deployments", deploy).await.unwrap();
    assert_eq!((status, &again["previous"]), (200, &json!("v42")), "the first answer comes again");
    assert_eq!(service.checkout.effects().len(), 1);
    assert_eq!(service.calls_of("POST", "/deployments"), 2);
}

/// A target that refuses, breaks or hangs before it has done anything has not been changed.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_it_is_carried_out_changes_nothing() {
    let hand = Hand::at("2026-11-23T12:00:00Z".parse().unwrap());
    let service = ExampleService::start(Arc::new(hand)).await;
    service.plan(Which::Number(1), Moment::Before, Fault::Status(503));
    service.plan(Which::Number(2), Moment::Before, Fault::Reset);
    let restart = async || ask(&service, Method::POST, "/restart", json!({})).await.map(|(status, _)| status);
    assert_eq!(restart().await, Some(503));
    assert_eq!(restart().await, None);
    service.plan(Which::Every("POST", "/restart"), Moment::Before, Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(200), restart()).await.is_err(), "it hangs");
    service.plan_nothing();
    assert_eq!(service.checkout.effects(), []);
    assert_eq!(restart().await, Some(200));
}

/// A runbook that asks for what is not there must not be taken for one that works.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_does_not_have_is_refused_and_remembered() {
    let hand = Hand::at("2026-11-23T12:00:00Z".parse().unwrap());
    let service = ExampleService::start(Arc::new(hand)).await;
    for (method, path) in [(Method::POST, "/rollback"), (Method::DELETE, "/restart")] {
        assert_eq!(ask(&service, method, path, json!({})).await.map(|(status, _)| status), Some(501));
    }
    assert_eq!(service.checkout.unknown_routes(), ["POST /rollback", "DELETE /restart"]);
}
