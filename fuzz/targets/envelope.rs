//! Whatever the Functions host sends, each function makes a request, an invocation or a failure of it.
#![no_main]

use herald::functions::envelope::{Asked, decode};
use herald::functions::{Function, Trigger};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for function in Function::ALL {
        match (decode(function, body), function.trigger()) {
            (Ok(Asked::Http(request)), Trigger::Http { .. }) => {
                assert_eq!(request.method, request.method.to_ascii_uppercase());
                assert_ne!(request.id.as_deref(), Some(""));
            }
            (Ok(Asked::Other(_)), Trigger::Queue(_) | Trigger::Timer) | (Err(_), _) => {}
            (Ok(asked), _) => panic!("{} makes {asked:?} of it", function.name()),
        }
    }
});
