//! The Bot Connector: how a message is written, sent, and what its answer means.

mod client;
mod message;
mod outcome;

pub use client::{Connector, Target};
pub use message::{notification, reply};
pub use outcome::{SendOutcome, answered, retry_after};
