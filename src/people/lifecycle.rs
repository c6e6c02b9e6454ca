//! What an activity means for the reference of its channel.
//!
//! Sources: subscribe-to-conversation-events, bot-session.md, detect-app-version.md, `InstallationUpdateActionTypes.cs`.
//! `action` is an open string, since the documents name more values than the SDKs.

use crate::channel::Channel;
use crate::protocol::Activity;

/// What an activity means for its reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The user did something: the conversation lives.
    Alive,
    /// The app was added or upgraded: the conversation exists.
    Installed,
    /// The app was removed.
    Removed,
    /// It says nothing about the reference.
    Ignored,
}

/// Says what an activity means.
#[must_use]
pub fn signal(activity: &Activity, channel: Channel) -> Signal {
    match activity.kind.to_ascii_lowercase().as_str() {
        "installationupdate" => installation(activity.action.as_deref().unwrap_or_default()),
        "conversationupdate" => members(activity, channel),
        "message" | "messagereaction" | "messageupdate" | "messagedelete" | "invoke" | "handoff" => Signal::Alive,
        "event" => event(activity),
        // Whatever carries another product's marker is kept under that product, whatever it is.
        _ => match channel {
            Channel::TeamsCopilot | Channel::M365Copilot => Signal::Alive,
            Channel::TeamsChat | Channel::TeamsGroup | Channel::TeamsChannel | Channel::Other => Signal::Ignored,
        },
    }
}

fn installation(action: &str) -> Signal {
    match action.to_ascii_lowercase().as_str() {
        "add" | "add-upgrade" | "upgrade" => Signal::Installed,
        "remove" | "remove-upgrade" => Signal::Removed,
        _ => Signal::Ignored,
    }
}

fn event(activity: &Activity) -> Signal {
    let name = activity.name.as_deref().unwrap_or_default();
    if name.eq_ignore_ascii_case("application/vnd.microsoft.readReceipt") { Signal::Alive } else { Signal::Ignored }
}

fn members(activity: &Activity, channel: Channel) -> Signal {
    let Some(bot) = activity.recipient.id.as_deref() else { return Signal::Ignored };
    let names_bot =
        |accounts: &[crate::protocol::Account]| accounts.iter().any(|account| account.id.as_deref() == Some(bot));
    if names_bot(&activity.members_added) {
        Signal::Installed
    } else if names_bot(&activity.members_removed) && channel != Channel::TeamsChat {
        // In a personal chat this is not sent for an uninstall (BotBuilder-MicrosoftTeams #228), so it means nothing there.
        Signal::Removed
    } else {
        Signal::Ignored
    }
}
