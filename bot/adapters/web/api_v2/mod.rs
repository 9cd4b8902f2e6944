//! Alertmanager's API, version 2: Prometheus sends to it, and people read and silence by it with
//! the tools that they have.
//!
//! A *receiver* is a chat channel of the configuration, and each alert has the one in which its incident is told. A
//! *group* is what shares an incident: a route, a service, an environment and the values of `group_by`. Nothing is ever
//! inhibited or unprocessed here. Every error is a text in JSON.
//! Source: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>

mod asked;
mod caller;
mod list;
mod send;
mod shown;
mod silences;

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use self::{asked::Asked, caller::Caller};
use super::{Site, answers::Trouble, health};
use crate::{domain::people::Capability, engine::Rules};

/// What is answered by this API.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/-/healthy", get(health::alive))
        .route("/-/ready", get(health::ready))
        .route("/api/v2/status", get(status))
        .route("/api/v2/receivers", get(receivers))
        .route("/api/v2/alerts", get(list::every).post(send::alerts))
        .route("/api/v2/alerts/groups", get(list::grouped))
        .route("/api/v2/silences", get(silences::list).post(silences::set))
        .route("/api/v2/silence/{id}", get(silences::show).delete(silences::expire))
}

/// An answer that is no success, as this API gives it: a text in JSON.
struct Told(Trouble);

impl<T: Into<Trouble>> From<T> for Told {
    fn from(trouble: T) -> Self {
        Self(trouble.into())
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        let text = match &self.0.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.0.what),
            None => self.0.what.clone(),
        };
        let mut response = self.0.into_response();
        *response.body_mut() = Body::from(Value::from(text).to_string());
        response
    }
}

/// `GET /api/v2/status`
async fn status(State(site): State<Arc<Site>>, caller: Caller) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let rules = site.engine.rules();
    let names: Vec<Value> = channels(&rules).into_iter().map(|name| json!({ "name": name })).collect();
    // YAML holds JSON, so what reads Alertmanager's configuration reads this.
    let original = format!(
        "# Firewarden. A receiver is a channel; what goes where is said by the routes of its own configuration.\n\
         {}\n",
        json!({ "route": { "receiver": rules.default_channel }, "receivers": names })
    );
    let version = env!("CARGO_PKG_VERSION");
    Ok(Json(json!({
        "cluster": { "status": "disabled", "peers": [] },
        "versionInfo": {
            "version": version, "branch": "firewarden", "revision": "", "buildUser": "", "buildDate": "", "goVersion": "",
        },
        "config": { "original": original },
        "uptime": site.begun,
    }))
    .into_response())
}

/// `GET /api/v2/receivers`
async fn receivers(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Told> {
    caller.must(&site, Capability::View)?;
    let fits = asked.wants_receivers()?;
    let rules = site.engine.rules();
    let names = channels(&rules).into_iter().filter(|_| fits);
    let names: Vec<Value> = names.map(|name| json!({ "name": name, "labels": {} })).collect();
    Ok(Json(names).into_response())
}

/// Every channel in which an incident may be told.
fn channels(rules: &Rules) -> BTreeSet<&str> {
    let routes = rules.routes.iter().chain([&rules.default_route]);
    routes.filter_map(|route| route.channel.as_deref()).chain([rules.default_channel.as_str()]).collect()
}
