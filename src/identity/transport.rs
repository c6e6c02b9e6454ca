//! How tokens are asked for: directly, as everything else of Herald goes. A proxy that the environment names would read
//! along what a managed identity is asked with, and could invent the answer; and no redirect is followed with a secret.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{ClientOptions, Transport};
use reqwest::redirect::Policy;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(8);

/// The client.
///
/// # Errors
/// When the TLS roots of the system cannot be read.
#[expect(clippy::disallowed_methods, reason = "the room of the client")]
pub(super) fn client() -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT).timeout(ANSWER).redirect(Policy::none());
    builder.no_proxy().build().map_err(|error| error.to_string())
}

/// The SDK's options with this client.
///
/// # Errors
/// As [`client`].
pub(super) fn direct() -> Result<ClientOptions, String> {
    Ok(ClientOptions { transport: Some(Transport::new(Arc::new(client()?))), ..Default::default() })
}
