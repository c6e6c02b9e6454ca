//! Tables for people.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::Value;

/// A table with a heading.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(heading.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// A text as it is, nothing as a dash, the rest as JSON.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// An instant to the second.
pub(super) fn instant(value: &Value) -> String {
    let text = cell(value);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// The elements of a list in an answer.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// Counts by reason, such as `noTeamsChat 3, muted 1`; those that are 0 left out.
pub(super) fn reasons(counts: &Value) -> String {
    let counted = counts.as_object().into_iter().flatten().filter(|(_, count)| count.as_u64() != Some(0));
    let words: Vec<_> = counted.map(|(reason, count)| format!("{reason} {count}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// The line under a page that is not the last.
pub(super) fn more(answer: &Value) -> Option<String> {
    answer["continuation"].as_str().map(|continuation| format!("There is more: --continuation {continuation}"))
}
