//! How much of deliveries may be in memory at once: whoever comes when the room is full is sent away and comes again.
//!
//! A delivery takes its place before its body is read and keeps it until it is answered, so no backlog of the store grows
//! in memory.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{SourceKind, answers::Trouble};

/// How many of the longest deliveries have room at once.
const LONGEST: usize = 4;
/// How many bytes one unit of the room stands for.
const UNIT: usize = 1024;

/// The room for deliveries.
pub(super) struct Room {
    units: Arc<Semaphore>,
    longest: usize,
}

/// A delivery's place in the room.
pub(super) struct Place {
    _units: OwnedSemaphorePermit,
}

impl Room {
    /// Room for four deliveries of `longest` bytes, or for more that are shorter.
    pub(super) fn new(longest: usize) -> Self {
        Self { units: Arc::new(Semaphore::new(LONGEST * units(longest))), longest }
    }

    /// A place for a delivery with these headers.
    ///
    /// # Errors
    /// When there is none: 429. Alertmanager's webhook drops what is answered so until its group's next interval, and
    /// tries again at once after a 5xx: it gets a 503. <https://github.com/prometheus/alertmanager/pull/2145>
    pub(super) fn enter(&self, kind: SourceKind, headers: &HeaderMap) -> Result<Place, Trouble> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let needed = units(length.map_or(self.longest, |length: usize| length.min(self.longest)));
        let units =
            u32::try_from(needed).ok().and_then(|units| Arc::clone(&self.units).try_acquire_many_owned(units).ok());
        units.map(|units| Place { _units: units }).ok_or_else(|| {
            let status = match kind {
                SourceKind::Alertmanager => StatusCode::SERVICE_UNAVAILABLE,
                SourceKind::Generic | SourceKind::Prometheus | SourceKind::Github | SourceKind::Deployments => {
                    StatusCode::TOO_MANY_REQUESTS
                }
            };
            Trouble::new(status, "Cannot take the delivery: too many are being taken already")
                .hint("send it again in a few seconds: nothing of it was kept")
        })
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}
