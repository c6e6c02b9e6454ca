//! Cosmos DB for `NoSQL` through Microsoft's own crate: the only room that names it.

mod calls;
mod containers;
mod documents;
mod failure;
mod init;
mod item;
mod layout;
mod names;
mod query;

pub use containers::{Account, Proof};
pub use documents::CosmosStore;
pub use init::{Finding, check, create, template};
pub use layout::Layout;
