//! HTTP's method CONNECT.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;

use crate::said::Said;
use crate::transport::http::Answer;
use crate::transport::{Server, Stream, TransportError, TransportFault};

pub(super) async fn connect(
    server: &Server,
    credentials: Option<(&str, &str)>,
    mut stream: Box<dyn Stream>,
) -> Result<Box<dyn Stream>, TransportError> {
    let target = server.authority(None)?;
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some((user, password)) = credentials {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {encoded}\r\n"));
    }
    request.push_str("\r\n");
    let broken = |error| TransportError::of(TransportFault::Proxy, "proxy", error);
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let Answer { status, reason, rest, .. } = Answer::read(&mut stream).await.map_err(broken)?;
    let fault = match status {
        // Whatever is spoken through it, the client begins.
        200..=299 if rest.is_empty() => return Ok(stream),
        401 | 403 | 407 => TransportFault::ProxyRefused,
        _ => TransportFault::Proxy,
    };
    Err(TransportError::new(fault, format!("proxy: {status} {}", Said(&reason))))
}
