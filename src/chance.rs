//! The one room where randomness comes from.

use std::fmt::Debug;

/// Gives what cannot be foreseen. Passed in wherever chance matters.
pub trait Chance: Debug + Send + Sync {
    /// An id that nobody else has.
    fn id(&self) -> String;

    /// A number from 0 up to, not including, 1.
    fn unit(&self) -> f64;
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::disallowed_methods, reason = "the one place that may draw")]
    fn id(&self) -> String {
        uuid::Uuid::new_v4().simple().to_string()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that may draw")]
    fn unit(&self) -> f64 {
        let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
        // The upper half of a version 4 id has 48 random bits before the version; 32 of them are plenty.
        f64::from(u32::try_from(high >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }
}
