//! What the tests share: a whole Herald in this process against a simulated Teams, and Herald as a process of its own.

mod herald;
mod process;

pub use herald::{Herald, activity, copilot, install, message, personal};
pub use process::{Child, free_folder, herald, report};
