//! Whatever the headers are, a token is one that a JWT library may look at.
#![no_main]

use herald::trust::{MAX_TOKEN, bearer};
use libfuzzer_sys::fuzz_target;

// A line for each header.
fuzz_target!(|text: &str| {
    let values: Vec<_> = text.split('\n').collect();
    let Ok(token) = bearer(values.iter().copied()) else { return };
    assert!(values.len() == 1 && token.len() <= MAX_TOKEN);
    assert_eq!(token.split('.').filter(|part| !part.is_empty()).count(), 3);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
});
