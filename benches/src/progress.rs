//! A line on stderr that says what is going on, if somebody is there to read it.

use std::io::{IsTerminal, Write};

/// Rewrites one line; it is gone when dropped. Silent if stderr is no terminal.
pub struct Progress {
    shown: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal() }
    }

    /// Whether anything is shown, so that a caller can spare the work.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Replaces the line.
    pub fn say(&mut self, text: &str) {
        if self.shown {
            let mut stderr = std::io::stderr();
            // Nothing depends on the line, so a failure to write it is no failure.
            let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.say("");
    }
}
