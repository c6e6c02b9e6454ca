//! The map of the modules in the crate's documentation holds: who may use whom, and which outside crate stands where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module and what it may use, as `src/lib.rs` draws it.
const ARROWS: &[(&str, &[&str])] = &[
    ("chance", &[]),
    ("clock", &[]),
    ("direct", &[]),
    ("telemetry", &[]),
    ("cli", &[]),
    ("simulator", &[]),
    ("identity", &["chance", "clock", "direct"]),
    ("store", &["clock", "identity"]),
    ("protocol", &["clock"]),
    ("channel", &["protocol"]),
    ("people", &["channel", "clock", "protocol", "store"]),
    ("replies", &["channel", "people"]),
    ("notifications", &["clock", "people", "protocol", "store"]),
    ("governor", &["clock", "store"]),
    ("trust", &["clock", "direct", "protocol"]),
    ("connector", &["clock", "direct", "identity", "notifications", "people", "protocol"]),
    ("delivery", &["chance", "channel", "clock", "connector", "governor", "notifications", "people", "store"]),
    ("config", &["channel", "identity", "protocol", "trust"]),
    (
        "app",
        &[
            "chance",
            "channel",
            "clock",
            "config",
            "connector",
            "delivery",
            "governor",
            "identity",
            "people",
            "protocol",
            "store",
            "trust",
        ],
    ),
    (
        "functions",
        &[
            "app",
            "channel",
            "clock",
            "connector",
            "delivery",
            "notifications",
            "people",
            "protocol",
            "replies",
            "store",
            "trust",
        ],
    ),
    ("http", &["app", "config", "delivery", "functions", "protocol", "trust"]),
    (
        "role",
        &[
            "app",
            "chance",
            "clock",
            "config",
            "delivery",
            "direct",
            "functions",
            "http",
            "simulator",
            "store",
            "telemetry",
        ],
    ),
];

/// Outside systems, and the only places that name them.
const ROOMS: &[(&str, &[&str])] = &[
    ("azure_core", &["src/identity/", "src/store/cosmos/"]),
    ("azure_data_cosmos", &["src/store/cosmos/"]),
    ("azure_identity", &["src/identity/"]),
    ("rusqlite", &["src/store/embedded/"]),
    ("jsonwebtoken", &["src/identity/certificate.rs", "src/trust/"]),
    (
        "reqwest",
        &[
            "src/connector/wire.rs",
            "src/direct.rs",
            "src/identity/",
            "src/role/operator/client.rs",
            "src/trust/source.rs",
        ],
    ),
    ("axum", &["src/http/", "src/simulator/"]),
    ("hyper", &["src/http/listen.rs"]),
    ("hyper_util", &["src/http/listen.rs"]),
    ("clap", &["src/cli.rs", "src/main.rs"]),
    ("croner", &["src/config/"]),
    ("comfy_table", &["src/role/"]),
    ("indicatif", &["src/role/progress.rs"]),
];

/// Files that decide: nothing in them waits, and nothing in them logs.
const PURE: &[&str] = &[
    "src/channel/classify.rs",
    "src/channel/matcher.rs",
    "src/connector/answer.rs",
    "src/connector/message.rs",
    "src/connector/opening.rs",
    "src/connector/outcome.rs",
    "src/delivery/batch.rs",
    "src/delivery/plan.rs",
    "src/delivery/recipient.rs",
    "src/delivery/retry.rs",
    "src/delivery/settle.rs",
    "src/functions/route.rs",
    "src/governor/chats.rs",
    "src/governor/pace.rs",
    "src/governor/throttle.rs",
    "src/notifications/counts.rs",
    "src/notifications/posted.rs",
    "src/notifications/status.rs",
    "src/people/lifecycle.rs",
    "src/people/person.rs",
    "src/people/reach.rs",
    "src/people/reference.rs",
    "src/protocol/cloud.rs",
    "src/protocol/service_url.rs",
    "src/replies/mod.rs",
    "src/role/demo/promises.rs",
    "src/store/cosmos/failure.rs",
    "src/store/cosmos/item.rs",
    "src/store/cosmos/layout.rs",
    "src/store/cosmos/names.rs",
    "src/store/cosmos/query.rs",
    "src/trust/bearer.rs",
    "src/trust/claims.rs",
    "src/trust/keys.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

fn all() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    sources(&root().join("src"), &mut found);
    found
}

/// The part of a file before its unit tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn module(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap();
    below.split(['/', '.']).next().unwrap()
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (file, text) in all() {
        let module = module(&file).to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let may = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not on the map"));
        for used in product(&text).split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(used == module || may.contains(&used.as_str()), "{file} uses {used}, which the map does not show");
        }
    }
}

#[test]
fn the_map_in_the_documentation_is_this_one() {
    let documentation = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for (module, uses) in ARROWS {
        let line =
            format!("//! {module:<13} -> {}", if uses.is_empty() { "(nothing)".to_owned() } else { uses.join(", ") });
        assert!(documentation.contains(line.trim_end()), "src/lib.rs lacks: {line}");
    }
}

#[test]
fn there_is_no_circle() {
    let mut left: Vec<_> = ARROWS.iter().collect();
    while !left.is_empty() {
        let names: Vec<_> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, uses)| uses.iter().any(|used| names.contains(used)));
        assert!(left.len() < before, "a circle among {names:?}");
    }
}

#[test]
fn outside_systems_are_named_in_their_room_only() {
    for (file, text) in all() {
        for (system, rooms) in ROOMS {
            let named = product(&text).contains(&format!("{system}::"));
            assert!(!named || rooms.iter().any(|room| file.starts_with(room)), "{file} names {system}");
        }
    }
}

#[test]
fn what_decides_neither_waits_nor_logs() {
    let files = all();
    for file in PURE {
        let text = product(files.get(*file).unwrap_or_else(|| panic!("{file} is gone")));
        for word in ["async ", ".await", "tracing::", "tokio::", "std::env", "std::fs"] {
            assert!(!text.contains(word), "{file} contains {word}");
        }
    }
}
