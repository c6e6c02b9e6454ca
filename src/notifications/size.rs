//! How large a message is for Teams, which counts UTF-16.
//!
//! Sources disagree: 28 KB on the older page, about 100 KB in msteams-docs `agent-message-size-limit` (the newest).
//! So more than 28 KB is warned of and more than 80 KB refused.

use super::Content;

/// Over this many bytes the sender is warned.
pub const WARN_OVER: usize = 28 * 1024;
/// Over this many bytes the notification is refused.
pub const REFUSE_OVER: usize = 80 * 1024;

/// What Teams will make of a message's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It fits.
    Fits,
    /// It may be refused; its bytes.
    Large(usize),
    /// It would be refused; its bytes.
    TooLarge(usize),
}

/// Weighs text, summary and card as UTF-16.
#[must_use]
pub fn weigh(content: &Content) -> Verdict {
    let texts = content.text.iter().chain(&content.summary).map(|text| utf16(text)).sum::<usize>();
    let card = content.card.as_ref().map_or(0, |card| utf16(&card.to_string()));
    match texts + card {
        bytes if bytes > REFUSE_OVER => Verdict::TooLarge(bytes),
        bytes if bytes > WARN_OVER => Verdict::Large(bytes),
        _ => Verdict::Fits,
    }
}

fn utf16(text: &str) -> usize {
    2 * text.encode_utf16().count()
}
