//! What the demo holds Herald to. The evidence is the simulated Teams' own count, and Herald's status beside it. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::people::{Kind, SimulatedPerson};

/// What was seen.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Messages with the notification's text, by conversation, as the simulated Teams has them in its chats.
    pub delivered: HashMap<String, usize>,
    /// The status document.
    pub status: Value,
    /// Users by object id, as the API shows them.
    pub users: HashMap<String, Value>,
    /// The status with which an activity that points elsewhere was answered.
    pub foreign_host: u16,
    /// How many conversations have the text of a product that is not ours.
    pub foreign_product: usize,
    /// What went wrong when a Herald was killed in the middle and started again.
    pub killed: Option<String>,
}

/// One promise, and whether it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// As the design numbers them.
    pub number: u8,
    /// In a sentence.
    pub says: &'static str,
    /// What broke it; none: it held.
    pub broken: Option<String>,
}

/// Judges the evidence.
#[must_use]
pub fn judge(people: &[SimulatedPerson], evidence: &Evidence) -> Vec<Promise> {
    let promise = |number, says, broken| Promise { number, says, broken };
    vec![
        promise(1, "only Teams chats were notified, each at most once", only_chats(people, evidence)),
        promise(2, "each channel keeps its own reference", own_references(people, evidence)),
        promise(3, "who cannot be reached is skipped with the reason", skips(people, evidence)),
        promise(
            4,
            "everybody has one outcome, and the counts add up",
            adds_up(people, evidence).or_else(|| reached(people, evidence)),
        ),
        promise(5, "killed in the middle and started again, nobody is lost", evidence.killed.clone()),
        promise(6, "an activity that points to another host is refused", foreign_host(evidence)),
        promise(7, "another product's conversation is never notified", foreign_product(evidence)),
    ]
}

fn only_chats(people: &[SimulatedPerson], evidence: &Evidence) -> Option<String> {
    let chats: HashMap<_, _> = people.iter().map(|person| (person.chat(), person)).collect();
    evidence.delivered.iter().find_map(|(conversation, count)| match chats.get(conversation) {
        None => Some(format!("{conversation} is no Teams chat and was notified")),
        Some(_) if *count > 1 => Some(format!("{conversation} was notified {count} times")),
        Some(person) if person.kind.skipped_as().is_some() => {
            Some(format!("{conversation} must be skipped and was notified"))
        }
        Some(_) => None,
    })
}

fn reached(people: &[SimulatedPerson], evidence: &Evidence) -> Option<String> {
    let missed = |person: &&SimulatedPerson| {
        person.kind.skipped_as().is_none() && !evidence.delivered.contains_key(&person.chat())
    };
    people.iter().find(missed).map(|person| format!("{} was not notified", person.chat()))
}

fn own_references(people: &[SimulatedPerson], evidence: &Evidence) -> Option<String> {
    people.iter().find_map(|person| {
        let expected: &[(&str, String)] = match person.kind {
            Kind::TeamsOnly | Kind::Uninstalled | Kind::Blocked | Kind::Muted => &[("teamsChat", person.chat())],
            Kind::CopilotThenTeams => &[("teamsChat", person.chat()), ("teamsCopilot", person.copilot())],
            Kind::TeamsThenCopilot => &[("teamsChat", person.chat()), ("m365Copilot", person.copilot())],
            Kind::CopilotOnly => &[("m365Copilot", person.copilot())],
        };
        let Some(user) = evidence.users.get(&person.object_id()) else {
            return Some(format!("{} is not known", person.object_id()));
        };
        let channels = user["channels"].as_array().map_or(&[][..], Vec::as_slice);
        let has = |(channel, conversation): &(&str, String)| {
            channels
                .iter()
                .any(|known| known["channel"] == *channel && known["conversationId"] == conversation.as_str())
        };
        (channels.len() != expected.len() || !expected.iter().all(has))
            .then(|| format!("{} has other references", person.object_id()))
    })
}

fn skips(people: &[SimulatedPerson], evidence: &Evidence) -> Option<String> {
    let skipped = &evidence.status["counts"]["skipped"];
    Kind::ALL.into_iter().filter_map(|kind| Some((kind, kind.skipped_as()?))).find_map(|(kind, reason)| {
        let expected = people.iter().filter(|person| person.kind == kind).count();
        let counted = skipped[reason].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        (counted != expected).then(|| format!("{counted} were skipped as {reason}, not {expected}"))
    })
}

fn adds_up(people: &[SimulatedPerson], evidence: &Evidence) -> Option<String> {
    let status = &evidence.status;
    let counts = &status["counts"];
    let sum = |name: &str| {
        counts[name].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum::<u64>()
    };
    let one = |name: &str| counts[name].as_u64().unwrap_or_default();
    let total = one("sent") + one("pending") + one("uncertain") + sum("skipped") + sum("failed");
    let audience = one("audience");
    if status["state"] != "completed" {
        return Some(format!("the state is {}", status["state"]));
    }
    if usize::try_from(audience).ok() != Some(people.len()) {
        return Some(format!("the audience is {audience}, not {}", people.len()));
    }
    let delivered: usize = evidence.delivered.values().sum();
    if usize::try_from(one("sent")).ok() != Some(delivered) {
        return Some(format!("{} are counted as sent, {delivered} arrived", one("sent")));
    }
    (total != audience).then(|| format!("the counts add up to {total}, not {audience}"))
}

fn foreign_host(evidence: &Evidence) -> Option<String> {
    (evidence.foreign_host != 403).then(|| format!("it was answered {}", evidence.foreign_host))
}

fn foreign_product(evidence: &Evidence) -> Option<String> {
    (evidence.foreign_product > 0).then(|| "it was".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(people: &[SimulatedPerson]) -> Evidence {
        let reached = people.iter().filter(|person| person.kind.skipped_as().is_none());
        let channel = |name: &str, conversation: String| json!({"channel": name, "conversationId": conversation});
        let user = |person: &SimulatedPerson| {
            let chat = channel("teamsChat", person.chat());
            let channels = match person.kind {
                Kind::CopilotThenTeams => vec![chat, channel("teamsCopilot", person.copilot())],
                Kind::TeamsThenCopilot => vec![chat, channel("m365Copilot", person.copilot())],
                Kind::CopilotOnly => vec![channel("m365Copilot", person.copilot())],
                Kind::TeamsOnly | Kind::Uninstalled | Kind::Blocked | Kind::Muted => vec![chat],
            };
            (person.object_id(), json!({"channels": channels}))
        };
        Evidence {
            delivered: reached.map(|person| (person.chat(), 1)).collect(),
            status: json!({"state": "completed", "counts": {"audience": 28, "sent": 12, "pending": 0, "uncertain": 0, "failed": {},
                "skipped": {"noTeamsChat": 4, "uninstalled": 4, "blocked": 4, "muted": 4}}}),
            users: people.iter().map(user).collect(),
            foreign_host: 403,
            foreign_product: 0,
            killed: None,
        }
    }

    fn broken(people: &[SimulatedPerson], evidence: &Evidence) -> Vec<u8> {
        let promises = judge(people, evidence).into_iter().filter(|promise| promise.broken.is_some());
        promises.map(|promise| promise.number).collect()
    }

    #[test]
    fn each_promise_can_be_seen_to_break() {
        let people = SimulatedPerson::crowd(28);
        let kept = kept(&people);
        assert_eq!(broken(&people, &kept), Vec::<u8>::new());
        let of = |kind: Kind| people.iter().find(|person| person.kind == kind).expect("one of each kind");
        let change = |change: &dyn Fn(&mut Evidence)| {
            let mut evidence = kept.clone();
            change(&mut evidence);
            broken(&people, &evidence)
        };
        let copilot = of(Kind::TeamsThenCopilot).copilot();
        assert_eq!(
            change(&|evidence| {
                evidence.delivered.insert(copilot.clone(), 1);
            }),
            [1, 4]
        );
        let chat = of(Kind::TeamsOnly).chat();
        assert_eq!(
            change(&|evidence| {
                evidence.delivered.insert(chat.clone(), 2);
            }),
            [1, 4]
        );
        assert_eq!(
            change(&|evidence| {
                evidence.delivered.remove(&chat);
            }),
            [4]
        );
        let object_id = of(Kind::CopilotOnly).object_id();
        assert_eq!(
            change(&|evidence| {
                evidence.users.remove(&object_id);
            }),
            [2]
        );
        assert_eq!(change(&|evidence| evidence.status["counts"]["skipped"]["muted"] = json!(3)), [3, 4]);
        assert_eq!(change(&|evidence| evidence.status["state"] = json!("sending")), [4]);
        assert_eq!(change(&|evidence| evidence.killed = Some("somebody got it twice".into())), [5]);
        assert_eq!(change(&|evidence| evidence.foreign_host = 200), [6]);
        assert_eq!(change(&|evidence| evidence.foreign_product = 1), [7]);
    }
}
