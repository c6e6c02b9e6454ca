//! `/api/users/{id?}`: who can be reached, and why not.

use serde::Serialize;

use super::{Answer, Request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::people::{Person, State, judge};
use crate::store::{self, Continuation};

/// How many users a page lists.
const PAGE: usize = 100;
/// How many pages are read to fill one that is filtered.
const READS: usize = 10;

/// Answers.
pub(super) async fn run(app: &App, request: &Request) -> Answer {
    let answered = match &request.id {
        Some(id) => show(app, id).await,
        None => list(app, request).await,
    };
    answered.unwrap_or_else(|error| Answer::store_failed(&error))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChannelView<'a> {
    channel: &'static str,
    conversation_id: &'a str,
    state: State,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserView<'a> {
    tenant_id: &'a str,
    aad_object_id: Option<&'a str>,
    user_id: Option<&'a str>,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    channels: Vec<ChannelView<'a>>,
}

#[derive(Serialize)]
struct Users<'a> {
    users: Vec<UserView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<Continuation>,
}

fn view<'a>(app: &App, person: &'a Person) -> UserView<'a> {
    let verdict = judge(person, &app.delivery.reach.at(app.delivery.clock.now())).map(drop);
    let channels = person.references.iter().map(|(channel, reference)| ChannelView {
        channel: channel.name(),
        conversation_id: &reference.conversation_id,
        state: reference.state,
        first_seen: reference.first_seen,
        last_seen: reference.last_seen,
    });
    UserView {
        tenant_id: &person.tenant,
        aad_object_id: person.aad_object_id.as_deref(),
        user_id: person.user_id.as_deref(),
        reachable: verdict.is_ok(),
        reason: verdict.err().map(crate::people::Skip::name),
        channels: channels.collect(),
    }
}

async fn show(app: &App, id: &str) -> Result<Answer, store::Error> {
    let registry = &app.delivery.registry;
    let bot = registry.bot().await?.unwrap_or_default();
    let mut people = Vec::new();
    for (tenant, key) in registry.find(&bot, id).await? {
        people.extend(registry.person(&bot, &tenant, &key).await?);
    }
    if people.is_empty() {
        return Ok(Answer::problem(404, "Not found", "nobody with this id has talked to the bot"));
    }
    let users = people.iter().map(|person| view(app, person)).collect();
    Ok(Answer::json(200, &Users { users, continuation: None }))
}

async fn list(app: &App, request: &Request) -> Result<Answer, store::Error> {
    let wanted = match request.query.get("reachable").map(String::as_str) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Ok(Answer::field_problem(400, "Bad request", "reachable", "expected true or false")),
    };
    let registry = &app.delivery.registry;
    let bot = registry.bot().await?.unwrap_or_default();
    let rules = app.delivery.reach.at(app.delivery.clock.now());
    // Whoever was merged is shown as the person they proved to be.
    let shown = |person: &Person| {
        let is_known = person.merged_into.is_none() && !person.references.is_empty();
        is_known && wanted.is_none_or(|wanted| judge(person, &rules).is_ok() == wanted)
    };
    let mut next = request.query.get("continuation").map(|text| Continuation(text.clone()));
    let (mut found, mut is_the_callers) = (Vec::new(), true);
    for _ in 0..READS {
        // Never more than a page: what is read is shown, so that the continuation fits.
        let page = registry.newest_people(&bot, next.as_ref(), PAGE - found.len()).await;
        let (people, continuation) = page.map_err(|error| ours(error, is_the_callers))?;
        is_the_callers = false;
        found.extend(people.into_iter().filter(shown));
        next = continuation;
        if next.is_none() || found.len() >= PAGE {
            break;
        }
    }
    let users = found.iter().map(|person| view(app, person)).collect();
    Ok(Answer::json(200, &Users { users, continuation: next }))
}

/// A continuation that the caller did not send is no mistake of theirs.
fn ours(error: store::Error, is_the_callers: bool) -> store::Error {
    if error == store::Error::BadContinuation && !is_the_callers {
        store::Error::Unavailable("a list changed its shape while it was read".into())
    } else {
        error
    }
}
