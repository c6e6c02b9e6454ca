//! The bot endpoint: an activity is recorded before it is answered, and answered in milliseconds. The bot's reply
//! goes its own way afterwards.

use serde_json::{Value, json};
use tracing::{debug, info, warn};

use super::{Answer, Request};
use crate::app::App;
use crate::channel::{Channel, classify};
use crate::connector::{SendOutcome, Target, reply as message};
use crate::people::{Person, Recorded, Reference, record};
use crate::protocol::{Activity, BadActivity, parse};
use crate::replies::{Command, reply};
use crate::store;
use crate::trust::Caller;

/// Answers an activity.
pub(super) async fn run(app: &App, request: &Request) -> Answer {
    let caller = match believe(app, request).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let activity = match parse(request.body.as_deref().unwrap_or_default()) {
        Ok(activity) => activity,
        Err(BadActivity::NotJson(reason)) => {
            return Answer::problem(400, "Not an activity", &format!("the body is not JSON: {reason}"));
        }
        Err(BadActivity::Field { field, reason }) => {
            return Answer::field_problem(400, "Not an activity", &field, &reason);
        }
    };
    if let Some(refusal) = refuse(app, &caller, &activity) {
        return refusal;
    }
    match keep(app, &activity).await {
        Ok(()) => answer(&activity),
        Err(error) => Answer::store_failed(&error),
    }
}

/// Who sends it; asked before a body is read, and again with it.
pub(super) async fn believe(app: &App, request: &Request) -> Result<Caller, Answer> {
    app.trust.caller(&request.authorization).await.map_err(|refusal| {
        if let Some(others) = app.trust.worth_a_line() {
            warn!(%refusal, others, "an activity was refused");
        }
        Answer::distrusted(&refusal)
    })
}

/// What changes nothing because of where it comes from or points to.
fn refuse(app: &App, caller: &Caller, activity: &Activity) -> Option<Answer> {
    // As it was sent: a sub-channel is its channel's, and nothing else is mended.
    let channel = activity.channel_id.split(':').next().unwrap_or_default();
    if let Err(refusal) = caller.vouch(channel, &activity.service_url) {
        warn!(%refusal, "an activity was refused");
        return Some(Answer::problem(403, "Forbidden", &refusal.to_string()));
    }
    if let Err(refusal) = app.hosts.check(&activity.service_url) {
        warn!(%refusal, "an activity was refused");
        return Some(Answer::field_problem(403, "Forbidden", "serviceUrl", &refusal.to_string()));
    }
    let allowed = app.delivery.reach.allowed_tenants.as_deref();
    let known =
        |tenant: &str| allowed.is_none_or(|allowed| allowed.iter().any(|entry| entry.eq_ignore_ascii_case(tenant)));
    // Wherever one is named.
    let named = [
        activity.conversation.tenant_id.as_deref(),
        activity.raw.pointer("/channelData/tenant/id").and_then(Value::as_str),
    ];
    let all_known = named.into_iter().flatten().filter(|tenant| !tenant.is_empty()).all(known);
    if !all_known || !known(activity.tenant().unwrap_or_default()) {
        warn!("an activity of a tenant that is not on the allow-list was refused");
        return Some(Answer::problem(403, "Forbidden", "the tenant is not on the allow-list"));
    }
    let Some(named) = activity.bot() else {
        return Some(Answer::field_problem(400, "Not an activity", "recipient.id", "it is missing or empty"));
    };
    if app.trust.app_id().is_some_and(|app_id| !app_id.eq_ignore_ascii_case(named)) {
        warn!(bot = named, "an activity for another bot was refused");
        return Some(Answer::field_problem(403, "Forbidden", "recipient.id", "expected 28: and the bot's app id"));
    }
    None
}

/// A 200 for everything; an invoke must have a body.
fn answer(activity: &Activity) -> Answer {
    if !activity.is_invoke() {
        return Answer::empty(200);
    }
    match activity.name.as_deref() {
        Some("adaptiveCard/action") => Answer::json(
            200,
            &json!({"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "Noted."}),
        ),
        Some(_) | None => Answer::json(200, &json!({})),
    }
}

async fn keep(app: &App, activity: &Activity) -> Result<(), store::Error> {
    let Some(bot) = bot(app, activity).await? else { return Ok(()) };
    let (channel, evidence) = classify(activity, app.teams_copilot.as_ref());
    let is_message = activity.kind.eq_ignore_ascii_case("message");
    let command = is_message.then(|| Command::read(activity.text.as_deref().unwrap_or_default()));
    let muted = command.and_then(Command::muting);
    let received = app.delivery.clock.now();
    let registry = &app.delivery.registry;
    match record(registry, &bot, activity, (channel, evidence), muted, received).await? {
        Recorded::Nothing(why) => debug!(kind = activity.kind, ?why, "an activity changed nothing"),
        Recorded::Person { person, here, channel, repeated } => {
            info!(kind = activity.kind, %channel, tenant = person.tenant, repeated, "recorded an activity");
            if let Some(command) = command.filter(|_| !repeated) {
                answer_in_chat(app, activity, command, &person, *here, channel, &bot);
            }
        }
    }
    Ok(())
}

/// Our bot's id; none when the activity is for another, or for none that we could adopt.
async fn bot(app: &App, activity: &Activity) -> Result<Option<String>, store::Error> {
    let registry = &app.delivery.registry;
    let named = activity.bot().unwrap_or_default();
    let bot = match registry.bot().await? {
        Some(bot) => bot,
        None if activity.base_channel() == "msteams" => registry.adopt(named).await?,
        None => return Ok(None),
    };
    // App ids are GUIDs: the same in either case.
    if !bot.eq_ignore_ascii_case(named) {
        warn!(bot = named, "an activity for another bot changes nothing");
        return Ok(None);
    }
    Ok(Some(bot))
}

fn answer_in_chat(
    app: &App,
    activity: &Activity,
    command: Command,
    person: &Person,
    here: Reference,
    channel: Channel,
    bot: &str,
) {
    let text = reply(command, person, channel, bot);
    let reply_to = activity.id.clone();
    let body = message(&text, &here, reply_to.as_deref());
    let connector = app.delivery.connector.clone();
    app.tasks.spawn(async move {
        let target = Target {
            service_url: &here.service_url,
            conversation_id: &here.conversation_id,
            reply_to: reply_to.as_deref(),
        };
        let outcome = connector.send(target, &body).await;
        if !matches!(outcome, SendOutcome::Sent { .. }) {
            warn!(%channel, ?outcome, "a reply was not sent");
        }
    });
}
