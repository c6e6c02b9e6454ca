//! One call to Cosmos DB: its options, its deadline, what it cost, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::diagnostics::DiagnosticsContext;
use azure_data_cosmos::feed::QueryFeedPage;
use azure_data_cosmos::models::{BatchResponse, ItemResponse};
use azure_data_cosmos::options::{EndToEndOperationLatencyPolicy, OperationOptions, ReadConsistencyStrategy};
use azure_data_cosmos::{CosmosError, Result as CosmosResult};
use tracing::debug;

use super::failure::{self, Answer};
use crate::identity::NO_TOKEN;
use crate::store::Error;
use crate::store::budget::{self, Units};

/// How long a call may take, its retries included, where nobody asks for less: long enough to sit out a short absence
/// or a wave of 429s, and well within a lease.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much later than asked the SDK may notice.
const SLACK: Duration = Duration::from_millis(250);

/// How new what is read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// This process's own writes are in it: one request unit per KB.
    Session,
    /// Everybody's writes in the region are in it: a quorum read, twice the price.
    Latest,
}

/// What was left of the caller's time.
pub(super) fn patience() -> Duration {
    budget::left(PATIENCE)
}

/// The options of a call that begins now.
pub(super) fn operation(freshness: Freshness) -> OperationOptions {
    let mut options = OperationOptions::default();
    options.read_consistency_strategy = Some(match freshness {
        Freshness::Session => ReadConsistencyStrategy::Session,
        Freshness::Latest => ReadConsistencyStrategy::LatestCommitted,
    });
    options.end_to_end_latency_policy = Some(EndToEndOperationLatencyPolicy::new(patience()));
    options
}

/// Whether a request went out before a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The SDK failed by itself.
    Nobody,
    /// It may have.
    Service,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Told {
    /// The service, or the SDK in its place, said no; and whether the service was asked at all.
    Answer(Answer, Asked),
    /// The caller's time is over.
    Late,
}

impl Told {
    /// True when the SDK could make nothing of a continuation: it says so with codes of its own, and some as if it
    /// were the service's fault (`status_codes.rs` of `azure_data_cosmos_driver`).
    pub(super) fn blames_the_token(&self) -> bool {
        match self {
            Self::Answer(answer, asked) => {
                // 20020 also stands for an answer that was cut off.
                let unread = answer.sub_status == 20020 && *asked == Asked::Nobody;
                unread || answer.status == 400 || (20200..20300).contains(&answer.sub_status)
            }
            Self::Late => false,
        }
    }

    pub(super) fn of(error: &CosmosError) -> Self {
        let status = error.status();
        let ran_out = status.is_timeout() && was_throttled(error);
        let went_out = error.diagnostics().is_some_and(|report| report.request_count() > 0);
        let answer = Answer {
            // Whoever waited in vain for the end of 429s hears of them, and not of the clock.
            status: if ran_out { 429 } else { u16::from(status.status_code()) },
            sub_status: status.sub_status().map(|code| code.value()).unwrap_or_default(),
            retry_after: error
                .response()
                .and_then(|response| response.headers().retry_after_ms)
                .map(std::time::Duration::from_millis),
            text: shown(error),
        };
        Self::Answer(answer, if went_out { Asked::Service } else { Asked::Nobody })
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        match told {
            Told::Answer(answer, _) => failure::failure(answer),
            Told::Late => Self::Unavailable("Cosmos DB did not answer in time".into()),
        }
    }
}

fn was_throttled(error: &CosmosError) -> bool {
    let report = error.diagnostics();
    report.is_some_and(|report| report.requests().iter().any(|request| request.status().is_throttled()))
}

/// What the SDK says, in one line: the rest is a report of every attempt. Of a token that is missing only what the
/// identity itself says, which is what to do.
fn shown(error: &CosmosError) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let text: String = error.to_string().lines().next().unwrap_or_default().chars().take(400).collect();
        if text.contains(NO_TOKEN) {
            texts.clear();
        }
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ")
}

/// Answers that say what they cost.
pub(super) trait Billed {
    /// The SDK's report, where there is one.
    fn report(&self) -> Option<Arc<DiagnosticsContext>>;
}

impl Billed for ItemResponse {
    fn report(&self) -> Option<Arc<DiagnosticsContext>> {
        Some(self.diagnostics())
    }
}

impl Billed for BatchResponse {
    fn report(&self) -> Option<Arc<DiagnosticsContext>> {
        Some(self.diagnostics())
    }
}

impl<T> Billed for Option<QueryFeedPage<T>> {
    fn report(&self) -> Option<Arc<DiagnosticsContext>> {
        self.as_ref().map(QueryFeedPage::diagnostics)
    }
}

/// Waits for a call no longer than its caller does; notes its charge, and says in the debug log what it was.
pub(super) async fn call<T: Billed>(
    container: &'static str,
    what: &'static str,
    work: impl Future<Output = CosmosResult<T>>,
) -> Result<T, Told> {
    let patience = patience();
    if patience.is_zero() {
        return Err(Told::Late);
    }
    // The SDK keeps to its own deadline, which is at least a second.
    let Ok(done) = tokio::time::timeout(patience + SLACK, work).await else {
        debug!(container, what, "Cosmos DB did not answer in time");
        return Err(Told::Late);
    };
    let (report, status) = match &done {
        Ok(answer) => (answer.report(), "ok".to_owned()),
        Err(error) => (error.diagnostics(), format!("{:?}", error.status())),
    };
    if let Some(report) = report {
        let charge = report.total_request_charge().value();
        budget::charge(Units::of(charge));
        let requests = report.request_count();
        debug!(container, what, charge, activity = %report.activity_id().as_str(), requests, status, "Cosmos DB");
    }
    done.map_err(|error| Told::of(&error))
}
