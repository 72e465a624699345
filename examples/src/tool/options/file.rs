//! Configuration files: an option a line, its name and behind a space its value.

use std::path::{Path, PathBuf};

use super::{Stop, Tool};

/// What `-o` names.
pub(super) fn of_the_command_line(arguments: &[Vec<u8>]) -> Result<Option<PathBuf>, Stop> {
    let mut found = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == b"-o" {
            let path =
                arguments.next().ok_or_else(|| Stop::error("-o argument given but no options file specified."))?;
            if found.replace(super::given::path(path)).is_some() {
                return Err(Stop::error("Duplicate -o argument given."));
            }
        }
    }
    Ok(found)
}

/// The one of whoever calls, if there is one.
pub(super) fn default(tool: Tool) -> Option<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = if cfg!(windows) {
        directory("USERPROFILE")
    } else {
        directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")))
    };
    directory.map(|directory| directory.join(tool.namesake())).filter(|path| path.is_file())
}

/// Its lines as arguments. One that cannot be read counts as empty, as it does for its namesake, but that is told.
pub(super) fn read(path: &Path) -> Vec<Vec<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(text) => lines(&text),
        Err(error) => {
            eprintln!("Warning: {}: {error}", path.display());
            Vec::new()
        }
    }
}

fn lines(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    let words = lines.map(|line| {
        let line = line.trim_ascii_start();
        match line.iter().position(|byte| *byte == b' ') {
            // Of `-D` all words count.
            Some(at) if [&b"-D"[..], b"--property"].contains(&&line[..at]) => {
                line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
            }
            Some(at) if !line[at..].trim_ascii().is_empty() => {
                vec![line[..at].to_vec(), line[at..].trim_ascii_start().to_vec()]
            }
            _ => vec![line.trim_ascii_end().to_vec()],
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_option_and_its_value() {
        let text = b"-p 1884\n# no\n\n  -t  a b \r\n-r\n-u \n-D publish user-property a b";
        let words: [&[&str]; 5] =
            [&["-p", "1884"], &["-t", "a b "], &["-r"], &["-u"], &["-D", "publish", "user-property", "a", "b"]];
        assert_eq!(lines(text), words.map(|line| line.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>()));
    }

    #[test]
    fn at_most_one_file_is_named() {
        let named = |words: &[&str]| {
            of_the_command_line(&words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(named(&["-t", "a"]), Ok(None));
        assert_eq!(named(&["-t", "a", "-o", "f"]), Ok(Some(PathBuf::from("f"))));
        assert!(named(&["-o"]).is_err() && named(&["-o", "a", "-o", "b"]).is_err());
    }
}
