//! `HERALD_OPEN_CHAT=known`: the Teams chat of somebody known only from Copilot is opened, where the app is installed.

use std::sync::atomic::Ordering;

use herald::simulator::Behaviour;
use serde_json::{Value, json};

use crate::support::{Herald, copilot, message};

async fn with_ana(open_chat: &str) -> Herald {
    let herald = Herald::with(&[("HERALD_OPEN_CHAT", open_chat)]).await;
    assert_eq!(herald.tell(&copilot(&herald.teams, "ana", "2026-05-01T10:00:00Z", "hello")).await, 200);
    herald
}

fn to_all(id: &str) -> Value {
    json!({"id": id, "content": {"text": id}, "audience": {"all": true}})
}

#[tokio::test]
async fn somebody_known_only_from_copilot_is_reached_in_a_chat_that_is_opened_for_them() {
    let herald = with_ana("known").await;
    let status = herald.notify(to_all("first")).await;
    assert_eq!(status["counts"]["sent"], 1, "{status}");
    let opened = json!({"isGroup": false, "tenantId": "tenant", "members": [{"id": "29:ana"}], "channelData": {"tenant": {"id": "tenant"}}});
    assert_eq!(herald.teams.opened(), [opened]);
    assert_eq!(herald.teams.delivered("first").into_iter().collect::<Vec<_>>(), [("a:opened-29:ana".to_owned(), 1)]);
    let (_, user) = herald.get("/api/users/29:ana").await;
    let channels: Vec<_> = user["users"][0]["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["channel"], &one["conversationId"]))
        .collect();
    assert_eq!(
        channels,
        [(&json!("teamsChat"), &json!("a:opened-29:ana")), (&json!("m365Copilot"), &json!("19:ana@thread.v2")),],
        "and the Copilot conversation is what it was"
    );
    herald.notify(to_all("second")).await;
    assert_eq!(herald.teams.opened().len(), 1, "once");
    // What the user does there themselves counts more, also where it is another conversation.
    herald.tell(&message(&herald.teams, "ana", "2026-05-01T10:00:01Z", "hi")).await;
    herald.notify(to_all("third")).await;
    assert_eq!(herald.teams.delivered("third").into_iter().collect::<Vec<_>>(), [("a:ana".to_owned(), 1)]);
}

#[tokio::test]
async fn a_refusal_is_a_skip_and_is_believed_for_a_day() {
    let herald = with_ana("known").await;
    herald.teams.always("29:ana", Behaviour::Refused(403, "ForbiddenOperationException"));
    for id in ["first", "second"] {
        let status = herald.notify(to_all(id)).await;
        assert_eq!(status["counts"]["skipped"]["notInstalled"], 1, "{status}");
        assert_eq!(herald.teams.opened().len(), 1, "asked once");
    }
    let (_, user) = herald.get("/api/users/29:ana").await;
    assert_eq!(user["users"][0]["reason"], "notInstalled");
    herald.clock.0.store(24 * 3600 + 1, Ordering::Relaxed);
    herald.teams.always("29:ana", Behaviour::Created);
    let status = herald.notify(to_all("third")).await;
    assert_eq!((&status["counts"]["sent"], herald.teams.opened().len()), (&json!(1), 2), "{status}");
}

#[tokio::test]
async fn an_id_that_was_ever_copilot_s_is_no_teams_chat() {
    let herald = with_ana("known").await;
    herald.teams.always("29:ana", Behaviour::Opened("19:ana@thread.v2"));
    let status = herald.notify(to_all("first")).await;
    assert_eq!(status["counts"]["skipped"]["noTeamsChat"], 1, "{status}");
    assert!(herald.teams.delivered("first").is_empty());
    let (_, user) = herald.get("/api/users/29:ana").await;
    assert_eq!(user["users"][0]["channels"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn nobody_is_asked_for_whom_nothing_may_be_opened() {
    let herald = with_ana("never").await;
    assert_eq!(herald.notify(to_all("off")).await["counts"]["skipped"]["noTeamsChat"], 1);
    assert_eq!(herald.teams.opened(), Vec::<Value>::new(), "off by default");

    let herald = with_ana("known").await;
    let mut dry = to_all("dry");
    dry["dryRun"] = json!(true);
    assert_eq!(herald.notify(dry).await["counts"]["skipped"]["noTeamsChat"], 1, "a dry run asks nobody");
    herald.tell(&copilot(&herald.teams, "ana", "2026-05-01T11:00:00Z", "mute")).await;
    assert_eq!(herald.notify(to_all("muted")).await["counts"]["skipped"]["noTeamsChat"], 1);
    assert_eq!(herald.teams.opened(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_may_pass_is_asked_again() {
    let herald = with_ana("known").await;
    let passing = [Behaviour::Throttled(Some("1")), Behaviour::Refused(503, "ServiceUnavailable"), Behaviour::Accepted];
    herald.teams.next("29:ana", passing);
    let status = herald.notify(to_all("first")).await;
    assert_eq!((&status["counts"]["sent"], herald.teams.opened().len()), (&json!(1), 4), "{status}");
    assert_eq!(herald.teams.delivered("first").len(), 1);
}
