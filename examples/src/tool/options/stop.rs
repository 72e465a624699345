//! Why a tool does not begin.

use std::process::ExitCode;

use super::{Tool, usage};

#[derive(Debug, PartialEq)]
pub(in crate::tool) enum Stop {
    Help,
    Version,
    /// The command line is not good.
    Error(String),
}

impl Stop {
    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    /// As with its namesake, help is no success.
    pub(in crate::tool) fn tell(self, tool: Tool) -> ExitCode {
        let name = tool.name();
        match self {
            Self::Help => print!("{}", usage::usage(tool)),
            Self::Version => println!("{name} version {}.", env!("CARGO_PKG_VERSION")),
            Self::Error(text) => eprintln!("Error: {}\n\nUse '{name} --help' to see usage.", crate::printable(&text)),
        }
        ExitCode::FAILURE
    }
}
