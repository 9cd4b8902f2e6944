//! Holds what was said against Discord's published API document, where that is at hand.

use super::Discord;
use crate::world::openapi;

impl Discord {
    /// Fails when a recorded exchange is not valid, unknown keys included; says so when it cannot be checked here.
    pub(crate) async fn conforms(&self) {
        openapi::conform(self.recorded(), "discord-openapi.json").await;
    }
}
