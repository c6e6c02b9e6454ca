//! To whom Herald gives its token, and where that comes from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald::delivery::Pointer;
use herald::simulator::{Behaviour, Teams};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{APP, Authority, Child, Herald, Scene, TENANT, channel_claims, free_folder, key, signed};

async fn crowd(scene: &Scene, people: usize) {
    for number in 0..people {
        scene.meet(&format!("p{number}")).await;
    }
}

fn carried(teams: &Teams) -> Vec<String> {
    teams.received().into_iter().map(|message| message.authorization.unwrap_or_default()).collect()
}

fn to_all(id: &str) -> Value {
    json!({"id": id, "content": {"text": "x"}, "audience": {"all": true}})
}

#[tokio::test]
async fn a_cold_burst_asks_for_one_token() {
    let scene = Scene::with(&[]).await;
    crowd(&scene, 40).await;
    let status = scene.herald.notify(to_all("n")).await;
    assert_eq!(status["counts"]["sent"], 40, "{status}");
    assert_eq!(carried(&scene.herald.teams), vec!["Bearer token-1"; 40]);
    let tokens = scene.authority.asked().tokens.clone();
    let [form] = tokens.as_slice() else { panic!("{tokens:?}") };
    for (name, value) in [
        ("path", format!("/{TENANT}/oauth2/v2.0/token").as_str()),
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", "the-bots-secret"),
        ("scope", "https://api.botframework.com/.default"),
    ] {
        assert_eq!(form[name], value);
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let scene = Scene::with(&[]).await;
    crowd(&scene, 30).await;
    scene.herald.teams.admit("token-2");
    let status = scene.herald.notify(to_all("n")).await;
    assert_eq!(status["counts"]["sent"], 30, "{status}");
    assert_eq!(scene.authority.asked().tokens.len(), 2);
    let delivered = scene.herald.teams.received().into_iter().filter(|message| message.delivered);
    assert_eq!(delivered.count(), 30, "each once");
    // When the fresh one is refused too, the token is not the reason.
    scene.herald.teams.admit("none of ours");
    let status = scene.herald.notify(to_all("m")).await;
    assert_eq!(status["counts"]["failed"]["unauthorized"], 30, "{status}");
    assert_eq!(scene.authority.asked().tokens.len(), 2, "not within a minute of the last");
    scene.herald.clock.0.store(61, Ordering::Relaxed);
    let status = scene.herald.notify(to_all("o")).await;
    assert_eq!(status["counts"]["failed"]["unauthorized"], 30, "{status}");
    assert_eq!(scene.authority.asked().tokens.len(), 3, "one for all thirty");
}

#[tokio::test]
async fn a_token_that_one_conversation_refuses_stays_good_for_the_others() {
    let scene = Scene::with(&[]).await;
    crowd(&scene, 3).await;
    assert_eq!(scene.herald.notify(to_all("first")).await["counts"]["sent"], 3);
    scene.herald.teams.always("a:p1", Behaviour::Refused(401, "Unauthorized"));
    scene.authority.asked().is_away = true;
    assert_eq!(scene.herald.post("/api/notifications", &to_all("n")).await.0, 202);
    let status = scene.herald.until("n", |status| status["counts"]["sent"] == 2).await;
    assert_eq!((&status["counts"]["pending"], &status["counts"]["failed"]), (&json!(1), &json!({})), "{status}");
    scene.authority.asked().is_away = false;
    scene.herald.clock.0.store(30, Ordering::Relaxed);
    let status = scene.herald.over("n").await;
    assert_eq!(status["counts"]["failed"]["unauthorized"], 1, "the fresh token was refused too: {status}");
}

#[tokio::test]
async fn while_there_is_no_token_everybody_waits() {
    let scene = Scene::with(&[]).await;
    crowd(&scene, 3).await;
    scene.authority.asked().is_away = true;
    let (status, _) = scene.herald.post("/api/notifications", &to_all("n")).await;
    assert_eq!(status, 202);
    let status = scene.herald.until("n", |status| status["counts"]["pending"] == 3).await;
    assert_eq!(status["state"], "sending", "{status}");
    // More often than anybody is tried: none of it is an attempt.
    let app = scene.herald.running.as_ref().unwrap().app().unwrap().clone();
    let pointer = Pointer::to_batch("n", "tenant", "00000001");
    for round in 1..=10 {
        scene.herald.clock.0.store(round * 1000, Ordering::Relaxed);
        app.delivery.deliver(&pointer).await.unwrap();
    }
    let (_, status) = scene.herald.get("/api/notifications/n").await;
    assert_eq!((&status["counts"]["pending"], &status["counts"]["failed"]), (&json!(3), &json!({})), "{status}");
    scene.authority.asked().is_away = false;
    scene.herald.clock.0.store(10_020, Ordering::Relaxed);
    let status = scene.herald.over("n").await;
    assert_eq!(status["counts"]["sent"], 3, "nobody failed: {status}");
}

#[tokio::test]
async fn a_token_is_renewed_in_good_time_and_outlasts_a_failed_renewal() {
    let scene = Scene::with(&[]).await;
    scene.meet("ana").await;
    let after = async |seconds: i64, id: &str| {
        scene.herald.clock.0.store(seconds, Ordering::Relaxed);
        assert_eq!(scene.herald.notify(to_all(id)).await["counts"]["sent"], 1, "{id}");
        carried(&scene.herald.teams).pop().unwrap()
    };
    assert_eq!(after(0, "first").await, "Bearer token-1");
    assert_eq!(after(3000, "later").await, "Bearer token-1");
    scene.authority.asked().is_away = true;
    assert_eq!(after(3400, "away").await, "Bearer token-1", "it still lives");
    scene.authority.asked().is_away = false;
    assert_eq!(after(3430, "back").await, "Bearer token-2");
}

/// The assertion of the only form, checked against the certificate's key.
fn assertion(form: &BTreeMap<String, String>) -> Value {
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert!(!form.contains_key("client_secret"));
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[&form["audience"]]);
    let verifying = DecodingKey::from_rsa_pem(&key("bot.pub.pem")).unwrap();
    let token = decode::<Value>(&form["client_assertion"], &verifying, &validation).expect("signed by the certificate");
    let blocks = pem::parse_many(key("bot.pem")).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(blocks[0].contents()));
    assert_eq!(token.header.x5t_s256, Some(thumbprint));
    token.claims
}

#[tokio::test]
async fn a_certificate_signs_for_the_bot() {
    let folder = free_folder();
    let file = folder.path().join("bot.pem");
    fs::write(&file, key("bot.pem")).unwrap();
    let certificate = file.to_str().unwrap();
    let settings = [("HERALD_APP_CREDENTIAL", "certificate"), ("HERALD_APP_CERTIFICATE", certificate)];
    let scene = Scene::with(&settings).await;
    scene.meet("ana").await;
    assert_eq!(scene.herald.notify(to_all("n")).await["counts"]["sent"], 1);
    let mut form = scene.authority.asked().tokens[0].clone();
    form.insert("audience".into(), scene.authority.url(&format!("/{TENANT}/oauth2/v2.0/token")));
    let claims = assertion(&form);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(APP), &json!(APP)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 300);
    assert!(claims["jti"].as_str().unwrap().len() >= 32);
}

/// What a bot of these settings asks for, when it sends one notification; the settings of the authority aside.
async fn asked_by(more: &[(&str, &str)]) -> (Vec<BTreeMap<String, String>>, Vec<String>) {
    let (authority, teams) = (Authority::start().await, Teams::start().await.unwrap());
    let (endpoint, folder) = (authority.url("/msi"), free_folder());
    let mut settings = authority.settings(&teams.service_url());
    settings.retain(|(name, _)| name != "MicrosoftAppPassword");
    settings.extend([("IDENTITY_ENDPOINT".into(), endpoint), ("IDENTITY_HEADER".into(), "a header".into())]);
    settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let child = Child::serve(folder.path(), &settings);
    let herald = Outside { child, teams };
    herald.send_one().await;
    let asked = authority.asked().tokens.clone();
    (asked, carried(&herald.teams))
}

struct Outside {
    child: Child,
    teams: Teams,
}

impl Outside {
    async fn send_one(&self) {
        let http = Herald::client();
        let token = signed("channel.pem", "channel", &channel_claims(&self.teams.service_url()));
        let mut activity = crate::support::install(&self.teams, "ana");
        activity["recipient"]["id"] = json!(format!("28:{APP}"));
        let told = http.post(format!("{}/api/messages", self.child.url)).bearer_auth(&token).json(&activity);
        assert_eq!(told.send().await.unwrap().status(), 200);
        let post = http.post(format!("{}/api/notifications?code=the-operators-key", self.child.url));
        assert_eq!(post.json(&to_all("n")).send().await.unwrap().status(), 202);
        let arrived = async {
            while self.teams.received().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), arrived).await.expect("a message within 20 s");
    }
}

#[tokio::test]
async fn a_managed_identity_needs_no_secret() {
    let (asked, carried) = asked_by(&[("MicrosoftAppType", "UserAssignedMSI")]).await;
    assert_eq!(carried, ["Bearer token-1"]);
    assert_eq!(asked[0]["path"], "/msi");
    assert_eq!((asked[0]["resource"].as_str(), asked[0]["client_id"].as_str()), ("https://api.botframework.com", APP));
}

#[tokio::test]
async fn a_federated_identity_vouches_for_the_bot() {
    let identity = "5b1fe6c0-0000-4000-8000-0000000000aa";
    let (asked, carried) = asked_by(&[("HERALD_APP_CREDENTIAL", "federated"), ("AZURE_CLIENT_ID", identity)]).await;
    assert_eq!(carried, ["Bearer token-2"]);
    assert_eq!((asked[0]["path"].as_str(), asked[0]["client_id"].as_str()), ("/msi", identity));
    assert_eq!(asked[0]["resource"], "api://AzureADTokenExchange");
    assert_eq!((asked[1]["client_id"].as_str(), asked[1]["client_assertion"].as_str()), (APP, "token-1"));
    let folder = free_folder();
    let file = folder.path().join("token");
    fs::write(&file, "from-kubernetes\n").unwrap();
    let settings = [("HERALD_APP_CREDENTIAL", "federated"), ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap())];
    let (asked, carried) = asked_by(&settings).await;
    assert_eq!((carried[0].as_str(), asked[0]["client_assertion"].as_str()), ("Bearer token-1", "from-kubernetes"));
}

#[tokio::test]
async fn a_multi_tenant_bot_asks_the_bot_frameworks_tenant() {
    let scene = Scene::with(&[("MicrosoftAppType", "MultiTenant")]).await;
    scene.meet("ana").await;
    assert_eq!(scene.herald.notify(to_all("n")).await["counts"]["sent"], 1);
    assert_eq!(scene.authority.asked().tokens[0]["path"], "/botframework.com/oauth2/v2.0/token");
}

#[tokio::test]
async fn a_host_that_is_off_the_list_gets_nothing() {
    let mut scene = Scene::with(&[]).await;
    scene.meet("ana").await;
    scene.herald.stop().await;
    // The reference is stored; the list is another now.
    scene.herald.settings.push(("HERALD_ALLOWED_SERVICE_HOSTS".into(), "smba.trafficmanager.net".into()));
    scene.herald.again().await;
    let status = scene.herald.notify(to_all("n")).await;
    assert_eq!(status["counts"]["failed"]["serviceHostNotAllowed"], 1, "{status}");
    assert_eq!(scene.herald.teams.received(), []);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Teams::start().await.unwrap();
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT] {
        let to = format!("{}v3/conversations/a:ana/activities", elsewhere.service_url());
        let router = Router::new().fallback(move || async move { (status, [("location", to)]).into_response() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let scene = Scene::with(&[("HERALD_ALLOWED_SERVICE_HOSTS", &address.to_string())]).await;
        let url = format!("http://{address}/");
        let mut activity = scene.activity("ana");
        activity["serviceUrl"] = json!(url);
        assert_eq!(scene.tell(&signed("channel.pem", "channel", &channel_claims(&url)), &activity).await, 200);
        let ended = scene.herald.notify(to_all("n")).await;
        assert_eq!(ended["counts"]["failed"][format!("http{}", status.as_u16())], 1, "{ended}");
    }
    assert_eq!(elsewhere.received(), []);
}

/// Everything that must not be seen.
const SECRETS: [&str; 7] = [
    "the-bots-secret",
    "the-operators-key",
    "the-identitys-header",
    "token-1",
    "token-2",
    "the text of a message",
    "the text of a notification",
];

fn assert_silent(what: &str, text: &str, token: &str) {
    for secret in SECRETS.iter().chain([&token]) {
        assert!(!text.contains(secret), "{what} shows {secret:.40}");
    }
}

/// An end-to-end run that says everything it can: what it said, and the channel's token.
async fn most_verbose(more: &[(&str, &str)]) -> (String, String) {
    let (authority, teams, folder) = (Authority::start().await, Teams::start().await.unwrap(), free_folder());
    teams.admit("token-2");
    let mut settings = authority.settings(&teams.service_url());
    settings.extend([
        ("IDENTITY_ENDPOINT".into(), authority.url("/msi")),
        ("IDENTITY_HEADER".into(), "the-identitys-header".into()),
        ("RUST_LOG".into(), "trace,azure_core=trace,azure_identity=trace".into()),
    ]);
    settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let log = folder.path().join("log");
    let child = Child::serve_into(folder.path(), &settings, &log);
    let token = signed("channel.pem", "channel", &channel_claims(&teams.service_url()));
    let herald = Outside { child, teams };
    talk(&herald, &token).await;
    herald.child.signal("-TERM");
    herald.child.ended().await;
    (fs::read_to_string(&log).unwrap() + &described(&settings), token)
}

/// What goes well and what does not.
async fn talk(herald: &Outside, token: &str) {
    let http = Herald::client();
    let mut activity = crate::support::message(&herald.teams, "ana", "2026-05-01T10:00:00Z", "the text of a message");
    activity["recipient"]["id"] = json!(format!("28:{APP}"));
    let tell = |token: &str, body: String| {
        http.post(format!("{}/api/messages", herald.child.url)).bearer_auth(token).body(body).send()
    };
    assert_eq!(tell(token, activity.to_string()).await.unwrap().status(), 200);
    assert_eq!(tell(&format!("{token}x"), activity.to_string()).await.unwrap().status(), 401);
    assert_eq!(tell(token, r#"{"text":"the text of a message""#.into()).await.unwrap().status(), 400);
    let api = |key: &str| {
        let body = json!({"id": "n", "content": {"text": "the text of a notification"}, "audience": {"all": true}});
        http.post(format!("{}/api/notifications?code={key}", herald.child.url)).json(&body).send()
    };
    assert_eq!(api("the-operators-key").await.unwrap().status(), 202);
    assert_eq!(api("the-operators-keys").await.unwrap().status(), 401);
    let delivered = async {
        while herald.teams.delivered("the text of a notification").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), delivered).await.expect("a message within 20 s");
}

#[tokio::test]
async fn nothing_secret_is_printed_at_the_most_verbose_level() {
    let (text, token) = most_verbose(&[]).await;
    assert!(text.contains(" DEBUG ") && text.lines().count() > 50, "it was verbose: {} lines", text.lines().count());
    assert_silent("a bot with a secret", &text, &token);
    let (text, token) = most_verbose(&[("HERALD_APP_CREDENTIAL", "federated")]).await;
    assert!(text.contains("azure") || text.contains(" TRACE "), "the SDK speaks too");
    assert_silent("a bot with a managed identity", &text, &token);
}

fn described(settings: &[(&str, &str)]) -> String {
    let output = crate::support::herald(&["config", "describe"], settings).output().unwrap();
    let check = crate::support::herald(&["config", "check"], settings).output().unwrap();
    [output.stdout, output.stderr, check.stdout, check.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_at_the_start() {
    let folder = free_folder();
    let missing = folder.path().join("no.pem");
    let said = |file: &Path| {
        let settings = [
            ("MicrosoftAppId", APP),
            ("MicrosoftAppTenantId", TENANT),
            ("HERALD_APP_CREDENTIAL", "certificate"),
            ("HERALD_APP_CERTIFICATE", file.to_str().unwrap()),
        ];
        let output = crate::support::herald(&["config", "check"], &settings).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&missing);
    assert!(code == Some(2) && text.contains("HERALD_APP_CERTIFICATE") && !text.contains("no.pem"), "{code:?} {text}");
    let garbage = folder.path().join("garbage.pem");
    fs::write(&garbage, "hunter2").unwrap();
    let (code, text) = said(&garbage);
    assert!(code == Some(2) && text.contains("CERTIFICATE") && !text.contains("hunter2"), "{code:?} {text}");
}
