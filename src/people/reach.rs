//! Who is in an audience, who can be reached, and why not. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Person, Reference, State};
use crate::channel::Channel;
use crate::clock::Timestamp;

/// Why a recipient is skipped. Never an error, never a reason to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Skip {
    /// They never opened the Teams chat.
    NoTeamsChat,
    /// The app was removed.
    Uninstalled,
    /// They blocked the bot.
    Blocked,
    /// They muted the bot.
    Muted,
    /// Teams does not know the conversation any more.
    Gone,
    /// Their tenant is not on the allow-list.
    TenantNotAllowed,
    /// They proved to be somebody else, who is notified.
    Merged,
    /// The Teams chat could not be opened, since the app is not installed.
    NotInstalled,
    /// They would have got it.
    DryRun,
    /// The notification was cancelled.
    Cancelled,
    /// The notification expired.
    Expired,
}

impl Skip {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::NoTeamsChat,
        Self::Uninstalled,
        Self::Blocked,
        Self::Muted,
        Self::Gone,
        Self::TenantNotAllowed,
        Self::Merged,
        Self::NotInstalled,
        Self::DryRun,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The name that the API shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoTeamsChat => "noTeamsChat",
            Self::Uninstalled => "uninstalled",
            Self::Blocked => "blocked",
            Self::Muted => "muted",
            Self::Gone => "gone",
            Self::TenantNotAllowed => "tenantNotAllowed",
            Self::Merged => "merged",
            Self::NotInstalled => "notInstalled",
            Self::DryRun => "dryRun",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// How long a refusal to open a chat is believed.
const REFUSED_FOR: Duration = Duration::from_secs(24 * 3600);

/// What reachability depends on besides the person.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Tenants that may be notified; none: all.
    pub allowed_tenants: Option<&'a [String]>,
    /// How long a Copilot reference counts after it was last seen.
    pub keep_copilot: Duration,
    /// Whether the Teams chat of somebody known only from Copilot is opened.
    pub open_chat: bool,
    /// Now.
    pub now: Timestamp,
}

/// True for everyone with a personal or Copilot reference, removed and blocked ones included.
#[must_use]
pub fn in_audience(person: &Person, rules: &Rules<'_>) -> bool {
    let counts = |(channel, reference): (&Channel, &Reference)| {
        *channel == Channel::TeamsChat || (channel.is_copilot() && !has_faded(reference, rules))
    };
    person.references.iter().any(|(channel, reference)| counts((channel, reference)))
}

/// True when a Copilot reference was not seen for so long that it counts no more.
#[must_use]
fn has_faded(reference: &Reference, rules: &Rules<'_>) -> bool {
    (rules.now - reference.last_seen).to_std().is_ok_and(|unseen| unseen >= rules.keep_copilot)
}

/// Where to notify a person, or why not.
///
/// # Errors
/// The reason to skip them.
pub fn judge<'a>(person: &'a Person, rules: &Rules<'_>) -> Result<&'a Reference, Skip> {
    if person.merged_into.is_some() {
        return Err(Skip::Merged);
    }
    if rules.allowed_tenants.is_some_and(|allowed| !is_allowed(&person.tenant, allowed)) {
        return Err(Skip::TenantNotAllowed);
    }
    let reference = person.references.get(&Channel::TeamsChat).ok_or_else(|| without_chat(person, rules))?;
    match reference.state {
        State::Uninstalled => Err(Skip::Uninstalled),
        State::Blocked => Err(Skip::Blocked),
        State::Gone => Err(Skip::Gone),
        State::Active if person.is_muted() => Err(Skip::Muted),
        State::Active => Ok(reference),
    }
}

fn without_chat(person: &Person, rules: &Rules<'_>) -> Skip {
    let is_refused = person.refused_at.is_some_and(|at| rules.now < at + REFUSED_FOR);
    if rules.open_chat && is_refused { Skip::NotInstalled } else { Skip::NoTeamsChat }
}

/// What is needed to open somebody's Teams chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// How Teams knows them.
    pub member: String,
    /// The Copilot reference that they are known from. Its conversation is never used.
    pub known_from: Reference,
}

/// How to open the Teams chat of somebody who was skipped for want of one: of people known only from Copilot, where
/// that is asked for, who did not say that they want no notifications, and whom Teams did not refuse lately.
#[must_use]
pub fn opening(person: &Person, rules: &Rules<'_>) -> Option<Opening> {
    if !rules.open_chat || person.is_muted() || judge(person, rules) != Err(Skip::NoTeamsChat) {
        return None;
    }
    let copilot = person.references.iter().filter(|(channel, _)| channel.is_copilot()).map(|(_, known)| known.as_ref());
    let usable = copilot.filter(|known| known.state == State::Active && !has_faded(known, rules));
    let known_from = usable.max_by_key(|known| known.last_seen)?.clone();
    let account = person.user_id.clone().or_else(|| known_from.user_account.clone());
    let member = account.or_else(|| person.aad_object_id.clone())?;
    Some(Opening { member, known_from })
}

fn is_allowed(tenant: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|entry| entry.eq_ignore_ascii_case(tenant))
}

/// The settings that reachability depends on.
#[derive(Debug, Clone)]
pub struct ReachSettings {
    /// Tenants that may be notified; none: all.
    pub allowed_tenants: Option<Vec<String>>,
    /// How long a Copilot reference counts after it was last seen.
    pub keep_copilot: Duration,
    /// Whether the Teams chat of somebody known only from Copilot is opened.
    pub open_chat: bool,
}

impl ReachSettings {
    /// The rules at an instant.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Rules<'_> {
        let Self { keep_copilot, open_chat, .. } = *self;
        Rules { allowed_tenants: self.allowed_tenants.as_deref(), keep_copilot, open_chat, now }
    }
}
