//! Progress: a bar on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Rate and remaining time are the bar's own estimate, over the last seconds.
const BAR: &str = "{msg:24} {wide_bar} {pos}/{len} {rate:>8} {left:>8}";
/// Slower than this is no rate to tell anything by: nothing has come yet, or nothing comes any more.
const STILL: f64 = 0.01;

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
            let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = out.write_str(&rate(state.per_sec()));
            });
            bar.set_style(style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = out.write_str(&left(state.per_sec(), state.eta()));
            }));
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

/// How many in a second.
fn rate(per_second: f64) -> String {
    if per_second < STILL { "?/s".into() } else { format!("{per_second:.1}/s") }
}

/// How long it still takes at this rate.
fn left(per_second: f64, time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        _ if per_second < STILL => "? left".into(),
        (0, 0) => format!("{seconds} s left"),
        (0, _) => format!("{minutes}:{:02} left", seconds % 60),
        (_, _) => format!("{hours}:{minutes:02} h left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_nothing_is_foretold() {
        assert_eq!((rate(0.0).as_str(), left(0.0, Duration::ZERO).as_str()), ("?/s", "? left"));
        assert_eq!((rate(49.26).as_str(), left(49.3, Duration::from_secs(7)).as_str()), ("49.3/s", "7 s left"));
        assert_eq!(left(49.3, Duration::from_secs(125)), "2:05 left");
        assert_eq!(left(49.3, Duration::from_secs(7500)), "2:05 h left");
    }
}
