//! The bot endpoint: answers, replies, and what is refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Herald, activity, copilot, message, personal};

/// The text that the bot answered last in a conversation.
async fn answered(herald: &mut Herald, conversation: &str) -> String {
    herald.stop().await;
    let received = herald.teams.received();
    let last = received.iter().rev().find(|message| message.conversation_id == conversation);
    let text = last.map(|message| message.activity["text"].as_str().unwrap().to_owned()).unwrap_or_default();
    herald.again().await;
    text
}

#[tokio::test]
async fn commands_are_answered_in_every_channel() {
    let mut herald = Herald::start().await;
    let at = |minute: u32| format!("2026-05-01T10:{minute:02}:00Z");
    herald.tell(&copilot(&herald.teams, "ana", &at(0), "status")).await;
    let text = answered(&mut herald, "19:ana@thread.v2").await;
    assert!(text.contains("cannot be notified yet"), "{text}");
    assert!(text.contains("https://teams.microsoft.com/l/chat/0/0?users=28:the-bot"), "{text}");
    herald.tell(&message(&herald.teams, "ana", &at(1), "status")).await;
    let text = answered(&mut herald, "a:ana").await;
    assert!(text.contains("your Teams chat (known since 2026-05-01T10:01:00Z)"), "{text}");
    assert!(!text.contains("teams.microsoft.com"), "{text}");
    herald.tell(&message(&herald.teams, "ana", &at(2), "Mute")).await;
    assert!(answered(&mut herald, "a:ana").await.starts_with("Muted"));
    let status = herald.notify(json!({"content": {"text": "x"}, "audience": {"all": true}})).await;
    assert_eq!(status["counts"]["skipped"]["muted"], 1, "{status}");
    // Muting is about the person: it may be taken back from anywhere.
    herald.tell(&copilot(&herald.teams, "ana", &at(3), "unmute")).await;
    assert!(answered(&mut herald, "19:ana@thread.v2").await.starts_with("Unmuted"));
    assert!(herald.reachable("ana").await);
    herald.tell(&message(&herald.teams, "ana", &at(4), "help")).await;
    assert!(answered(&mut herald, "a:ana").await.contains("`unmute`"));
    herald.tell(&message(&herald.teams, "ana", &at(5), "what is the weather?")).await;
    let text = answered(&mut herald, "a:ana").await;
    assert_eq!(text.lines().count(), 1, "anything else gets one short line: {text}");
}

#[tokio::test]
async fn a_reply_answers_the_message_where_it_was_written() {
    let mut herald = Herald::start().await;
    herald.tell(&message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "hi")).await;
    herald.stop().await;
    let received = herald.teams.received();
    let [reply] = received.as_slice() else { panic!("{received:?}") };
    assert_eq!(reply.reply_to.as_deref(), Some("f:ana-2026-05-01T10:00:00Z"));
    assert_eq!(reply.activity["replyToId"], "f:ana-2026-05-01T10:00:00Z");
    assert_eq!(reply.activity["from"]["id"], "28:the-bot");
    assert_eq!(reply.activity["recipient"]["id"], "29:ana");
}

#[tokio::test]
async fn invokes_are_answered_with_a_body() {
    let herald = Herald::start().await;
    let invoke = |name: &str| {
        personal(&herald.teams, "ana", "2026-05-01T10:00:00Z", json!({"type": "invoke", "name": name, "id": name}))
    };
    let (status, body) = herald.post("/api/messages", &invoke("adaptiveCard/action")).await;
    assert_eq!((status, &body["statusCode"]), (200, &json!(200)));
    let (status, body) = herald.post("/api/messages", &invoke("handoff/action")).await;
    assert_eq!((status, body), (200, json!({})));
    let message = message(&herald.teams, "ana", "2026-05-01T10:01:00Z", "hi");
    let (status, body) = herald.post("/api/messages", &message).await;
    assert_eq!((status, body), (200, Value::String(String::new())));
}

#[tokio::test]
async fn what_points_elsewhere_changes_nothing() {
    let herald = Herald::start().await;
    let elsewhere = |url: &str| activity(url, "ana", "2026-05-01T10:00:00Z", json!({"type": "message", "text": "hi"}));
    for url in
        ["https://evil.example/", "https://smba.trafficmanager.net.evil.example/", "http://10.0.0.1/", "nonsense"]
    {
        let (status, problem) = herald.post("/api/messages", &elsewhere(url)).await;
        assert_eq!((status, &problem["field"]), (403, &json!("serviceUrl")), "{url}");
    }
    assert_eq!(herald.get("/api/users").await.1, json!({"users": []}));
    assert_eq!(herald.tell(&elsewhere("https://smba.trafficmanager.net/emea/")).await, 200);
}

#[tokio::test]
async fn the_first_bot_is_adopted_and_others_change_nothing() {
    let mut herald = Herald::start().await;
    let mut direct = message(&herald.teams, "zoe", "2026-05-01T10:00:00Z", "hi");
    direct["channelId"] = json!("directline");
    direct["recipient"]["id"] = json!("another");
    assert_eq!(herald.tell(&direct).await, 200, "no msteams activity: nobody is adopted");
    herald.meet("ana").await;
    herald.stop().await;
    herald.again().await;
    let mut stranger = message(&herald.teams, "bob", "2026-05-01T10:00:00Z", "hi");
    stranger["recipient"]["id"] = json!("28:another-bot");
    assert_eq!(herald.tell(&stranger).await, 200);
    let (_, users) = herald.get("/api/users").await;
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "{users}");
}

#[tokio::test]
async fn tenants_off_the_list_are_refused() {
    let herald = Herald::with(&[("HERALD_ALLOWED_TENANTS", "other, TENANT")]).await;
    assert_eq!(herald.tell(&message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "hi")).await, 200);
    let mut foreign = message(&herald.teams, "bob", "2026-05-01T10:00:00Z", "hi");
    foreign["conversation"]["tenantId"] = json!("foreign");
    assert_eq!(herald.tell(&foreign).await, 403);
    assert!(!herald.reachable("bob").await);
}

#[tokio::test]
async fn bad_input_gets_a_clear_answer() {
    let herald = Herald::start().await;
    let send = |body: &str| herald.http.post(herald.url("/api/messages")).body(body.to_owned()).send();
    for (body, status, part) in [
        ("", 400, "not JSON"),
        ("{", 400, "not JSON"),
        ("[]", 400, "expected a JSON object"),
        (r#"{"type":7}"#, 400, "invalid type"),
        (r#"{"type":"message"}"#, 400, "missing"),
    ] {
        let response = send(body).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{body}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(part), "{problem}");
    }
    let large = format!(r#"{{"type":"message","text":"{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(send(&large).await.unwrap().status(), 413);
    for (method, path, status) in [
        ("GET", "/api/messages", 405),
        ("PUT", "/api/users", 405),
        ("GET", "/api/nothing", 404),
        ("POST", "/Tick", 404),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let response = herald.http.request(method, herald.url(path)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(response.headers().contains_key("allow"), status == 405);
    }
    assert_eq!(herald.get("/api/health").await.0, 200, "still well");
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_reply() {
    let herald = Herald::start().await;
    herald.teams.always("a:ana", herald::simulator::Behaviour::Hang);
    let activity = message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "hi");
    let answer = herald.tell(&activity);
    let status = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("an answer while Teams hangs");
    assert_eq!(status, 200);
}
