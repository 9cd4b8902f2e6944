//! The machine's own clock.

use std::time::Duration;

use async_trait::async_trait;

use crate::{domain::time::Time, engine::ports::Clock};

/// The longest nap: a machine that slept, or whose time was set, is noticed after this.
const NAP: Duration = Duration::from_secs(30);

/// The time as the machine knows it, in UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_millis(jiff::Timestamp::now().as_millisecond())
    }

    async fn sleep_until(&self, at: Time) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}
