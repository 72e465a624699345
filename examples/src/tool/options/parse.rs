//! Options, one after the other, and what does not go together.

use std::time::Duration;

use mqtt_std::{ProtocolVersion, RetainHandling};

use super::given::Words;
use super::{Input, Settings, Stop, Style, TlsOnly, Tool, url};
use crate::tool::format::Format;

impl Settings {
    /// Takes options; those that came before count less.
    pub(super) fn take(&mut self, tool: Tool, words: &[Vec<u8>]) -> Result<(), Stop> {
        let mut words = Words::new(words);
        while let Some(option) = words.next_option() {
            let option = option?;
            let known = self.take_common(tool, option, &mut words)?
                || self.take_tls(option, &mut words)?
                || (tool.publishes() && self.take_publishing(tool, option, &mut words)?)
                || (tool.receives() && self.take_receiving(option, &mut words)?)
                || (tool == Tool::Sub && self.take_subscribing(option, &mut words)?)
                || (tool == Tool::Rr && self.take_requesting(option, &mut words)?);
            if !known {
                return Err(Stop::error(format!("Unknown option '{option}'.")));
            }
        }
        Ok(())
    }

    fn take_common(&mut self, tool: Tool, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        match option {
            "--help" => return Err(Stop::Help),
            "--version" => return Err(Stop::Version),
            "-h" | "--host" => self.host = words.text("host")?,
            "-p" | "--port" => {
                let port = words.number("port", 1..=65_535, "Invalid port given:")?;
                self.port = u16::try_from(port).ok();
            }
            "--unix" => self.unix = Some(words.text("socket path")?),
            "--ws" => self.websocket = true,
            "-A" => self.bind = Some(words.text("address")?),
            "--proxy" => {
                let url = words.text("proxy url")?;
                if !url.starts_with("socks5h://") {
                    return Err(Stop::error(format!("Unsupported proxy protocol: {url}")));
                }
                self.proxy = Some(url);
            }
            // It is always so.
            "--nodelay" => {}
            "-L" | "--url" => url::take(&words.text("URL")?, tool, self)?,
            "-V" | "--protocol-version" => {
                self.version = match words.text("version")?.to_ascii_lowercase().as_str() {
                    "5" | "mqttv5" => ProtocolVersion::V5_0,
                    "311" | "mqttv311" => ProtocolVersion::V3_1_1,
                    "31" | "mqttv31" => ProtocolVersion::V3_1,
                    _ => return Err(Stop::error("Invalid protocol version argument given.")),
                }
            }
            "-u" | "--username" => self.user_name = Some(words.text("username")?),
            "-P" | "--pw" => self.password = Some(words.value("password")?.to_vec()),
            "-i" | "--id" => self.client_identifier = Some(words.text("id")?),
            "-I" | "--id-prefix" => self.identifier_prefix = Some(words.text("id prefix")?),
            "-k" | "--keepalive" => {
                let complaint = "Invalid keepalive given, it must be between 5 and 65535 inclusive:";
                let seconds = words.number("keepalive", 5..=65_535, complaint)?;
                self.keep_alive = u16::try_from(seconds).unwrap_or(u16::MAX);
            }
            "-c" | "--disable-clean-session" => self.keep_session = true,
            "-x" => {
                self.session_expiry_interval = Some(match words.text("session expiry interval")?.as_str() {
                    "∞" | "-1" => u32::MAX,
                    text => match text.parse::<i64>() {
                        Ok(number) => {
                            u32::try_from(number).map_err(|_| Stop::error("session-expiry-interval out of range."))?
                        }
                        Err(_) => return Err(Stop::error("session-expiry-interval not a number.")),
                    },
                });
                self.version = ProtocolVersion::V5_0;
            }
            "-M" => {
                let complaint = "Maximum inflight messages must be from 1 to 65535, not";
                let most = words.number("max_inflight", 1..=65_535, complaint)?;
                self.max_in_flight = u16::try_from(most).ok();
            }
            "-D" | "--property" => {
                self.properties.take(words)?;
                self.version = ProtocolVersion::V5_0;
            }
            "-q" | "--qos" => self.qos = words.qos("Invalid QoS given:")?,
            "-t" | "--topic" if tool == Tool::Sub => self.topics.push(words.topic_filter("subscription")?),
            "-t" | "--topic" => self.topics = vec![words.topic_name("publish")?],
            "-d" | "--debug" => self.debug = true,
            "--quiet" => self.quiet = true,
            // It was read before.
            "-o" => drop(words.value("options file")?),
            "--will-topic" => self.will.topic = Some(words.topic_name("will")?),
            "--will-payload" => self.will.payload = Some(words.value("will payload")?.to_vec()),
            "--will-qos" => self.will.qos = words.qos("Invalid will QoS")?,
            "--will-retain" => self.will.retain = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_tls(&mut self, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        let cannot =
            |what: &str| Err(Stop::error(format!("{what} cannot be done here, see examples/tools/README.md.")));
        let tls = &mut self.tls;
        match option {
            "--cafile" => tls.ca_file = Some(words.path()?),
            "--capath" => tls.ca_path = Some(words.path()?),
            "--tls-use-os-certs" => tls.system_roots = true,
            "--cert" => tls.certificate = Some(words.path()?),
            "--key" => tls.key = Some(words.path()?),
            "--insecure" => tls.insecure = true,
            "--tls-alpn" => tls.alpn = Some(words.text("protocol")?),
            "--no-tls" => tls.off = true,
            "--tls-version" => {
                tls.version = Some(match words.text("version")?.as_str() {
                    "tlsv1.3" => TlsOnly::V1_3,
                    "tlsv1.2" => TlsOnly::V1_2,
                    other => return cannot(&format!("--tls-version {other}")),
                });
            }
            "--keyform" => match words.text("keyform")?.as_str() {
                "pem" => tls.key_form = true,
                other => return cannot(&format!("--keyform {other}")),
            },
            "--psk" => {
                let digits = words.text("key")?;
                tls.psk = Some(hexadecimal(&digits).ok_or_else(|| Stop::error("--psk is no hexadecimal number."))?);
            }
            "--psk-identity" => tls.psk_identity = Some(words.text("identity")?),
            "--ciphers" | "--tls-engine" | "--tls-engine-kpass-sha1" | "--tls-keylog" => return cannot(option),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_publishing(&mut self, tool: Tool, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        let input = match option {
            "-m" | "--message" => Input::Message(words.value("message")?.to_vec()),
            "-f" | "--file" => Input::File(words.path()?),
            "-n" | "--null-message" => Input::Message(Vec::new()),
            "-s" | "--stdin-file" => Input::Stdin,
            "-l" | "--stdin-line" if tool == Tool::Pub => Input::Lines,
            "-r" | "--retain" if tool == Tool::Pub => {
                self.retain = true;
                return Ok(true);
            }
            "--repeat" if tool == Tool::Pub => {
                let times = words.number("count", 1..=i64::MAX, "--repeat argument must be >0, not")?;
                self.repeat = times.unsigned_abs();
                return Ok(true);
            }
            "--repeat-delay" if tool == Tool::Pub => {
                let good = |seconds| (0.0..=1e9).contains(&seconds);
                let seconds = words.decimal("time", good, "--repeat-delay argument must be >=0.0.")?;
                self.repeat_delay = Duration::from_secs_f64(seconds);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        match self.input.replace(input) {
            None => Ok(true),
            Some(_) => Err(Stop::error("Only one type of message can be sent at once.")),
        }
    }

    fn take_receiving(&mut self, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        match option {
            "-v" | "--verbose" if self.style == Style::Payload => self.style = Style::TopicAndPayload,
            // `-F` counts more, in whatever order.
            "-v" | "--verbose" => {}
            "-F" => {
                let format = Format::parse(words.value("format")?);
                self.style = Style::Format(format.map_err(|error| Stop::error(error.to_string()))?);
            }
            "--json" => self.style = Style::Ndjson,
            "--pretty" => self.pretty = true,
            "-N" => self.no_line_end = true,
            "-R" => self.fresh_only = true,
            "-W" => {
                let seconds = words.number("timeout", 1..=i64::from(u32::MAX), "Invalid timeout")?;
                self.timeout = Some(Duration::from_secs(seconds.unsigned_abs()));
            }
            "--retain-handling" => {
                self.retain_handling = match words.text("option")?.as_str() {
                    "always" => RetainHandling::SendAtSubscribe,
                    "new" => RetainHandling::SendIfNew,
                    "never" => RetainHandling::DoNotSend,
                    other => return Err(Stop::error(format!("Unknown value '{other}' for --retain-handling."))),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_subscribing(&mut self, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        match option {
            "-C" => self.count = Some(words.number("count", 1..=i64::MAX, "Invalid message count")?.unsigned_abs()),
            "-E" => self.exit_after_subscribing = true,
            "-T" | "--filter-out" => self.filter_out.push(words.topic_filter("filter")?),
            "-U" | "--unsubscribe" => self.unsubscribe.push(words.topic_filter("unsubscribe")?),
            "--retained-only" => self.retained_only = true,
            "--remove-retained" => self.remove_retained = true,
            "--retain-as-published" => self.retain_as_published = true,
            "--message-rate" => self.style = Style::Rate,
            "-w" | "--watch" => self.watch = true,
            "--random-filter" => {
                let complaint = "--random-filter chance must be between 0.1-100.0";
                self.random_filter = words.decimal("chance", |chance| (0.1..=100.0).contains(&chance), complaint)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_requesting(&mut self, option: &str, words: &mut Words<'_>) -> Result<bool, Stop> {
        match option {
            "-e" => self.response_topic = Some(words.topic_name("response")?),
            "--latency" => self.latency = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Finds what does not go together, or is missing.
    pub(super) fn check(&self, tool: Tool) -> Result<(), Stop> {
        let endless = self.session_expiry_interval == Some(u32::MAX);
        let version_5 = self.version == ProtocolVersion::V5_0;
        for (wrong, complaint) in [
            (
                self.client_identifier.is_some() && self.identifier_prefix.is_some(),
                "-i and -I argument cannot be used together.",
            ),
            (self.will.topic.is_none() && self.will.payload.is_some(), "Will payload given, but no will topic given."),
            (self.will.topic.is_none() && self.will.retain, "Will retain given, but no will topic given."),
            (
                self.tls.certificate.is_some() != self.tls.key.is_some(),
                "Both certfile and keyfile must be provided if one of them is set.",
            ),
            (self.tls.key_form && self.tls.key.is_none(), "If keyform is set, keyfile must be also specified."),
            (
                self.tls.psk.is_some() && (self.tls.ca_file.is_some() || self.tls.ca_path.is_some()),
                "Only one of --psk or --cafile/--capath may be used at once.",
            ),
            (self.tls.psk.is_some() && self.tls.psk_identity.is_none(), "--psk-identity required if --psk used."),
            (
                self.tls.psk.is_some() && !self.tls.off && !cfg!(feature = "psk"),
                "--psk: this build has no pre-shared keys, it needs the feature `psk`.",
            ),
            (
                endless && !self.has_identifier(),
                "You must provide a client id if you are using an infinite session expiry interval.",
            ),
            (
                self.keep_session && !self.has_identifier(),
                "You must provide a client id if you are using the -c option.",
            ),
            (
                self.password.is_some() && self.user_name.is_none() && !version_5,
                "Problem setting username and/or password: a password alone needs MQTT 5.",
            ),
            (self.fresh_only && self.retained_only, "Combining '-R' and '--retained-only' makes no sense."),
            (
                self.properties.authentication_method.is_none() && !self.properties.authentication_data.is_empty(),
                "authentication-data needs an authentication-method.",
            ),
            (
                tool == Tool::Pub && (self.topics.is_empty() || self.input.is_none()),
                "Both topic and message must be supplied.",
            ),
            (
                tool == Tool::Sub && self.topics.is_empty() && self.unsubscribe.is_empty(),
                "You must specify a topic to subscribe to (-t) or unsubscribe from (-U).",
            ),
            (
                tool == Tool::Rr && (self.topics.is_empty() || self.input.is_none() || self.response_topic.is_none()),
                "All of topic, message, and response topic must be supplied.",
            ),
            (
                tool == Tool::Rr && self.properties.has_response_topic(),
                "Error in PUBLISH properties: Duplicate response topic.",
            ),
        ] {
            if wrong {
                return Err(Stop::error(complaint));
            }
        }
        Ok(())
    }

    const fn has_identifier(&self) -> bool {
        self.client_identifier.is_some() || self.identifier_prefix.is_some()
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if digits.is_empty() || digits.len() % 2 != 0 {
        return None;
    }
    let byte = |pair: &[u8]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    };
    digits.chunks(2).map(byte).collect()
}
