//! What a person sees of the demo, and what they answer.
//!
//! Standard input is read by a thread of its own, because a read of a terminal cannot be taken back: the question may be
//! answered on the page meanwhile.

use std::{
    io::{self, BufRead, Write},
    thread,
};

use tokio::sync::mpsc;

use crate::domain::time::Time;

/// The terminal of the demo.
pub(super) struct Terminal {
    lines: Option<mpsc::UnboundedReceiver<String>>,
}

impl Terminal {
    /// A terminal; it reads what is typed unless nothing will be asked.
    pub(super) fn open(may_ask: bool) -> Self {
        let lines = may_ask.then(|| {
            let (typed, lines) = mpsc::unbounded_channel();
            thread::spawn(move || {
                for line in io::stdin().lock().lines().map_while(Result::ok) {
                    if typed.send(line).is_err() {
                        break;
                    }
                }
            });
            lines
        });
        Self { lines }
    }

    /// Prints a line, or lines.
    #[expect(clippy::unused_self, reason = "whoever has the terminal prints on it")]
    pub(super) fn print(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Prints what happened at a moment, the lines after the first under it.
    pub(super) fn tell(&self, at: Time, what: &str) -> io::Result<()> {
        self.print(&format!("{}  {}", at.clock(), what.replace('\n', "\n          ")))
    }

    /// The next line that is typed; never, once there will be none.
    pub(super) async fn typed(&mut self) -> String {
        if let Some(lines) = &mut self.lines {
            if let Some(line) = lines.recv().await {
                return line.trim().to_lowercase();
            }
            self.lines = None;
        }
        std::future::pending().await
    }
}
