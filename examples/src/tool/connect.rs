//! From what was said to a client.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Duration;

use mqtt_std::authentication::{Authenticator, Conversation, Judging, Saying};
use mqtt_std::transport::{Proxy, Server};
use mqtt_std::{Backoff, CleanStart, Client, Options, ProtocolVersion, QoS, Status, Will};

use super::failure::{Failure, LOST, OTHER};
use super::options::{ConnectProperty, Settings, WillProperty};

/// The largest packet there can be (5.0 §2.1.4): its length has four bytes, and there is one before it.
const LARGEST_PACKET: u32 = 268_435_455 + 5;

/// What the client is made from.
pub(super) fn options(settings: &Settings) -> Result<Options, Failure> {
    let version_5 = settings.version == ProtocolVersion::V5_0;
    let mut options = Options::of(server(settings)?)
        .version(settings.version)
        .keep_alive(settings.keep_alive)
        .maximum_packet_size(LARGEST_PACKET)
        .topic_alias_maximum(0)
        .first_match()
        .backoff(Backoff::new().minimum(250).maximum(10_000));
    if let Some(name) = &settings.user_name {
        options = options.user_name(name);
    }
    if let Some(password) = &settings.password {
        options = options.password(password.clone());
    }
    if let Some(most) = settings.max_in_flight {
        options = options.in_flight(most);
    }
    match (&settings.client_identifier, &settings.identifier_prefix) {
        (Some(identifier), _) => options = options.client_identifier(identifier),
        (None, Some(prefix)) => options = options.client_identifier(format!("{prefix}-{}", std::process::id())),
        // The broker chooses.
        (None, None) if version_5 => options = options.client_identifier(""),
        (None, None) => {}
    }
    options = with_session(options, settings);
    for property in &settings.properties.connect {
        options = with_property(options, property);
    }
    for (name, value) in &settings.properties.disconnect {
        options = options.disconnect_user_property(name, value);
    }
    if let Some(seconds) = settings.properties.session_expiry_interval_at_end {
        options = options.session_expiry_interval_at_end(seconds);
    }
    if let (Some(method), true) = (&settings.properties.authentication_method, version_5) {
        options = options
            .authenticator(OneWord { method: method.clone(), data: settings.properties.authentication_data.clone() });
    }
    if let Some(will) = will(settings) {
        options = options.will(will);
    }
    if let Some(address) = &settings.bind {
        options = options.local_address(local_address(address)?);
    }
    if let Some(url) = &settings.proxy {
        let proxy: Proxy = url.parse().map_err(|error| Failure::new(OTHER, format_args!("Invalid proxy: {error}")))?;
        options = options.proxy(proxy);
    }
    with_tls(options, settings)
}

/// Enhanced authentication (5.0 §4.12) by what CONNECT says, without an answer to anything.
#[derive(Clone)]
struct OneWord {
    method: String,
    data: Vec<u8>,
}

impl Authenticator for OneWord {
    fn method(&self) -> &str {
        &self.method
    }

    fn begin(&self) -> Box<dyn Conversation> {
        Box::new(self.clone())
    }
}

impl Conversation for OneWord {
    fn start(&mut self) -> Saying<'_> {
        let data = self.data.clone().into();
        Box::pin(async { Ok(data) })
    }

    fn answer(&mut self, _: bytes::Bytes) -> Saying<'_> {
        Box::pin(async { Err("the broker asks for more than authentication-data".into()) })
    }

    fn finish(&mut self, _: bytes::Bytes) -> Judging<'_> {
        Box::pin(async { Ok(()) })
    }
}

/// Connects; the first attempt counts.
pub(super) async fn connected(client: &Client) -> Result<(), Failure> {
    let mut status = client.status();
    let told = |status: &Status| !matches!(status, Status::Connecting { .. });
    let told = status.wait_for(told).await.map(|status| status.clone());
    match told {
        Ok(Status::Connected { .. }) => Ok(()),
        Ok(status) => Err(lost(&status)),
        Err(_) => Err(Failure::new(LOST, "The connection was lost")),
    }
}

/// Waits until the client has given up, which it does when the broker refuses it.
pub(super) async fn given_up(client: &Client) -> Failure {
    let mut status = client.status();
    let closed = status.wait_for(|status| matches!(status, Status::Closed { .. })).await.map(|status| status.clone());
    closed.map_or_else(|_| Failure::new(LOST, "The connection was lost"), |status| lost(&status))
}

/// Waits until the connection is lost.
pub(super) async fn disconnected(client: &Client) -> Failure {
    let mut status = client.status();
    let ended = |status: &Status| matches!(status, Status::Closed { .. } | Status::Waiting { .. });
    let ended = status.wait_for(ended).await.map(|status| status.clone());
    ended.map_or_else(|_| Failure::new(LOST, "The connection was lost"), |status| lost(&status))
}

/// Ends the client: what was accepted, acknowledgements too, leaves before DISCONNECT.
pub(super) async fn leave(client: &Client) -> Result<(), Failure> {
    let patience = if client.status().borrow().is_connected() { PATIENCE } else { Duration::ZERO };
    client.shutdown(patience).await?;
    Ok(())
}

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn lost(status: &Status) -> Failure {
    match status {
        Status::Waiting { error, .. } | Status::Closed { error: Some(error), .. } => error.to_error().into(),
        _ => Failure::new(LOST, "The connection was lost"),
    }
}

fn server(settings: &Settings) -> Result<Server, Failure> {
    #[cfg(unix)]
    if let Some(path) = &settings.unix {
        return Ok(Server::unix(path));
    }
    let tls = wants_tls(settings);
    let scheme = match (settings.websocket, tls) {
        (false, false) => "mqtt",
        (false, true) => "mqtts",
        (true, false) => "ws",
        (true, true) => "wss",
    };
    // As an address has it: IPv6 in brackets, with a zone behind %25.
    let host = settings.host.replace('%', "%25");
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let port = settings.port.unwrap_or(if tls { 8883 } else { 1883 });
    let url = format!("{scheme}://{host}:{port}");
    url.parse().map_err(|error| Failure::new(OTHER, format_args!("Unable to connect to {url}: {error}")))
}

/// Whether the connection is to be encrypted.
fn wants_tls(settings: &Settings) -> bool {
    let tls = &settings.tls;
    let asked = tls.ca_file.is_some() || tls.ca_path.is_some() || tls.system_roots || tls.psk.is_some();
    !tls.off && (asked || settings.port == Some(8883))
}

fn with_session(options: Options, settings: &Settings) -> Options {
    let given = settings.properties.connect.iter().rev().find_map(|property| match property {
        ConnectProperty::SessionExpiryInterval(seconds) => Some(*seconds),
        _ => None,
    });
    let default = if settings.keep_session { u32::MAX } else { 0 };
    let seconds = settings.session_expiry_interval.or(given).unwrap_or(default);
    let options = options.session_expiry_interval(seconds);
    if settings.keep_session {
        options.keep_session()
    } else if settings.version == ProtocolVersion::V5_0 && seconds > 0 {
        // A new one, which is kept.
        options.keep_session().clean_start(CleanStart::First)
    } else {
        options
    }
}

fn with_property(options: Options, property: &ConnectProperty) -> Options {
    match property {
        ConnectProperty::ReceiveMaximum(most) => options.in_flight(*most),
        ConnectProperty::MaximumPacketSize(bytes) => options.maximum_packet_size(*bytes),
        ConnectProperty::TopicAliasMaximum(most) => options.topic_alias_maximum(*most),
        ConnectProperty::RequestResponseInformation(true) => options.request_response_information(),
        ConnectProperty::RequestProblemInformation(false) => options.without_problem_information(),
        ConnectProperty::User(name, value) => options.user_property(name, value),
        // The rest is the default, or done with the session.
        ConnectProperty::RequestResponseInformation(false)
        | ConnectProperty::RequestProblemInformation(true)
        | ConnectProperty::SessionExpiryInterval(_) => options,
    }
}

fn will(settings: &Settings) -> Option<Will> {
    let given = &settings.will;
    let mut will = Will::new(given.topic.as_ref()?, given.payload.clone().unwrap_or_default()).qos(given.qos);
    if given.retain {
        will = will.retain();
    }
    for property in &settings.properties.will {
        will = match property {
            WillProperty::Delay(seconds) => will.delay(*seconds),
            WillProperty::PayloadIsText(true) => will.payload_is_text(),
            // It is so if nothing is said.
            WillProperty::PayloadIsText(false) => will,
            WillProperty::MessageExpiryInterval(seconds) => will.message_expiry_interval(*seconds),
            WillProperty::ContentType(text) => will.content_type(text),
            WillProperty::ResponseTopic(topic) => will.response_topic(topic),
            WillProperty::CorrelationData(data) => will.correlation_data(data.clone()),
            WillProperty::User(name, value) => will.user_property(name, value),
        };
    }
    Some(will)
}

/// An address, or what a name stands for.
fn local_address(text: &str) -> Result<IpAddr, Failure> {
    let unable =
        |error: &dyn std::fmt::Display| Failure::new(OTHER, format_args!("Unable to connect from {text}: {error}"));
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let mut addresses = (text, 0).to_socket_addrs().map_err(|error| unable(&error))?;
    addresses.next().map(|address| address.ip()).ok_or_else(|| unable(&"the name has no address"))
}

#[cfg(feature = "tls")]
fn with_tls(options: Options, settings: &Settings) -> Result<Options, Failure> {
    use mqtt_std::transport::{Tls, TlsVersion};

    use super::options::TlsOnly;

    if !wants_tls(settings) {
        return Ok(options);
    }
    let given = &settings.tls;
    #[cfg(feature = "psk")]
    if let (Some(key), Some(identity)) = (&given.psk, &given.psk_identity) {
        return Ok(options.psk(mqtt_std::transport::Psk::new(identity, key.clone())));
    }
    let mut tls = Tls::new();
    if let Some(file) = &given.ca_file {
        tls = tls.ca_file(file);
    }
    if let Some(directory) = &given.ca_path {
        for file in certificates(directory)? {
            tls = tls.ca_file(file);
        }
    }
    if given.system_roots {
        tls = tls.and_system_roots();
    }
    if let (Some(certificate), Some(key)) = (&given.certificate, &given.key) {
        tls = tls.client_certificate_files(certificate, key);
    }
    if given.insecure {
        tls = tls.danger_accept_any_name();
    }
    if let Some(protocol) = &given.alpn {
        tls = tls.alpn([protocol.as_str()]);
    }
    if let Some(version) = given.version {
        tls = tls.version(match version {
            TlsOnly::V1_2 => TlsVersion::V1_2,
            TlsOnly::V1_3 => TlsVersion::V1_3,
        });
    }
    Ok(options.tls(tls))
}

/// Without TLS the server's address is refused, if it asks for some.
#[cfg(not(feature = "tls"))]
fn with_tls(options: Options, _: &Settings) -> Result<Options, Failure> {
    Ok(options)
}

/// The files in a directory that `openssl rehash` would look at.
#[cfg(feature = "tls")]
fn certificates(directory: &std::path::Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let unable = |error| Failure::new(OTHER, format_args!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unable)? {
        let path = entry.map_err(unable)?.path();
        let known =
            path.extension().is_some_and(|extension| ["crt", "pem", "cer"].iter().any(|known| extension == *known));
        if known && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::new(OTHER, format_args!("{}: there is no certificate in it", directory.display())));
    }
    Ok(files)
}

/// What `mosquitto_sub` asks for retained messages to be removed with.
pub(super) const REMOVING: QoS = QoS::AtLeastOnce;
