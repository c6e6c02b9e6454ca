//! Whom Herald believes: the tokens of activities and of operators. The only room that checks a token's signature.
//!
//! [`bearer()`] takes the token out of the header, [`Claims`] says whether it is believed, [`Known`] when keys are asked
//! for: these decide. [`Trust`] acts: it finds the key, has the signature checked, and remembers what was checked.

mod bearer;
mod claims;
mod keys;
mod remembered;
mod source;
mod verify;

pub use bearer::{MAX_TOKEN, NoBearer, bearer};
pub use claims::{Claims, Distrust, NotVouched};
pub use keys::{KeySet, Known, Lookup, PublicKey, read};
pub use verify::{Authentic, Caller, Refusal, Trust};

use url::Url;

/// Who may send activities as a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// The bot.
    pub app_id: String,
    /// The issuers of channel tokens.
    pub issuers: Vec<String>,
    /// Where their keys are described.
    pub metadata: Url,
    /// Whether Entra tokens of the bot's own registration are as good.
    pub entra: bool,
}

/// The bot's own tenant at Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraTenant {
    /// Its id.
    pub tenant: String,
    /// How Entra names itself in its tokens.
    pub issuers: [String; 2],
    /// Where the keys of these tokens are described.
    pub metadata: Url,
}

/// Who is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who may send activities; none: whoever reaches the listener (`HERALD_AUTH=off`).
    pub channel: Option<ChannelPolicy>,
    /// The tenant whose Entra tokens are looked at.
    pub entra: Option<EntraTenant>,
    /// For whom operators' tokens are; none: they have keys.
    pub audience: Option<String>,
}
