//! Where settings come from.

use std::collections::BTreeMap;

/// Something that has settings by name. An empty value counts as none, as app settings that were cleared are empty.
pub trait Source {
    /// The value, when there is one.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's environment; the one room where it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment;

impl Source for Environment {
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the environment")]
    fn get(&self, name: &str) -> Option<String> {
        // What is not UTF-8 is a value all the same, and wrong wherever something is expected of it.
        let value = std::env::var_os(name)?.to_string_lossy().into_owned();
        Some(value).filter(|value| !value.trim().is_empty())
    }
}

impl Source for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).filter(|value| !value.trim().is_empty()).cloned()
    }
}
