//! Why a tool ends otherwise than it should: a line on stderr, and an exit status.

use std::fmt::Display;
use std::process::ExitCode;

use mqtt_std::{ConnectionError, Error, ProtocolVersion, ReasonCode};

/// What has no other number.
pub(super) const OTHER: u8 = 1;

/// The broker wants none of several subscriptions: as 3.1.1 says it in SUBACK.
pub(super) const REFUSED: u8 = 0x80;

/// The connection was lost.
pub(super) const LOST: u8 = 7;

/// `-W`: the time is over.
pub(super) const TIMED_OUT: u8 = 27;

/// An exit status and its reason. Reason Codes are their own exit status, as `mosquitto_pub` has it for CONNACK.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    text: String,
    /// It is what CONNACK says.
    connack: Option<ReasonCode>,
}

impl Failure {
    pub(super) fn new(code: u8, text: impl Display) -> Self {
        Self { code, text: format!("Error: {text}"), connack: None }
    }

    pub(super) fn timed_out() -> Self {
        Self { code: TIMED_OUT, text: "Timed out".to_owned(), connack: None }
    }

    /// The broker does not want it.
    pub(super) fn refused(what: impl Display, reason: ReasonCode) -> Self {
        Self::new(reason.as_u8(), format_args!("{what}: {reason}"))
    }

    /// The same as this version tells it: 3.1.1 has numbers of its own in CONNACK (3.1.1 §3.2.2.3).
    pub(super) fn in_version(self, version: ProtocolVersion) -> Self {
        let told = self.connack.filter(|_| version != ProtocolVersion::V5_0);
        Self { code: told.and_then(ReasonCode::connack_return_code).unwrap_or(self.code), ..self }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn tell(self, quiet: bool) -> ExitCode {
        if !quiet {
            eprintln!("{}", crate::printable(&self.text));
        }
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Connection(ConnectionError::Refused(reason)) => {
                let text = format!("Connection error: Connection Refused: {reason}");
                Self { code: reason.as_u8(), text, connack: Some(*reason) }
            }
            Error::Rejected(answer) => Self::new(answer.reason().as_u8(), &error),
            Error::Connection(ConnectionError::Disconnected(_)) | Error::ConnectionLost | Error::Closed => {
                Self::new(LOST, format_args!("The connection was lost: {error}"))
            }
            Error::NotDelivered(_) => Self::new(LOST, &error),
            Error::Transport(_) => Self::new(OTHER, format_args!("Unable to connect: {error}")),
            _ => Self::new(OTHER, &error),
        }
    }
}
