//! What the configuration file says.

use std::path::PathBuf;

use mqtt_examples::{Result, check_level, read_secret};
use mqtt_std::transport::Server;
use mqtt_std::{Options, Overflow, ProtocolVersion};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Option<String>,
    pub broker: Broker,
    pub health: Health,
    pub user_events: Events,
    pub log_events: Events,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    host: String,
    port: Option<u16>,
    pub base_topic: String,
    version: Option<Version>,
    user_name: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Deserialize)]
enum Version {
    #[serde(rename = "5.0")]
    V5,
    #[serde(rename = "3.1.1")]
    V3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))] // then it is refused
pub struct Tls {
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub enabled: bool,
    pub topic: String,
    /// In seconds.
    pub interval: f64,
}

/// Events of one kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub enabled: bool,
    pub topic: String,
    pub listen: String,
    pub per_second: u32,
}

impl Config {
    /// The name of this machine, which is one level of topics.
    pub fn server(&self) -> Result<String> {
        let name = self.server.clone().or_else(sysinfo::System::host_name);
        let name = name.ok_or("this machine has no name: say server = \"...\"")?;
        check_level(&name)?;
        Ok(name)
    }
}

impl Broker {
    pub fn options(&self) -> Result<Options> {
        // What waits while the broker is away is bounded, and what is new is worth more than what is old.
        let mut options = self.server()?.overflow(Overflow::DropOldest);
        match self.version {
            Some(Version::V5) => options = options.version(ProtocolVersion::V5_0),
            Some(Version::V3) => options = options.version(ProtocolVersion::V3_1_1),
            None => {}
        }
        if let Some(name) = &self.user_name {
            options = options.user_name(name);
        }
        if let Some(path) = &self.password_file {
            options = options.password(read_secret(path)?);
        }
        Ok(options)
    }

    #[cfg(feature = "tls")]
    fn server(&self) -> Result<Options> {
        let Some(settings) = &self.tls else { return Ok(self.plain()) };
        let mut tls = mqtt_std::transport::Tls::new();
        if let Some(path) = &settings.ca_file {
            tls = tls.ca_file(path);
        }
        match (&settings.certificate_file, &settings.key_file) {
            (Some(certificate), Some(key)) => tls = tls.client_certificate_files(certificate, key),
            (None, None) => {}
            _ => return Err("certificate_file and key_file go together".into()),
        }
        Ok(Options::of(Server::tls(&self.host, self.port.unwrap_or(8883))).tls(tls))
    }

    #[cfg(not(feature = "tls"))]
    fn server(&self) -> Result<Options> {
        match self.tls {
            Some(_) => Err("this build has no TLS: it needs the feature tls".into()),
            None => Ok(self.plain()),
        }
    }

    fn plain(&self) -> Options {
        Options::of(Server::tcp(&self.host, self.port.unwrap_or(1883)))
    }
}
