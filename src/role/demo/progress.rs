//! Progress: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of one step.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
}

impl Progress {
    /// Begins a step of `total` parts.
    pub(super) fn begin(what: &'static str, total: usize) -> Self {
        if !stderr().is_terminal() {
            eprintln!("{what} …");
            return Self { bar: None, what };
        }
        let bar = ProgressBar::new(u64::try_from(total).unwrap_or_default());
        if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar: Some(bar), what }
    }

    /// So much is done, of what is known by now.
    pub(super) fn at(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// One part more is done.
    pub(super) fn one_more(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// The step is done.
    pub(super) fn end(self) {
        match self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => eprintln!("{}: done", self.what),
        }
    }
}
