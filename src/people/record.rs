//! Makes an activity part of what is known, before it is answered.

use std::time::Duration;

use tracing::info;

use super::{Identity, Person, Reference, Registry, Sighting, Signal, signal};
use crate::channel::{Channel, Evidence};
use crate::clock::Timestamp;
use crate::protocol::{Account, Activity};
use crate::store::Error;

/// The tenant of persons whose activities name none: other channels than Teams have no tenants.
const NO_TENANT: &str = "none";
/// Of a channel's name so much is kept.
const CHANNEL: usize = 64;

/// How far the sender's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Why an activity changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It belongs to another bot.
    AnotherBot,
    /// It names nobody but the bot.
    Nobody,
    /// It says nothing about a reference.
    NothingToRecord,
}

/// What became of an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing was changed.
    Nothing(Refused),
    /// The person's reference stands.
    Person {
        /// As it is now.
        person: Box<Person>,
        /// Where this activity came from, as a reference: the stored one may be another conversation's.
        here: Box<Reference>,
        /// The channel that counts: not the classified one where the conversation has a tombstone.
        channel: Channel,
        /// True when this very activity was recorded before.
        repeated: bool,
    },
}

/// Records an activity of a known bot. `muted` is what the text says about notifications.
///
/// # Errors
/// As the store's; then nothing is promised and the channel sends the activity again.
pub async fn record(
    registry: &Registry,
    bot: &str,
    activity: &Activity,
    (channel, evidence): (Channel, Evidence),
    muted: Option<bool>,
    received: Timestamp,
) -> Result<Recorded, Error> {
    let meaning = signal(activity, channel);
    // A clock that is ahead must not shut out what comes after it for longer than a day.
    let at = activity.timestamp.map_or(received, |at| at.min(received + AHEAD));
    if evidence.names_copilot() && is_teams(activity) {
        entomb(registry, bot, &activity.conversation_id, at).await?;
    }
    if meaning == Signal::Ignored {
        return Ok(Recorded::Nothing(Refused::NothingToRecord));
    }
    let Some(identity) = identity(activity) else { return Ok(Recorded::Nothing(Refused::Nobody)) };
    let tenant = tenant(activity);
    let Some(key) = registry.resolve(bot, &tenant, &identity, received).await? else {
        return Ok(Recorded::Nothing(Refused::Nobody));
    };
    registry.note_tenant(bot, &tenant, received).await?;
    let classified = channel;
    let (channel, evidence) = claim(registry, bot, activity, (&tenant, &key), channel, evidence).await?;
    let entombed = classified != channel;
    let sighting = sighting(activity, evidence, meaning, at, received);
    let change = |person: Person| {
        let repeated = person.references.get(&channel).is_some_and(|reference| reference.knows(&sighting));
        let person = person.named(&identity).after(channel, &sighting);
        // Also what an activity that was cut off left.
        let person = if entombed { person.without_teams_chat(&activity.conversation_id) } else { person };
        match muted.filter(|_| !repeated) {
            Some(muted) => person.muting(muted, at),
            None => person,
        }
    };
    let (before, mut person) = registry.change(bot, (&tenant, &key), received, change).await?;
    // A marker that was seen since we looked found us among the holders, but perhaps not this write.
    if channel == Channel::TeamsChat {
        person = registry.heed_tombstone(bot, person, received).await?;
    }
    let known = before.as_ref().and_then(|person| person.references.get(&channel));
    let repeated = known.is_some_and(|reference| reference.knows(&sighting));
    Ok(Recorded::Person { person: Box::new(person), here: Box::new(Reference::first(&sighting)), channel, repeated })
}

/// Teams vouches for the ids that it names; on other channels (Direct Line, Web Chat) the client may choose them, so
/// nothing that is said there is about anybody or any conversation of Teams.
fn is_teams(activity: &Activity) -> bool {
    activity.base_channel() == "msteams"
}

/// Whose person it is: on another channel than Teams somebody else, whatever tenant and ids are named.
fn tenant(activity: &Activity) -> String {
    if is_teams(activity) {
        return activity.tenant().unwrap_or(NO_TENANT).to_lowercase();
    }
    format!("{NO_TENANT}/{}", activity.base_channel().chars().take(CHANNEL).collect::<String>())
}

/// From here on the conversation is never a Teams chat, for anybody. Holders stay listed until they are demoted, so
/// that a crash in between is made good by the activity when it comes again.
async fn entomb(registry: &Registry, bot: &str, conversation_id: &str, at: Timestamp) -> Result<(), Error> {
    let known = registry.conversation(bot, conversation_id).await?;
    if known.is_copilot() && known.holders.is_empty() {
        return Ok(());
    }
    let marked = registry.note_conversation(bot, conversation_id, |known| known.marked(at)).await?;
    for holder in &marked.holders {
        info!(tenant = holder.tenant, person = holder.person, "a Teams chat proved to be Copilot's");
        let demote = |person: Person| person.without_teams_chat(conversation_id);
        registry.amend(bot, (&holder.tenant, &holder.person), at, demote).await?;
    }
    registry.note_conversation(bot, conversation_id, |known| known.without(&marked.holders)).await.map(drop)
}

/// The channel that counts; whoever takes the conversation for a Teams chat is listed as its holder first.
async fn claim(
    registry: &Registry,
    bot: &str,
    activity: &Activity,
    (tenant, person): (&str, &str),
    channel: Channel,
    mut evidence: Evidence,
) -> Result<(Channel, Evidence), Error> {
    if channel != Channel::TeamsChat {
        return Ok((channel, evidence));
    }
    if registry.hold_chat(bot, &activity.conversation_id, (tenant, person)).await? {
        return Ok((channel, evidence));
    }
    "its conversation was seen with a Copilot marker".clone_into(&mut evidence.because);
    Ok((Channel::Other, evidence))
}

/// Who did it: the sender, or where the bot itself is named as such, whoever came with it.
fn identity(activity: &Activity) -> Option<Identity> {
    let bot = activity.recipient.id.as_deref();
    let is_person = |account: &&Account| {
        let named = account.id.is_some() || account.aad_object_id.is_some();
        named && (account.id.is_none() || account.id.as_deref() != bot)
    };
    let account = Some(&activity.from).filter(is_person).or_else(|| activity.members_added.iter().find(is_person))?;
    let aad_object_id = account.aad_object_id.clone().filter(|_| is_teams(activity));
    Some(Identity { user_id: account.id.clone(), aad_object_id })
}

fn sighting(activity: &Activity, evidence: Evidence, signal: Signal, at: Timestamp, received: Timestamp) -> Sighting {
    Sighting {
        activity_id: activity.id.clone(),
        at,
        received,
        conversation_id: activity.conversation_id.clone(),
        service_url: activity.service_url.clone(),
        bot_account: activity.recipient.id.clone(),
        user_account: activity.from.id.clone(),
        locale: activity.locale.clone(),
        evidence,
        signal,
    }
}
