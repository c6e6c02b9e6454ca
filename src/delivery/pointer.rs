//! What a queue message says: which document to look at. The truth is in the store.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Points to a notification, or to one of its batches.
///
/// The names are chosen so that the Functions host, which copies top-level properties of a message into its metadata,
/// overwrites nothing of its own with them (functions-host.md §2, "property leakage").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The notification's id.
    pub notification: String,
    /// Where there is something to do, when that is known; none: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `<tenant>:<batch>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// A message that points to nothing: it fails, and ends as poison for somebody to look at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the queue message is not a pointer: {0}")]
pub struct BadPointer(pub String);

impl Pointer {
    /// Points to a notification.
    #[must_use]
    pub fn to_notification(id: &str) -> Self {
        Self { notification: id.to_owned(), tenant: None, batch: None }
    }

    /// Points to one tenant of a notification.
    #[must_use]
    pub fn to_tenant(id: &str, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..Self::to_notification(id) }
    }

    /// Points to a batch.
    #[must_use]
    pub fn to_batch(id: &str, tenant: &str, batch: &str) -> Self {
        Self { batch: Some(format!("{tenant}:{batch}")), ..Self::to_notification(id) }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`BadPointer`].
    pub fn read(text: &str) -> Result<Self, BadPointer> {
        serde_json::from_str(text).map_err(|error| BadPointer(error.to_string()))
    }

    /// The message's text.
    #[must_use]
    pub fn text(&self) -> String {
        // A struct of two texts always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The tenant and the batch, where it points to one of ours.
    #[must_use]
    pub fn to(&self) -> Option<(&str, &str)> {
        self.batch.as_deref()?.rsplit_once(':')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_points_to_what_it_was_made_for() {
        let pointer = Pointer::to_batch("build-12", "tenant:with:colons", "00000001");
        let read = Pointer::read(&pointer.text()).expect("a pointer");
        assert_eq!(read.to(), Some(("tenant:with:colons", "00000001")));
        assert_eq!(Pointer::read(r#"{"notification":"x","later":1}"#), Ok(Pointer::to_notification("x")));
        assert!(Pointer::read("hello").is_err());
        assert!(Pointer::read(r#"{"batch":"1"}"#).is_err());
    }
}
