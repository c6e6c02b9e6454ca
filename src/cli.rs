//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Notifications that reach people in their Teams chat, whichever surface they talked to the bot through.
#[derive(Debug, Parser)]
#[command(name = "herald", version, about)]
pub struct Cli {
    /// What to be.
    #[command(subcommand)]
    pub command: Command,
}

/// The roles.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the custom handler that the Functions host starts
    Host,
    /// Run all functions without a Functions host: embedded store, built-in timer and queue
    Serve,
    /// Show the main job against a simulated Teams; exits 0 only if every promise held
    Demo {
        /// How many simulated people, at least 28
        #[arg(long, default_value_t = 200)]
        users: usize,
    },
    /// Post a notification to a running Herald
    Notify(Box<NotifyArguments>),
    /// List, show or cancel notifications of a running Herald
    Notifications {
        /// What to do; without it, the newest are listed
        #[command(subcommand)]
        action: Option<NotificationsAction>,
        /// Which Herald
        #[command(flatten)]
        access: AccessArguments,
    },
    /// Show who can be reached, and why not
    Users {
        /// One of them: an Entra object id, or a 29: id
        id: Option<String>,
        /// Only those who can, or cannot, be reached
        #[arg(long)]
        reachable: Option<bool>,
        /// Go on where an earlier page ended
        #[arg(long)]
        continuation: Option<String>,
        /// Which Herald
        #[command(flatten)]
        access: AccessArguments,
    },
    /// Look at the settings
    Config {
        /// What to do
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Look after the store
    Store {
        /// What to do
        #[command(subcommand)]
        action: StoreAction,
    },
    /// Assemble the folder that the Functions host runs
    Package {
        /// Where to
        #[arg(long, default_value = "dist")]
        out: PathBuf,
        /// The executable to put there; without it, this one
        #[arg(long)]
        bin: Option<PathBuf>,
        /// The folder with host.json and functions
        #[arg(long, default_value = ".")]
        source: PathBuf,
        /// The platform the executable must be built for, such as linux-x86_64; without it, this machine's
        #[arg(long)]
        platform: Option<String>,
    },
}

/// Which Herald to talk to, and how to show its answer.
#[derive(Debug, Args)]
pub struct AccessArguments {
    /// Its address
    #[arg(long, global = true, default_value = "http://127.0.0.1:3978")]
    pub url: String,
    /// Its key: a function key, or `HERALD_API_KEY` of `serve`
    #[arg(long, global = true)]
    pub key: Option<String>,
    /// In place of a key an Entra token, for the audience in `HERALD_API_AUDIENCE`
    #[arg(long, global = true, conflicts_with = "key")]
    pub token: Option<String>,
    /// The API's answer as it is, for scripts
    #[arg(long, global = true)]
    pub json: bool,
}

/// How a text is meant.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TextFormat {
    /// Markdown
    Markdown,
    /// As it is
    Plain,
    /// The subset of HTML that Teams takes
    Xml,
}

/// A notification.
#[derive(Debug, Args)]
pub struct NotifyArguments {
    /// The text
    #[arg(long, required_unless_present = "card")]
    pub text: Option<String>,
    /// How the text is meant
    #[arg(long, value_enum)]
    pub format: Option<TextFormat>,
    /// What the toast and the feed show
    #[arg(long)]
    pub summary: Option<String>,
    /// A file with an Adaptive Card
    #[arg(long)]
    pub card: Option<PathBuf>,
    /// Without an alert
    #[arg(long)]
    pub quiet: bool,
    /// Its id: the same id with the same content is sent once
    #[arg(long)]
    pub id: Option<String>,
    /// To everybody (the default)
    #[arg(long, conflicts_with_all = ["tenant", "user"])]
    pub all: bool,
    /// To everybody of a tenant; may be repeated
    #[arg(long)]
    pub tenant: Vec<String>,
    /// To a user, by Entra object id or 29: id; may be repeated
    #[arg(long, conflicts_with = "tenant")]
    pub user: Vec<String>,
    /// Not before, such as 2026-11-23T09:00:00+01:00
    #[arg(long)]
    pub send_at: Option<String>,
    /// Not after
    #[arg(long)]
    pub expires_at: Option<String>,
    /// Send again what may or may not have gone out
    #[arg(long)]
    pub resend_uncertain: bool,
    /// Count who would get it, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Stay until it is over, and show how it goes
    #[arg(long)]
    pub watch: bool,
    /// Which Herald
    #[command(flatten)]
    pub access: AccessArguments,
}

/// What to do with notifications.
#[derive(Debug, Subcommand)]
pub enum NotificationsAction {
    /// The newest first
    List {
        /// Go on where an earlier page ended
        #[arg(long)]
        continuation: Option<String>,
    },
    /// One of them
    Show {
        /// Which
        id: String,
    },
    /// Follow one until it is over
    Watch {
        /// Which
        id: String,
    },
    /// End one: what is planned and not sent is skipped
    Cancel {
        /// Which
        id: String,
    },
    /// Who had an outcome
    Recipients {
        /// Of which notification
        id: String,
        /// sent, skipped, failed, uncertain or pending
        outcome: String,
        /// Go on where an earlier page ended
        #[arg(long)]
        continuation: Option<String>,
    },
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Say everything that is wrong with them at once
    Check,
    /// Print every setting with its meaning and default, and what is set here
    Describe,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreAction {
    /// Lay it out; safe to repeat
    Init,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_address_may_stand_anywhere() {
        let cli =
            Cli::try_parse_from(["herald", "notifications", "show", "x", "--url", "http://h"]).expect("a command");
        let Command::Notifications { access, .. } = cli.command else { panic!("another command") };
        assert_eq!(access.url, "http://h");
    }
}
