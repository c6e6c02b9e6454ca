//! A document as Cosmos DB holds it. Pure.
//!
//! ```json
//! {"id":"person", "tenant":"28:bot|<tenant>", "person":"u:29:…",   its place: see `layout`
//!  "v":1, "tag":"out", "due":"2026-11-23T09:00:00.000000Z", "rank":"…", "ttl":86400,
//!  "body":{…}}
//! ```
//! A number is a double there. A body with one that is no whole number up to 2^53 could come back changed, so it is
//! kept as text, under `text` in place of `body`; so is one nested more deeply than the service takes.

use serde_json::{Map, Value, json};

use super::layout::Layout;
use super::names;
use crate::clock::Timestamp;
use crate::store::{Document, Draft, ETag, Error, Key};

/// The version of this envelope; the body has one of its own.
const VERSION: u64 = 1;
/// Always the same width, so that the order of texts is the order of time.
const INSTANT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
/// What a double holds exactly.
const EXACT: u64 = 1 << 53;
/// The service takes 128 levels, ours among them.
const DEPTH: usize = 100;

/// An instant as stored and as queries name it.
pub(super) fn instant(at: Timestamp) -> String {
    at.format(INSTANT).to_string()
}

/// The item of a document. `now` is what its time to live counts from.
///
/// # Errors
/// [`Error::Refused`] when the key is not one of the layout's, or the body is no JSON.
pub(super) fn item(layout: &Layout, key: &Key, draft: &Draft, now: Timestamp) -> Result<Value, Error> {
    let body: Value = serde_json::from_str(&draft.body)
        .map_err(|error| Error::Refused(format!("{}/{}: {error}", layout.name(), key.id)))?;
    let mut item = Map::new();
    item.insert("id".to_owned(), names::id(&key.id).into());
    for (name, value) in layout.keys.iter().zip(place(layout, key)?) {
        item.insert((*name).to_owned(), value.into());
    }
    item.insert("v".to_owned(), VERSION.into());
    let optional = [
        ("tag", draft.tag.map(Value::from)),
        ("due", draft.due.map(|at| instant(at).into())),
        ("rank", draft.rank.map(|at| instant(at).into())),
        ("ttl", draft.expires.map(|at| seconds(now, at).into())),
    ];
    item.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if is_exact(&body, 0) {
        item.insert("body".to_owned(), body);
    } else {
        item.insert("text".to_owned(), draft.body.clone().into());
    }
    Ok(Value::Object(item))
}

/// The partition key values of a key.
pub(super) fn place(layout: &Layout, key: &Key) -> Result<Vec<String>, Error> {
    let levels = key.partition.levels().len();
    layout.place(&key.partition).ok_or_else(|| {
        Error::Refused(format!("{}/{}: a partition of {levels} levels is none of its", layout.name(), key.id))
    })
}

/// The document of an item.
///
/// # Errors
/// [`Error::Corrupt`], saying what is missing.
pub(super) fn document(layout: &Layout, mut item: Value) -> Result<Document, Error> {
    let shown = item["id"].as_str().unwrap_or_default().to_owned();
    let corrupt = |what: &str| Error::Corrupt(format!("{}/{shown}: {what}", layout.name()));
    if item["v"] != json!(VERSION) {
        return Err(corrupt("its envelope is of another version than this Herald's"));
    }
    let values: Vec<_> = layout.keys.iter().filter_map(|name| item[*name].as_str()).collect();
    let partition = layout.partition(&values).ok_or_else(|| corrupt("its partition key is none of ours"))?;
    let id = names::id_of(&shown).ok_or_else(|| corrupt("its id is none of ours"))?;
    let etag = item["_etag"].as_str().ok_or_else(|| corrupt("it has no _etag"))?.to_owned();
    let due = item["due"].as_str().map(str::parse).transpose().map_err(|_| corrupt("due is no instant"))?;
    let body = match (item["body"].take(), item["text"].take()) {
        (Value::Null, Value::String(text)) => text,
        (body @ Value::Object(_), Value::Null) => body.to_string(),
        _ => return Err(corrupt("it has no body")),
    };
    Ok(Document { key: Key::new(layout.collection, partition, id), body, etag: ETag(etag), due })
}

/// Whole seconds, at least one: 0 is refused. Capped at what the service takes.
fn seconds(now: Timestamp, at: Timestamp) -> i64 {
    (at - now).num_seconds().clamp(1, i64::from(i32::MAX))
}

fn is_exact(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= EXACT),
        Value::Array(values) => depth < DEPTH && values.iter().all(|value| is_exact(value, depth + 1)),
        Value::Object(fields) => depth < DEPTH && fields.values().all(|value| is_exact(value, depth + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Collection, Partition};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).expect("an instant")
    }

    fn key() -> Key {
        Key::new(Collection::People, Partition::new(["b", "t", "p"]), "person")
    }

    fn stored(draft: &Draft) -> Value {
        let mut item = item(&Layout::of(Collection::People), &key(), draft, at(0)).expect("an item");
        item["_etag"] = json!("\"1\"");
        item
    }

    fn draft(body: &str) -> Draft {
        Draft { body: body.to_owned(), ..Draft::default() }
    }

    #[test]
    fn people_can_read_it() {
        let full = draft(r#"{"v":1,"n":7}"#).tagged("out").due(Some(at(60))).ranked(at(1)).expiring(Some(at(90)));
        let expected = json!({"id": "person", "tenant": "b|t", "person": "p", "v": 1, "tag": "out",
            "due": "2027-01-15T08:01:00.000000Z", "rank": "2027-01-15T08:00:01.000000Z", "ttl": 90,
            "body": {"v": 1, "n": 7}, "_etag": "\"1\""});
        assert_eq!(stored(&full), expected);
        let read = document(&Layout::of(Collection::People), expected).expect("a document");
        assert_eq!((read.key, read.due, read.etag.0), (key(), Some(at(60)), "\"1\"".to_owned()));
    }

    #[test]
    fn what_a_double_would_change_is_kept_as_text() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(120), "]".repeat(120));
        for body in [r#"{"n":1.0}"#, r#"{"n":9007199254740993}"#, r#"{"n":[{"x":0.1}]}"#, r#"{"n":1e3}"#, &deep] {
            let item = stored(&draft(body));
            assert_eq!((item["text"].as_str(), item.get("body")), (Some(body), None), "{body}");
            assert_eq!(document(&Layout::of(Collection::People), item).expect("a document").body, body);
        }
        let exact = stored(&draft(r#"{"n":-9007199254740992}"#));
        assert_eq!(exact["body"]["n"], json!(-9_007_199_254_740_992_i64));
    }

    #[test]
    fn a_time_to_live_is_one_that_the_service_takes() {
        let ttl = |expires| stored(&draft("{}").expiring(Some(expires)))["ttl"].as_i64();
        assert_eq!((ttl(at(-5)), ttl(at(7))), (Some(1), Some(7)));
        assert_eq!(ttl(Timestamp::MAX_UTC), Some(i64::from(i32::MAX)));
    }

    #[test]
    fn what_is_not_ours_is_named_and_not_read() {
        let ours = || stored(&draft("{}"));
        let without = |field: &str| {
            let mut item = ours();
            item.as_object_mut().expect("an object").remove(field);
            item
        };
        let mut newer = ours();
        newer["v"] = json!(2);
        let mut odd = ours();
        odd["id"] = json!("a~");
        let broken = [newer, odd, without("v"), without("tenant"), without("body"), without("_etag"), without("id")];
        for item in broken {
            let failure = document(&Layout::of(Collection::People), item.clone()).expect_err("corrupt");
            assert!(matches!(failure, Error::Corrupt(_)), "{item}");
        }
        let key = Key::new(Collection::People, Partition::new(["b"]), "person");
        let refused = super::item(&Layout::of(Collection::People), &key, &draft("{}"), at(0));
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
}
