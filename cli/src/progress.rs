//! How far long work is, on the last line of a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How far a long file is read, for people who wait.
pub(crate) struct Progress {
    name: String,
    size: u64,
    done: u64,
    shown: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(name: &str, size: u64) -> Self {
        let shown = (size > 0 && std::io::stderr().is_terminal()).then(Instant::now);
        Self { name: name.to_owned(), size, done: 0, shown, is_shown: false }
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.done = self.done.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let Some(shown) = self.shown.as_mut().filter(|shown| shown.elapsed() > Duration::from_millis(200)) else {
            return;
        };
        *shown = Instant::now();
        self.is_shown = true;
        let percent = self.done.saturating_mul(100).checked_div(self.size).unwrap_or(0);
        let _ = write!(std::io::stderr().lock(), "\r{}: {percent} % ", self.name);
    }

    pub(crate) fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
