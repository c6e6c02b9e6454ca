//! How figures are told.

use std::time::Duration;

/// The middle of what was measured; of an even number the lower one. Zero of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

/// What share of `whole` a `part` is; zero of nothing.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A share in per cent.
pub fn percent(part: f64, whole: f64) -> f64 {
    ratio(part, whole) * 100.0
}

/// How long answers took.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// One more answer.
    pub fn note(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// Those of several connections together.
    pub fn absorb(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many answers there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How long the given share of all answers took at most, in milliseconds.
    pub fn at(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (self.0.len().saturating_sub(1) as f64 * share).round() as usize;
        self.0.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }
}

/// How many messages a second a sink took in each tenth of its messages.
pub fn by_tenth(told: &serde_json::Value) -> Vec<String> {
    let tenth = told["taken"].as_f64().unwrap_or_default() / 10.0;
    let times: Vec<_> = told["tenths"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
    times.windows(2).map(|pair| format!("{:.1}", ratio(tenth, pair[1] - pair[0]))).collect()
}
