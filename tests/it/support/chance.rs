//! Chance that comes out the same each time.

use std::sync::atomic::{AtomicU64, Ordering};

use herald::chance::Chance;

/// Counts ids across all of them, and draws numbers that look like chance.
#[derive(Debug, Default)]
pub struct Dice(AtomicU64);

impl Chance for Dice {
    fn id(&self) -> String {
        static LAST: AtomicU64 = AtomicU64::new(0);
        format!("{:032x}", LAST.fetch_add(1, Ordering::Relaxed))
    }

    fn unit(&self) -> f64 {
        // The golden ratio's multiples are spread evenly.
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        (number as f64 * 0.618_033_988_749_895).fract()
    }
}
