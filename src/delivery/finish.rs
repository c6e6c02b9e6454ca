//! Whether every tenant of a notification is finished, without reading all of their plans whenever one of them is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Plan;
use super::ledger::{Held, Ledger, PLAN, held};
use crate::store::{Collection, Continuation, Error, Partition, Query};

/// How many plans are read at once.
const PAGE: usize = 50;

/// How far the plans of running notifications are known to be finished, each in the order in which they are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Finished(Arc<Mutex<HashMap<String, Continuation>>>);

impl Finished {
    fn hold(&self) -> MutexGuard<'_, HashMap<String, Continuation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, id: &str) {
        self.hold().remove(id);
    }
}

impl Ledger {
    /// False when a plan of a notification is known not to be finished, once all are laid out. What is finished stays
    /// so: a look begins where the one before stopped, and all of them together read each plan about once. True says
    /// only that it is worth reading them all.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn may_be_finished(&self, id: &str) -> Result<bool, Error> {
        let query =
            Query::Under { collection: Collection::Deliveries, partition: Partition::new([id]), tag: Some(PLAN) };
        loop {
            let after = self.finished.hold().get(id).cloned();
            let page = match self.store().page(&query, after.as_ref(), PAGE).await {
                Err(Error::BadContinuation) => {
                    self.finished.forget(id);
                    return Ok(true);
                }
                page => page?,
            };
            let next = page.next.clone();
            let plans: Vec<Held<Plan>> = held(page)?;
            if plans.iter().any(|plan| !plan.value.is_finished()) {
                return Ok(false);
            }
            let Some(next) = next else { return Ok(true) };
            self.finished.hold().insert(id.to_owned(), next);
        }
    }
}
