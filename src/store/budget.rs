//! What a piece of work may take of the store, and what it took: an instant by which its calls must end, and the
//! request units that they were charged. Whoever starts the work sets it; a backend that takes time and units asks
//! here, so that neither has to be an argument of every function in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

tokio::task_local! {
    static BUDGET: Budget;
}

/// Thousandths of request units, Cosmos DB's currency; 0 on stores that charge nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(u64);

impl Units {
    /// From request units as the service says them.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; a charge has few digits")]
    pub fn of(charge: f64) -> Self {
        Self((charge.clamp(0.0, 1e12) * 1000.0).round() as u64)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// True when nothing was charged.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }

    /// In request units, to the hundredth.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shown, not reckoned with")]
    pub fn shown(self) -> f64 {
        (self.0 as f64 / 10.0).round() / 100.0
    }
}

#[derive(Debug, Clone)]
struct Budget {
    until: Instant,
    spent: Arc<AtomicU64>,
}

/// Does a piece of work whose calls end within `time`.
pub async fn within<F: Future>(time: Duration, work: F) -> F::Output {
    let budget = Budget { until: Instant::now() + time, spent: Arc::default() };
    BUDGET.scope(budget, work).await
}

/// Does a part of a piece of work within `time`, at the expense of the whole.
pub async fn at_most<F: Future>(time: Duration, work: F) -> F::Output {
    let until = Instant::now() + time;
    let whole = BUDGET.try_with(Budget::clone).ok();
    let budget = match whole {
        Some(whole) => Budget { until: whole.until.min(until), spent: whole.spent },
        None => Budget { until, spent: Arc::default() },
    };
    BUDGET.scope(budget, work).await
}

/// How long a call may take: what is left, and never more than `most`. Zero when nothing is left.
#[must_use]
pub fn left(most: Duration) -> Duration {
    let left = BUDGET.try_with(|budget| budget.until.saturating_duration_since(Instant::now()));
    left.map_or(most, |left| left.min(most))
}

/// Notes a charge.
pub fn charge(units: Units) {
    let _ = BUDGET.try_with(|budget| budget.spent.fetch_add(units.0, Ordering::Relaxed));
}

/// What the work was charged since this was last asked; whoever asks accounts for it.
#[must_use]
pub fn take() -> Units {
    BUDGET.try_with(|budget| Units(budget.spent.swap(0, Ordering::Relaxed))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_runs_out_and_charges_add_up() {
        let minute = Duration::from_secs(60);
        within(Duration::from_secs(10), async {
            assert_eq!(left(minute), Duration::from_secs(10));
            assert_eq!(at_most(Duration::from_secs(3), async { left(minute) }).await, Duration::from_secs(3));
            tokio::time::advance(Duration::from_secs(4)).await;
            assert_eq!((left(minute), left(Duration::from_secs(1))), (Duration::from_secs(6), Duration::from_secs(1)));
            tokio::time::advance(minute).await;
            assert_eq!(left(minute), Duration::ZERO);
            charge(Units::of(2.83));
            at_most(minute, async {
                assert_eq!(left(minute), Duration::ZERO, "a part has no more than the whole");
                charge(Units::of(10.29));
            })
            .await;
            assert_eq!(take(), Units::of(13.12));
            assert!(take().is_none(), "accounted for once");
            assert_eq!(Units::of(13.129).shown().to_string(), "13.13");
        })
        .await;
        charge(Units::of(1.0));
        assert_eq!((left(minute), take()), (minute, Units::default()), "work without a budget");
    }
}
