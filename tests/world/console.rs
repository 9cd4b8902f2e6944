//! A person at the console: says a line, reads the reply.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{World, config, http};

/// What the bot answered to a line.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// The status of the answer; 0 if there was none.
    pub(crate) status: u16,
    /// What a terminal shows: the reply, or the refusal with its hint.
    pub(crate) text: String,
}

impl Said {
    /// Whether the line was carried out.
    pub(crate) fn is_done(&self) -> bool {
        self.status == 200
    }
}

/// A person with a personal token.
pub(crate) struct Console<'a> {
    pub(super) world: &'a World,
    pub(super) person: &'static str,
}

static LINES: AtomicU64 = AtomicU64::new(1);

impl Console<'_> {
    /// Says a line once.
    pub(crate) async fn says(&self, line: &str) -> Said {
        let key = format!("line-{}", LINES.fetch_add(1, Ordering::Relaxed));
        self.says_under(line, &key).await
    }

    /// Says a line under a key; under the same key it is carried out once.
    pub(crate) async fn says_under(&self, line: &str, key: &str) -> Said {
        let said = self.ask(line, key).await;
        self.world.note(&format!(
            "{} says {line}\n    {} {}",
            self.person,
            said.status,
            said.text.replace('\n', "\n    ")
        ));
        said
    }

    /// Looks at something without a trace in the transcript.
    pub(crate) async fn sees(&self, line: &str) -> String {
        self.ask(line, "").await.text
    }

    async fn ask(&self, line: &str, key: &str) -> Said {
        let url = format!("{}/api/say", self.world.url());
        let body = json!({ "line": line, "key": key });
        let request = http().post(url).bearer_auth(config::token_of(self.person)).json(&body);
        let Ok(answer) = request.send().await else {
            return Said { status: 0, text: "no answer".to_owned() };
        };
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap_or_default();
        let refusal = || ["error", "hint"].map(|part| answer[part].as_str().unwrap_or_default()).join("\nhint: ");
        let text = answer["text"].as_str().map_or_else(refusal, str::to_owned);
        Said { status, text }
    }
}
