//! The Functions host's envelope for custom handlers: `{Data, Metadata}` in, `{Outputs, Logs, ReturnValue}` out.
//!
//! Source: functions-host.md §2 and §3 (`ScriptInvocationContextExtensions.cs`, `HttpRequestExtensions.cs`,
//! `HttpScriptInvocationResultExtensions.cs`) and the requests that a real host sent (`tests/fixtures/host`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Failure, Function, Invocation, Request, Trigger};
use crate::delivery::PutOut;

/// What an envelope asks for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// An HTTP function.
    Http(Request),
    /// A queue or timer function.
    Other(Invocation),
}

/// Reads the envelope of a function.
///
/// # Errors
/// [`Failure::Envelope`].
pub fn decode(function: Function, body: &[u8]) -> Result<Asked, Failure> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| Failure::Envelope(error.to_string()))?;
    match function.trigger() {
        Trigger::Http { .. } => Ok(Asked::Http(request(data(&envelope.data, "req")?)?)),
        Trigger::Queue(_) => Ok(Asked::Other(Invocation::Message(message(data(&envelope.data, "message")?)))),
        // Nothing of what the timer says matters: an activation takes no input.
        Trigger::Timer => Ok(Asked::Other(Invocation::Time)),
    }
}

/// The rest is skipped unread: the host copies what callers send into `Metadata`, however deep it is nested.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Data", default)]
    data: Value,
}

fn data<'a>(data: &'a Value, binding: &str) -> Result<&'a Value, Failure> {
    data.get(binding).ok_or_else(|| Failure::Envelope(format!("it has no Data.{binding}")))
}

/// The text of a queue message: JSON within JSON as the source and captures have it, or single as the documents do.
fn message(value: &Value) -> String {
    match value {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::String(inner)) => inner,
            Ok(_) | Err(_) => text.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn request(req: &Value) -> Result<Request, Failure> {
    let method = req.get("Method").and_then(Value::as_str);
    let method = method.ok_or_else(|| Failure::Envelope("Data.req has no Method".into()))?;
    let body = match req.get("Body") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone().into_bytes()),
        Some(other) => Some(other.to_string().into_bytes()),
    };
    Ok(Request {
        method: method.to_ascii_uppercase(),
        authorization: authorization(req.get("Headers")),
        id: req.pointer("/Params/id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned),
        query: texts(req.get("Query")),
        headers: texts(req.get("Headers")).into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
        body,
    })
}

/// All values of the header, however it is spelled: of two nobody may choose one.
fn authorization(headers: Option<&Value>) -> Vec<String> {
    let entries = headers.and_then(Value::as_object).into_iter().flatten();
    let named = entries.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let values = named.flat_map(|(_, value)| match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        other @ (Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => vec![other],
    });
    values.map(|value| value.as_str().unwrap_or_default().to_owned()).collect()
}

/// An object of texts, or of lists of texts whose last counts.
fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| match value {
        Value::Array(list) => list.last().and_then(Value::as_str).map(str::to_owned),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    entries.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

/// The reply of a queue or timer function.
#[must_use]
pub fn done(function: Function, put_out: &PutOut) -> Value {
    reply(&outputs(function, put_out))
}

/// The reply of an HTTP function: always a success to the host, whatever it says to the caller.
#[must_use]
pub fn answered(function: Function, answer: &Answer, put_out: &PutOut) -> Value {
    let headers: Map<String, Value> =
        answer.headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut outputs = outputs(function, put_out);
    // Strings only: an array among the headers gives the caller a 500.
    outputs.insert(
        "res".into(),
        json!({"statusCode": answer.status.to_string(), "headers": headers, "body": answer.body}),
    );
    reply(&outputs)
}

fn reply(outputs: &Map<String, Value>) -> Value {
    json!({"Outputs": outputs, "Logs": [], "ReturnValue": null})
}

/// Arrays of texts, which the host puts in one by one as they are; any other form it rewrites or splits.
fn outputs(function: Function, put_out: &PutOut) -> Map<String, Value> {
    let mut outputs = Map::new();
    for (binding, _) in function.outputs() {
        let pointers = if *binding == "deliveries" { &put_out.deliveries } else { &put_out.notifications };
        let texts: Vec<_> = pointers.iter().map(crate::delivery::Pointer::text).collect();
        if !texts.is_empty() {
            outputs.insert((*binding).to_owned(), json!(texts));
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Pointer;

    #[test]
    fn a_message_is_read_however_often_it_is_wrapped() {
        for value in [
            json!("\"{\\\"notification\\\":\\\"x\\\"}\""),
            json!("{\"notification\":\"x\"}"),
            json!({"notification": "x"}),
        ] {
            assert_eq!(message(&value), r#"{"notification":"x"}"#);
        }
        assert_eq!(message(&json!("hello")), "hello");
    }

    #[test]
    fn every_authorization_counts_however_it_is_written() {
        let values = |headers: Value| {
            let envelope = json!({"Data": {"req": {"Method": "POST", "Headers": headers}}}).to_string();
            let Ok(Asked::Http(request)) = decode(Function::Messages, envelope.as_bytes()) else {
                panic!("no request")
            };
            request.authorization
        };
        assert_eq!(values(json!({"Authorization": ["Bearer a"]})), ["Bearer a"]);
        assert_eq!(values(json!({"authorization": "Bearer a"})), ["Bearer a"]);
        assert_eq!(values(json!({"Authorization": ["Bearer a", "Bearer b"]})), ["Bearer a", "Bearer b"]);
        assert_eq!(values(json!({"Authorization": ["a"], "AUTHORIZATION": "b"})).len(), 2);
        assert_eq!(values(json!({"Authorization": [{"Bearer": "a"}]})), [""]);
        assert_eq!(values(json!({"Authorization": null})), [""; 0]);
    }

    #[test]
    fn whatever_stands_in_the_metadata_does_not_matter() {
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        let envelope =
            format!(r#"{{"Metadata":{{"text":{deep}}},"Data":{{"req":{{"Method":"get","Params":{{"id":null}}}}}}}}"#);
        let Ok(Asked::Http(request)) = decode(Function::Users, envelope.as_bytes()) else { panic!("no request") };
        assert_eq!((request.method.as_str(), request.id, request.body), ("GET", None, None));
    }

    #[test]
    fn outputs_are_arrays_of_texts_and_nothing_is_put_out_of_nothing() {
        let put_out = PutOut { notifications: vec![Pointer::to_notification("x")], deliveries: Vec::new() };
        let reply = done(Function::RunNotification, &put_out);
        assert_eq!(reply["Outputs"], json!({"notifications": ["{\"notification\":\"x\"}"]}));
        assert_eq!(done(Function::Tick, &PutOut::default()), json!({"Outputs": {}, "Logs": [], "ReturnValue": null}));
    }
}
