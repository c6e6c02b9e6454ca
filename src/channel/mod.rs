//! Which surface an activity came through. Pure: everything that decides stands in the activity and the settings.

mod classify;
mod matcher;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use classify::{Evidence, classify};
pub use matcher::{BadMatcher, Matcher};

/// A surface. Only [`Channel::TeamsChat`] is ever notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// The personal chat with the bot in Teams.
    TeamsChat,
    /// The Copilot window inside Teams.
    TeamsCopilot,
    /// Microsoft 365 Copilot.
    M365Copilot,
    /// A group chat.
    TeamsGroup,
    /// A channel of a team.
    TeamsChannel,
    /// What cannot be understood, or belongs to another product.
    Other,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 6] =
        [Self::TeamsChat, Self::TeamsCopilot, Self::M365Copilot, Self::TeamsGroup, Self::TeamsChannel, Self::Other];

    /// The name that the API shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TeamsChat => "teamsChat",
            Self::TeamsCopilot => "teamsCopilot",
            Self::M365Copilot => "m365Copilot",
            Self::TeamsGroup => "teamsGroup",
            Self::TeamsChannel => "teamsChannel",
            Self::Other => "other",
        }
    }

    /// True for both Copilot surfaces.
    #[must_use]
    pub fn is_copilot(self) -> bool {
        matches!(self, Self::TeamsCopilot | Self::M365Copilot)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
