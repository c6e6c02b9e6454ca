//! The functions: one piece of code each, whoever triggers it. The folders in `functions/` say the same in JSON, and
//! a test compares the two.

mod ack;
mod answer;
mod create_notification;
mod deliver_batch;
pub mod envelope;
mod health;
mod invoke;
mod messages;
mod notifications;
mod route;
mod run_notification;
mod tick;
mod users;

pub use ack::Failure;
pub use answer::{Answer, Request};
pub use invoke::{Invocation, invoke, serve_http, turn_away};
pub use route::{Route, route};

/// The queue of pointers to notifications.
pub const NOTIFICATIONS_QUEUE: &str = "herald-notifications";
/// The queue of pointers to batches.
pub const DELIVERIES_QUEUE: &str = "herald-deliveries";

/// What starts a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A request: the route below `/api/`, its methods, and whether it takes a key.
    Http {
        /// As in `function.json`.
        route: &'static str,
        /// In capitals.
        methods: &'static [&'static str],
        /// Whether the caller needs a function key.
        key: bool,
    },
    /// A message of a queue.
    Queue(&'static str),
    /// The clock.
    Timer,
}

/// A function; its name is the name of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// The bot endpoint.
    Messages,
    /// Stores a notification and starts it.
    CreateNotification,
    /// Lists, shows, cancels.
    Notifications,
    /// Who can be reached, and why not.
    Users,
    /// Readiness.
    Health,
    /// Pages of the audience into batches.
    RunNotification,
    /// Sends one batch.
    DeliverBatch,
    /// Starts what is due, resumes what stalled.
    Tick,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 8] = [
        Self::Messages,
        Self::CreateNotification,
        Self::Notifications,
        Self::Users,
        Self::Health,
        Self::RunNotification,
        Self::DeliverBatch,
        Self::Tick,
    ];

    /// The folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "Messages",
            Self::CreateNotification => "CreateNotification",
            Self::Notifications => "Notifications",
            Self::Users => "Users",
            Self::Health => "Health",
            Self::RunNotification => "RunNotification",
            Self::DeliverBatch => "DeliverBatch",
            Self::Tick => "Tick",
        }
    }

    /// What starts it.
    #[must_use]
    pub fn trigger(self) -> Trigger {
        match self {
            Self::Messages => Trigger::Http { route: "messages", methods: &["POST"], key: false },
            Self::CreateNotification => Trigger::Http { route: "notifications", methods: &["POST"], key: true },
            Self::Notifications => {
                Trigger::Http { route: "notifications/{id?}", methods: &["GET", "DELETE"], key: true }
            }
            Self::Users => Trigger::Http { route: "users/{id?}", methods: &["GET"], key: true },
            Self::Health => Trigger::Http { route: "health", methods: &["GET"], key: false },
            Self::RunNotification => Trigger::Queue(NOTIFICATIONS_QUEUE),
            Self::DeliverBatch => Trigger::Queue(DELIVERIES_QUEUE),
            Self::Tick => Trigger::Timer,
        }
    }

    /// Its queue outputs: binding and queue.
    #[must_use]
    pub fn outputs(self) -> &'static [(&'static str, &'static str)] {
        const NOTIFICATIONS: (&str, &str) = ("notifications", NOTIFICATIONS_QUEUE);
        const DELIVERIES: (&str, &str) = ("deliveries", DELIVERIES_QUEUE);
        match self {
            Self::Messages | Self::Notifications | Self::Users | Self::Health => &[],
            Self::CreateNotification | Self::DeliverBatch => &[NOTIFICATIONS],
            Self::RunNotification | Self::Tick => &[NOTIFICATIONS, DELIVERIES],
        }
    }
}
