//! What a simulated Teams allows, enforced strictly. Pure: the time is an argument.
//!
//! Source: rate-limit.md (2026-10-08): 50 requests a second for one app in one tenant; for one bot in one conversation
//! 7 in 1 s, 8 in 2 s, 60 in 30 s, 1800 in 3600 s.

use std::collections::{HashMap, VecDeque};

/// How many messages one conversation takes, and in how many microseconds.
const CHAT: [(usize, i64); 4] = [(7, 1_000_000), (8, 2_000_000), (60, 30_000_000), (1800, 3_600_000_000)];
const SECOND: i64 = 1_000_000;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// The tenant had as many in the last second as it may have.
    Tenant,
    /// The conversation had as many as it may have.
    Chat,
}

/// What was taken lately.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    tenants: HashMap<String, VecDeque<i64>>,
    chats: HashMap<String, VecDeque<i64>>,
}

impl Traffic {
    /// Takes a message at an instant (in microseconds of any beginning), unless it is too much. What is refused does not
    /// count.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn admit(&mut self, now: i64, tenant: &str, chat: &str, allowed: usize) -> Result<(), TooMuch> {
        let of_tenant = self.tenants.entry(tenant.to_owned()).or_default();
        of_tenant.retain(|at| *at > now - SECOND);
        if of_tenant.len() >= allowed {
            return Err(TooMuch::Tenant);
        }
        let of_chat = self.chats.entry(chat.to_owned()).or_default();
        of_chat.retain(|at| *at > now - CHAT[3].1);
        let within = |micros: i64| of_chat.iter().filter(|at| **at > now - micros).count();
        if CHAT.iter().any(|(most, micros)| within(*micros) >= *most) {
            return Err(TooMuch::Chat);
        }
        of_chat.push_back(now);
        of_tenant.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_than_is_allowed() {
        let mut traffic = Traffic::default();
        let mut at = |now, chat: &str| traffic.admit(now, "t", chat, 3);
        assert_eq!((at(0, "a"), at(1, "b"), at(900_000, "c")), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(999_999, "d"), Err(TooMuch::Tenant));
        assert_eq!((at(1_000_000, "d"), at(1_000_000, "e")), (Ok(()), Err(TooMuch::Tenant)));
    }

    #[test]
    fn a_chat_takes_seven_at_once_and_sixty_in_half_a_minute() {
        let mut traffic = Traffic::default();
        let taken = (0..8).filter(|_| traffic.admit(0, "t", "a", 50).is_ok()).count();
        assert_eq!((taken, traffic.admit(0, "t", "a", 50)), (7, Err(TooMuch::Chat)));
        let later = (0..1000).filter(|step| traffic.admit(2_000_000 + step * 27_000, "t", "a", 50).is_ok()).count();
        assert_eq!(later, 53);
    }
}
