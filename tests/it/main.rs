//! All integration tests in one binary: they need nothing but this machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    clippy::needless_pass_by_value,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

mod architecture;
mod channels;
mod cli;
mod closing;
mod cosmos;
#[path = "../cosmos/emulator.rs"]
mod cosmos_emulator;
mod delivery;
mod faults;
mod host;
mod house;
mod kill;
mod lifecycle;
mod listening;
mod messages;
mod notifications;
mod open_chat;
mod scenarios;
mod store_contract;
mod stored_shapes;
mod support;
mod tokens;
mod trust;
