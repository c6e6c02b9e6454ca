//! The Bot Connector: how a message is written, sent, and what its answer means.
//!
//! `answer`, `message`, `opening` and `outcome` decide and are pure; `client` asks, over a `wire`.

mod answer;
mod client;
mod message;
mod opening;
mod outcome;
mod wire;

pub use answer::{Code, Said, Status, read};
pub use client::{Connector, Target};
pub use message::{notification, reply};
pub use opening::{OpenOutcome, opening};
pub use outcome::{SendOutcome, Unanswered, answered, retry_after, unanswered};
pub use wire::{Http, Wire, WireAnswer};
