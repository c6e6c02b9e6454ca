//! Wire shapes of the Bot Framework, as far as Herald reads them.

mod activity;
mod cloud;
mod service_url;

pub use activity::{Account, Activity, BadActivity, Conversation, MAX_ID, parse};
pub use cloud::Cloud;
pub use service_url::{AllowedHosts, BadHost, Refusal, ServiceUrl, is_private};
