//! The notifications API: posting, idempotency, audiences, schedule, expiry, cancel, dry run, lists.

use chrono::TimeDelta;
use herald::clock::{Clock, SystemClock};
use herald::simulator::Behaviour;
use serde_json::{Value, json};

use crate::support::{Herald, copilot, install, message};

fn text(audience: Value) -> Value {
    json!({"content": {"text": "x"}, "audience": audience})
}

fn soon(seconds: i64) -> String {
    (SystemClock.now() + TimeDelta::milliseconds(seconds * 1000)).to_rfc3339()
}

#[tokio::test]
async fn the_same_id_goes_with_the_same_body_only() {
    let herald = Herald::start().await;
    herald.meet("ana").await;
    let body = json!({"id": "build-12", "content": {"text": "x"}, "audience": {"all": true}});
    let response = herald.http.post(herald.url("/api/notifications")).json(&body).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"]),
        (202, &"/api/notifications/build-12".parse().unwrap())
    );
    herald.over("build-12").await;
    let spelled_out = json!({"audience": {"all": true}, "id": "build-12", "dryRun": false, "onUncertain": "report",
        "content": {"alert": true, "format": "markdown", "text": "x", "card": null}});
    let (status, again) = herald.post("/api/notifications", &spelled_out).await;
    assert_eq!((status, &again["state"], &again["counts"]["sent"]), (202, &json!("completed"), &json!(1)));
    let (status, problem) = herald
        .post("/api/notifications", &json!({"id": "build-12", "content": {"text": "y"}, "audience": {"all": true}}))
        .await;
    assert_eq!((status, &problem["field"]), (409, &json!("id")));
    assert_eq!(herald.teams.delivered("x")["a:ana"], 1);
}

#[tokio::test]
async fn each_audience_reaches_whom_it_names() {
    let herald = Herald::start().await;
    for name in ["ana", "bob"] {
        herald.meet(name).await;
    }
    let mut abroad = install(&herald.teams, "cem");
    abroad["conversation"]["tenantId"] = json!("Elsewhere");
    herald.tell(&abroad).await;
    let mut group = message(&herald.teams, "dot", "2026-05-01T10:00:00Z", "hi");
    group["conversation"] =
        json!({"id": "19:g@thread.v2", "conversationType": "groupChat", "isGroup": true, "tenantId": "tenant"});
    herald.tell(&group).await;
    herald.tell(&copilot(&herald.teams, "eve", "2026-05-01T10:00:00Z", "hi")).await;
    for (number, (audience, people, sent)) in [
        (json!({"all": true}), 4, 3),
        (json!({"tenants": ["elsewhere"]}), 1, 1),
        (json!({"tenants": ["TENANT", "nowhere"]}), 3, 2),
        (json!({"users": ["object-ANA", "29:cem", "29:nobody"]}), 3, 2),
        (json!({"users": ["29:eve", "29:dot"]}), 2, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let said = format!("number {number}");
        let status = herald.notify(json!({"content": {"text": said}, "audience": audience})).await;
        assert_eq!(
            (&status["counts"]["audience"], &status["counts"]["sent"]),
            (&json!(people), &json!(sent)),
            "{status}"
        );
        assert_eq!((&status["planned"], &status["counts"]["pending"]), (&json!(true), &json!(0)));
        assert_eq!(herald.teams.delivered(&said).values().sum::<usize>(), sent);
    }
}

#[tokio::test]
async fn text_card_summary_and_alert_arrive_as_posted() {
    let mut herald = Herald::start().await;
    herald.meet("ana").await;
    let card = json!({"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "hi"}]});
    let with_card = json!({"content": {"text": "Build 12", "card": card}, "audience": {"all": true}});
    assert_eq!(herald.notify(with_card).await["counts"]["sent"], 1);
    let quiet = json!({"content": {"text": "<b>x</b>", "format": "xml", "summary": "s", "alert": false}, "audience": {"all": true}});
    assert_eq!(herald.notify(quiet).await["counts"]["sent"], 1);
    herald.stop().await;
    let received = herald.teams.received();
    let [first, second] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(first.activity["attachments"][0]["content"], card);
    assert_eq!((&first.activity["summary"], &first.activity["text"]), (&json!("Build 12"), &Value::Null));
    assert_eq!(first.activity["channelData"]["notification"]["alert"], true);
    assert_eq!((&second.activity["textFormat"], &second.activity["summary"]), (&json!("xml"), &json!("s")));
    assert_eq!(second.activity["channelData"], Value::Null);
}

#[tokio::test]
async fn a_dry_run_counts_and_sends_nothing() {
    let herald = Herald::start().await;
    herald.meet("ana").await;
    herald.tell(&copilot(&herald.teams, "bob", "2026-05-01T10:00:00Z", "hi")).await;
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}, "dryRun": true})).await;
    assert_eq!(
        (&status["counts"]["skipped"]["dryRun"], &status["counts"]["skipped"]["noTeamsChat"]),
        (&json!(1), &json!(1))
    );
    assert!(herald.teams.delivered("x").is_empty());
}

#[tokio::test]
async fn a_scheduled_one_waits_and_what_is_in_the_past_is_now() {
    let herald = Herald::start().await;
    herald.meet("ana").await;
    let later = json!({"id": "later", "content": {"text": "later"}, "audience": {"all": true}, "sendAt": soon(2)});
    let (_, status) = herald.post("/api/notifications", &later).await;
    assert_eq!((&status["state"], &status["startedAt"]), (&json!("scheduled"), &Value::Null));
    let mut past = text(json!({"all": true}));
    past["sendAt"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(herald.notify(past).await["counts"]["sent"], 1);
    let status = herald.over("later").await;
    assert_eq!(status["counts"]["sent"], 1);
    let started: chrono::DateTime<chrono::Utc> = status["startedAt"].as_str().unwrap().parse().unwrap();
    let wanted: chrono::DateTime<chrono::Utc> = later["sendAt"].as_str().unwrap().parse().unwrap();
    assert!(started >= wanted, "{status}");
}

#[tokio::test]
async fn an_expired_one_stops() {
    let herald = Herald::start().await;
    for name in ["ana", "bob"] {
        herald.meet(name).await;
    }
    herald.teams.always("a:ana", Behaviour::Refused(503, "ServiceUnavailable"));
    let body = json!({"id": "short", "content": {"text": "x"}, "audience": {"all": true}, "expiresAt": soon(2)});
    herald.post("/api/notifications", &body).await;
    let status = herald.over("short").await;
    assert_eq!(status["state"], "expired", "{status}");
    assert_eq!((&status["counts"]["sent"], &status["counts"]["pending"]), (&json!(1), &json!(0)));
    assert_eq!(status["counts"]["failed"]["serviceUnavailable"], 1, "tried before, and failed for that reason");
}

#[tokio::test]
async fn a_cancelled_one_stops_and_says_who_was_not_sent() {
    let herald = Herald::with(&[("HERALD_TENANT_RATE", "2")]).await;
    for number in 0..12 {
        herald.meet(&format!("p{number}")).await;
    }
    let body = json!({"id": "stop", "content": {"text": "x"}, "audience": {"all": true}});
    herald.post("/api/notifications", &body).await;
    herald.until("stop", |_| !herald.teams.delivered("x").is_empty()).await;
    let (status, cancelled) = herald.delete("/api/notifications/stop").await;
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")));
    let status = herald.over("stop").await;
    let sent = status["counts"]["sent"].as_u64().unwrap();
    assert!((1..12).contains(&sent), "{status}");
    assert_eq!(status["counts"]["skipped"]["cancelled"], 12 - sent);
    assert_eq!(herald.teams.delivered("x").len() as u64, sent);
    let (status, again) = herald.delete("/api/notifications/stop").await;
    assert_eq!((status, &again["state"]), (200, &json!("cancelled")));
    assert_eq!(herald.delete("/api/notifications").await.0, 405);
    assert_eq!(herald.delete("/api/notifications/unknown").await.0, 404);
    let scheduled = json!({"id": "never", "content": {"text": "y"}, "audience": {"all": true}, "sendAt": soon(3600)});
    herald.post("/api/notifications", &scheduled).await;
    let (_, status) = herald.delete("/api/notifications/never").await;
    assert_eq!((&status["state"], status["completedAt"].is_null()), (&json!("cancelled"), false));
}

#[tokio::test]
async fn lists_are_paged_and_newest_first() {
    let herald = Herald::with(&[("HERALD_TENANT_RATE", "1000")]).await;
    for number in 0..130 {
        if number % 2 == 0 {
            herald.meet(&format!("p{number:03}")).await;
        } else {
            herald.tell(&copilot(&herald.teams, &format!("p{number:03}"), "2026-05-01T10:00:00Z", "hi")).await;
        }
    }
    for number in 0..52 {
        let body = json!({"id": format!("n{number:02}"), "content": {"text": "x"}, "audience": {"users": ["nobody"]}});
        assert_eq!(herald.post("/api/notifications", &body).await.0, 202);
    }
    let mut listed = pages(&herald, "/api/notifications?", "notifications", "id").await;
    assert_eq!((listed.first().map(String::as_str), listed.len()), (Some("n51"), 52));
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 52);
    assert_eq!(pages(&herald, "/api/users?", "users", "userId").await.len(), 130);
    assert_eq!(pages(&herald, "/api/users?reachable=true&", "users", "userId").await.len(), 65);
    let unreachable = pages(&herald, "/api/users?reachable=false&", "users", "userId").await;
    assert_eq!((unreachable.len(), unreachable.first().map(String::as_str)), (65, Some("29:p129")));
    let status = herald.notify(json!({"id": "all", "content": {"text": "y"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["sent"], 65, "{status}");
    for (outcome, count) in [("sent", 65), ("skipped", 65), ("failed", 0), ("uncertain", 0)] {
        let path = format!("/api/notifications/all?recipients={outcome}&");
        let mut found = pages(&herald, &path, "recipients", "userId").await;
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count, "{outcome}");
    }
    let (_, page) = herald.get("/api/notifications/all?recipients=sent").await;
    let first = &page["recipients"][0];
    assert_eq!(
        (&first["tenantId"], &first["outcome"], &first["reason"]),
        (&json!("tenant"), &json!("sent"), &Value::Null)
    );
    assert!(first["at"].is_string() && first["activityId"].is_string() && first["aadObjectId"].is_string(), "{first}");
}

/// A field of everything that a list shows, through all its pages.
async fn pages(herald: &Herald, path: &str, list: &str, field: &str) -> Vec<String> {
    let (mut found, mut continuation) = (Vec::new(), String::new());
    loop {
        let (status, page) = herald.get(&format!("{path}{continuation}")).await;
        assert_eq!(status, 200, "{page}");
        found.extend(page[list].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()));
        match page["continuation"].as_str() {
            Some(next) => continuation = format!("continuation={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let herald = Herald::start().await;
    let card = json!({"type": "AdaptiveCard", "body": ["x".repeat(90_000)]});
    for (body, status, field) in [
        (json!({"content": {"text": "x"}, "audience": {"all": true}, "colour": 1}), 400, json!("colour")),
        (json!({"content": {"text": "x", "colour": 1}, "audience": {"all": true}}), 400, json!("content.colour")),
        (text(json!({"users": []})), 422, json!("audience.users")),
        (text(json!({})), 422, json!("audience")),
        (json!({"content": {"card": card}, "audience": {"all": true}}), 422, json!("content")),
        (
            json!({"content": {"text": "x"}, "audience": {"all": true}, "sendAt": soon(60), "expiresAt": soon(30)}),
            422,
            json!("sendAt"),
        ),
        (
            json!({"content": {"text": "x"}, "audience": {"all": true}, "expiresAt": "2020-01-01T00:00:00Z"}),
            422,
            json!("expiresAt"),
        ),
        (json!({"id": "a/b", "content": {"text": "x"}, "audience": {"all": true}}), 422, json!("id")),
    ] {
        let (found, problem) = herald.post("/api/notifications", &body).await;
        assert_eq!((found, &problem["field"]), (status, &field), "{problem}");
    }
    let large =
        json!({"content": {"card": {"type": "AdaptiveCard", "body": ["x".repeat(20_000)]}}, "audience": {"all": true}});
    let (status, accepted) = herald.post("/api/notifications", &large).await;
    assert_eq!((status, accepted["warnings"].as_array().map(Vec::len)), (202, Some(1)), "{accepted}");
    for (path, status) in [
        ("/api/notifications/unknown", 404),
        ("/api/notifications?continuation=nonsense", 400),
        ("/api/users?reachable=maybe", 400),
        ("/api/users/29:nobody", 404),
        ("/api/notifications/unknown?recipients=sent", 404),
    ] {
        assert_eq!(herald.get(path).await.0, status, "{path}");
    }
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(herald.get(&format!("/api/notifications/{id}?recipients=everybody")).await.0, 400);
}

#[tokio::test]
async fn the_key_opens_the_operators_routes() {
    let mut herald = Herald::with(&[("HERALD_API_KEY", "right")]).await;
    herald.key = None;
    for path in ["/api/users", "/api/notifications"] {
        assert_eq!(herald.get(path).await.0, 401, "{path}");
        assert_eq!(herald.get(&format!("{path}?code=right")).await.0, 200, "{path}");
        assert_eq!(herald.get(&format!("{path}?code=wrong")).await.0, 401, "{path}");
    }
    assert_eq!(herald.post("/api/notifications", &text(json!({"all": true}))).await.0, 401);
    assert_eq!(herald.get("/api/health").await.0, 200);
    assert_eq!(herald.tell(&install(&herald.teams, "ana")).await, 200);
}
