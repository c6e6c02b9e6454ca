//! What measurements share: processes that end with their handle, somebody who signs tokens, somebody who sends
//! activities, and how figures are told. Each measurement uses a part of it.

mod activity;
mod authority;
mod bare;
mod child;
mod figures;
mod load;
mod people;
mod proc;
mod served;
mod sink;
mod teams;
mod wire;

pub use activity::{Activities, Audience};
pub use authority::{Authority, KEY};
pub use bare::serve as bare;
pub use child::{Child, Core, pin_myself, pinned};
pub use figures::{Latencies, by_tenth, median, percent, ratio};
pub use load::{Load, Outcome, run};
pub use people::{populate, tenant};
pub use proc::{cpu_seconds, rss_kib};
pub use served::{Azure, Served, Settings, settings};
pub use sink::{Manner, sink, taken};
pub use teams::Teams;
pub use wire::{Connection, get};
