//! Herald: notifications that reach people in their Teams chat, whichever surface they talked to the bot through.
//!
//! A bot is talked to in the Teams chat, in the Copilot window inside Teams, and in Microsoft 365 Copilot; each has a
//! conversation id of its own. Herald keeps a reference per channel and notifies only through the Teams chat.
//!
//! # The way of an activity
//!
//! [`http`] reads the request, [`functions`] route it to `Messages`, [`trust`] says whether the caller is believed,
//! [`protocol`] parses it and checks where it points,
//! [`channel`] says which surface it came through, [`people`] make it part of what is known, and only then it is
//! answered. [`replies`] says what the bot answers, [`connector`] sends it.
//!
//! # The way of a notification
//!
//! `CreateNotification` stores it and puts a pointer into a queue. `RunNotification` ([`delivery`], planner) pages the
//! audience into batches, tenant by tenant. `DeliverBatch` (courier) takes a lease, asks the [`governor`] for permits,
//! marks a window, sends it, records it, and goes on. `Tick` (sweeper) finds whatever was left lying. The truth is in
//! the [`store`]; a message is only a pointer, and an activation looks at the store and goes on from there.
//!
//! # The map
//!
//! A module uses only what its arrow names; `tests/it/architecture.rs` holds it to that.
//!
//! ```text
//! chance        -> (nothing)
//! clock         -> (nothing)
//! direct        -> (nothing)
//! telemetry     -> (nothing)
//! cli           -> (nothing)
//! simulator     -> (nothing)
//! identity      -> chance, clock, direct
//! store         -> clock, identity
//! protocol      -> clock
//! channel       -> protocol
//! people        -> channel, clock, protocol, store
//! replies       -> channel, people
//! notifications -> clock, people, protocol, store
//! governor      -> clock, store
//! trust         -> clock, direct, protocol
//! connector     -> clock, direct, identity, notifications, people, protocol
//! delivery      -> chance, channel, clock, connector, governor, notifications, people, store
//! config        -> channel, identity, protocol, trust
//! app           -> chance, channel, clock, config, connector, delivery, governor, identity, people, protocol, store, trust
//! functions     -> app, channel, clock, connector, delivery, notifications, people, protocol, replies, store, trust
//! http          -> app, config, delivery, functions, protocol, trust
//! role          -> app, chance, clock, config, delivery, direct, functions, http, simulator, store, telemetry
//! ```
//!
//! What decides is pure: classification, the lifecycle of references, reachability, what an answer of Teams means,
//! the ledger's arithmetic, pace, the layout in Cosmos DB. What acts is thin. SQLite is named in `store::embedded` only,
//! Cosmos DB in `store::cosmos`, Entra identities in [`identity`], JSON Web Tokens in [`trust`] and `identity`, reqwest in [`direct`] and where requests are sent, axum at the HTTP edge and
//! in the simulated Teams.

pub mod app;
pub mod chance;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod delivery;
pub mod direct;
pub mod functions;
pub mod governor;
pub mod http;
pub mod identity;
pub mod notifications;
pub mod people;
pub mod protocol;
pub mod replies;
pub mod role;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod trust;
