//! What the command line says.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    pub messages: u64,
    pub cuts: u32,
    pub broker_restarts: u32,
    pub kills: u32,
    pub seed: u64,
    pub broker_sigkill: bool,
    /// After this long the run has failed.
    pub limit: Duration,
    pub version: mqtt_std::ProtocolVersion,
    /// What this process is; the rest is for children only.
    pub role: Role,
    pub directory: PathBuf,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Parent,
    Publisher,
    Subscriber,
}

const HELP: &str = "\
--messages N         to be accepted by the publisher (10000)
--cuts N             connections to be cut (50)
--broker-restarts N  (3)
--kills N            processes to be killed (4)
--seed N             of all that is random (from the clock)
--seconds N          after which the run has failed (900)
--v3                 3.1.1 in place of 5.0
--broker-sigkill     kill the broker, too, with SIGKILL";

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut options = Self {
            messages: 10_000,
            cuts: 50,
            broker_restarts: 3,
            kills: 4,
            seed: clock.as_nanos() as u64,
            broker_sigkill: false,
            limit: Duration::from_secs(900),
            version: mqtt_std::ProtocolVersion::V5_0,
            role: Role::Parent,
            directory: PathBuf::new(),
            port: 0,
        };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
                value.ok_or(format!("{argument} wants a number\n{HELP}"))
            };
            match argument.as_str() {
                "--messages" => options.messages = number()?,
                "--cuts" => options.cuts = number()? as u32,
                "--broker-restarts" => options.broker_restarts = number()? as u32,
                "--kills" => options.kills = number()? as u32,
                "--seed" => options.seed = number()?,
                "--seconds" => options.limit = Duration::from_secs(number()?),
                "--port" => options.port = number()? as u16,
                "--broker-sigkill" => options.broker_sigkill = true,
                "--v3" => options.version = mqtt_std::ProtocolVersion::V3_1_1,
                "--publisher" => options.role = Role::Publisher,
                "--subscriber" => options.role = Role::Subscriber,
                "--directory" => options.directory = arguments.next().unwrap_or_default().into(),
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(options)
    }
}
