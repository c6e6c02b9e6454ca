//! Every shape that was ever stored stays readable, and is written as it was: a fixture each.

use std::fs;
use std::path::PathBuf;

use herald::delivery::{Batch, Plan, Roster};
use herald::governor::Throttle;
use herald::notifications::{Control, Message, Request};
use herald::people::{Conversation, Person};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn holds<T: Serialize + DeserializeOwned>(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/stored/v1/{name}.json"));
    let stored: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let read: T = serde_json::from_value(stored.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        stored,
        "{name} is written otherwise: add a fixture, keep this one"
    );
    let mut newer = stored;
    newer["v"] = Value::from(2);
    assert!(serde_json::from_value::<T>(newer).is_err(), "{name}: a newer version is not taken for this one");
}

#[test]
fn every_stored_shape_is_readable() {
    holds::<Person>("person");
    holds::<Person>("person-merged");
    holds::<Person>("person-refused");
    holds::<Conversation>("conversation");
    holds::<Control>("notification-control");
    holds::<Control>("notification-control-closed");
    holds::<Request>("notification-request");
    holds::<Plan>("plan");
    holds::<Plan>("plan-of-a-list");
    holds::<Plan>("plan-ended");
    holds::<Message>("notification-message");
    holds::<Batch>("batch");
    holds::<Batch>("batch-in-vain");
    holds::<Roster>("roster");
    holds::<Throttle>("throttle");
    holds::<Throttle>("throttle-slowed");
}
