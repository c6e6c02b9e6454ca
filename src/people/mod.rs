//! Who talks to the bot, and where: persons, their references per channel, and what an activity changes of them.
//!
//! `person`, `reference`, `lifecycle` and `reach` decide and are pure; `registry`, `merge` and `record` act on the store.

mod aliases;
mod conversation;
mod lifecycle;
mod merge;
mod person;
mod reach;
mod record;
mod reference;
mod registry;

pub use conversation::Conversation;
pub use lifecycle::{Signal, signal};
pub use person::{Identity, Mute, Person};
pub use reach::{Opening, ReachSettings, Rules, Skip, in_audience, judge, opening};
pub use record::{Recorded, Refused, record};
pub use reference::{Reference, Sighting, State};
pub use registry::Registry;
