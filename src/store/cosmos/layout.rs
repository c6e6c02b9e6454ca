//! How Herald's collections lie in Cosmos DB: one container each. Pure; the reasons are in the module's documentation.

use serde_json::{Value, json};

use super::names;
use crate::store::{Collection, Partition};

/// One container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The collection that it holds, by whose name it goes.
    pub collection: Collection,
    /// The properties that make its (hierarchical) partition key, outermost first.
    pub keys: &'static [&'static str],
    /// How many levels of a [`Partition`] each of them holds.
    levels: &'static [usize],
    /// Properties that queries look at; nothing else is indexed.
    pub indexed: &'static [&'static str],
    /// Whether its documents may fade.
    pub fades: bool,
}

const fn container(
    collection: Collection,
    keys: &'static [&'static str],
    levels: &'static [usize],
    indexed: &'static [&'static str],
    fades: bool,
) -> Layout {
    Layout { collection, keys, levels, indexed, fades }
}

use Collection::{Aliases, Conversations, Deliveries, Notifications, People, Rosters, Settings, Tenants, Throttles};

const PEOPLE: Layout = container(People, &["tenant", "person"], &[2, 1], &["tenant", "person", "rank"], true);
const ALIASES: Layout = container(Aliases, &["alias"], &[2], &["alias"], false);
const CONVERSATIONS: Layout = container(Conversations, &["conversation"], &[2], &[], false);
const TENANTS: Layout = container(Tenants, &["bot"], &[1], &["bot"], false);
const NOTIFICATIONS: Layout = container(Notifications, &["notification"], &[1], &["rank", "due"], true);
const ROSTERS: Layout = container(Rosters, &["notification"], &[1], &[], true);
const DELIVERIES: Layout =
    container(Deliveries, &["notification", "tenant"], &[1, 1], &["notification", "tenant", "tag", "due"], true);
const THROTTLES: Layout = container(Throttles, &["tenant"], &[2], &[], false);
const SETTINGS: Layout = container(Settings, &["owner"], &[1], &[], false);

/// Where a query looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// The first partition key values: all of them for one logical partition, none for the whole container.
    pub keys: Vec<String>,
    /// The property whose value begins like this, where a partition stops in the middle of one.
    pub begins: Option<(&'static str, String)>,
}

impl Layout {
    /// The container of a collection.
    #[must_use]
    pub const fn of(collection: Collection) -> Self {
        match collection {
            People => PEOPLE,
            Aliases => ALIASES,
            Conversations => CONVERSATIONS,
            Tenants => TENANTS,
            Notifications => NOTIFICATIONS,
            Rosters => ROSTERS,
            Deliveries => DELIVERIES,
            Throttles => THROTTLES,
            Settings => SETTINGS,
        }
    }

    /// The container's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.collection.name()
    }

    /// Where a partition, or the first levels of one, lies. None when it has more levels than the container.
    pub(super) fn scope(&self, partition: &Partition) -> Option<Scope> {
        let mut left = partition.levels();
        let mut keys = Vec::new();
        for (key, count) in self.keys.iter().zip(self.levels) {
            if left.is_empty() {
                break;
            }
            let Some((here, rest)) = left.split_at_checked(*count) else {
                return Some(Scope { keys, begins: Some((key, names::beginning(left))) });
            };
            keys.push(names::join(here));
            left = rest;
        }
        left.is_empty().then_some(Scope { keys, begins: None })
    }

    /// The partition key values of one logical partition.
    pub(super) fn place(&self, partition: &Partition) -> Option<Vec<String>> {
        let scope = self.scope(partition)?;
        (scope.keys.len() == self.keys.len()).then_some(scope.keys)
    }

    /// The partition that these values stand for.
    pub(super) fn partition(&self, values: &[&str]) -> Option<Partition> {
        let levels: Option<Vec<Vec<String>>> = values.iter().map(|value| names::levels_of(value)).collect();
        let levels = levels?;
        let fits = levels.iter().zip(self.levels).all(|(levels, count)| levels.len() == *count);
        (fits && levels.len() == self.levels.len()).then(|| Partition::new(levels.into_iter().flatten()))
    }

    /// The container as the service describes it: `id`, `partitionKey`, `indexingPolicy`, and `defaultTtl` where
    /// documents fade (-1: on, each by its own `ttl`).
    #[must_use]
    pub fn resource(&self) -> Value {
        let paths: Vec<_> = self.keys.iter().map(|key| format!("/{key}")).collect();
        let kind = if paths.len() > 1 { "MultiHash" } else { "Hash" };
        let included: Vec<_> = self.indexed.iter().map(|name| json!({"path": format!("/{name}/?")})).collect();
        let mut resource = json!({
            "id": self.name(),
            "partitionKey": {"paths": paths, "kind": kind, "version": 2},
            "indexingPolicy": {
                "indexingMode": "consistent",
                "automatic": true,
                "includedPaths": included,
                "excludedPaths": [{"path": "/*"}],
            },
        });
        if self.fades {
            resource["defaultTtl"] = json!(-1);
        }
        resource
    }

    /// What about a container that exists is not as it must be; empty when it can be used. More than asked for, such
    /// as a further index, is the operator's affair.
    #[must_use]
    pub fn objections(&self, found: &Value) -> Vec<String> {
        let wanted = self.resource();
        let mut objections = Vec::new();
        if found["partitionKey"]["paths"] != wanted["partitionKey"]["paths"] {
            objections.push(format!("its partition key must be {}", wanted["partitionKey"]["paths"]));
        }
        let ttl = found.get("defaultTtl").and_then(Value::as_i64);
        if self.fades && ttl != Some(-1) {
            objections.push("its defaultTtl must be -1: documents fade by their own ttl".to_owned());
        }
        if !self.fades && ttl.is_some_and(|seconds| seconds > 0) {
            objections.push("its documents must never fade: no defaultTtl".to_owned());
        }
        for name in self.indexed.iter().filter(|name| !is_indexed(found, name)) {
            objections.push(format!("its indexing policy must include /{name}/?"));
        }
        objections
    }
}

fn is_indexed(found: &Value, name: &str) -> bool {
    let has = |list: &str, path: &str| {
        found["indexingPolicy"][list].as_array().is_some_and(|paths| paths.iter().any(|entry| entry["path"] == path))
    };
    let exact = format!("/{name}/?");
    has("includedPaths", &exact) || (has("includedPaths", "/*") && !has("excludedPaths", &exact))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(levels: &[&str]) -> Partition {
        Partition::new(levels.iter().copied())
    }

    #[test]
    fn a_person_has_a_logical_partition_and_a_tenant_a_range_of_them() {
        let people = Layout::of(People);
        let person = partition(&["28:b", "t", "u:29:x"]);
        assert_eq!(people.place(&person), Some(vec!["28:b|t".to_owned(), "u:29:x".to_owned()]));
        assert_eq!(people.partition(&["28:b|t", "u:29:x"]), Some(person));
        let tenant = people.scope(&partition(&["28:b", "t"])).expect("a scope");
        assert_eq!((tenant.keys, tenant.begins), (vec!["28:b|t".to_owned()], None));
        let bot = people.scope(&partition(&["28:b"])).expect("a scope");
        assert_eq!((bot.keys, bot.begins), (Vec::new(), Some(("tenant", "28:b|".to_owned()))));
        let all = people.scope(&Partition::default()).expect("a scope");
        assert_eq!((all.keys, all.begins), (Vec::new(), None));
        assert_eq!(people.place(&partition(&["28:b", "t"])), None, "not one partition");
        assert_eq!(people.scope(&partition(&["28:b", "t", "p", "more"])), None);
        assert_eq!(people.partition(&["28:b", "p"]), None, "a level is missing");
    }

    #[test]
    fn what_must_not_fade_cannot() {
        for collection in Collection::ALL {
            let layout = Layout::of(collection);
            let forever = [Conversations, Aliases, Tenants, Throttles, Settings].contains(&collection);
            assert_eq!(layout.fades, !forever, "{collection:?}");
            assert!(layout.objections(&layout.resource()).is_empty(), "{collection:?} objects to itself");
        }
    }

    #[test]
    fn each_difference_that_matters_is_named() {
        let people = Layout::of(People);
        let mut found = people.resource();
        found["partitionKey"]["paths"] = json!(["/id"]);
        found["indexingPolicy"]["includedPaths"] = json!([{"path": "/tenant/?"}, {"path": "/person/?"}]);
        found["defaultTtl"] = json!(3600);
        let objections = people.objections(&found).join("\n");
        for word in ["partition key", "defaultTtl", "/rank/?"] {
            assert!(objections.contains(word), "{objections}");
        }
        let generous = json!({"partitionKey": {"paths": ["/tenant", "/person"]}, "defaultTtl": -1,
            "indexingPolicy": {"includedPaths": [{"path": "/*"}]}});
        assert!(people.objections(&generous).is_empty(), "the service's default indexes everything");
        let mut tombstones = Layout::of(Conversations).resource();
        tombstones["defaultTtl"] = json!(60);
        assert_eq!(Layout::of(Conversations).objections(&tombstones).len(), 1);
    }
}
