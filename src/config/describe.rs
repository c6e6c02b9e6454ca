//! `config describe`.

use super::{SETTINGS, Source};

/// Every setting as a line of a Markdown table: name, default, meaning.
#[must_use]
pub fn table() -> String {
    let rows = SETTINGS
        .iter()
        .map(|setting| format!("| `{}` | {} | {} |\n", setting.name, code(setting.default), setting.meaning));
    format!("| setting | default | meaning |\n| --- | --- | --- |\n{}", rows.collect::<String>())
}

/// A default that is a value is shown as one; a sentence about it is not.
fn code(default: &str) -> String {
    let is_value = default.starts_with("*/") || !default.contains([' ', '(']);
    if is_value && default != "none" && default != "all" { format!("`{default}`") } else { default.to_owned() }
}

/// The table, and what is set here; secrets only as set or not.
#[must_use]
pub fn describe(source: &dyn Source) -> String {
    let set = SETTINGS.iter().filter_map(|setting| {
        let value = source.get(setting.name)?;
        let shown = if setting.secret { "(set, not shown)" } else { value.trim() };
        Some(format!("{}={shown}\n", setting.name))
    });
    let set: String = set.collect();
    let here = if set.is_empty() { "Nothing is set here.\n".to_owned() } else { format!("Set here:\n{set}") };
    format!("{}\n{here}", table())
}
