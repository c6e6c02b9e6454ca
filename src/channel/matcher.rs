//! `HERALD_TEAMS_COPILOT_MATCH`: what tells the Copilot window in Teams from Microsoft 365 Copilot.
//!
//! No documented field does, so the operator says which one does in their tenant.

use serde_json::Value;
use thiserror::Error;

/// A matcher that is not written `<JSON pointer>=<value>`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected <JSON pointer>=<value>, such as /channelData/source/name=copilotInTeams")]
pub struct BadMatcher;

/// A place in the activity and the value it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    pointer: String,
    value: String,
}

impl Matcher {
    /// Reads `<JSON pointer>=<value>`.
    ///
    /// # Errors
    /// [`BadMatcher`].
    pub fn parse(text: &str) -> Result<Self, BadMatcher> {
        let (pointer, value) = text.split_once('=').ok_or(BadMatcher)?;
        if !pointer.starts_with('/') || value.is_empty() {
            return Err(BadMatcher);
        }
        Ok(Self { pointer: pointer.to_owned(), value: value.to_owned() })
    }

    /// True when the activity has that value there. Text is compared without regard to case; numbers and booleans as written.
    #[must_use]
    pub fn matches(&self, activity: &Value) -> bool {
        match activity.pointer(&self.pointer) {
            Some(Value::String(text)) => text.eq_ignore_ascii_case(&self.value),
            Some(Value::Number(number)) => number.to_string() == self.value,
            Some(Value::Bool(flag)) => self.value == if *flag { "true" } else { "false" },
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn compares_one_place_with_one_value() {
        let matcher = Matcher::parse("/entities/0/platform=Web=1").expect("a matcher");
        assert!(matcher.matches(&json!({"entities":[{"platform":"web=1"}]})));
        assert!(!matcher.matches(&json!({"entities":[]})));
        assert!(Matcher::parse("/a=true").expect("a matcher").matches(&json!({"a":true})));
        assert!(!Matcher::parse("/a=null").expect("a matcher").matches(&json!({"a":null})));
        for bad in ["", "platform=Web", "/a", "/a="] {
            assert_eq!(Matcher::parse(bad), Err(BadMatcher), "{bad}");
        }
    }
}
