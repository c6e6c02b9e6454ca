//! The ledger: what Teams answers, who retries, kill -9, leases, outstanding batches.

use std::collections::HashMap;

use herald::delivery::Pointer;
use herald::simulator::{Behaviour, Teams};
use serde_json::{Value, json};

use crate::support::{Child, Herald, free_folder, install, message};

#[tokio::test]
async fn each_answer_of_teams_has_its_consequence() {
    let herald = Herald::start().await;
    let cases: &[(&str, Behaviour, &str, &str, &str)] = &[
        ("created", Behaviour::Created, "sent", "", "active"),
        ("accepted", Behaviour::Accepted, "sent", "", "active"),
        ("bad", Behaviour::Refused(400, "BadSyntax"), "failed", "badSyntax", "active"),
        (
            "blocked",
            Behaviour::Refused(403, "ConversationBlockedByUser"),
            "failed",
            "conversationBlockedByUser",
            "blocked",
        ),
        ("writes", Behaviour::Refused(403, "MessageWritesBlocked"), "failed", "messageWritesBlocked", "blocked"),
        (
            "roster",
            Behaviour::Refused(403, "BotNotInConversationRoster"),
            "failed",
            "botNotInConversationRoster",
            "uninstalled",
        ),
        (
            "forbidden",
            Behaviour::Refused(403, "ForbiddenOperationException"),
            "failed",
            "forbiddenOperationException",
            "uninstalled",
        ),
        ("admin", Behaviour::Refused(403, "BotDisabledByAdmin"), "failed", "botDisabledByAdmin", "active"),
        ("gone", Behaviour::Refused(404, "ConversationNotFound"), "failed", "conversationNotFound", "gone"),
        ("big", Behaviour::Refused(413, "MessageSizeTooBig"), "failed", "messageSizeTooBig", "active"),
        ("teapot", Behaviour::Refused(418, "I am a teapot"), "failed", "http418", "active"),
        ("broken", Behaviour::Refused(500, "ServiceError"), "failed", "serviceError", "active"),
        ("reset", Behaviour::Reset, "uncertain", "", "active"),
    ];
    for (name, behaviour, ..) in cases {
        herald.meet(name).await;
        herald.teams.always(&format!("a:{name}"), behaviour.clone());
    }
    let status = herald.notify(json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!((&status["counts"]["sent"], &status["counts"]["uncertain"]), (&json!(2), &json!(1)), "{status}");
    let mut found: HashMap<String, (String, String)> = HashMap::new();
    for outcome in ["sent", "failed", "uncertain"] {
        let (_, page) = herald.get(&format!("/api/notifications/n?recipients={outcome}")).await;
        for one in page["recipients"].as_array().unwrap() {
            let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
            found.insert(text("userId"), (text("outcome"), text("reason")));
        }
    }
    for (name, _, outcome, reason, state) in cases {
        assert_eq!(found[&format!("29:{name}")], ((*outcome).to_owned(), (*reason).to_owned()), "{name}");
        let (_, user) = herald.get(&format!("/api/users/29:{name}")).await;
        assert_eq!(user["users"][0]["channels"][0]["state"], *state, "{name}");
    }
    // The user's own next activity heals, even one with an older timestamp after a block.
    herald.tell(&message(&herald.teams, "blocked", "2026-04-01T10:00:00Z", "hi")).await;
    herald.tell(&message(&herald.teams, "gone", "2026-05-02T10:00:00Z", "hi")).await;
    assert!(herald.reachable("blocked").await && herald.reachable("gone").await);
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let herald = Herald::start().await;
    for name in ["throttled", "busy", "away"] {
        herald.meet(name).await;
    }
    herald.teams.next("a:throttled", [Behaviour::Throttled(Some("1")), Behaviour::Throttled(None)]);
    herald.teams.next("a:busy", [Behaviour::Refused(412, "PreconditionFailed")]);
    herald.teams.next("a:away", [Behaviour::Refused(503, "ServiceUnavailable")]);
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["sent"], 3, "{status}");
    assert!(herald.teams.delivered("x").values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_doubtful_send_follows_the_policy() {
    let herald = Herald::start().await;
    herald.meet("ana").await;
    herald.teams.next("a:ana", [Behaviour::Reset]);
    let again = json!({"content": {"text": "x"}, "audience": {"all": true}, "onUncertain": "resend"});
    let status = herald.notify(again).await;
    assert_eq!((&status["counts"]["sent"], &status["counts"]["uncertain"]), (&json!(1), &json!(0)), "{status}");
    assert_eq!(herald.teams.delivered("x")["a:ana"], 2);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_the_reference_goes_with_the_user() {
    let herald = Herald::start().await;
    let elsewhere = Teams::start().await.unwrap();
    let activity = install(&elsewhere, "ana");
    assert_eq!(herald.tell(&activity).await, 200);
    drop(elsewhere);
    herald.post("/api/notifications", &json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}})).await;
    herald.until("n", |status| status["state"] == "sending").await;
    // The user's next activity names another Bot Connector: the next attempt goes there.
    herald.tell(&message(&herald.teams, "ana", "2026-05-02T10:00:00Z", "hi")).await;
    let status = herald.over("n").await;
    assert_eq!(status["counts"]["sent"], 1, "{status}");
    assert_eq!(herald.teams.delivered("x")["a:ana"], 1);
}

#[tokio::test]
async fn what_was_answered_before_the_mark_counts() {
    let herald = Herald::with(&[("HERALD_TENANT_RATE", "1")]).await;
    for name in ["p0", "p1", "p2", "p3"] {
        herald.meet(name).await;
    }
    herald.post("/api/notifications", &json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}})).await;
    herald.until("n", |_| !herald.teams.delivered("x").is_empty()).await;
    let sent = herald.teams.delivered("x");
    let waiting: Vec<_> =
        ["p0", "p1", "p2", "p3"].into_iter().filter(|name| !sent.contains_key(&format!("a:{name}"))).collect();
    let last = *waiting.last().unwrap();
    herald.tell(&message(&herald.teams, last, "2026-05-02T10:00:00Z", "mute")).await;
    let status = herald.over("n").await;
    assert_eq!(status["counts"]["skipped"]["muted"], 1, "{status}");
    assert!(!herald.teams.delivered("x").contains_key(&format!("a:{last}")));
}

/// Waits until the simulated Teams has so many messages of a text.
async fn delivered(teams: &Teams, text: &str, count: usize) {
    let look = async {
        while teams.delivered(text).len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), look).await.expect("so many within 20 s");
}

#[expect(clippy::disallowed_methods, reason = "tests are clients")]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}

async fn status(url: &str, id: &str) -> Value {
    let response = client().get(format!("{url}/api/notifications/{id}")).send().await.unwrap();
    response.json().await.unwrap()
}

async fn over(url: &str, id: &str) -> Value {
    let look = async {
        loop {
            let status = status(url, id).await;
            if !status["completedAt"].is_null() {
                return status;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), look).await.expect("an end within 60 s")
}

#[tokio::test]
async fn killed_in_the_middle_nobody_is_lost_and_nobody_gets_it_twice() {
    let (folder, teams) = (free_folder(), Teams::start().await.unwrap());
    let herald = Child::serve(folder.path(), &[]);
    let people: Vec<_> = (0..60).map(|number| format!("p{number:02}")).collect();
    for name in &people {
        let answer =
            client().post(format!("{}/api/messages", herald.url)).json(&install(&teams, name)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}});
    client().post(format!("{}/api/notifications", herald.url)).json(&body).send().await.unwrap();
    delivered(&teams, "x", 15).await;
    drop(herald);
    let herald = Child::serve(folder.path(), &[]);
    delivered(&teams, "x", 35).await;
    drop(herald);
    let herald = Child::serve(folder.path(), &[]);
    let status = over(&herald.url, "n").await;
    let received = teams.delivered("x");
    assert!(received.values().all(|count| *count == 1), "nobody gets it twice: {received:?}");
    let (sent, uncertain) =
        (status["counts"]["sent"].as_u64().unwrap(), status["counts"]["uncertain"].as_u64().unwrap());
    assert_eq!(sent + uncertain, 60, "{status}");
    assert!(uncertain <= 20, "at most the windows that were out: {status}");
    assert!(received.len() as u64 >= sent, "who is counted as sent has it");
    assert!(received.len() as u64 <= sent + uncertain);
}

#[tokio::test]
async fn killed_with_resend_everybody_gets_it() {
    let (folder, teams) = (free_folder(), Teams::start().await.unwrap());
    let herald = Child::serve(folder.path(), &[]);
    for number in 0..40 {
        let activity = install(&teams, &format!("p{number:02}"));
        client().post(format!("{}/api/messages", herald.url)).json(&activity).send().await.unwrap();
    }
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}, "onUncertain": "resend"});
    client().post(format!("{}/api/notifications", herald.url)).json(&body).send().await.unwrap();
    delivered(&teams, "x", 12).await;
    drop(herald);
    let herald = Child::serve(folder.path(), &[]);
    let status = over(&herald.url, "n").await;
    assert_eq!((&status["counts"]["sent"], &status["counts"]["uncertain"]), (&json!(40), &json!(0)), "{status}");
    assert_eq!(teams.delivered("x").len(), 40);
}

#[tokio::test]
async fn asked_to_end_it_finishes_what_is_in_flight_and_goes_on_later() {
    let (folder, teams) = (free_folder(), Teams::start().await.unwrap());
    let herald = Child::serve(folder.path(), &[("HERALD_TENANT_RATE", "20")]);
    for number in 0..30 {
        let activity = install(&teams, &format!("p{number:02}"));
        client().post(format!("{}/api/messages", herald.url)).json(&activity).send().await.unwrap();
    }
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}});
    client().post(format!("{}/api/notifications", herald.url)).json(&body).send().await.unwrap();
    delivered(&teams, "x", 5).await;
    herald.signal("-TERM");
    assert_eq!(herald.ended().await.code(), Some(0));
    let herald = Child::serve(folder.path(), &[]);
    let status = over(&herald.url, "n").await;
    assert_eq!((&status["counts"]["sent"], &status["counts"]["uncertain"]), (&json!(30), &json!(0)), "{status}");
    assert!(teams.delivered("x").values().all(|count| *count == 1));
}

#[tokio::test]
async fn messages_that_come_twice_or_never_change_nothing() {
    let herald = Herald::start().await;
    for number in 0..150 {
        herald.meet(&format!("p{number:03}")).await;
    }
    let app = herald.running.as_ref().unwrap().app().unwrap().clone();
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}});
    herald.post("/api/notifications", &body).await;
    // Beside the pump: every pointer again and again while it runs.
    for _ in 0..20 {
        let put_out = app.delivery.run(&Pointer::to_notification("n")).await.unwrap();
        for pointer in put_out.deliveries {
            let (first, second) = tokio::join!(app.delivery.deliver(&pointer), app.delivery.deliver(&pointer));
            assert!(first.is_ok() && second.is_ok());
        }
    }
    let status = herald.over("n").await;
    assert_eq!(status["counts"]["sent"], 150, "{status}");
    assert!(herald.teams.delivered("x").values().all(|count| *count == 1));
    assert!(
        app.delivery.run(&Pointer::to_notification("n")).await.unwrap().is_empty(),
        "what is over puts nothing out"
    );
    assert!(app.delivery.tick().await.unwrap().is_empty());
}
