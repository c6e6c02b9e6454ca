//! Queries as SQL. Pure.

use serde_json::{Value, json};

use super::item::instant;
use super::layout::{Layout, Scope};
use crate::store::{Collection, Error, Partition, Query};

/// A query's text, its parameters, and where it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) layout: Layout,
    pub(super) text: String,
    pub(super) parameters: Vec<(&'static str, Value)>,
    /// The first values of the partition key; none: everywhere.
    pub(super) keys: Vec<String>,
    /// The property that the answer is ordered by and that no two documents of it share, where there is one: then its
    /// last value is all that the next page has to know. Elsewhere that is the SDK's affair.
    pub(super) unique: Option<&'static str>,
}

impl Asked {
    /// What a continuation of it, and of no other query, begins with.
    pub(super) fn mark(&self) -> String {
        match self.unique {
            // Kept in plans: it must not change with the text of a query.
            Some(unique) => format!("{}/{}/{unique}", self.layout.name(), self.keys.join("/")),
            None => {
                let values: Vec<_> = self.parameters.iter().filter(|(name, _)| *name != "@at").collect();
                format!("{}/{}/{}/{values:?}", self.layout.name(), self.keys.join("/"), self.text)
            }
        }
    }
}

/// A page's query: from its beginning, or after this value of the property that orders it.
///
/// # Errors
/// [`Error::Refused`] when the partition is none of the collection's.
pub(super) fn asked(query: &Query, after: Option<&str>) -> Result<Asked, Error> {
    match query {
        Query::Under { collection, partition, tag } => {
            let unique = unique(*collection, partition)?;
            let after = unique.zip(after).map(|(name, after)| (format!("c.{name} > @after"), "@after", json!(after)));
            let conditions = tag.map(tagged).into_iter().chain(after).collect();
            let order = unique.map(|name| format!(" ORDER BY c.{name} ASC")).unwrap_or_default();
            Ok(Asked { unique, ..compose("*", *collection, partition, conditions, &order)? })
        }
        Query::Newest { collection, partition } => {
            // Of documents without a rank an ordered query shows none on the service, and some elsewhere.
            let ranked = ("c.rank > @least".to_owned(), "@least", json!(""));
            compose("*", *collection, partition, vec![ranked], " ORDER BY c.rank DESC")
        }
        Query::Due { collection, at } => {
            let due = ("c.due <= @at".to_owned(), "@at", json!(instant(*at)));
            compose("*", *collection, &Partition::default(), vec![due], " ORDER BY c.due ASC")
        }
    }
}

/// How many have a tag: within one logical partition, where the service can add up.
///
/// # Errors
/// [`Error::Refused`] when it is not one.
pub(super) fn count(collection: Collection, partition: &Partition, tag: &'static str) -> Result<Asked, Error> {
    let asked = compose("VALUE COUNT(1)", collection, partition, vec![tagged(tag)], "")?;
    if asked.keys.len() == asked.layout.keys.len() { Ok(asked) } else { Err(none_of_its(&asked.layout)) }
}

/// A condition, with the name and value of its parameter.
type Condition = (String, &'static str, Value);

fn tagged(tag: &'static str) -> Condition {
    ("c.tag = @tag".to_owned(), "@tag", json!(tag))
}

/// Within a logical partition ids are unique (and always indexed); of a person there is one document.
fn unique(collection: Collection, partition: &Partition) -> Result<Option<&'static str>, Error> {
    let layout = Layout::of(collection);
    let Scope { keys, .. } = layout.scope(partition).ok_or_else(|| none_of_its(&layout))?;
    let is_tenant = collection == Collection::People && keys.len() == 1;
    Ok(if keys.len() == layout.keys.len() { Some("id") } else { is_tenant.then_some("person") })
}

fn compose(
    what: &str,
    collection: Collection,
    partition: &Partition,
    mut conditions: Vec<Condition>,
    order: &str,
) -> Result<Asked, Error> {
    let layout = Layout::of(collection);
    let Scope { keys, begins } = layout.scope(partition).ok_or_else(|| none_of_its(&layout))?;
    if let Some((name, text)) = begins {
        conditions.push((format!("STARTSWITH(c.{name}, @begins)"), "@begins", json!(text)));
    }
    let (texts, parameters): (Vec<_>, Vec<_>) =
        conditions.into_iter().map(|(text, name, value)| (text, (name, value))).unzip();
    let filter = if texts.is_empty() { String::new() } else { format!(" WHERE {}", texts.join(" AND ")) };
    Ok(Asked { layout, text: format!("SELECT {what} FROM c{filter}{order}"), parameters, keys, unique: None })
}

fn none_of_its(layout: &Layout) -> Error {
    Error::Refused(format!("{}: the partition is none of its", layout.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(levels: &[&str]) -> Partition {
        Partition::new(levels.iter().copied())
    }

    fn text(query: &Query) -> (String, Vec<String>) {
        let asked = asked(query, None).expect("a query");
        (asked.text, asked.keys)
    }

    #[test]
    fn an_audience_is_one_range_and_a_list_of_all_is_everywhere() {
        let collection = Collection::People;
        let tenant = Query::Under { collection, partition: partition(&["b", "t"]), tag: None };
        let one = "SELECT * FROM c ORDER BY c.person ASC";
        assert_eq!(text(&tenant), (one.to_owned(), vec!["b|t".to_owned()]));
        let all = Query::Newest { collection, partition: partition(&["b"]) };
        let newest = "SELECT * FROM c WHERE c.rank > @least AND STARTSWITH(c.tenant, @begins) ORDER BY c.rank DESC";
        assert_eq!(text(&all), (newest.to_owned(), Vec::new()));
    }

    #[test]
    fn a_page_goes_on_after_the_last_value_and_only_within_its_query() {
        let under = |levels: &[&str], tag| Query::Under {
            collection: Collection::Deliveries,
            partition: partition(levels),
            tag,
        };
        let whole = asked(&under(&["n", "t"], Some("held")), Some("00000007")).expect("a query");
        let text = "SELECT * FROM c WHERE c.tag = @tag AND c.id > @after ORDER BY c.id ASC";
        assert_eq!((whole.text.as_str(), whole.unique), (text, Some("id")));
        let prefix = asked(&under(&["n"], None), None).expect("a query");
        assert_eq!(prefix.unique, None, "a tenant has many");
        let mark = |query: &Query| asked(query, None).expect("a query").mark();
        assert_ne!(mark(&under(&["n"], None)), mark(&under(&["m"], None)));
        assert_ne!(mark(&under(&["n"], None)), mark(&under(&["n"], Some("plan"))));
        let due = |second| Query::Due {
            collection: Collection::Deliveries,
            at: crate::clock::Timestamp::from_timestamp(second, 0).expect("an instant"),
        };
        assert_eq!(mark(&due(1)), mark(&due(2)), "time goes on between pages");
        assert_eq!(asked(&under(&["n", "t"], None), Some("x")).expect("a query").mark(), "deliveries/n/t/id");
    }

    #[test]
    fn what_is_counted_lies_in_one_partition() {
        let collection = Collection::Deliveries;
        let counted = count(collection, &partition(&["n", "t"]), "out").expect("a query");
        assert_eq!(counted.text, "SELECT VALUE COUNT(1) FROM c WHERE c.tag = @tag");
        assert!(matches!(count(collection, &partition(&["n"]), "out"), Err(Error::Refused(_))));
    }

    #[test]
    fn only_what_is_indexed_is_asked_for() {
        let at = crate::clock::Timestamp::UNIX_EPOCH;
        let queries = [
            Query::Under { collection: Collection::People, partition: partition(&["b", "t"]), tag: None },
            Query::Newest { collection: Collection::People, partition: partition(&["b"]) },
            Query::Under { collection: Collection::Aliases, partition: partition(&["b", "u:1"]), tag: None },
            Query::Under { collection: Collection::Tenants, partition: partition(&["b"]), tag: None },
            Query::Newest { collection: Collection::Notifications, partition: Partition::default() },
            Query::Due { collection: Collection::Notifications, at },
            Query::Due { collection: Collection::Deliveries, at },
            Query::Under { collection: Collection::Deliveries, partition: partition(&["n"]), tag: Some("plan") },
        ];
        for query in queries {
            let asked = asked(&query, Some("after")).expect("a query");
            for word in
                asked.text.split(|c: char| !c.is_alphanumeric() && c != '.').filter(|word| word.starts_with("c."))
            {
                let name = word.trim_start_matches("c.");
                let is_indexed = name == "id" || asked.layout.indexed.contains(&name);
                assert!(is_indexed, "{name} of {query:?} is not indexed");
            }
        }
    }
}
