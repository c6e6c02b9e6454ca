//! What stands in files must agree with the code: function folders, host.json, local settings, README; and packaging.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herald::config::{SETTINGS, table};
use herald::functions::{Function, Trigger};
use serde_json::{Value, json};

use crate::support::{free_folder, herald};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_folders_say_what_the_code_says() {
    let expected: BTreeSet<_> = Function::ALL.iter().map(|function| function.name().to_owned()).collect();
    assert_eq!(names(&root().join("functions")), expected);
    for function in Function::ALL {
        let folder = root().join("functions").join(function.name());
        assert_eq!(names(&folder), BTreeSet::from(["function.json".to_owned()]), "nothing else may stand there");
        let bindings = read(&format!("functions/{}/function.json", function.name()));
        let bindings = bindings["bindings"].as_array().unwrap();
        let trigger = &bindings[0];
        assert_eq!(trigger["direction"], "in");
        let mut rest = bindings.len() - 1 - function.outputs().len();
        match function.trigger() {
            Trigger::Http { route, methods, key } => {
                let methods: Vec<_> = methods.iter().map(|method| method.to_lowercase()).collect();
                assert_eq!((&trigger["type"], &trigger["name"]), (&json!("httpTrigger"), &json!("req")));
                assert_eq!((&trigger["route"], &trigger["methods"]), (&json!(route), &json!(methods)));
                assert_eq!(trigger["authLevel"], if key { "function" } else { "anonymous" });
                assert_eq!((&bindings[1]["type"], &bindings[1]["name"]), (&json!("http"), &json!("res")));
                rest -= 1;
            }
            Trigger::Queue(queue) => {
                assert_eq!((&trigger["type"], &trigger["name"]), (&json!("queueTrigger"), &json!("message")));
                assert_eq!(trigger["queueName"], queue);
            }
            Trigger::Timer => {
                assert_eq!((&trigger["type"], &trigger["name"]), (&json!("timerTrigger"), &json!("timer")));
                assert_eq!(trigger["schedule"], "%HERALD_SCHEDULE%");
            }
        }
        assert_eq!(rest, 0, "{}: a binding that the code does not know", function.name());
        for (name, queue) in function.outputs() {
            let output = bindings.iter().find(|binding| binding["name"] == *name).expect("the output");
            assert_eq!((&output["type"], &output["queueName"]), (&json!("queue"), &json!(queue)));
        }
    }
}

#[test]
fn host_json_is_as_designed() {
    let host = read("host.json");
    assert_eq!(host["functionTimeout"], "00:05:00");
    assert_eq!(host["customHandler"]["enableProxyingHttpRequest"], true);
    assert_eq!(host["customHandler"]["description"], json!({"defaultExecutablePath": "herald", "arguments": ["host"]}));
    let queues = json!({"maxPollingInterval": "00:00:02", "batchSize": 8, "newBatchThreshold": 4,
        "visibilityTimeout": "00:00:15", "maxDequeueCount": 5});
    assert_eq!(host["extensions"]["queues"], queues);
}

#[test]
fn local_settings_hold_what_is_needed_and_no_secret() {
    let settings = read("local.settings.json");
    let values = settings["Values"].as_object().unwrap();
    assert!(values.contains_key("HERALD_SCHEDULE"), "without it Tick is in error");
    assert_eq!(values["AzureWebJobsStorage"], "UseDevelopmentStorage=true");
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        assert!(!values.contains_key(setting.name), "{} is a secret", setting.name);
    }
    for (name, value) in values {
        let value = value.as_str().unwrap();
        assert!(!value.contains("AccountKey") && value.len() < 60, "{name} looks like a secret");
    }
}

#[test]
fn the_readme_shows_the_settings_as_they_are() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(
        readme.contains(&table()),
        "README.md has another table of settings than `herald config describe`:\n{}",
        table()
    );
}

#[test]
fn the_package_is_what_the_functions_host_runs() {
    let folder = free_folder();
    let out = folder.path().join("dist");
    let package = |extra: &[&str]| {
        let mut arguments = vec!["package", "--source", env!("CARGO_MANIFEST_DIR"), "--out", out.to_str().unwrap()];
        arguments.extend(extra);
        herald(&arguments, &[]).output().unwrap()
    };
    // Twice: over its own folder it may write again, and what an older one had goes.
    for _ in 0..2 {
        let done = package(&[]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::create_dir_all(out.join("Renamed")).unwrap();
        fs::write(out.join("Renamed/function.json"), "{}").unwrap();
    }
    fs::remove_dir_all(out.join("Renamed")).unwrap();
    package(&[]);
    let mut expected: BTreeSet<_> = Function::ALL.iter().map(|function| function.name().to_owned()).collect();
    expected.extend(["host.json".into(), "local.settings.json".into(), "herald".into()]);
    assert_eq!(names(&out), expected);
    let host: Value = serde_json::from_str(&fs::read_to_string(out.join("host.json")).unwrap()).unwrap();
    let executable = out.join(host["customHandler"]["description"]["defaultExecutablePath"].as_str().unwrap());
    assert_eq!(fs::metadata(&executable).unwrap().permissions().mode() & 0o777, 0o755);
    let version = std::process::Command::new(&executable).arg("--version").output().unwrap();
    assert!(version.status.success());
    for function in Function::ALL {
        assert_eq!(names(&out.join(function.name())), BTreeSet::from(["function.json".to_owned()]));
    }
}

#[test]
fn what_would_hang_the_functions_host_is_refused() {
    let folder = free_folder();
    let refusal = |out: &Path, extra: &[&str]| {
        let mut arguments = vec!["package", "--source", env!("CARGO_MANIFEST_DIR"), "--out", out.to_str().unwrap()];
        arguments.extend(extra);
        let output = herald(&arguments, &[]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let out = folder.path().join("dist");
    assert!(refusal(&out, &["--platform", "linux-aarch64x"]).contains("not for linux-aarch64x"));
    assert!(refusal(&out, &["--bin", "/nowhere/herald"]).contains("/nowhere/herald"));
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    assert!(refusal(&out, &["--bin", script.to_str().unwrap()]).contains("not an executable"));
    assert!(!out.exists(), "nothing is left half done");
    for source in [root(), root().join("functions"), root().join("src")] {
        assert!(refusal(&source, &[]).contains("where the source is"));
    }
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("notes"), "").unwrap();
    assert!(refusal(&mine, &[]).contains("not empty"));
}
