//! Scenarios: a file each in `tests/scenarios`, run under paused time against a simulated Teams that enforces its limits
//! strictly, and a Functions host with as many instances as the file says. Adding a case is adding a file.

mod file;
mod host;
mod judge;
mod lane;
mod run;
mod teams;

use std::path::PathBuf;

use file::Scenario;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn read(name: &str) -> Scenario {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs one, on a runtime of its own whose time stands still while there is work.
fn wrong_with(scenario: &Scenario) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let seen = run::run(scenario).await;
        if asked_for().is_some() {
            eprintln!("{}", judge::course(&seen));
        }
        judge::judge(scenario, &seen)
    })
}

#[expect(clippy::disallowed_methods, reason = "to run one of them by hand")]
fn asked_for() -> Option<String> {
    std::env::var("SCENARIO").ok()
}

#[test]
fn every_scenario_comes_out_as_its_file_says() {
    let only = asked_for();
    let mut names: Vec<_> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| only.as_ref().is_none_or(|only| name.starts_with(only)));
    assert!(!names.is_empty(), "no scenario has that name");
    names.sort();
    let mut failures = Vec::new();
    for name in names {
        let scenario = read(&name);
        let wrong = wrong_with(&scenario);
        if !wrong.is_empty() {
            failures.push(format!("{name} ({}):\n  {}", scenario.says, wrong.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
