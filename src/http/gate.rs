//! Who may use the operators' API in `serve`. In `host` the Functions host checks the key.

use subtle::ConstantTimeEq;
use tracing::warn;

use crate::config::Secret;
use crate::functions::{Answer, Request};
use crate::trust::Trust;

/// The gate before routes that take a key.
#[derive(Debug, Clone)]
pub enum Gate {
    /// Anybody: a loopback listener with auth off and no key set.
    Open,
    /// Whoever has the key, or a token that is as good.
    Key(Secret),
    /// No key is set: whoever has a token, if any is taken.
    Closed,
}

impl Gate {
    /// The refusal, when there is one. As in the Functions host the header wins over `?code=`; a key that was given
    /// counts, and only without one a token.
    pub async fn refuse(&self, request: &Request, trust: &Trust) -> Option<Answer> {
        let given = request.headers.get("x-functions-key").or_else(|| request.query.get("code"));
        let takes_tokens = trust.takes_operators();
        match self {
            Self::Open => None,
            Self::Key(_) | Self::Closed if given.is_none() && takes_tokens => {
                let refusal = trust.operator(&request.authorization).await.err()?;
                if let Some(others) = trust.worth_a_line() {
                    warn!(%refusal, others, "a call of the operators' API was refused");
                }
                Some(Answer::distrusted(&refusal))
            }
            Self::Key(key) => {
                let fits = given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(key.reveal().as_bytes())));
                (!fits).then(|| refused(trust, "expected the key in the header x-functions-key, or as ?code="))
            }
            Self::Closed if takes_tokens => Some(refused(trust, "no key is set here; expected a bearer token")),
            Self::Closed => Some(refused(trust, "no key is set here: HERALD_API_KEY opens the operators' API")),
        }
    }
}

fn refused(trust: &Trust, detail: &str) -> Answer {
    if let Some(others) = trust.worth_a_line() {
        warn!(others, "a call of the operators' API without the right key was refused");
    }
    Answer::problem(401, "Unauthorized", detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::trust::Policy;

    fn request(header: Option<&str>, code: Option<&str>) -> Request {
        Request {
            headers: header.map(|key| ("x-functions-key".to_owned(), key.to_owned())).into_iter().collect(),
            query: code.map(|key| ("code".to_owned(), key.to_owned())).into_iter().collect(),
            ..Request::default()
        }
    }

    #[tokio::test]
    async fn the_header_wins() {
        let trust = Trust::new(Policy::default(), Arc::new(SystemClock)).expect("a client");
        let gate = Gate::Key(Secret::new("right".into()));
        assert!(gate.refuse(&request(Some("right"), None), &trust).await.is_none());
        assert!(gate.refuse(&request(None, Some("right")), &trust).await.is_none());
        for (header, code) in [(Some("wrong"), Some("right")), (Some("righ"), None), (Some(""), None), (None, None)] {
            let answer = gate.refuse(&request(header, code), &trust).await.map(|answer| answer.status);
            assert_eq!(answer, Some(401), "{header:?} {code:?}");
        }
        assert!(Gate::Open.refuse(&request(None, None), &trust).await.is_none());
        assert!(Gate::Closed.refuse(&request(Some("right"), None), &trust).await.is_some());
    }
}
