//! What the tests share: a whole Herald in this process against a simulated Teams, and Herald as a process of its own.

mod authority;
mod herald;
mod process;
mod scene;

pub use authority::{APP, Authority, TENANT, channel_claims, entra_claims, key, published, signed};
pub use herald::{Herald, activity, copilot, install, message, personal};
pub use process::{Child, free_folder, herald, report};
pub use scene::Scene;
