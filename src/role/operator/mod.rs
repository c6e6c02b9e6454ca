//! The operators' commands: thin clients of the API of a running Herald.

mod client;
mod notifications;
mod notify;
mod table;
mod users;
mod watch;

pub use client::{Access, Client};
pub use notifications::{Action, run as notifications};
pub use notify::{Draft, run as notify};
pub use users::{Filter, run as users};
pub use watch::run as watch;
