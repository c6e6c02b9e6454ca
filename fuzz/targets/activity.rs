//! Whatever a body is, it is an activity or a reason; and only a personal chat without a marker is a Teams chat.
#![no_main]

use herald::channel::{Channel, classify};
use herald::protocol::{MAX_ID, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(activity) = parse(body) else { return };
    assert!(!activity.conversation_id.is_empty() && activity.conversation_id.len() <= MAX_ID);
    assert!(!activity.channel_id.is_empty() && !activity.service_url.is_empty());
    let (channel, _) = classify(&activity, None);
    if channel == Channel::TeamsChat {
        assert_eq!(activity.base_channel(), "msteams");
        assert!(activity.conversation.conversation_type.is_some_and(|kind| kind.eq_ignore_ascii_case("personal")));
        assert_ne!(activity.raw.pointer("/channelData/productContext"), Some(&"COPILOT".into()));
    }
});
