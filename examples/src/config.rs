//! Configuration files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::Result;

/// Reads a password or a key: the first line of a file. One that others may read is told on stderr.
///
/// # Errors
/// It cannot be read.
pub fn read_secret(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|file| std::os::unix::fs::MetadataExt::mode(&file) & 0o077 != 0) {
        eprintln!("warning: {} is not for its owner alone: chmod 600", path.display());
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

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
