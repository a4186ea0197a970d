//! A bar on standard error that says how far something has come, if somebody is there to read it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: usize = 30;

/// The bar is drawn this often at most, and not at all for what takes no longer.
const PAUSE: Duration = Duration::from_millis(100);

/// One line that is rewritten, and gone when dropped. Silent if standard error is no terminal.
pub(crate) struct Bar {
    is_shown: bool,
    is_drawn: bool,
    started: Instant,
    drawn_at: Instant,
}

impl Bar {
    pub(crate) fn on_terminal() -> Bar {
        let now = Instant::now();
        Bar { is_shown: io::stderr().is_terminal(), is_drawn: false, started: now, drawn_at: now }
    }

    /// So many bytes of all are done.
    pub(crate) fn show(&mut self, done: u64, all: u64) {
        if self.is_shown && self.drawn_at.elapsed() >= PAUSE {
            self.drawn_at = Instant::now();
            self.is_drawn = true;
            self.write(&line(done, all, self.started.elapsed()));
        }
    }

    /// So many things of all are done.
    pub(crate) fn count(&mut self, done: u64, all: u64, things: &str) {
        if self.is_shown && self.drawn_at.elapsed() >= PAUSE {
            self.drawn_at = Instant::now();
            self.is_drawn = true;
            let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
            self.write(&format!("{}  {done} of {all} {things}", picture(share)));
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = io::stderr();
        // Nothing depends on the line, so a failure to write it is no failure.
        let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_drawn {
            self.write("");
        }
    }
}

fn line(done: u64, all: u64, elapsed: Duration) -> String {
    const MIB: f64 = 1_048_576.0;
    let share = if all == 0 { 1.0 } else { (done as f64 / all as f64).min(1.0) };
    let (done, all) = (done as f64 / MIB, all as f64 / MIB);
    let speed = done / elapsed.as_secs_f64().max(0.001);
    format!("{}  {done:.0} of {all:.0} MiB, {speed:.0} MiB/s", picture(share))
}

/// A bar, of which a share is full.
fn picture(share: f64) -> String {
    let full = (share * WIDTH as f64) as usize;
    let (bar, rest) = ("#".repeat(full), ".".repeat(WIDTH - full));
    format!("[{bar}{rest}] {:3.0} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_is_done_and_how_fast() {
        let second = Duration::from_secs(1);
        let expected = "[###############...............]  50 %  10 of 20 MiB, 10 MiB/s";
        assert_eq!(line(10 << 20, 20 << 20, second), expected);
        assert!(line(0, 0, second).contains("100 %"), "an empty file is done");
        assert!(line(3, 2, second).contains("100 %"), "a file that grows is not more than done");
    }
}
