//! Tokens whose signature was checked already, since Teams repeats one for about an hour. Bounded, and filled only by
//! those who can sign: a stranger's tokens never get here.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Authentic, Claims};
use crate::clock::Timestamp;

/// So many at most, of 16 KiB at most.
const MOST: usize = 512;

/// The tokens, whole: what differs in one byte is another token.
#[derive(Debug, Default)]
pub(super) struct Remembered(HashMap<String, Arc<Authentic>>);

impl Remembered {
    /// What a token said, if its signature was checked before.
    pub(super) fn recall(&self, token: &str) -> Option<Arc<Authentic>> {
        self.0.get(token).cloned()
    }

    /// Remembers a token until it is over; the one that is over first makes room.
    pub(super) fn remember(&mut self, token: &str, authentic: Arc<Authentic>, now: Timestamp) {
        if self.0.len() >= MOST {
            self.0.retain(|_, known| !known.claims.is_over(now));
        }
        if self.0.len() >= MOST {
            let ends = |claims: &Claims| claims.exp;
            let first = self.0.iter().min_by(|one, other| ends(&one.1.claims).total_cmp(&ends(&other.1.claims)));
            if let Some(token) = first.map(|(token, _)| token.clone()) {
                self.0.remove(&token);
            }
        }
        self.0.insert(token.to_owned(), authentic);
    }

    /// Forgets a token.
    pub(super) fn forget(&mut self, token: &str) {
        self.0.remove(token);
    }
}
