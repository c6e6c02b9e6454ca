//! What the tests share: a whole Herald in this process against a simulated Teams, and Herald as a process of its own.

mod authority;
mod chance;
mod clock;
mod herald;
mod memory;
mod mortal;
mod process;
mod scene;

pub use authority::{APP, Authority, TENANT, channel_claims, entra_claims, key, published, signed};
pub use chance::Dice;
pub use clock::RuntimeClock;
pub use herald::{Herald, activity, copilot, install, message, personal};
pub use memory::Memory;
pub use mortal::{End, Fate, MortalStore, MortalWire, NEVER};
pub use process::{Child, free_folder, herald, report};
pub use scene::Scene;
