//! The command line as a person meets it: exit codes and sentences.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Child, Herald, Scene, entra_claims, free_folder, herald, report, signed};

fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    herald(arguments, settings).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn config_check_says_everything_at_once() {
    let fine = run(&["config", "check"], &[]);
    assert!(fine.status.success(), "{}", said(&fine));
    let wrong = run(
        &["config", "check"],
        &[("HERALD_LISTEN", "here"), ("HERALD_TENANT_RATE", "0"), ("HERALD_SCHEDULE", "often")],
    );
    assert_eq!(wrong.status.code(), Some(2));
    for name in ["HERALD_LISTEN", "HERALD_TENANT_RATE", "HERALD_SCHEDULE"] {
        assert!(said(&wrong).contains(name), "{}", said(&wrong));
    }
}

#[test]
fn config_describe_shows_no_secret() {
    let described = run(&["config", "describe"], &[("HERALD_API_KEY", "hunter2"), ("HERALD_CLOUD", "public")]);
    let text = said(&described);
    assert!(described.status.success());
    assert!(text.contains("HERALD_API_KEY=(set, not shown)") && text.contains("HERALD_CLOUD=public"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let pem = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
    let app = "11111111-2222-3333-4444-555555555555";
    for settings in [
        [("MicrosoftAppTenantId", "hunter2"), ("COSMOS_ENDPOINT", "x;AccountKey=hunter2")],
        [("HERALD_APP_CREDENTIAL", "certificate"), ("HERALD_APP_CERTIFICATE", pem)],
        [("HERALD_APP_CREDENTIAL", "federated"), ("AZURE_FEDERATED_TOKEN_FILE", "hunter2")],
    ] {
        let settings = [&settings[..], &[("MicrosoftAppId", app)]].concat();
        for command in [&["config", "describe"][..], &["config", "check"], &["serve"]] {
            let text = said(&run(command, &settings));
            assert!(!text.contains("hunter2"), "{command:?}: {text}");
        }
    }
}

#[test]
fn settings_do_not_fail_open() {
    use std::os::unix::ffi::OsStrExt;
    let not_text = std::ffi::OsStr::from_bytes(b"11111111-2222-3333-4444-55555555555\xff");
    let check = herald(&["config", "check"], &[]).env("MicrosoftAppId", not_text).output().unwrap();
    assert_eq!(check.status.code(), Some(2), "{}", said(&check));
    let misspelled = run(&["config", "check"], &[("MICROSOFTAPPID", "x"), ("MicrosoftAppPassword", "y")]);
    assert_eq!(misspelled.status.code(), Some(2), "{}", said(&misspelled));
    let list = run(&["config", "check"], &[("HERALD_ALLOWED_TENANTS", "a;b")]);
    assert_eq!(list.status.code(), Some(2), "{}", said(&list));
}

#[test]
fn what_cannot_start_says_why() {
    let folder = free_folder();
    let path = folder.path().to_str().unwrap();
    let host = run(&["host"], &[("HERALD_STORE", "embedded")]);
    assert_eq!(host.status.code(), Some(2));
    assert!(said(&host).contains("FUNCTIONS_CUSTOMHANDLER_PORT"), "{}", said(&host));
    let app = run(&["serve"], &[("MicrosoftAppId", "x"), ("HERALD_DATA_DIR", path)]);
    assert_eq!(app.status.code(), Some(2), "{}", said(&app));
    let open = run(&["serve"], &[("HERALD_LISTEN", "0.0.0.0:0"), ("HERALD_DATA_DIR", path)]);
    assert!(said(&open).contains("loopback"), "{}", said(&open));
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let nowhere = run(&["serve"], &[("HERALD_DATA_DIR", file.join("below").to_str().unwrap())]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(said(&nowhere).contains("cannot be used"), "{}", said(&nowhere));
    let running = Child::serve(folder.path(), &[]);
    let twice = run(&["serve"], &[("HERALD_DATA_DIR", path), ("HERALD_LISTEN", "127.0.0.1:0")]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(said(&twice).contains("in use by another process"), "{}", said(&twice));
    let other = free_folder();
    let address = running.url.strip_prefix("http://").unwrap().to_owned();
    let taken = run(&["serve"], &[("HERALD_DATA_DIR", other.path().to_str().unwrap()), ("HERALD_LISTEN", &address)]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(said(&taken).contains("is taken by another program"), "{}", said(&taken));
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let folder = free_folder();
    let file = folder.path().join("herald.db");
    std::fs::write(&file, "these are somebody's notes, not a database, and they are long enough to be looked at")
        .unwrap();
    let before = std::fs::read(&file).unwrap();
    let output = run(&["store", "init"], &[("HERALD_DATA_DIR", folder.path().to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("herald.db cannot be opened"), "{}", said(&output));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn store_init_may_be_repeated() {
    let folder = free_folder();
    let settings = [("HERALD_DATA_DIR", folder.path().to_str().unwrap())];
    for _ in 0..2 {
        assert!(run(&["store", "init"], &settings).status.success());
    }
}

#[tokio::test]
async fn the_operators_commands_talk_to_a_running_herald() {
    let herald = Herald::with(&[("HERALD_API_KEY", "right")]).await;
    assert_eq!(herald.tell(&crate::support::install(&herald.teams, "ana")).await, 200);
    let url = herald.url("");
    let ask = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let url = url.clone();
        tokio::task::spawn_blocking(move || {
            let mut all: Vec<_> = arguments.iter().map(String::as_str).collect();
            all.extend(["--url", &url, "--key", "right"]);
            run(&all, &[])
        })
    };
    let posted = ask(&["notify", "--id", "n", "--text", "x", "--json"]).await.unwrap();
    assert!(posted.status.success(), "{}", said(&posted));
    let status: Value = serde_json::from_slice(&posted.stdout).unwrap();
    assert_eq!(status["id"], "n");
    let look = async {
        loop {
            let shown = ask(&["notifications", "show", "n", "--json"]).await.unwrap();
            let status: Value = serde_json::from_slice(&shown.stdout).unwrap();
            if status["state"] == "completed" {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(std::time::Duration::from_secs(20), look).await.unwrap();
    assert_eq!(status["counts"]["sent"], json!(1));
    for (arguments, part) in [
        (vec!["notifications"], "completed"),
        (vec!["notifications", "cancel", "n"], "completed"),
        (vec!["notifications", "recipients", "n", "sent"], "29:ana"),
        (vec!["users"], "teamsChat active"),
        (vec!["users", "29:ana"], "object-ana"),
        (vec!["users", "--reachable", "true"], "yes"),
    ] {
        let output = ask(&arguments).await.unwrap();
        assert!(output.status.success() && said(&output).contains(part), "{arguments:?}: {}", said(&output));
    }
    let unknown = ask(&["notifications", "show", "unknown"]).await.unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("there is no notification unknown"), "{}", said(&unknown));
    let wrong = tokio::task::spawn_blocking({
        let url = url.clone();
        move || run(&["users", "--url", &url, "--key", "wrong"], &[])
    });
    assert!(said(&wrong.await.unwrap()).contains("refused with 401"));
    let nobody = tokio::task::spawn_blocking(|| run(&["users", "--url", "http://127.0.0.1:1"], &[])).await.unwrap();
    assert!(said(&nobody).contains("no Herald answers at http://127.0.0.1:1"), "{}", said(&nobody));
}

#[test]
fn the_demo_keeps_its_promises() {
    let demo = run(&["demo", "--users", "56"], &[]);
    let text = said(&demo);
    assert!(demo.status.success(), "{text}");
    assert!(!text.contains("BROKEN") && text.matches("kept ").count() == 7, "{text}");
}

#[tokio::test]
async fn a_notification_is_followed_to_its_end() {
    let running = Herald::start().await;
    for number in 0..30 {
        running.meet(&format!("p{number}")).await;
    }
    let url = running.url("");
    let (code, lines, told) =
        report(herald(&["notify", "--text", "x", "--id", "n", "--watch", "--json", "--url", &url], &[])).await;
    assert_eq!(code, 0, "{told}");
    let statuses: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(statuses.len() > 1, "it is followed: {lines}");
    let last = statuses.last().unwrap();
    assert_eq!((&last["state"], &last["counts"]["sent"]), (&json!("completed"), &json!(30)));
    let (code, table, told) = report(herald(&["notifications", "watch", "n", "--url", &url], &[])).await;
    assert!(code == 0 && told.contains("n: completed, 30 sent") && table.contains("completed"), "{told}{table}");
    let (code, _, told) = report(herald(&["notifications", "watch", "m", "--url", &url], &[])).await;
    assert!(code == 1 && told.contains("404"), "{told}");
}

#[tokio::test]
async fn a_token_is_as_good_as_a_key() {
    let scene = Scene::with(&[("HERALD_API_AUDIENCE", "api://herald")]).await;
    let mut claims = entra_claims("2.0", "api://herald");
    claims["roles"] = json!(["Notifications.Send"]);
    let token = signed("other.pem", "entra", &claims);
    let url = scene.herald.url("");
    let (code, _, told) = report(herald(&["users", "--url", &url, "--token", &token], &[])).await;
    assert_eq!(code, 0, "{told}");
    let (code, _, told) = report(herald(&["users", "--url", &url], &[])).await;
    assert!(code == 1 && told.contains("--token"), "{told}");
}
