//! What is printed for people and scripts.

use std::io::{Write, stdout};

/// Prints lines to stdout. Whoever closed the other end of a pipe has read enough: that is no failure.
pub fn print(text: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
