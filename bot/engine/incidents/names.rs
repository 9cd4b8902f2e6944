//! Names of incidents and services, completed as somebody types them.

use futures::future::BoxFuture;

use crate::{
    domain::{
        routes::{Pick, Route},
        runbooks::words,
    },
    engine::{Context, Refusal, Stop, View},
    store::{self, incidents},
};

/// How many names are looked for.
const MOST: i64 = 25;

/// Incidents that are not closed, open ones first, each with its title.
pub(super) fn incidents<'a>(
    view: &'a mut View<'_>,
    typed: &'a str,
) -> BoxFuture<'a, store::Result<Vec<(String, String)>>> {
    Box::pin(async move {
        let found = incidents::search(view.reader, typed.trim(), MOST).await?;
        let described = |incident: &crate::domain::incidents::Incident| {
            format!("{} {}: {}", incident.severity, incident.phase, incident.title)
        };
        Ok(found.iter().map(|incident| (incident.id.to_string(), described(incident))).collect())
    })
}

/// Refuses the name of a service that nobody has heard of: an order about it would be without effect.
pub(in crate::engine) async fn must_be_service(context: &mut Context<'_>, service: &str) -> Result<(), Stop> {
    service_is_known(&mut context.view(), service).await
}

/// The same for whoever only looks.
pub(in crate::engine) async fn service_is_known(view: &mut View<'_>, service: &str) -> Result<(), Stop> {
    let known = view.rules.services();
    if known.is_empty() || known.contains(service) {
        return Ok(());
    }
    let seen = incidents::services(view.reader, service, MOST).await?;
    if seen.iter().any(|seen| seen == service) {
        return Ok(());
    }
    let hint = match words::nearest(service, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the routes name {}", words::listed(&known.into_iter().take(10).collect::<Vec<_>>())),
    };
    Err(Refusal::new(format!("There is no service `{service}`")).hint(hint).into())
}

/// Services that the catalog or the routes name, or that an incident was about.
pub(super) fn services<'a>(
    view: &'a mut View<'_>,
    typed: &'a str,
) -> BoxFuture<'a, store::Result<Vec<(String, String)>>> {
    Box::pin(async move {
        let typed = typed.trim().to_lowercase();
        let mut names = incidents::services(view.reader, &typed, MOST).await?;
        let routes = view.rules.routes.iter().chain([&view.rules.default_route]);
        let from_routes = routes.filter_map(|route: &Route| route.service.as_ref()).flat_map(Pick::texts);
        names.extend(from_routes.filter(|name| name.to_lowercase().contains(&typed)).map(str::to_owned));
        let from_catalog = view.rules.catalog.services.keys();
        names.extend(from_catalog.filter(|name| name.to_lowercase().contains(&typed)).cloned());
        names.sort_by_key(|name| (!name.to_lowercase().starts_with(&typed), name.clone()));
        names.dedup();
        Ok(names.into_iter().map(|name| (name, String::new())).collect())
    })
}
