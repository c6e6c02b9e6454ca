//! `config describe`.

use super::{Role, SETTINGS, Source, parse};

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

/// The table, and what is set here; secrets only as set or not, and so is whatever is wrong: it may be a secret in the
/// wrong place.
#[must_use]
pub fn describe(source: &dyn Source, role: Role) -> String {
    let wrong: Vec<_> = match parse(source, role) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.into_iter().map(|problem| problem.setting).collect(),
    };
    let set = SETTINGS.iter().filter_map(|setting| {
        let value = source.get(setting.name)?;
        let shown = match (setting.secret, wrong.contains(&setting.name)) {
            (true, _) => "(set, not shown)",
            (false, true) => "(set, wrong, not shown)",
            (false, false) => value.trim(),
        };
        Some(format!("{}={shown}\n", setting.name))
    });
    let set: String = set.collect();
    let here = if set.is_empty() { "Nothing is set here.\n".to_owned() } else { format!("Set here:\n{set}") };
    format!("{}\n{here}", table())
}
