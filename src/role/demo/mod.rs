//! `herald demo`: the main job in one command, against a simulated Teams that counts for itself.

mod killed;
mod people;
mod promises;
mod run;

pub use promises::{Evidence, Promise, judge};
pub use run::run;
