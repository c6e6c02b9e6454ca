//! A request as functions see it, and their answer, whatever carries the two.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use tracing::{debug, error};

use crate::store;
use crate::trust::{NoBearer, Refusal};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// The values of all `Authorization` headers.
    pub authorization: Vec<String>,
    /// The route's `{id?}`.
    pub id: Option<String>,
    /// The last of repeated keys.
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Absent where the host passed none on.
    pub body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Content type and others.
    pub headers: Vec<(&'static str, String)>,
    /// Text in UTF-8; may be empty.
    pub body: String,
}

impl Answer {
    /// No body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// A JSON body.
    #[must_use]
    pub fn json<T: Serialize>(status: u16, value: &T) -> Self {
        // Our own views always have a JSON form.
        let body = serde_json::to_string(value).unwrap_or_default();
        Self { status, headers: vec![("Content-Type", "application/json".into())], body }
    }

    /// A problem document (RFC 9457).
    #[must_use]
    pub fn problem(status: u16, title: &str, detail: &str) -> Self {
        Self::problem_of(json!({"type": "about:blank", "title": title, "status": status, "detail": detail}), status)
    }

    /// A problem document that names a field.
    #[must_use]
    pub fn field_problem(status: u16, title: &str, field: &str, detail: &str) -> Self {
        let problem =
            json!({"type": "about:blank", "title": title, "status": status, "detail": detail, "field": field});
        Self::problem_of(problem, status)
    }

    #[expect(clippy::needless_pass_by_value, reason = "made for the call")]
    fn problem_of(problem: Value, status: u16) -> Self {
        Self { status, headers: vec![("Content-Type", "application/problem+json".into())], body: problem.to_string() }
    }

    /// With a header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The store did not answer. The log says what was wrong; the caller learns whether to come back.
    #[must_use]
    pub fn store_failed(failure: &store::Error) -> Self {
        match failure {
            store::Error::BadContinuation => debug!("a caller's continuation is none of ours"),
            store::Error::Conflict
            | store::Error::Throttled { .. }
            | store::Error::Unavailable(_)
            | store::Error::Corrupt(_)
            | store::Error::Refused(_) => error!(error = %failure, "a request failed at the store"),
        }
        match failure {
            store::Error::BadContinuation => {
                Self::field_problem(400, "Bad request", "continuation", "expected a continuation from an earlier page")
            }
            store::Error::Corrupt(_) | store::Error::Refused(_) => {
                Self::problem(500, "Internal error", "It is in the log.")
            }
            store::Error::Conflict | store::Error::Unavailable(_) => Self::unavailable(2),
            store::Error::Throttled { retry_after } => Self::unavailable(retry_after.as_secs().max(1)),
        }
    }

    /// Not believed. The caller hears which kind of thing is wrong, as RFC 6750 has it; the log has the rest.
    #[must_use]
    pub fn distrusted(refusal: &Refusal) -> Self {
        let (challenge, detail) = match refusal {
            Refusal::NoToken(reason @ NoBearer::Missing) => ("Bearer", reason.to_string()),
            Refusal::NoToken(reason) => ("Bearer error=\"invalid_request\"", reason.to_string()),
            Refusal::Untrusted(reason) => {
                ("Bearer error=\"invalid_token\"", format!("the token is not accepted: {reason}"))
            }
            Refusal::NotYet { retry_after } => return Self::unavailable(retry_after.as_secs().max(1)),
        };
        Self::problem(401, "Unauthorized", &detail).with("WWW-Authenticate", challenge)
    }

    /// Not now.
    #[must_use]
    pub fn unavailable(seconds: u64) -> Self {
        let problem = Self::problem(503, "Unavailable", "Herald cannot answer at the moment; try again soon.");
        problem.with("Retry-After", seconds.to_string())
    }
}
