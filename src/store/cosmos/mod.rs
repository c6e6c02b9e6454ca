//! Cosmos DB for `NoSQL` through Microsoft's own crate: the only room that names it.
//!
//! # How it is laid out
//!
//! One container per collection (`layout`), so that each has the partition key, the indexes and the fading that it
//! needs. A partition of the [`Store`](super::Store) trait becomes a partition key of one or two levels; ids that share
//! a level are joined with `|` (`names`).
//!
//! | container | partition key | holds | fades |
//! | --- | --- | --- | --- |
//! | `people` | `/tenant` (bot and tenant), `/person` | a person with a reference per channel | who was only ever seen in Copilot |
//! | `aliases` | `/alias` (bot and id) | from an id to a person's key, a document per tenant | never |
//! | `conversations` | `/conversation` (bot and id) | the tombstone, and who holds the chat | never: promise 1 would fade with it |
//! | `tenants` | `/bot` | a document per tenant | never |
//! | `notifications` | `/notification` | `control`, `request`, `message` | 90 days after its end, or longer |
//! | `rosters` | `/notification` | lists of users, resolved | with deliveries |
//! | `deliveries` | `/notification`, `/tenant` | a tenant's `plan` and its batches, each with its ledger | a month after `HERALD_KEEP_DELIVERIES_DAYS` |
//! | `throttles` | `/tenant` (bot and tenant) | the pace of a tenant | never |
//! | `settings` | `/owner` | what Herald remembers of itself | never |
//!
//! What follows from it:
//!
//! - **An activity is one point write**, of a person, who is a logical partition of their own; all their references are
//!   in that document, so reading them is one point read.
//! - **A tenant's audience is a prefix**: its people lie in one range of partition keys, which a page reads and nothing
//!   else. A notification to all goes tenant by tenant, so it never reads across tenants. It is read at the pace at
//!   which it is sent (ten seconds ahead), one page of 100 every two seconds and tenant; reading feed ranges in
//!   parallel would pay nothing.
//! - **The first level has as many values as there are tenants**, not one per bot: documents of one first level stay on
//!   one physical partition until it holds 50 GB (Microsoft Learn, "Hierarchical partition keys"), and a physical
//!   partition gives 10,000 request units a second. Per tenant that is some hundred activities a second and twenty
//!   times what Teams lets a tenant's sends use.
//! - **A batch and its ledger are one document** beside its plan, so both change in one transaction. A tenant's batches
//!   of one notification are a logical partition: 3 to 4 GB for 10 million recipients, of 20 GB. All of one notification
//!   share a first level, which bounds it to about 2,000 recipients a second over all tenants, however much throughput
//!   is bought.
//! - **No document is hot.** The busiest is a tenant's throttle: five reservations a second (a plan changes once per
//!   batch). Counts are kept in plans and summed over a notification's tenants; only `outstanding` is counted, within
//!   one logical partition, by index.
//! - **A cursor is our own** where it is kept (`cursor`): a person's key, a tenant's id. The SDK's tokens, which belong to
//!   its version and to the container, are only given to callers of the API.
//! - Two queries look everywhere, and only at what they find: what is due (`Tick`, every 15 seconds, two queries) and
//!   lists with the newest first.
//! - Indexed is only what these queries name (`layout`); a body is never indexed.
//!
//! # What it costs
//!
//! By Microsoft's figures (Learn, "Request units": a point read of 1 KB is 1 unit and of 100 KB 10, a write about 5 and
//! 50; a quorum read is twice a read; serverless is 0.25 USD per million units in most regions). A person is 1 to 2 KB,
//! a batch of 100 recipients 15 to 30 KB.
//!
//! | | operations | units |
//! | --- | --- | --- |
//! | an activity of somebody known | 1 write of 2 KB; reads: two ids and the conversation twice, the person twice | 7 + 8 |
//! | of somebody new | 1 write each of person, conversation and two ids | 25 |
//! | a batch of 100, in windows of 10 | 10 to 20 writes of the batch (18 each), 3 with its plan | 300 |
//! | | per recipient the person and the conversation by quorum, once when it is planned and once when it is sent | 600 |
//! | | per window the control document twice, the throttle read twice and written once | 130 |
//!
//! **1 million users** who each talk to the bot once a day: 15 million units, 3.75 USD a day; 2 GB of people.
//! **A notification to all of them**: 10,000 batches of about 1,030 units, 10.3 million units, 2.60 USD; in one tenant,
//! at 50 a second, 515 units a second for five and a half hours. The smallest database that is shared by all containers
//! (1,000 units a second by autoscale) carries that; 20 tenants at once want 10,000.
//!
//! What was really charged stands in a notification's status (`cost`) and, per call, in the debug log
//! (`RUST_LOG=info,herald::store=debug`). Under the SDK's emulator, whose model doubles a charge with each doubling of
//! the size, 500 recipients in one tenant took 62 units each, nine tenths of it for the batches.
//!
//! # Consistency
//!
//! Session consistency: a process sees its own writes. What decides whether somebody gets a message, the person and
//! their conversation ([`Store::get_many`](super::Store::get_many)), is read from a quorum, so that a marker, an uninstall
//! or a mute that another instance has answered counts here at once; and no notification, plan or batch is taken for
//! absent before the quorum was asked. Reads go to the region that is written to, and are not hedged to
//! others, which may be behind. Everything else rests on etags.
//!
//! # Time
//!
//! A call takes as long as its caller has left ([`budget`](super::budget)), 20 seconds at most, with all that the SDK
//! does about 429s, lost connections and moved partitions. After a region that is written to disappears without a
//! failover, the SDK looks for its successor every five minutes; until then writes are [`Error::Unavailable`].
//!
//! [`Error::Unavailable`]: super::Error::Unavailable

// The SDK's futures are large, tens of kilobytes each where they are not optimised, and a thread's stack has two
// megabytes: each is boxed where it is made.

mod calls;
mod containers;
mod cursor;
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
