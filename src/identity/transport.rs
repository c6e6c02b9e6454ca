//! How tokens are asked for: directly, as everything else of Herald goes. A proxy that the environment names would read
//! along what a managed identity is asked with, and could invent the answer; and no redirect is followed with a secret.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, Transport};

const ANSWER: Duration = Duration::from_secs(8);

/// The client.
///
/// # Errors
/// As [`crate::direct::client`].
pub(super) fn client() -> Result<reqwest::Client, String> {
    crate::direct::client(ANSWER)
}

/// The SDK's options with this client.
///
/// # Errors
/// As [`client`].
pub(super) fn direct() -> Result<ClientOptions, String> {
    Ok(ClientOptions { transport: Some(Transport::new(Arc::new(client()?))), ..Default::default() })
}
