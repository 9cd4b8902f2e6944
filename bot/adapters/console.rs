//! The console as a chat: its page reads posts and cards from the store itself, so every message is shown once it is
//! committed, and delivering it is only saying so. This is the chat that works when no other one can be reached.

use async_trait::async_trait;

use crate::engine::{
    chat::{Card, Message},
    ports::{Chat, Place, Undelivered},
};

/// The chat of the page and of `firewarden say`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Console;

#[async_trait]
impl Chat for Console {
    async fn send(&self, _: &Place, _: &Message, nonce: &str) -> Result<String, Undelivered> {
        Ok(format!("console-{nonce}"))
    }

    async fn edit(&self, _: &str, _: &Card) -> Result<(), Undelivered> {
        Ok(())
    }

    async fn open_thread(&self, message: &str, _: &str) -> Result<String, Undelivered> {
        Ok(message.to_owned())
    }

    async fn is_up(&self) -> bool {
        true
    }
}
