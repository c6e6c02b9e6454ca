//! Continuations: where a page ended, and of which query. Pure.
//!
//! A cursor is kept in plans for as long as a notification runs, so it is our own wherever the order allows it: the last
//! value of a property that no two documents share. It outlives the SDK, whose token belongs to its version and to the
//! container's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::{Continuation, Error};

/// Safe in a URL.
pub(super) fn encode(place: &str, mark: &str) -> Continuation {
    Continuation(URL_SAFE_NO_PAD.encode(serde_json::json!([mark, place]).to_string()))
}

/// Where the page ended.
///
/// # Errors
/// [`Error::BadContinuation`] when it is none, or of another query.
pub(super) fn decode(continuation: &Continuation, mark: &str) -> Result<String, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(&continuation.0).map_err(|_| Error::BadContinuation)?;
    let (of, place): (String, String) = serde_json::from_slice(&bytes).map_err(|_| Error::BadContinuation)?;
    if of == mark { Ok(place) } else { Err(Error::BadContinuation) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_fits_its_own_query_only() {
        let cursor = encode("u:29:x", "people/b|t/person");
        assert!(cursor.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(decode(&cursor, "people/b|t/person"), Ok("u:29:x".to_owned()));
        assert_eq!(decode(&cursor, "people/b|t2/person"), Err(Error::BadContinuation));
        for text in ["", "x", "bm9uc2Vuc2U", "W10"] {
            assert_eq!(decode(&Continuation(text.into()), "m"), Err(Error::BadContinuation), "{text}");
        }
    }
}
