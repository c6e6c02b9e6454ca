//! Opens the Teams chat of somebody known only from Copilot, where that is asked for. What is opened is a Teams chat; the
//! Copilot conversation stays what it is.

use tracing::{info, warn};

use super::Delivery;
use crate::channel::{Channel, Evidence};
use crate::clock::Timestamp;
use crate::connector::{OpenOutcome, opening as body};
use crate::people::{Opening, Person, Reference};
use crate::store::Error;

/// Asks Teams for the chat and stores what is learned of it. What cannot be stored is asked for again: opening a chat
/// twice opens one. It owns what it needs: the ledger is written while it is under way.
pub(super) async fn ask(
    delivery: Delivery,
    bot: String,
    tenant: String,
    person: String,
    opening: Opening,
) -> OpenOutcome {
    let asked = body(&tenant, &opening.member);
    let outcome = delivery.connector.open(&opening.known_from.service_url, &asked).await;
    let now = delivery.clock.now();
    let stored = match &outcome {
        OpenOutcome::Opened { conversation_id } => {
            delivery.keep_chat(&bot, (&tenant, &person), opened(&opening, conversation_id, now), now).await
        }
        OpenOutcome::NotInstalled { reason } => {
            info!(tenant, person, reason, "Teams refuses to open a chat: the app is not installed");
            let refuse = |known: Person| Person { refused_at: Some(now), ..known };
            delivery.registry.amend(&bot, (&tenant, &person), now, refuse).await.map(|()| true)
        }
        OpenOutcome::Throttled { .. }
        | OpenOutcome::NotTried { .. }
        | OpenOutcome::Unavailable { .. }
        | OpenOutcome::IsCopilot
        | OpenOutcome::Refused { .. } => Ok(true),
    };
    match stored {
        Ok(true) => outcome,
        Ok(false) => {
            warn!(tenant, person, "the chat that was opened carries a Copilot tombstone: skipped");
            OpenOutcome::IsCopilot
        }
        Err(error) => {
            warn!(tenant, person, %error, "what came of opening a chat could not be stored");
            OpenOutcome::Unavailable { reason: "notStored".into(), retry_after: None }
        }
    }
}

/// The reference to a chat that was opened. Older than anything that the user does there from now on.
fn opened(opening: &Opening, conversation_id: &str, now: Timestamp) -> Reference {
    let known_from = opening.known_from.clone();
    Reference {
        conversation_id: conversation_id.to_owned(),
        verified_at: now,
        user_account: known_from.user_account.or_else(|| Some(opening.member.clone())),
        evidence: Evidence {
            base: "msteams".to_owned(),
            because: "opened for somebody known only from Copilot".to_owned(),
            ..Evidence::default()
        },
        first_seen: known_from.last_seen,
        recent: Vec::new(),
        ..opening.known_from.clone()
    }
}

impl Delivery {
    /// Stores the chat; false when its conversation was ever seen with a Copilot marker.
    async fn keep_chat(
        &self,
        bot: &str,
        (tenant, person): (&str, &str),
        chat: Reference,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if !self.registry.hold_chat(bot, &chat.conversation_id, (tenant, person)).await? {
            return Ok(false);
        }
        let learn = |known: Person| known.with_teams_chat(chat.clone());
        let (_, known) = self.registry.change(bot, (tenant, person), now, learn).await?;
        let known = self.registry.heed_tombstone(bot, known, now).await?;
        info!(tenant, person, "opened a Teams chat");
        Ok(known.references.contains_key(&Channel::TeamsChat))
    }
}
