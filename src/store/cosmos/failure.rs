//! What an answer of Cosmos DB means to a caller. Pure, and the only place that reads a status code.

use std::time::Duration;

use crate::store::Error;

/// What is known of an operation that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The HTTP status, also of failures that the SDK made up itself (408: out of time, 503: no connection).
    pub(super) status: u16,
    /// The service's finer word, 0 without one.
    pub(super) sub_status: u16,
    /// `x-ms-retry-after-ms`.
    pub(super) retry_after: Option<Duration>,
    /// For the log. Never a document's content.
    pub(super) text: String,
}

/// "Owner resource does not exist": the database or container, not the document.
const NO_OWNER: u16 = 1003;
/// A session's writes are not there yet.
const NOT_YET: u16 = 1002;
/// The SDK could not get a token.
const NO_TOKEN: u16 = 20402;
/// Where the service does not say how long.
const A_MOMENT: Duration = Duration::from_secs(1);

/// What to do about it. Of a document that is not there, see [`is_absent`] first.
pub(super) fn failure(answer: Answer) -> Error {
    let Answer { status, sub_status, retry_after, text } = answer;
    match (status, sub_status) {
        (429, _) => Error::Throttled { retry_after: retry_after.unwrap_or(A_MOMENT) },
        (404, NO_OWNER) => {
            Error::Unavailable(format!("Cosmos DB has no such database or container: run `herald store init` ({text})"))
        }
        (404, NOT_YET) => Error::Unavailable(format!("the replica is behind ({text})")),
        // Taken; changed since; and on a conditional write, gone.
        (404 | 409 | 412, _) => Error::Conflict,
        (401, NO_TOKEN) => Error::Unavailable(text),
        (401, _) => Error::Unavailable(format!(
            "Cosmos DB refuses the key or token: check COSMOS_KEY or COSMOS_IDENTITY, and the clock ({text})"
        )),
        (403, _) => Error::Unavailable(format!(
            "Cosmos DB forbids it: an identity needs the role \"Cosmos DB Built-in Data Contributor\" on the account, a \
             key must not be for reading only, and the firewall must let Herald in ({text})"
        )),
        (413, _) => Error::Refused(format!("the document is larger than Cosmos DB takes, 2 MB ({text})")),
        (400, _) => Error::Refused(text),
        _ => Error::Unavailable(format!("Cosmos DB: {text}")),
    }
}

/// True when the document is not there, rather than what should hold it.
pub(super) fn is_absent(answer: &Answer) -> bool {
    answer.status == 404 && answer.sub_status != NO_OWNER && answer.sub_status != NOT_YET
}

/// What a transactional batch says of itself: it answers 207, a success, when it failed. One of its operations says
/// why, the others 424 ("failed dependency"). `results`: status, sub-status, and how long to wait. An answer without
/// one for each of the writes is none.
///
/// # Errors
/// Why nothing was changed, or that it is not known.
pub(super) fn batch(results: &[(u16, u16, Option<Duration>)], writes: usize) -> Result<(), Error> {
    let is_failure = |status: u16| !(200..300).contains(&status);
    let because = results.iter().filter(|(status, ..)| is_failure(*status)).min_by_key(|(status, ..)| *status == 424);
    match because {
        None if results.len() == writes => Ok(()),
        None => Err(Error::Unavailable("Cosmos DB answered a transaction in part".into())),
        Some((status, sub_status, retry_after)) => {
            let text = "in a transaction".to_owned();
            Err(failure(Answer { status: *status, sub_status: *sub_status, retry_after: *retry_after, text }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, sub_status: u16, retry_after: Option<Duration>) -> Error {
        failure(Answer { status, sub_status, retry_after, text: "?".into() })
    }

    #[test]
    fn a_caller_learns_what_to_do_and_no_status_code() {
        let wait = Duration::from_millis(340);
        for status in [409, 412, 404] {
            assert_eq!(told(status, 0, None), Error::Conflict, "{status}");
        }
        assert_eq!(told(429, 3200, Some(wait)), Error::Throttled { retry_after: wait });
        assert_eq!(told(429, 0, None), Error::Throttled { retry_after: Duration::from_secs(1) });
        for status in [408, 410, 449, 500, 502, 503, 401, 403] {
            assert!(matches!(told(status, 0, None), Error::Unavailable(_)), "{status}");
        }
        for status in [400, 413] {
            assert!(matches!(told(status, 0, None), Error::Refused(_)), "{status}");
        }
    }

    #[test]
    fn who_can_mend_it_is_told_how() {
        for (status, sub_status, word) in [
            (404, 1003, "store init"),
            (401, 0, "COSMOS_KEY"),
            (403, 0, "Built-in Data Contributor"),
            (401, 20402, "?"),
        ] {
            let shown = told(status, sub_status, None).to_string();
            assert!(shown.contains(word), "{shown}");
        }
    }

    #[test]
    fn a_missing_container_is_not_a_missing_document() {
        let answer = |sub_status| Answer { status: 404, sub_status, retry_after: None, text: String::new() };
        assert!(is_absent(&answer(0)) && !is_absent(&answer(1003)) && !is_absent(&answer(1002)));
    }

    #[test]
    fn a_batch_that_failed_fails_though_it_answers_207() {
        let wait = Some(Duration::from_millis(9));
        let batch = |results: &[_]| batch(results, results.len());
        assert_eq!(batch(&[(201, 0, None), (200, 0, None)]), Ok(()));
        for short in [&[][..], &[(201, 0, None)]] {
            assert!(matches!(super::batch(short, 2), Err(Error::Unavailable(_))), "nothing is said of some");
        }
        assert_eq!(batch(&[(424, 0, None), (412, 0, None)]), Err(Error::Conflict));
        assert_eq!(batch(&[(409, 0, None), (424, 0, None)]), Err(Error::Conflict));
        assert_eq!(batch(&[(424, 0, None), (429, 3200, wait)]), Err(told(429, 3200, wait)));
        assert!(matches!(batch(&[(424, 0, None)]), Err(Error::Unavailable(_))));
    }
}
