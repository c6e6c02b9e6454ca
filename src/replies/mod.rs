//! What the bot answers. Pure: text in, text out.

use chrono::SecondsFormat;

use crate::channel::Channel;
use crate::people::{Person, State};

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Where will I be notified?
    Status,
    /// No notifications.
    Mute,
    /// Notifications again.
    Unmute,
    /// What can I say?
    Help,
    /// Anything else.
    Chat,
}

impl Command {
    /// Reads a message; a mention of the bot before the word does not matter.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let plain = without_mentions(text).replace("&nbsp;", " ").replace('\u{a0}', " ");
        match plain.trim().trim_start_matches('/').to_lowercase().as_str() {
            "status" => Self::Status,
            "mute" => Self::Mute,
            "unmute" => Self::Unmute,
            "help" => Self::Help,
            _ => Self::Chat,
        }
    }

    /// What the command says about notifications.
    #[must_use]
    pub fn muting(self) -> Option<bool> {
        match self {
            Self::Mute => Some(true),
            Self::Unmute => Some(false),
            Self::Status | Self::Help | Self::Chat => None,
        }
    }
}

/// Cuts `<at>…</at>`, as Teams writes mentions.
fn without_mentions(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("<at>") {
        kept.push_str(before);
        rest = after.split_once("</at>").map_or("", |(_, after)| after);
    }
    kept + rest
}

/// The link that opens the Teams chat with a bot.
#[must_use]
pub fn chat_link(bot: &str) -> String {
    format!("https://teams.microsoft.com/l/chat/0/0?users=28:{bot}")
}

/// The answer to a command, in Markdown.
#[must_use]
pub fn reply(command: Command, person: &Person, channel: Channel, bot: &str) -> String {
    let answer = match command {
        Command::Status => status(person),
        Command::Mute => "Muted: you get no notifications until you say `unmute`.".to_owned(),
        Command::Unmute => format!("Unmuted. {}", status(person)),
        Command::Help => {
            "I bring notifications to your Teams chat. Say `status` to see where, `mute` or `unmute`, or `help`."
                .to_owned()
        }
        Command::Chat => "I bring notifications to your Teams chat. Say `help` to see what I understand.".to_owned(),
    };
    if channel.is_copilot() {
        let link = chat_link(bot);
        format!("{answer}\n\nNotifications come to the Teams chat, not to Copilot: [open the chat]({link}).")
    } else {
        answer
    }
}

fn status(person: &Person) -> String {
    let Some(reference) = person.references.get(&Channel::TeamsChat) else {
        return "You cannot be notified yet: open the Teams chat with me once and say anything.".to_owned();
    };
    let since = reference.first_seen.to_rfc3339_opts(SecondsFormat::Secs, true);
    match reference.state {
        State::Uninstalled => "You cannot be notified: the app was removed from your Teams.".to_owned(),
        State::Blocked => "You cannot be notified: I was blocked in your Teams chat. Write to me there.".to_owned(),
        State::Gone => "You cannot be notified: your Teams chat with me is gone. Write to me there.".to_owned(),
        State::Active if person.is_muted() => {
            format!(
                "You are muted. Once you say `unmute`, notifications come to your Teams chat (known since {since})."
            )
        }
        State::Active => format!("Notifications come to your Teams chat (known since {since})."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Person;

    #[test]
    fn a_command_is_read_whatever_stands_around_it() {
        for (text, command) in [
            ("status", Command::Status),
            (" Mute ", Command::Mute),
            ("<at>Test Bot</at> unmute", Command::Unmute),
            ("/help", Command::Help),
            ("<at>Bot</at>&nbsp;status\n", Command::Status),
            ("<at>broken mute", Command::Chat),
            ("please mute", Command::Chat),
            ("", Command::Chat),
        ] {
            assert_eq!(Command::read(text), command, "{text}");
        }
    }

    #[test]
    fn in_copilot_every_answer_leads_to_the_teams_chat() {
        let person = Person::new("t", "u:29:a", chrono::DateTime::UNIX_EPOCH);
        for command in [Command::Status, Command::Mute, Command::Unmute, Command::Help, Command::Chat] {
            let link = "https://teams.microsoft.com/l/chat/0/0?users=28:app";
            assert!(reply(command, &person, Channel::M365Copilot, "app").contains(link));
            assert!(!reply(command, &person, Channel::TeamsChat, "app").contains(link));
        }
    }
}
