//! Ids and partitions as Cosmos DB takes them. Pure.
//!
//! An id may not contain `/ \ ? #` and travels in a URL, so everything but letters, digits, `-` and `_` is written as
//! `~` and two hex digits. A partition key value is any text up to 2 KiB; levels that share a value are joined with
//! `|`, and only what would be ambiguous there is escaped, so that people can read it.

/// An id as stored.
pub(super) fn id(text: &str) -> String {
    if text.is_empty() {
        // An id cannot be empty.
        return "~".to_owned();
    }
    escape(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The id that is stored as `text`.
pub(super) fn id_of(text: &str) -> Option<String> {
    match text {
        "" => None,
        "~" => Some(String::new()),
        other => unescape(other),
    }
}

/// Levels as one partition key value.
pub(super) fn join(levels: &[String]) -> String {
    levels.iter().map(|level| escape(level, is_plain)).collect::<Vec<_>>().join("|")
}

/// How every value begins whose first levels are these and which has more of them.
pub(super) fn beginning(levels: &[String]) -> String {
    let mut text = join(levels);
    text.push('|');
    text
}

/// The levels that are stored as `text`.
pub(super) fn levels_of(text: &str) -> Option<Vec<String>> {
    text.split('|').map(unescape).collect()
}

/// Beyond ASCII everything stays: a letter of several bytes is never cut.
fn is_plain(byte: u8) -> bool {
    !byte.is_ascii_control() && !matches!(byte, b'~' | b'|' | b'"' | b'\\')
}

fn escape(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            escaped.push(byte);
        } else {
            escaped.extend(format!("~{byte:02X}").bytes());
        }
    }
    // What stays is whole letters, so this is text again.
    String::from_utf8_lossy(&escaped).into_owned()
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_see_stays_readable() {
        let levels = ["28:bot".to_owned(), "19:x@thread.v2;messageid=1".to_owned()];
        assert_eq!(join(&levels), "28:bot|19:x@thread.v2;messageid=1");
        assert_eq!(id("00000001"), "00000001");
        assert_eq!(id("a/b"), "a~2Fb");
    }

    #[test]
    fn a_level_does_not_reach_into_its_neighbour() {
        let text = |levels: &[&str]| join(&levels.iter().map(|level| (*level).to_owned()).collect::<Vec<_>>());
        let begins = beginning(&["bot".to_owned()]);
        assert!(text(&["bot", "t"]).starts_with(&begins));
        assert!(!text(&["bot2", "t"]).starts_with(&begins) && !text(&["bot|t", "t"]).starts_with(&begins));
    }

    #[test]
    fn what_is_no_name_of_ours_is_not_read_as_one() {
        for text in ["a~", "a~2", "a~ZZ", "~FF", "~é"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trips_whatever_an_id_contains(text in any::<String>(), more in any::<String>()) {
            prop_assert_eq!(id_of(&id(&text)), Some(text.clone()));
            prop_assert!(id(&text).bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte)));
            let levels = vec![text, more];
            prop_assert_eq!(levels_of(&join(&levels)), Some(levels));
        }
    }
}
