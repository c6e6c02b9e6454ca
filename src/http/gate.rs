//! Who may use the operators' API in `serve`. In `host` the Functions host checks the key.

use subtle::ConstantTimeEq;

use crate::config::Secret;
use crate::functions::{Answer, Request};

/// The gate before routes that take a key.
#[derive(Debug, Clone)]
pub enum Gate {
    /// Anybody: a loopback listener with auth off and no key set.
    Open,
    /// Whoever has the key.
    Key(Secret),
}

impl Gate {
    /// The refusal, when there is one. As in the Functions host the header wins over `?code=`.
    #[must_use]
    pub fn refuse(&self, request: &Request) -> Option<Answer> {
        let Self::Key(key) = self else { return None };
        let given = request.headers.get("x-functions-key").or_else(|| request.query.get("code"));
        let fits = given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(key.reveal().as_bytes())));
        let detail = "expected the key in the header x-functions-key, or as ?code=";
        (!fits).then(|| Answer::problem(401, "Unauthorized", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_wins() {
        let gate = Gate::Key(Secret::new("right".into()));
        let request = |header: Option<&str>, code: Option<&str>| Request {
            headers: header.map(|key| ("x-functions-key".to_owned(), key.to_owned())).into_iter().collect(),
            query: code.map(|key| ("code".to_owned(), key.to_owned())).into_iter().collect(),
            ..Request::default()
        };
        assert!(gate.refuse(&request(Some("right"), None)).is_none());
        assert!(gate.refuse(&request(None, Some("right"))).is_none());
        assert!(gate.refuse(&request(Some("wrong"), Some("right"))).is_some());
        assert!(gate.refuse(&request(Some("righ"), None)).is_some());
        assert!(gate.refuse(&request(None, None)).is_some());
        assert!(Gate::Open.refuse(&request(None, None)).is_none());
    }
}
