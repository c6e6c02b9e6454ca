//! Classification: a fixture file per case, and the property that no marker is ever notifiable.

use std::fs;
use std::path::Path;

use herald::channel::{Channel, Matcher, classify};
use herald::protocol::parse;
use proptest::prelude::*;
use serde_json::{Value, json};

fn channel_of(activity: &Value, matcher: Option<&Matcher>) -> Channel {
    let activity = parse(activity.to_string().as_bytes()).expect("an activity");
    classify(&activity, matcher).0
}

#[test]
fn each_fixture_is_classified_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/activities");
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let matcher = case["matcher"].as_str().map(|text| Matcher::parse(text).unwrap());
        let found = channel_of(&case["activity"], matcher.as_ref());
        assert_eq!(found.name(), case["channel"], "{}", path.display());
        seen.push(found);
    }
    for channel in Channel::ALL {
        assert!(seen.contains(&channel), "no fixture is {channel}");
    }
}

fn marker() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["COPILOT", "Copilot", "copilot-web", "Word", "Excel", " Word ", "teams"])
            .prop_map(str::to_owned),
        "[^\\s\\p{C}]{1,12}",
    ]
}

/// Where a marker may stand.
#[derive(Debug, Clone)]
enum Place {
    Entity { kind: String },
    ProductContext,
    SubChannel,
}

fn place() -> impl Strategy<Value = Place> {
    let kind = prop::sample::select(vec!["ProductInfo", "productInfo", "PRODUCTINFO", " productinfo "]);
    prop_oneof![
        kind.prop_map(|kind| Place::Entity { kind: kind.to_owned() }),
        Just(Place::ProductContext),
        Just(Place::SubChannel)
    ]
}

proptest! {
    #[test]
    fn no_activity_with_any_marker_is_ever_notifiable(
        marker in marker(),
        place in place(),
        kind in prop::option::of(prop::sample::select(vec!["personal", "Personal", "groupChat", "channel", ""])),
        id in prop::sample::select(vec!["a:1", "19:x@thread.v2", "19:a_b@unq.gbl.spaces", "opaque"]),
        group in prop::option::of(any::<bool>()),
        matches in any::<bool>(),
    ) {
        let mut activity = json!({
            "type": "message", "channelId": "msteams", "serviceUrl": "https://smba.trafficmanager.net/teams",
            "from": {"id": "29:x"}, "recipient": {"id": "28:y"},
            "conversation": {"id": id, "conversationType": kind, "isGroup": group, "tenantId": "t"},
            "channelData": {"x": "y"},
        });
        match place {
            Place::Entity { kind } => activity["entities"] = json!([{"type": kind, "id": marker}]),
            Place::ProductContext => activity["channelData"]["productContext"] = json!(marker),
            Place::SubChannel => activity["channelId"] = json!(format!("msteams:{marker}")),
        }
        let matcher = matches.then(|| Matcher::parse("/channelData/x=y").unwrap());
        prop_assert_ne!(channel_of(&activity, matcher.as_ref()), Channel::TeamsChat);
    }
}
