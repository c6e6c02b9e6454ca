//! The store trait on SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::engine::{Engine, failure};
use super::group::{Steps, Turn};
use super::partition_key::{decode, encode, range};
use crate::clock::Timestamp;
use crate::store::{Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, Write};

/// Documents in the embedded database.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    engine: Arc<Engine>,
}

impl EmbeddedStore {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        let mut found = self.engine.documents(vec![key.clone()], get).await?;
        Ok(found.pop().flatten())
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        self.engine.documents(keys, get).await
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.engine.write(Steps::One, move |turn| apply(turn, write)).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        let all = move |turn: &mut Turn<'_>| writes.into_iter().map(|write| apply(turn, write)).collect();
        self.engine.write(Steps::Several, all).await
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        let query = query.clone();
        let after = after.map(Cursor::decode).transpose()?;
        self.engine.read(move |connection| page(connection, &query, after, limit)).await
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        let pk = encode(partition);
        let sql = "SELECT count(*) FROM docs WHERE collection = ?1 AND tag = ?2 AND pk = ?3";
        self.engine
            .read(move |connection| {
                let mut statement = connection.prepare_cached(sql).map_err(failure)?;
                let count = statement.query_row(params![collection.name(), tag, pk], |row| row.get::<_, i64>(0));
                Ok(u64::try_from(count.map_err(failure)?).unwrap_or_default())
            })
            .await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        let sql = "DELETE FROM docs WHERE rowid IN (SELECT rowid FROM docs WHERE expires <= ?1 LIMIT ?2)";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let delete = move |turn: &mut Turn<'_>| {
            let gone = turn.connection.execute(sql, params![micros(now), limit]).map_err(failure)?;
            turn.blindly |= gone > 0;
            Ok(gone)
        };
        self.engine.write(Steps::One, delete).await
    }

    fn exclusive(&self) -> bool {
        true
    }

    async fn probe(&self) -> Result<(), Error> {
        self.engine.read(|connection| connection.query_row("SELECT 1", [], |_| Ok(())).map_err(failure)).await
    }
}

const COLUMNS: &str = "collection, pk, id, body, etag, due, rank";

fn get(connection: &Connection, key: &Key) -> Result<Option<Document>, Error> {
    let sql = "SELECT body, etag, due FROM docs WHERE collection = ?1 AND pk = ?2 AND id = ?3";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let found = statement.query_row(params![key.collection.name(), encode(&key.partition), key.id], |row| {
        Ok(Document {
            key: key.clone(),
            body: row.get(0)?,
            etag: ETag(row.get::<_, i64>(1)?.to_string()),
            due: row.get::<_, Option<i64>>(2)?.and_then(instant),
        })
    });
    found.optional().map_err(failure)
}

fn apply(turn: &mut Turn<'_>, write: Write) -> Result<ETag, Error> {
    match write {
        Write::Create(key, draft) => {
            let etag = create(turn, &key, &draft)?;
            Ok(note(turn, key, draft, etag))
        }
        Write::Replace(key, draft, old) => {
            let etag = replace(turn, &key, &draft, &old)?;
            Ok(note(turn, key, draft, etag))
        }
        Write::Delete(key, etag) => {
            delete(turn.connection, &key, &etag)?;
            turn.changed.push((key, None));
            Ok(etag)
        }
    }
}

/// What a document is from here on, as it would be read.
fn note(turn: &mut Turn<'_>, key: Key, draft: Draft, etag: i64) -> ETag {
    let etag = ETag(etag.to_string());
    let due = draft.due.map(micros).and_then(instant);
    turn.changed.push((key.clone(), Some(Document { key, body: draft.body, etag: etag.clone(), due })));
    etag
}

fn create(turn: &Turn<'_>, key: &Key, draft: &Draft) -> Result<i64, Error> {
    let etag = turn.engine.next_etag();
    let sql =
        "INSERT INTO docs(collection, pk, id, body, etag, tag, due, rank, expires) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)";
    let mut statement = turn.connection.prepare_cached(sql).map_err(failure)?;
    let values = params![
        key.collection.name(),
        encode(&key.partition),
        key.id,
        draft.body,
        etag,
        draft.tag,
        draft.due.map(micros),
        draft.rank.map(micros),
        draft.expires.map(micros)
    ];
    statement.execute(values).map_err(failure)?;
    Ok(etag)
}

/// A column that an index is over makes the index be written anew, even with the value that it had: so first only where
/// all of these stay, as with a person who goes on talking, and else whatever they are.
const REPLACE: [&str; 2] = [
    "UPDATE docs SET body = ?5, etag = ?6 WHERE collection = ?1 AND pk = ?2 AND id = ?3 AND etag = ?4
     AND tag IS ?7 AND due IS ?8 AND rank IS ?9 AND expires IS ?10",
    "UPDATE docs SET body = ?5, etag = ?6, tag = ?7, due = ?8, rank = ?9, expires = ?10
     WHERE collection = ?1 AND pk = ?2 AND id = ?3 AND etag = ?4",
];

fn replace(turn: &Turn<'_>, key: &Key, draft: &Draft, old: &ETag) -> Result<i64, Error> {
    let etag = turn.engine.next_etag();
    let (pk, old) = (encode(&key.partition), version(old)?);
    for sql in REPLACE {
        let mut statement = turn.connection.prepare_cached(sql).map_err(failure)?;
        let values = params![
            key.collection.name(),
            pk,
            key.id,
            old,
            draft.body,
            etag,
            draft.tag,
            draft.due.map(micros),
            draft.rank.map(micros),
            draft.expires.map(micros)
        ];
        if statement.execute(values).map_err(failure)? > 0 {
            return Ok(etag);
        }
    }
    Err(Error::Conflict)
}

fn delete(connection: &Connection, key: &Key, old: &ETag) -> Result<(), Error> {
    let sql = "DELETE FROM docs WHERE collection = ?1 AND pk = ?2 AND id = ?3 AND etag = ?4";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let values = params![key.collection.name(), encode(&key.partition), key.id, version(old)?];
    match statement.execute(values).map_err(failure)? {
        0 => Err(Error::Conflict),
        _ => Ok(()),
    }
}

/// A version that is no number of ours can match no document.
fn version(etag: &ETag) -> Result<i64, Error> {
    etag.0.parse().map_err(|_| Error::Conflict)
}

/// Where a page ended: the sort value of its order, and the key.
#[derive(Debug)]
struct Cursor {
    sort: i64,
    pk: String,
    id: String,
}

impl Cursor {
    fn encode(&self) -> Continuation {
        let text = serde_json::json!([self.sort, self.pk, self.id]).to_string();
        Continuation(URL_SAFE_NO_PAD.encode(text))
    }

    fn decode(continuation: &Continuation) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(&continuation.0).map_err(|_| Error::BadContinuation)?;
        let (sort, pk, id) = serde_json::from_slice(&bytes).map_err(|_| Error::BadContinuation)?;
        Ok(Self { sort, pk, id })
    }
}

/// A query as SQL: the index that finds it, the condition and order, its parameters, and which column the cursor's sort value comes from.
struct Plan {
    index: &'static str,
    condition: String,
    order: &'static str,
    parameters: Vec<Value>,
    sort: &'static str,
}

/// One lower bound, the cursor where there is one, so that a page begins where it begins and not with the first. Which
/// index finds it is said: left to itself, SQLite would now and then rather read every document of a partition.
fn plan(query: &Query, after: Option<Cursor>) -> Plan {
    let mut parameters = Vec::new();
    let mut bind = |value: Value| {
        parameters.push(value);
        format!("?{}", parameters.len())
    };
    let (index, mut condition, order, sort, onward) = match query {
        Query::Under { collection, partition, tag } => {
            let (from, to) = range(partition);
            let mut condition = format!("collection = {}", bind(text(collection.name())));
            condition += &format!(" AND pk < {}", bind(to.into()));
            if after.is_none() {
                condition += &format!(" AND pk >= {}", bind(from.into()));
            }
            if let Some(tag) = tag {
                condition += &format!(" AND tag = {}", bind(text(tag)));
            }
            let index = if tag.is_some() { "docs_tag" } else { "docs_key" };
            (index, condition, "pk, id", "0", "(pk, id) > (?pk, ?id)")
        }
        Query::Newest { collection, partition } => {
            let (from, to) = range(partition);
            let mut condition = format!("collection = {} AND rank IS NOT NULL", bind(text(collection.name())));
            condition += &format!(" AND pk >= {} AND pk < {}", bind(from.into()), bind(to.into()));
            let onward = "rank <= ?sort AND (rank < ?sort OR (pk, id) > (?pk, ?id))";
            ("docs_rank", condition, "rank DESC, pk, id", "rank", onward)
        }
        Query::Due { collection, at } => {
            let mut condition = format!("collection = {}", bind(text(collection.name())));
            condition += &format!(" AND due <= {}", bind(micros(*at).into()));
            ("docs_due", condition, "due, pk, id", "due", "(due, pk, id) > (?sort, ?pk, ?id)")
        }
    };
    if let Some(cursor) = after {
        let onward = onward
            .replace("?sort", &bind(cursor.sort.into()))
            .replace("?pk", &bind(cursor.pk.into()))
            .replace("?id", &bind(cursor.id.into()));
        condition += &format!(" AND {onward}");
    }
    Plan { index, condition, order, parameters, sort }
}

fn statement(plan: &Plan, limit: usize) -> String {
    let Plan { index, condition, order, sort, .. } = plan;
    let limit = limit.saturating_add(1);
    format!("SELECT {COLUMNS}, {sort} FROM docs INDEXED BY {index} WHERE {condition} ORDER BY {order} LIMIT {limit}")
}

fn page(connection: &Connection, query: &Query, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
    let collection = match query {
        Query::Under { collection, .. } | Query::Newest { collection, .. } | Query::Due { collection, .. } => {
            *collection
        }
    };
    let plan = plan(query, after);
    let mut statement = connection.prepare_cached(&statement(&plan, limit)).map_err(failure)?;
    let rows = statement.query_map(params_from_iter(plan.parameters), |row| read(row, collection)).map_err(failure)?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(failure)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(|(_, cursor)| cursor.encode()) } else { None };
    Ok(Page { documents: rows.into_iter().map(|(document, _)| document).collect(), next })
}

fn read(row: &Row<'_>, collection: Collection) -> rusqlite::Result<(Document, Cursor)> {
    let pk: String = row.get(1)?;
    let id: String = row.get(2)?;
    let key = Key::new(collection, decode(&pk), id.clone());
    let etag = ETag(row.get::<_, i64>(4)?.to_string());
    let due = row.get::<_, Option<i64>>(5)?.and_then(instant);
    let cursor = Cursor { sort: row.get(7)?, pk, id };
    Ok((Document { key, body: row.get(3)?, etag, due }, cursor))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn micros(instant: Timestamp) -> i64 {
    instant.timestamp_micros()
}

fn instant(micros: i64) -> Option<Timestamp> {
    Timestamp::from_timestamp_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::schema::lay_out;

    #[test]
    fn each_page_begins_where_it_begins_and_needs_no_sorting() {
        let connection = Connection::open_in_memory().expect("a database");
        lay_out(&connection).expect("tables");
        let collection = Collection::Deliveries;
        let partition = || Partition::new(["n", "t"]);
        let cursor = || Cursor { sort: 5, pk: "n".into(), id: "i".into() };
        let at = Timestamp::UNIX_EPOCH;
        for (query, begins) in [
            (Query::Under { collection, partition: partition(), tag: None }, "(pk,id)>(?,?)"),
            (Query::Under { collection, partition: partition(), tag: Some("out") }, "tag=? AND (pk,id)>(?,?)"),
            (Query::Newest { collection, partition: partition() }, "rank<?"),
            (Query::Due { collection, at }, "(due,pk,id)>(?,?,?)"),
        ] {
            for after in [None, Some(cursor())] {
                let is_first = after.is_none();
                let plan = plan(&query, after);
                let explain = format!("EXPLAIN QUERY PLAN {}", statement(&plan, 10));
                let mut statement = connection.prepare(&explain).expect("a statement");
                let rows = statement.query_map(params_from_iter(plan.parameters), |row| row.get::<_, String>(3));
                let told = rows.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).expect("a plan").join("; ");
                assert!(told.starts_with("SEARCH") && !told.contains("TEMP B-TREE"), "{query:?}: {told}");
                assert!(is_first || told.contains(begins), "{query:?}: {told}");
            }
        }
    }
}
