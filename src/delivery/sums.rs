//! How far notifications have come, remembered for a while where it takes many reads to say: a notification has a plan
//! for each tenant, and whoever watches one asks every second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::notifications::Figures;
use crate::store::{Error, Turns};

/// Of so few plans a sum is never remembered: a page or less is read.
const FEW: usize = 200;
/// For so long for each plan that was read. So no more than some 300 plans are read in a second for one notification,
/// however many ask.
const FOR_EACH: Duration = Duration::from_millis(3);
/// No sum is older than this.
const OLDEST: Duration = Duration::from_secs(30);

/// How long a sum over so many plans holds.
fn holds(plans: usize) -> Duration {
    if plans < FEW {
        return Duration::ZERO;
    }
    (FOR_EACH * u32::try_from(plans).unwrap_or(u32::MAX)).min(OLDEST)
}

#[derive(Debug, Clone)]
struct Sum {
    figures: Figures,
    until: Instant,
}

/// The sums that this process remembers, by notification.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    known: Arc<Mutex<HashMap<String, Sum>>>,
    /// Who asks while somebody sums waits for that sum.
    summing: Turns,
}

impl Sums {
    /// What is remembered of a notification, or what `sum` says, which also says how many plans it read.
    pub(super) async fn of(
        &self,
        id: &str,
        sum: impl Future<Output = Result<(Figures, usize), Error>>,
    ) -> Result<Figures, Error> {
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let _mine = self.summing.of(id).await;
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let (figures, plans) = sum.await?;
        self.remember(id, &figures, holds(plans));
        Ok(figures)
    }

    fn recall(&self, id: &str) -> Option<Figures> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|sum| sum.until > Instant::now()).map(|sum| sum.figures.clone())
    }

    fn remember(&self, id: &str, figures: &Figures, time: Duration) {
        if time.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, sum| sum.until > now);
        known.insert(id.to_owned(), Sum { figures: figures.clone(), until: now + time });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks, with so many plans to read and a sum that says so many; what was answered.
    async fn ask(sums: &Sums, plans: usize, audience: u64) -> u64 {
        let sum = async { Ok((Figures { audience, ..Figures::default() }, plans)) };
        sums.of("n", sum).await.expect("figures").audience
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_plans_there_are_the_longer_a_sum_holds() {
        let sums = Sums::default();
        assert_eq!((ask(&sums, FEW - 1, 1).await, ask(&sums, FEW, 2).await), (1, 2), "few are summed each time");
        assert_eq!(ask(&sums, FEW, 3).await, 2, "many are not");
        tokio::time::advance(Duration::from_millis(601)).await;
        assert_eq!(ask(&sums, 10_000, 4).await, 4);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert_eq!(ask(&sums, 10_000, 5).await, 4);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(ask(&sums, 1_000_000, 6).await, 6);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(ask(&sums, 1, 7).await, 7, "nothing is older than half a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_somebody_sums_gets_the_same() {
        let sums = Sums::default();
        let slow = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok((Figures { audience: 1, ..Figures::default() }, 1000))
        };
        let (slow, other) = tokio::join!(sums.of("n", slow), ask(&sums, 1000, 2));
        assert_eq!((slow.expect("figures").audience, other), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sum_that_failed_is_not_remembered() {
        let sums = Sums::default();
        let failed = sums.of("n", async { Err(Error::Unavailable("away".into())) }).await;
        assert!(failed.is_err());
        assert_eq!(ask(&sums, 1000, 3).await, 3);
    }
}
