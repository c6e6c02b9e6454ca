//! Progress: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

/// Rate and remaining time are the bar's own estimate, over the last seconds.
const BAR: &str = "{msg:24} {wide_bar} {pos}/{len} {per_sec:>10} {eta:>6} left";

/// The progress of one step.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    what: String,
}

impl Progress {
    /// Begins a step of `total` parts.
    pub(super) fn begin(what: &str, total: usize) -> Self {
        let what = what.to_owned();
        if !stderr().is_terminal() {
            eprintln!("{what} …");
            return Self { bar: None, what };
        }
        let bar = ProgressBar::new(u64::try_from(total).unwrap_or_default());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        bar.set_message(what.clone());
        Self { bar: Some(bar), what }
    }

    /// So much is done, of what is known by now.
    pub(super) fn at(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// What is to be seen beside it; off a terminal a line, when it is another than before.
    pub(super) fn say(&mut self, what: String) {
        match &self.bar {
            Some(bar) => bar.set_message(what.clone()),
            None if what != self.what => eprintln!("{what}"),
            None => {}
        }
        self.what = what;
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
