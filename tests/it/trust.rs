//! Who is believed: a table of attacks on the bot endpoint, each with its answer, and none with any other effect.

use std::sync::atomic::Ordering;

use herald::simulator::Teams;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{APP, Authority, Herald, Scene, TENANT, entra_claims, key, published, signed};

const LOOKALIKES: [&str; 13] = [
    "https://smba.trafficmanager.net.evil.example/emea/",
    "https://smba.trafficmanager.net@evil.example/emea/",
    "https://evil.example\\@smba.trafficmanager.net/",
    "https://evil.trafficmanager.net/emea/",
    "https://evilbotframework.com/",
    "https://smba.trafficmanager.net./emea/",
    "https://smba.trafficmanager.net:8443/emea/",
    "http://smba.trafficmanager.net/emea/",
    "https://xn--smba-trafficmanager-9c.net/",
    "https://smba\u{3002}trafficmanager.net/emea/",
    "https://[::ffff:10.0.0.1]/",
    "https://2130706433/",
    "https://169.254.169.254/metadata/identity",
];

fn with_header(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> String) -> String {
    use base64::Engine as _;
    let part = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = sign(&message);
    format!("{message}.{signature}")
}

fn hs256_with_the_public_key(claims: &Value) -> String {
    let header = Header { kid: Some("channel".into()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(&key("channel.pub.pem"))).unwrap()
}

fn by(algorithm: Algorithm, claims: &Value) -> String {
    let header = Header { kid: Some("channel".into()), ..Header::new(algorithm) };
    encode(&header, claims, &EncodingKey::from_rsa_pem(&key("channel.pem")).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_that_are_not_believed_change_nothing() {
    let scene = Scene::with(&[]).await;
    let (claims, good) = (scene.claims(), scene.token());
    let now = claims["nbf"].as_i64().unwrap() + 60;
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flipped = format!("{message}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let stolen = good.rsplit_once('.').unwrap().1.to_owned();
    let bearer = |token: &str| vec![format!("Bearer {token}")];
    let attacks: Vec<(&str, Vec<String>, u16)> = vec![
        ("no header", vec![], 401),
        ("another scheme", vec!["Basic dXNlcjpwYXNz".into()], 401),
        ("no token", vec!["Bearer ".into()], 401),
        ("the header twice", [bearer(&good), bearer(&good)].concat(), 401),
        ("two in one header", vec![format!("Bearer {good}, Bearer {good}")], 401),
        ("a token of 20 KB", bearer(&format!("{}.b.c", "a".repeat(20_000))), 401),
        ("a token of 100 KB", bearer(&format!("{}.b.c", "a".repeat(100_000))), 431),
        ("a token of 1 MB", bearer(&"a".repeat(1_000_000)), 431),
        ("unsigned", bearer(&format!("{message}.")), 401),
        ("none", bearer(&with_header(&json!({"alg": "none", "kid": "channel"}), &claims, |_| "AA".into())), 401),
        ("HS256 with the public key", bearer(&hs256_with_the_public_key(&claims)), 401),
        ("RS512", bearer(&by(Algorithm::RS512, &claims)), 401),
        ("PS256", bearer(&by(Algorithm::PS256, &claims)), 401),
        ("a critical extension", bearer(&critical(&claims)), 401),
        ("the wrong key", bearer(&signed("other.pem", "channel", &claims)), 401),
        ("a key within the token", bearer(&with_own_key(&claims)), 401),
        ("an unknown key", bearer(&signed("channel.pem", "another", &claims)), 401),
        ("one bit of the signature", bearer(&flipped), 401),
        (
            "a stolen signature",
            bearer(&with_header(&json!({"alg": "RS256", "kid": "channel"}), &claims, |_| stolen)),
            401,
        ),
        ("another issuer", bearer(&scene.claims_with(json!({"iss": "https://sts.windows.net/x/"}))), 401),
        ("almost the issuer", bearer(&scene.claims_with(json!({"iss": "https://api.botframework.com/"}))), 401),
        ("another audience", bearer(&scene.claims_with(json!({"aud": TENANT}))), 401),
        ("audiences", bearer(&scene.claims_with(json!({"aud": [APP, TENANT]}))), 401),
        ("expired", bearer(&scene.claims_with(json!({"exp": now - 301}))), 401),
        ("no end", bearer(&scene.claims_without("exp")), 401),
        ("an end that is no time", bearer(&scene.claims_with(json!({"exp": 1e300}))), 401),
        ("a beginning that is no time", bearer(&scene.claims_with(json!({"nbf": null}))), 401),
        ("not yet valid", bearer(&scene.claims_with(json!({"nbf": now + 330}))), 401),
        ("an Entra token", bearer(&signed("other.pem", "entra", &entra_claims("2.0", APP))), 401),
    ];
    for (attack, headers, expected) in attacks {
        assert_eq!(scene.send(&headers, &scene.activity("ana")).await, expected, "{attack}");
    }
    scene.nothing_happened().await;
    // Within five minutes clocks may differ.
    for times in [json!({"exp": now - 270}), json!({"nbf": now + 270})] {
        assert_eq!(scene.tell(&scene.claims_with(times), &scene.activity("ana")).await, 200);
    }
    assert_eq!(scene.tell(&scene.claims_without("nbf"), &scene.activity("ana")).await, 200);
    assert_eq!(scene.tell(&good, &scene.activity("bob")).await, 200);
    assert_eq!(scene.herald.get("/api/users").await.1["users"].as_array().unwrap().len(), 2);
}

fn critical(claims: &Value) -> String {
    let header =
        Header { kid: Some("channel".into()), crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::RS256) };
    encode(&header, claims, &EncodingKey::from_rsa_pem(&key("channel.pem")).unwrap()).unwrap()
}

fn with_own_key(claims: &Value) -> String {
    let own = EncodingKey::from_rsa_pem(&key("other.pem")).unwrap();
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&own, Algorithm::RS256).unwrap();
    let header = Header { kid: Some("channel".into()), jwk: Some(jwk), ..Header::new(Algorithm::RS256) };
    encode(&header, claims, &own).unwrap()
}

#[tokio::test]
async fn a_token_vouches_for_its_own_activities_only() {
    let scene = Scene::with(&[("HERALD_ALLOWED_TENANTS", "tenant")]).await;
    let good = scene.token();
    let changed = |path: &str, value: Value| {
        let mut body = scene.activity("ana");
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let host = scene.herald.teams.service_url().trim_end_matches('/').to_owned();
    for (attack, body, expected) in [
        ("another channel", changed("/channelId", json!("directline")), 403),
        ("almost the channel", changed("/channelId", json!("msteamsx")), 403),
        ("another spelling of the channel", changed("/channelId", json!("MSTEAMS")), 403),
        ("a swapped body", changed("/serviceUrl", json!("https://smba.trafficmanager.net/emea/")), 403),
        ("a path more", changed("/serviceUrl", json!(format!("{host}/more"))), 403),
        ("another case", changed("/serviceUrl", json!(host.to_uppercase())), 403),
        ("another tenant", changed("/conversation/tenantId", json!("foreign")), 403),
        ("another bot", changed("/recipient/id", json!(format!("28:{TENANT}"))), 403),
        ("no bot", changed("/recipient/id", json!("")), 400),
    ] {
        assert_eq!(scene.tell(&good, &body).await, expected, "{attack}");
    }
    let unendorsed = scene.claims_without("serviceurl");
    assert_eq!(scene.tell(&unendorsed, &scene.activity("ana")).await, 403, "no claim");
    // A channel that vouches for a host that is none of ours: the list has the last word.
    for url in LOOKALIKES {
        let body = changed("/serviceUrl", json!(url));
        assert_eq!(scene.tell(&scene.claims_with(json!({"serviceurl": url})), &body).await, 403, "{url}");
    }
    let mended = "https://smba.trafficmanager.net/emea/\n";
    let body = changed("/serviceUrl", json!(mended));
    assert_eq!(scene.tell(&scene.claims_with(json!({"serviceurl": mended})), &body).await, 400, "no URL at all");
    scene.nothing_happened().await;
    assert_eq!(scene.tell(&good, &changed("/serviceUrl", json!(host))).await, 200, "a slash less is the same");
}

#[tokio::test]
async fn keys_that_are_not_endorsed_speak_for_no_channel() {
    let scene = Scene::with(&[]).await;
    for endorsements in [json!([]), json!(["webchat"]), json!(["MSTEAMS"])] {
        let kid = endorsements.to_string();
        let published = published("channel.pem", &kid, endorsements);
        scene.authority.asked().channel.push(published);
    }
    // Found by a look for new keys, which an unknown key is worth once an hour.
    scene.herald.clock.0.store(3700, Ordering::Relaxed);
    for kid in ["[]", "[\"webchat\"]", "[\"MSTEAMS\"]"] {
        let mut claims = scene.claims();
        claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 3700);
        assert_eq!(scene.tell(&signed("channel.pem", kid, &claims), &scene.activity("ana")).await, 403, "{kid}");
    }
    scene.nothing_happened().await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_once_an_hour() {
    let scene = Scene::with(&[]).await;
    let (body, claims) = (scene.activity("ana"), scene.claims());
    assert_eq!(scene.tell(&scene.token(), &body).await, 200);
    assert_eq!(scene.authority.asked().keys, 1);
    scene.herald.clock.0.store(3601, Ordering::Relaxed);
    let message = with_header(&json!({}), &claims, |_| String::new());
    let claimed = message.split('.').nth(1).unwrap();
    for round in 0..100 {
        let flood = (0..100).map(|number| {
            let header = json!({"alg": "RS256", "kid": format!("{round}-{number}")});
            let header = with_header(&header, &json!({}), |_| String::new());
            let token = format!("{}.{claimed}.AAAA", header.split('.').next().unwrap());
            let body = &body;
            let scene = &scene;
            async move { scene.tell(&token, body).await }
        });
        let answers = futures_util::future::join_all(flood).await;
        assert!(answers.iter().all(|status| *status == 401), "round {round}");
    }
    assert_eq!(scene.authority.asked().keys, 2, "ten thousand made-up keys asked once");
    assert_eq!(scene.tell(&scene.token(), &body).await, 200, "the known key is as good as ever");
}

#[tokio::test]
async fn keys_that_are_away_hold_activities_and_old_keys_stay() {
    let (authority, teams) = (Authority::start().await, Teams::start().await.unwrap());
    authority.asked().is_away = true;
    let settings = authority.settings(&teams.service_url());
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let herald = Herald::on(teams, &settings).await;
    let scene = Scene { authority, herald };
    let body = scene.activity("ana").to_string();
    let answer = scene.send_text(&[format!("Bearer {}", scene.token())], body).await;
    assert_eq!(answer.status(), 503);
    let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(scene.herald.get("/api/health").await.0, 200, "health is about store and settings");
    scene.nothing_happened().await;
    scene.authority.asked().is_away = false;
    scene.herald.clock.0.store(11, Ordering::Relaxed);
    assert_eq!(scene.tell(&scene.token(), &scene.activity("ana")).await, 200, "asked again by whoever comes next");
    // A day later the keys are old; who publishes them is away, and they are as good as before.
    scene.authority.asked().is_away = true;
    scene.herald.clock.0.store(25 * 3600, Ordering::Relaxed);
    let mut claims = scene.claims();
    claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 25 * 3600);
    let later = signed("channel.pem", "channel", &claims);
    assert_eq!(scene.tell(&later, &scene.activity("bob")).await, 200);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_takes_its_tokens_with_it() {
    let scene = Scene::with(&[]).await;
    let mut claims = scene.claims();
    claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 7200);
    let token = signed("channel.pem", "channel", &claims);
    assert_eq!(scene.tell(&token, &scene.activity("ana")).await, 200, "remembered from now on");
    scene.authority.asked().channel = vec![published("other.pem", "new", json!(["msteams"]))];
    scene.herald.clock.0.store(3601, Ordering::Relaxed);
    assert_eq!(scene.tell(&signed("other.pem", "new", &claims), &scene.activity("bob")).await, 200);
    assert_eq!(scene.tell(&token, &scene.activity("eve")).await, 401);
}

#[tokio::test]
async fn a_remembered_token_is_judged_anew() {
    let scene = Scene::with(&[]).await;
    let token = scene.token();
    assert_eq!(scene.tell(&token, &scene.activity("ana")).await, 200);
    let mut swapped = scene.activity("bob");
    swapped["serviceUrl"] = json!("https://smba.trafficmanager.net/emea/");
    assert_eq!(scene.tell(&token, &swapped).await, 403, "another body");
    scene.herald.clock.0.store(3600 + 301, Ordering::Relaxed);
    assert_eq!(scene.tell(&token, &scene.activity("eve")).await, 401, "another time");
}

#[tokio::test]
async fn entra_tokens_of_the_bot_itself_are_taken_where_that_is_set() {
    let scene = Scene::with(&[("HERALD_AUTH", "entra")]).await;
    let entra = |version: &str, change: Value| {
        let mut claims = entra_claims(version, APP);
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        signed("other.pem", "entra", &claims)
    };
    let other = format!("https://login.microsoftonline.com/{APP}/v2.0");
    for (attack, token) in [
        ("another tenant's issuer", entra("2.0", json!({"iss": other, "tid": APP}))),
        ("another tenant", entra("2.0", json!({"tid": APP}))),
        ("another app asked for it", entra("2.0", json!({"azp": TENANT}))),
        ("another app asked for it, version 1", entra("1.0", json!({"appid": TENANT}))),
        ("another version", entra("1.0", json!({"ver": "3.0"}))),
        ("no version", entra("1.0", json!({"ver": null}))),
        ("the claim of the other version", entra("2.0", json!({"azp": null, "appid": APP}))),
        ("another audience", entra("2.0", json!({"aud": "https://api.botframework.com"}))),
        ("the channel's key", signed("channel.pem", "channel", &entra_claims("2.0", APP))),
        ("the channel's issuer with Entra's key", signed("other.pem", "entra", &scene.claims())),
    ] {
        assert_eq!(scene.tell(&token, &scene.activity("ana")).await, 401, "{attack}");
    }
    let mut elsewhere = scene.activity("ana");
    elsewhere["serviceUrl"] = json!("https://evil.example/");
    assert_eq!(scene.tell(&entra("2.0", json!({})), &elsewhere).await, 403, "the list holds for everybody");
    scene.nothing_happened().await;
    assert_eq!(scene.tell(&entra("1.0", json!({})), &scene.activity("ana")).await, 200);
    assert_eq!(scene.tell(&entra("2.0", json!({})), &scene.activity("bob")).await, 200);
    assert_eq!(scene.tell(&scene.token(), &scene.activity("eve")).await, 200, "and a channel's as ever");
}

#[tokio::test]
async fn operators_come_with_a_key_or_a_token_with_the_role() {
    let scene = Scene::with(&[("HERALD_API_AUDIENCE", "api://herald")]).await;
    let token = |change: Value| {
        let mut claims = entra_claims("2.0", "api://herald");
        claims["azp"] = json!("any app");
        claims["roles"] = json!(["Other", "Notifications.Send"]);
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        format!("Bearer {}", signed("other.pem", "entra", &claims))
    };
    let ask = async |headers: &[(&str, String)]| {
        let mut request = scene.herald.http.get(scene.herald.url("/api/users"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let key = || ("x-functions-key", "the-operators-key".to_owned());
    for (case, headers, expected) in [
        ("nothing", vec![], 401),
        ("the key", vec![key()], 200),
        ("a wrong key", vec![("x-functions-key", "the-operators-kex".to_owned())], 401),
        ("a token", vec![("authorization", token(json!({})))], 200),
        ("a wrong key beside a token", vec![("x-functions-key", "x".into()), ("authorization", token(json!({})))], 401),
        ("no role", vec![("authorization", token(json!({"roles": []})))], 401),
        ("another role", vec![("authorization", token(json!({"roles": ["notifications.send"]})))], 401),
        ("a role that is no list", vec![("authorization", token(json!({"roles": "Notifications.Send"})))], 401),
        ("another audience", vec![("authorization", token(json!({"aud": APP})))], 401),
        ("another tenant", vec![("authorization", token(json!({"tid": APP})))], 401),
        ("expired", vec![("authorization", token(json!({"exp": 1})))], 401),
        ("a channel's token", vec![("authorization", format!("Bearer {}", scene.token()))], 401),
    ] {
        assert_eq!(ask(&headers).await, expected, "{case}");
    }
    let as_bot = signed("other.pem", "entra", &entra_claims("2.0", "api://herald"));
    assert_eq!(scene.tell(&as_bot, &scene.activity("ana")).await, 401, "an operator is no channel");
}

#[tokio::test]
async fn without_a_key_the_operators_api_is_closed_once_tokens_are_asked_for() {
    let mut scene = Scene::with(&[("HERALD_API_KEY", "")]).await;
    scene.herald.key = None;
    for path in ["/api/users", "/api/notifications", "/api/notifications?code="] {
        assert_eq!(scene.herald.get(path).await.0, 401, "{path}");
    }
    assert_eq!(scene.herald.get("/api/health").await.0, 200);
}

#[tokio::test]
async fn large_and_deep_bodies_end_early() {
    let scene = Scene::with(&[]).await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let mut body = scene.activity("ana");
    body["channelData"] = json!("DEEP");
    let body = body.to_string().replace("\"DEEP\"", &deep);
    let token = [format!("Bearer {}", scene.token())];
    assert_eq!(scene.send_text(&token, body.clone()).await.status(), 400, "deep, by somebody believed");
    assert_eq!(scene.send_text(&[], body).await.status(), 401, "deep, by a stranger: not even read");
    let address = scene.herald.running.as_ref().unwrap().address;
    for framing in ["Content-Length: 314572800", "Transfer-Encoding: chunked"] {
        let mut wire = tokio::net::TcpStream::connect(address).await.unwrap();
        let head =
            format!("POST /api/messages HTTP/1.1\r\nHost: herald\r\nAuthorization: {}\r\n{framing}\r\n\r\n", token[0]);
        wire.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 65536], b"\r\n"].concat();
        let mut sent = 0_usize;
        while sent < 300 << 20 && wire.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 64 << 20, "{framing}: {sent} bytes were taken");
        let mut answer = vec![0; 64];
        // The answer may be lost to a reset when the sender never stops.
        if wire.read(&mut answer).await.is_ok_and(|read| read > 0) {
            assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 413"), "{framing}");
        }
    }
    scene.nothing_happened().await;
    assert_eq!(scene.herald.get("/api/health").await.0, 200);
}

#[tokio::test]
async fn other_channels_know_nobody_of_teams() {
    let scene = Scene::with(&[("HERALD_AUTH", "entra")]).await;
    for name in ["ceo", "mallory"] {
        scene.meet(name).await;
    }
    // Direct Line lets its client say who it is.
    let mut forged = scene.activity("mallory");
    forged["channelId"] = json!("directline");
    forged["from"]["aadObjectId"] = json!("object-ceo");
    forged["text"] = json!("mute");
    let itself = signed("other.pem", "entra", &entra_claims("2.0", APP));
    assert_eq!(scene.tell(&itself, &forged).await, 200);
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"users": ["object-ceo"]}});
    assert_eq!(scene.herald.notify(body).await["counts"]["sent"], 1);
    let to: Vec<_> = scene.herald.teams.received().into_iter().map(|message| message.conversation_id).collect();
    assert_eq!(to.last().unwrap(), "a:ceo", "{to:?}");
    // Nor does it say anything of a conversation of Teams.
    forged["conversation"] = json!({"id": "a:ceo", "tenantId": "fake"});
    forged["channelData"] = json!({"productContext": "COPILOT", "tenant": {"id": "fake"}});
    assert_eq!(scene.tell(&itself, &forged).await, 200);
    assert!(scene.herald.reachable("ceo").await);
    assert_eq!(scene.herald.get("/api/users/object-ceo").await.1["users"].as_array().unwrap().len(), 1);
    let (_, users) = scene.herald.get("/api/users/29:mallory").await;
    let tenants: Vec<_> = users["users"].as_array().unwrap().iter().map(|user| user["tenantId"].clone()).collect();
    assert_eq!(tenants, [json!("none/directline"), json!("tenant")]);
    assert_eq!(users["users"][1]["reachable"], true, "and nobody was muted: {users}");
}
