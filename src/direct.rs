//! HTTP clients that go where they are told and nowhere else: no proxy that the environment names, which would read
//! along, and no redirect, which would take a token or a secret along.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;

const CONNECT: Duration = Duration::from_secs(5);

/// A client whose answers take at most so long.
///
/// # Errors
/// When the TLS roots of the system cannot be read.
#[expect(clippy::disallowed_methods, reason = "the room of the client")]
pub fn client(answer: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(answer)
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}

/// What is at the bottom of an error, such as "connection refused": the layers above only say that something failed.
#[must_use]
pub fn root(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
