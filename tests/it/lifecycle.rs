//! What each activity does to a reference: the lifecycle table, the order of arrival, merging, tombstones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use herald::clock::Timestamp;
use herald::people::{Identity, Registry};
use herald::store::embedded::Embedded;
use serde_json::{Value, json};

use crate::support::{Herald, copilot, install, message, personal};

/// The channels of the one user, as the API shows them: channel -> (state, conversation).
async fn channels(herald: &Herald, name: &str) -> BTreeMap<String, (String, String)> {
    let (status, answer) = herald.get(&format!("/api/users/29:{name}")).await;
    assert_eq!(status, 200, "{answer}");
    let users = answer["users"].as_array().unwrap();
    assert_eq!(users.len(), 1, "{answer}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let channel =
        |channel: &Value| (text(&channel["channel"]), (text(&channel["state"]), text(&channel["conversationId"])));
    users[0]["channels"].as_array().unwrap().iter().map(channel).collect()
}

async fn state(herald: &Herald, name: &str) -> String {
    channels(herald, name).await.remove("teamsChat").map_or("none".to_owned(), |(state, _)| state)
}

#[tokio::test]
async fn the_lifecycle_table() {
    let herald = Herald::start().await;
    let teams = &herald.teams;
    let members = |who: Value| json!({"type": "conversationUpdate", "membersAdded": [who, {"id": "28:the-bot"}]});
    let alone = |who: Value| json!({"type": "conversationUpdate", "membersAdded": [who]});
    let someone = json!({"id": "29:x"});
    for (name, what, expected) in [
        ("add", json!({"type": "installationUpdate", "action": "add"}), "active"),
        ("add-upgrade", json!({"type": "installationUpdate", "action": "add-upgrade"}), "active"),
        ("upgrade", json!({"type": "installationUpdate", "action": "upgrade"}), "active"),
        ("message", json!({"type": "message", "text": "hi"}), "active"),
        ("reaction", json!({"type": "messageReaction", "reactionsAdded": [{"type": "like"}]}), "active"),
        ("update", json!({"type": "messageUpdate", "text": "hi"}), "active"),
        ("delete", json!({"type": "messageDelete"}), "active"),
        ("invoke", json!({"type": "invoke", "name": "adaptiveCard/action"}), "active"),
        ("read", json!({"type": "event", "name": "application/vnd.microsoft.readReceipt"}), "active"),
        ("members", members(someone.clone()), "active"),
    ] {
        let activity = personal(teams, name, "2026-05-01T10:00:00Z", what);
        assert_eq!(herald.tell(&activity).await, 200);
        assert_eq!(state(&herald, name).await, expected, "{name}");
    }
    for (name, what) in [
        ("members-without-bot", alone(someone)),
        ("other-action", json!({"type": "installationUpdate", "action": "something-new"})),
        ("typing", json!({"type": "typing"})),
        ("unknown", json!({"type": "somethingNew"})),
        ("event", json!({"type": "event", "name": "other"})),
    ] {
        let activity = personal(teams, name, "2026-05-01T10:00:00Z", what);
        assert_eq!(herald.tell(&activity).await, 200, "{name}");
        assert_eq!(herald.get(&format!("/api/users/29:{name}")).await.0, 404, "{name} makes no reference");
    }
}

#[tokio::test]
async fn a_removal_that_arrives_before_its_install_counts() {
    let herald = Herald::start().await;
    let update = |action: &str, at: &str| {
        personal(&herald.teams, "ana", at, json!({"type": "installationUpdate", "action": action}))
    };
    herald.tell(&update("remove", "2026-05-01T12:00:00Z")).await;
    herald.tell(&update("add", "2026-05-01T10:00:00Z")).await;
    assert_eq!(state(&herald, "ana").await, "uninstalled");
}

/// Activities of many new people, each people's at the same time, in the shapes that make one person of two ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_arrives_together_is_one_person_and_nothing_is_lost() {
    let herald = Herald::start().await;
    let teams = &herald.teams;
    let named = |mut activity: Value, from: Value| {
        activity["from"] = from;
        activity
    };
    for number in 0..40 {
        let name = format!("p{number}");
        let (account, object) = (json!({"id": format!("29:{name}")}), json!({"aadObjectId": format!("object-{name}")}));
        let removal = json!({"type": "installationUpdate", "action": "remove", "id": "f:removal"});
        let mut activities = vec![
            named(copilot(teams, &name, "2026-05-01T09:00:00Z", "hi"), object.clone()),
            named(install(teams, &name), account.clone()),
        ];
        // Every other one is two persons already when an activity names both ids for the first time.
        if number % 2 == 0 {
            for activity in activities.drain(..) {
                assert_eq!(herald.tell(&activity).await, 200);
            }
        }
        activities.extend([
            message(teams, &name, "2026-05-01T10:30:00Z", "hi"),
            named(personal(teams, &name, "2026-05-01T12:00:00Z", removal), account.clone()),
            copilot(teams, &name, "2026-05-01T09:30:00Z", "status"),
            named(message(teams, &name, "2026-05-01T11:00:00Z", "mute"), account),
        ]);
        let answers = futures_util::future::join_all(activities.iter().map(|activity| herald.tell(activity))).await;
        assert!(answers.iter().all(|status| *status == 200), "{name}: {answers:?}");
        // Whoever comes last names both, so that everything is known of one person.
        assert_eq!(herald.tell(&copilot(teams, &name, "2026-05-01T09:45:00Z", "help")).await, 200);
        let known = channels(&herald, &name).await;
        assert_eq!(known.keys().collect::<Vec<_>>(), ["m365Copilot", "teamsChat"], "{name}");
        assert_eq!(known["teamsChat"].0, "uninstalled", "{name}: the removal was answered and must not be lost");
    }
    let (_, users) = herald.get("/api/users?reachable=true").await;
    assert_eq!(users, json!({"users": []}));
}

/// A conversation that is marked while somebody takes it for a Teams chat, in either order and at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_that_comes_at_the_same_time_counts() {
    let herald = Herald::start().await;
    for number in 0..40 {
        let name = format!("p{number}");
        let mut marked = copilot(&herald.teams, &format!("other{number}"), "2026-05-01T10:00:00Z", "hi");
        marked["conversation"]["id"] = json!(format!("a:{name}"));
        let personal = install(&herald.teams, &name);
        let (first, second) = tokio::join!(herald.tell(&personal), herald.tell(&marked));
        assert_eq!((first, second), (200, 200));
        assert!(!herald.reachable(&name).await, "{name}");
    }
}

#[tokio::test]
async fn a_wild_timestamp_is_refused_and_one_that_is_ahead_pins_nobody() {
    let herald = Herald::start().await;
    let wild = copilot(&herald.teams, "ana", "+262142-12-31T23:59:59", "hi");
    assert_eq!(herald.tell(&wild).await, 400);
    let mut ahead = install(&herald.teams, "bob");
    ahead["timestamp"] = json!("2999-01-01T00:00:00Z");
    assert_eq!(herald.tell(&ahead).await, 200);
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["sent"], 1, "{status}");
}

#[tokio::test]
async fn removal_and_return_in_any_order_of_arrival() {
    let herald = Herald::start().await;
    let teams = &herald.teams;
    let update =
        |action: &str, at: &str| personal(teams, "ana", at, json!({"type": "installationUpdate", "action": action}));
    herald.tell(&update("add", "2026-05-01T10:00:00Z")).await;
    herald.tell(&update("remove", "2026-05-01T12:00:00Z")).await;
    assert_eq!(state(&herald, "ana").await, "uninstalled");
    herald.tell(&message(teams, "ana", "2026-05-01T11:00:00Z", "late")).await;
    assert_eq!(state(&herald, "ana").await, "uninstalled", "an older message brings nobody back");
    // The same instant as 13:00 UTC, with another offset and more decimals.
    herald.tell(&update("add", "2026-05-01T15:00:00.0000001+02:00")).await;
    assert_eq!(state(&herald, "ana").await, "active");
    herald.tell(&update("remove-upgrade", "2026-05-01T14:00:00Z")).await;
    assert_eq!(state(&herald, "ana").await, "uninstalled");
}

#[tokio::test]
async fn an_older_activity_never_overwrites_a_newer_one() {
    let herald = Herald::start().await;
    let mut newer = message(&herald.teams, "ana", "2026-05-01T12:00:00Z", "hi");
    newer["conversation"]["id"] = json!("a:new");
    herald.tell(&newer).await;
    let mut older = message(&herald.teams, "ana", "2026-05-01T11:00:00Z", "hi");
    older["conversation"]["id"] = json!("a:old");
    herald.tell(&older).await;
    assert_eq!(channels(&herald, "ana").await["teamsChat"].1, "a:new");
    let mut undated = message(&herald.teams, "ana", "", "hi");
    undated["timestamp"] = Value::Null;
    undated["conversation"]["id"] = json!("a:now");
    herald.tell(&undated).await;
    assert_eq!(channels(&herald, "ana").await["teamsChat"].1, "a:now", "no timestamp means the time of receipt");
}

#[tokio::test]
async fn a_repeated_activity_changes_nothing_and_is_answered_once() {
    let mut herald = Herald::start().await;
    let mute = message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "mute");
    herald.tell(&mute).await;
    herald.tell(&message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "unmute")).await;
    let unmute = json!({"id": "f:other", "type": "message", "text": "unmute"});
    herald.tell(&personal(&herald.teams, "ana", "2026-05-01T10:01:00Z", unmute)).await;
    herald.tell(&mute).await;
    assert!(herald.reachable("ana").await, "the repeated mute says nothing new");
    herald.stop().await;
    assert_eq!(herald.teams.received().len(), 2, "repeated activities are not answered again");
}

#[tokio::test]
async fn no_channel_touches_anothers_reference() {
    let herald = Herald::start().await;
    herald.meet("ana").await;
    let before = channels(&herald, "ana").await["teamsChat"].clone();
    let mut group = message(&herald.teams, "ana", "2026-05-02T10:00:00Z", "<at>Bot</at> hi");
    group["conversation"] =
        json!({"id": "19:g@thread.v2", "conversationType": "groupChat", "isGroup": true, "tenantId": "tenant"});
    herald.tell(&copilot(&herald.teams, "ana", "2026-05-03T10:00:00Z", "hi")).await;
    herald.tell(&group).await;
    let removed = json!({"type": "installationUpdate", "action": "remove"});
    let mut removal = copilot(&herald.teams, "ana", "2026-05-04T10:00:00Z", "");
    removal.as_object_mut().unwrap().extend(removed.as_object().unwrap().clone());
    herald.tell(&removal).await;
    let after = channels(&herald, "ana").await;
    assert_eq!(after["teamsChat"], before);
    assert_eq!(after["m365Copilot"].0, "uninstalled");
    assert_eq!(after.keys().collect::<Vec<_>>(), ["m365Copilot", "teamsChat", "teamsGroup"]);
}

#[tokio::test]
async fn a_conversation_once_seen_with_a_copilot_marker_is_never_a_teams_chat() {
    let herald = Herald::start().await;
    // After it was taken for a Teams chat, by somebody else.
    herald.meet("ana").await;
    let mut marked = copilot(&herald.teams, "bob", "2026-04-01T10:00:00Z", "hi");
    marked["conversation"] = json!({"id": "a:ana", "conversationType": "personal", "tenantId": "tenant"});
    herald.tell(&marked).await;
    assert!(!herald.reachable("ana").await);
    assert_eq!(channels(&herald, "ana").await.keys().collect::<Vec<_>>(), ["other"]);
    // Before, and whatever the timestamps say.
    let mut first = copilot(&herald.teams, "cem", "2026-06-01T10:00:00Z", "hi");
    first["conversation"]["id"] = json!("a:dot");
    herald.tell(&first).await;
    herald.tell(&install(&herald.teams, "dot")).await;
    assert!(!herald.reachable("dot").await);
    // Even an activity that is otherwise ignored marks its conversation.
    let mut typing = copilot(&herald.teams, "eve", "2026-06-01T10:00:00Z", "hi");
    typing["type"] = json!("conversationUpdate");
    typing["conversation"]["id"] = json!("a:fay");
    herald.tell(&typing).await;
    herald.tell(&install(&herald.teams, "fay")).await;
    assert!(!herald.reachable("fay").await);
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["sent"], 0, "{status}");
    assert!(herald.teams.delivered("x").is_empty());
}

#[tokio::test]
async fn two_ids_of_one_person_are_one_recipient() {
    let herald = Herald::start().await;
    let teams = &herald.teams;
    // Known by object id from Copilot, by account id from Teams, and then by both.
    let mut by_object = copilot(teams, "ana", "2026-05-01T10:00:00Z", "hi");
    by_object["from"] = json!({"aadObjectId": "OBJECT-ana"});
    herald.tell(&by_object).await;
    let mut by_account = install(teams, "ana");
    by_account["from"] = json!({"id": "29:ana"});
    herald.tell(&by_account).await;
    let (_, two) = herald.get("/api/users").await;
    assert_eq!(two["users"].as_array().unwrap().len(), 2, "nobody can know yet");
    herald.tell(&message(teams, "ana", "2026-05-02T10:00:00Z", "hi")).await;
    let (_, one) = herald.get("/api/users").await;
    assert_eq!(one["users"].as_array().unwrap().len(), 1, "{one}");
    let (_, found) = herald.get("/api/users/object-ana").await;
    assert_eq!(found["users"][0]["reachable"], true);
    assert_eq!(found["users"][0]["channels"].as_array().unwrap().len(), 2);
    // Even an activity that names only one of them finds the same person.
    herald.tell(&by_account).await;
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["skipped"]["merged"], 1, "{status}");
    assert_eq!(status["counts"]["sent"], 1);
    let both = json!({"content": {"text": "y"}, "audience": {"users": ["29:ana", "object-ana", "nobody", "nobody"]}});
    let status = herald.notify(both).await;
    assert_eq!(status["counts"]["audience"], 2, "naming both is one message, and nobody counts once: {status}");
    assert_eq!((&status["counts"]["sent"], &status["counts"]["skipped"]["noTeamsChat"]), (&json!(1), &json!(1)));
    assert_eq!(herald.teams.delivered("y").values().sum::<usize>(), 1);
}

#[tokio::test]
async fn an_activity_is_on_disk_before_it_is_answered() {
    let mut herald = Herald::start().await;
    herald.meet("ana").await;
    // What another connection sees at this moment, without anything being closed.
    let copy = tempfile::tempdir().unwrap();
    for file in ["herald.db", "herald.db-wal"] {
        std::fs::copy(herald.folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let store = Embedded::open(copy.path()).unwrap();
    store.close();
    herald.stop().await;
    let mut reader = Herald::start().await;
    reader.stop().await;
    for file in ["herald.db", "herald.db-wal"] {
        if copy.path().join(file).exists() {
            std::fs::copy(copy.path().join(file), reader.folder.path().join(file)).unwrap();
        }
    }
    reader.again().await;
    assert!(reader.reachable("ana").await);
}

/// An activity that was resolved to the younger person just before a merge writes to whoever is left after it.
#[tokio::test]
async fn what_is_written_to_somebody_who_was_merged_goes_to_whoever_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(
        Arc::new(Embedded::open(folder.path()).unwrap().store()),
        Some("bot"),
        Duration::from_secs(1 << 40),
    );
    let (account, object) = (Some("29:ana".to_owned()), Some("object".to_owned()));
    let older = Identity { user_id: account.clone(), aad_object_id: None };
    let younger = Identity { user_id: None, aad_object_id: object.clone() };
    let both = Identity { user_id: account, aad_object_id: object };
    let at = |second: i64| Timestamp::from_timestamp(1_800_000_000 + second, 0).unwrap();
    let mut keys = Vec::new();
    for (second, identity) in [(0, &older), (1, &younger)] {
        let key = registry.resolve("bot", "t", identity, at(second)).await.unwrap().unwrap();
        registry.change("bot", ("t", &key), at(second), |person| person.named(identity)).await.unwrap();
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
    assert_eq!(registry.resolve("bot", "t", &both, at(2)).await.unwrap().as_ref(), Some(&keys[0]));
    let (_, written) =
        registry.change("bot", ("t", &keys[1]), at(3), |person| person.muting(true, at(3))).await.unwrap();
    assert_eq!(written.key, keys[0]);
    assert!(registry.person("bot", "t", &keys[0]).await.unwrap().unwrap().is_muted());
    assert_eq!(registry.find("bot", "object").await.unwrap(), [("t".to_owned(), keys[0].clone())]);
}

/// Who was only ever seen in Copilot is forgotten when that was long ago; a Teams chat is never forgotten, and takes
/// the old Copilot reference with it at its next activity.
#[tokio::test]
async fn copilot_references_fade_and_nothing_else_does() {
    let mut herald = Herald::with(&[("HERALD_KEEP_COPILOT_DAYS", "36500")]).await;
    let teams = &herald.teams;
    for (name, activity) in [
        ("ana", copilot(teams, "ana", "2020-05-01T10:00:00Z", "hi")),
        ("bob", copilot(teams, "bob", "2020-05-01T10:00:00Z", "hi")),
        ("bob", message(teams, "bob", "2020-05-02T10:00:00Z", "hi")),
    ] {
        assert_eq!(herald.tell(&activity).await, 200, "{name}");
    }
    assert_eq!(channels(&herald, "bob").await.len(), 2);
    herald.stop().await;
    let mut herald = Herald { settings: vec![("HERALD_KEEP_COPILOT_DAYS".into(), "30".into())], ..herald };
    herald.again().await;
    let again = message(&herald.teams, "bob", "2020-05-03T10:00:00Z", "hi");
    assert_eq!(herald.tell(&again).await, 200);
    assert_eq!(channels(&herald, "bob").await.keys().collect::<Vec<_>>(), ["teamsChat"]);
    let dee = copilot(&herald.teams, "dee", "2020-05-01T10:00:00Z", "hi");
    assert_eq!(herald.tell(&dee).await, 200);
    let forgotten = async {
        while herald.get("/api/users/29:dee").await.0 != 404 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.expect("Tick removes what has faded");
    assert_eq!(herald.get("/api/users/29:bob").await.0, 200);
}
