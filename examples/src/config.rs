//! Configuration files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::Result;

/// Reads a configuration, which is TOML.
///
/// # Errors
/// The file cannot be read, or is not what is asked for: says where, in one line.
pub fn read_config<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}: {}", path.display(), error.message().replace('\n', " ")).into()
    })
}
