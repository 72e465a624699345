//! The command line.

mod file;
mod given;
mod parse;
mod property;
mod stop;
#[cfg(test)]
mod tests;
mod url;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use mqtt_std::{ProtocolVersion, QoS, RetainHandling};

use super::format::Format;
pub(super) use property::{ConnectProperty, Properties, PublishProperty, WillProperty};
pub(super) use stop::Stop;

/// Which of the three it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tool {
    Pub,
    Sub,
    Rr,
}

impl Tool {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pub => "mqtt-pub",
            Self::Sub => "mqtt-sub",
            Self::Rr => "mqtt-rr",
        }
    }

    /// Its namesake, whose configuration file it reads.
    pub(super) const fn namesake(self) -> &'static str {
        match self {
            Self::Pub => "mosquitto_pub",
            Self::Sub => "mosquitto_sub",
            Self::Rr => "mosquitto_rr",
        }
    }

    const fn publishes(self) -> bool {
        matches!(self, Self::Pub | Self::Rr)
    }

    const fn receives(self) -> bool {
        matches!(self, Self::Sub | Self::Rr)
    }
}

/// What is published.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    Message(Vec<u8>),
    File(PathBuf),
    /// Standard input, as one message.
    Stdin,
    /// Standard input, each line a message.
    Lines,
}

/// How a message is printed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Style {
    Payload,
    /// `-v`.
    TopicAndPayload,
    Format(Format),
    /// `--json`.
    Ndjson,
    /// `--message-rate`.
    Rate,
}

/// `--cafile` and its like.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TlsSettings {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) system_roots: bool,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// `--keyform pem` was said.
    pub(super) key_form: bool,
    pub(super) insecure: bool,
    pub(super) alpn: Option<String>,
    /// 1.2 or 1.3 alone.
    pub(super) version: Option<TlsOnly>,
    pub(super) psk: Option<Vec<u8>>,
    pub(super) psk_identity: Option<String>,
    pub(super) off: bool,
}

/// `--tls-version`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TlsOnly {
    V1_2,
    V1_3,
}

/// `--will-topic` and its like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WillSettings {
    pub(super) topic: Option<String>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

/// All that was said, by files and on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) unix: Option<String>,
    pub(super) websocket: bool,
    pub(super) bind: Option<String>,
    pub(super) proxy: Option<String>,
    pub(super) tls: TlsSettings,
    pub(super) version: ProtocolVersion,
    pub(super) user_name: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) client_identifier: Option<String>,
    pub(super) identifier_prefix: Option<String>,
    pub(super) keep_alive: u16,
    pub(super) keep_session: bool,
    pub(super) session_expiry_interval: Option<u32>,
    pub(super) max_in_flight: Option<u16>,
    pub(super) will: WillSettings,
    pub(super) properties: Properties,
    pub(super) topics: Vec<String>,
    pub(super) qos: QoS,
    pub(super) quiet: bool,
    pub(super) debug: bool,
    // Publishing.
    pub(super) input: Option<Input>,
    pub(super) retain: bool,
    pub(super) repeat: u64,
    pub(super) repeat_delay: Duration,
    pub(super) response_topic: Option<String>,
    // Receiving.
    pub(super) style: Style,
    pub(super) pretty: bool,
    pub(super) no_line_end: bool,
    pub(super) watch: bool,
    pub(super) latency: bool,
    pub(super) count: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) exit_after_subscribing: bool,
    pub(super) unsubscribe: Vec<String>,
    pub(super) filter_out: Vec<String>,
    pub(super) fresh_only: bool,
    pub(super) retained_only: bool,
    pub(super) remove_retained: bool,
    pub(super) retain_as_published: bool,
    pub(super) retain_handling: RetainHandling,
    /// Of a hundred messages so many are printed.
    pub(super) random_filter: f64,
}

impl Settings {
    fn new(tool: Tool) -> Self {
        Self {
            host: "localhost".to_owned(),
            port: None,
            unix: None,
            websocket: false,
            bind: None,
            proxy: None,
            tls: TlsSettings::default(),
            version: if tool == Tool::Rr { ProtocolVersion::V5_0 } else { ProtocolVersion::V3_1_1 },
            user_name: None,
            password: None,
            client_identifier: None,
            identifier_prefix: None,
            keep_alive: 60,
            keep_session: false,
            session_expiry_interval: None,
            max_in_flight: None,
            will: WillSettings { topic: None, payload: None, qos: QoS::AtMostOnce, retain: false },
            properties: Properties::default(),
            topics: Vec::new(),
            qos: QoS::AtMostOnce,
            quiet: false,
            debug: false,
            input: None,
            retain: false,
            repeat: 1,
            repeat_delay: Duration::ZERO,
            response_topic: None,
            style: Style::Payload,
            pretty: false,
            no_line_end: false,
            watch: false,
            latency: false,
            count: None,
            timeout: None,
            exit_after_subscribing: false,
            unsubscribe: Vec::new(),
            filter_out: Vec::new(),
            fresh_only: false,
            retained_only: false,
            remove_retained: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
            random_filter: 100.0,
        }
    }

    /// Reads the command line of this process, and configuration files.
    pub(super) fn from_command_line(tool: Tool) -> Result<Self, Stop> {
        let mut arguments = Vec::new();
        for argument in std::env::args_os().skip(1) {
            arguments.push(argument.into_encoded_bytes());
        }
        let file = file::of_the_command_line(&arguments)?.or_else(|| file::default(tool));
        let lines = file.map_or_else(Vec::new, |path| file::read(&path));
        Self::read(tool, &lines, &arguments)
    }

    /// The lines of a file count less than the command line.
    fn read(tool: Tool, lines: &[Vec<Vec<u8>>], arguments: &[Vec<u8>]) -> Result<Self, Stop> {
        let mut settings = Self::new(tool);
        for line in lines {
            settings.take(tool, line)?;
        }
        settings.take(tool, arguments)?;
        settings.check(tool)?;
        Ok(settings)
    }
}
