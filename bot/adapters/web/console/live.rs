//! Tells open pages that something has changed. What has changed they fetch themselves, so a lost event loses nothing.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use tokio::sync::Mutex;

use super::session::Session;
use crate::{
    adapters::web::Site,
    store::{self, timeline},
};

/// How often the state is looked at, however many pages are open.
const PACE: Duration = Duration::from_millis(700);
/// A quiet stream says something this often, so that nothing in between takes it for dead.
const KEPT_ALIVE: Duration = Duration::from_secs(15);

/// The newest mark and when it was read.
#[derive(Default)]
pub(in crate::adapters::web) struct Marks(Mutex<Option<(Instant, i64)>>);

impl Marks {
    async fn newest(&self, site: &Site) -> store::Result<i64> {
        let mut newest = self.0.lock().await;
        if let Some((read_at, mark)) = *newest
            && read_at.elapsed() < PACE
        {
            return Ok(mark);
        }
        let mark = timeline::mark(&mut site.engine.read().await?).await?;
        *newest = Some((Instant::now(), mark));
        Ok(mark)
    }
}

/// `GET /console/events`: an event `changed` at the beginning and after every change; ends when the program stops.
pub(in crate::adapters::web) async fn events(State(site): State<Arc<Site>>, _: Session) -> Response {
    let changes = stream::unfold((site, None), |(site, shown)| async move {
        loop {
            match site.marks.newest(&site).await {
                Ok(mark) if shown != Some(mark) => {
                    let event = Event::default().event("changed").data(mark.to_string());
                    return Some((Ok::<_, Infallible>(event), (site, Some(mark))));
                }
                Ok(_) => {}
                // The page says that it is not live, and its browser comes again.
                Err(_) => return None,
            }
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = site.stop.cancelled() => return None,
            }
        }
    });
    let mut response = Sse::new(Box::pin(changes)).keep_alive(KeepAlive::new().interval(KEPT_ALIVE)).into_response();
    // Proxies that collect answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
