//! Whether somebody is sent a message, by what is known at this moment.

use tracing::warn;

use super::Delivery;
use crate::people::{Opening, Person, Reference, Skip, judge, opening};
use crate::store::Error;

/// What becomes of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message goes there.
    Send(Reference),
    /// Their Teams chat is opened first.
    Open(Opening),
    /// Nothing, for this reason.
    Skip(Skip),
}

impl Delivery {
    /// Judges persons by what is stored of them.
    pub(super) fn first_judge(&self, people: &[Person]) -> Vec<Verdict> {
        let rules = self.reach.at(self.clock.now());
        let verdict = |person: &Person| match judge(person, &rules) {
            Ok(reference) => Verdict::Send(reference.clone()),
            Err(reason) => opening(person, &rules).map_or(Verdict::Skip(reason), Verdict::Open),
        };
        people.iter().map(verdict).collect()
    }

    /// Judges persons, their conversations' tombstones included: what is known at this moment.
    pub(super) async fn judge(&self, bot: &str, tenant: &str, people: &[Person]) -> Result<Vec<Verdict>, Error> {
        let verdicts = self.first_judge(people);
        let chat = |verdict: &Verdict| match verdict {
            Verdict::Send(reference) => Some(reference.conversation_id.clone()),
            Verdict::Open(_) | Verdict::Skip(_) => None,
        };
        let ids: Vec<_> = verdicts.iter().filter_map(chat).collect();
        let conversations = self.registry.conversations(bot, &ids).await?;
        let marked = conversations.iter().filter(|known| known.is_copilot());
        let copilot: Vec<_> = marked.map(|known| &known.conversation_id).collect();
        let heed = |verdict: Verdict| match verdict {
            Verdict::Send(reference) if copilot.contains(&&reference.conversation_id) => {
                warn!(tenant, "a Teams chat's conversation carries a Copilot tombstone: skipped");
                Verdict::Skip(Skip::NoTeamsChat)
            }
            as_it_was @ (Verdict::Send(_) | Verdict::Open(_) | Verdict::Skip(_)) => as_it_was,
        };
        Ok(verdicts.into_iter().map(heed).collect())
    }
}
