//! Opens the Teams chat of somebody known only from Copilot, where that is asked for. What is opened is a Teams chat; the
//! Copilot conversation stays what it is.

use tracing::{info, warn};

use super::courier::Shift;
use super::{RecipientState, settle_opening};
use crate::channel::{Channel, Evidence};
use crate::clock::Timestamp;
use crate::connector::{Connector, OpenOutcome, opening as body};
use crate::people::{Opening, Person, Reference, Skip};
use crate::store::Error;

/// Asks Teams for the chat; owns what it needs.
pub(super) fn ask(
    connector: Connector,
    tenant: &str,
    opening: Opening,
) -> impl Future<Output = OpenOutcome> + Send + use<> {
    let body = body(tenant, &opening.member);
    async move { connector.open(&opening.known_from.service_url, &body).await }
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

impl Shift<'_> {
    /// What an attempt to open a chat makes of a recipient; answers until when the tenant is paused. What cannot be
    /// stored is tried again: opening a chat twice opens one.
    pub(super) async fn settle_opening(
        &mut self,
        place: usize,
        opening: &Opening,
        outcome: OpenOutcome,
    ) -> Option<Timestamp> {
        let (now, chance) = (self.delivery.clock.now(), self.delivery.chance.unit());
        let attempt = self.held.value.recipients[place].state.so_far(now);
        let person = self.held.value.recipients[place].person.clone().unwrap_or_default();
        let tenant = self.held.value.tenant.clone();
        let learned = match &outcome {
            OpenOutcome::Opened { conversation_id } => self.keep(&person, opening, conversation_id, now).await,
            OpenOutcome::NotInstalled { reason } => {
                info!(tenant, person, reason, "Teams refuses to open a chat: the app is not installed");
                let refuse = |known: Person| Person { refused_at: Some(now), ..known };
                self.delivery.registry.amend(&self.bot, (&tenant, &person), now, refuse).await.map(|()| true)
            }
            OpenOutcome::Throttled { .. }
            | OpenOutcome::NotTried { .. }
            | OpenOutcome::Unavailable { .. }
            | OpenOutcome::Refused { .. } => Ok(true),
        };
        let settled = match learned {
            Ok(true) => settle_opening(outcome, attempt, now, chance),
            Ok(false) => {
                warn!(tenant, person, "the chat that was opened carries a Copilot tombstone: skipped");
                let end = RecipientState::Skipped { at: now, reason: Skip::NoTeamsChat };
                (RecipientState::not_sent(end, attempt.doubtful, now), None)
            }
            Err(error) => {
                warn!(tenant, person, %error, "what came of opening a chat could not be stored");
                settle_opening(
                    OpenOutcome::Unavailable { reason: "notStored".into(), retry_after: None },
                    attempt,
                    now,
                    chance,
                )
            }
        };
        self.held.value.recipients[place].state = settled.0;
        settled.1
    }

    /// Stores the chat; false when its conversation was ever seen with a Copilot marker.
    async fn keep(&self, person: &str, opening: &Opening, conversation: &str, now: Timestamp) -> Result<bool, Error> {
        let (registry, tenant) = (&self.delivery.registry, &self.held.value.tenant);
        if !registry.hold_chat(&self.bot, conversation, (tenant, person)).await? {
            return Ok(false);
        }
        let reference = opened(opening, conversation, now);
        let learn = |known: Person| known.with_teams_chat(reference.clone());
        let (_, person) = registry.change(&self.bot, (tenant, person), now, learn).await?;
        let person = registry.heed_tombstone(&self.bot, person, now).await?;
        info!(tenant, person = person.key, "opened a Teams chat");
        Ok(person.references.contains_key(&Channel::TeamsChat))
    }
}
