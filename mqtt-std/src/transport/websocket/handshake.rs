//! The request that opens a WebSocket, and its answer (RFC 6455 §4.1).

use core::fmt;

use tokio::io::AsyncWriteExt;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::WebSocket;
use crate::said::Said;
use crate::transport::http::Answer;
use crate::transport::{Scheme, Server, Stream, TransportError, TransportFault};

/// Header fields of the request beside those that a WebSocket needs.
#[derive(Clone, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    pub(crate) fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    fn write(&self, request: &mut String) -> Result<(), TransportError> {
        for (name, value) in &self.0 {
            let is_token =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || TOKEN.contains(&byte));
            let is_ours = OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name));
            if !is_token || is_ours || value.contains(|character: char| character.is_control() && character != '\t') {
                let text = format!("the header field {name:?} is not valid, or is the client's own");
                return Err(TransportError::new(TransportFault::Settings, text));
            }
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        Ok(())
    }
}

/// What a name may have beside letters and digits (RFC 9110 §5.6.2).
const TOKEN: &[u8] = b"!#$%&'*+-.^_`|~";

/// What the request has anyhow.
const OURS: [&str; 7] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
];

/// Opens a WebSocket on a stream. May be dropped at any time.
pub(in crate::transport) async fn connect(
    server: &Server,
    headers: &Headers,
    mut stream: Box<dyn Stream>,
) -> Result<WebSocket<Box<dyn Stream>>, TransportError> {
    let key = generate_key();
    let request = request(server, headers, &key)?;
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let answer = Answer::read(&mut stream).await.map_err(broken)?;
    check(&answer, &key)?;
    Ok(WebSocket::new(stream, answer.rest))
}

fn request(server: &Server, headers: &Headers, key: &str) -> Result<String, TransportError> {
    let path = &server.path;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TransportError::new(
            TransportFault::Settings,
            "the path of a WebSocket begins with / and is ASCII",
        ));
    }
    let default_port = if server.scheme == Scheme::Wss { 443 } else { 80 };
    let host = server.authority(Some(default_port))?;
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
    );
    headers.write(&mut request)?;
    request.push_str("\r\n");
    Ok(request)
}

fn check(answer: &Answer, key: &str) -> Result<(), TransportError> {
    let Answer { status, reason, .. } = answer;
    if *status != 101 {
        let text = format!("the server refuses the WebSocket: {status} {}", Said(reason));
        return Err(TransportError::new(TransportFault::WebSocketRefused(*status), text));
    }
    let wrong = if !answer.lists("Upgrade", "websocket") || !answer.lists("Connection", "upgrade") {
        "the server does not change to WebSocket"
    } else if answer.header("Sec-WebSocket-Accept") != Some(&derive_accept_key(key.as_bytes())) {
        "the server does not accept the WebSocket's key"
    } else if answer.header("Sec-WebSocket-Protocol") != Some("mqtt") {
        // [MQTT-6.0.0-4]
        "the server does not choose the sub-protocol mqtt"
    } else if answer.header("Sec-WebSocket-Extensions").is_some_and(|extensions| !extensions.is_empty()) {
        "the server wants extensions of WebSocket that were not offered"
    } else {
        return Ok(());
    };
    Err(TransportError::new(TransportFault::WebSocket, wrong))
}

fn broken(error: std::io::Error) -> TransportError {
    match error.kind() {
        std::io::ErrorKind::InvalidData => TransportError::of(TransportFault::WebSocket, "WebSocket", error),
        _ => error.into(),
    }
}

impl fmt::Debug for Headers {
    /// Without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
