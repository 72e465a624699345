//! SOCKS5, by `tokio-socks`.

use tokio_socks::Error;
use tokio_socks::tcp::Socks5Stream;

use crate::transport::{Server, Stream, TransportError, TransportFault};

pub(super) async fn connect(
    server: &Server,
    credentials: Option<(&str, &str)>,
    stream: Box<dyn Stream>,
) -> Result<Box<dyn Stream>, TransportError> {
    // A name is left to the proxy to look up.
    let target = (server.host.as_str(), server.port);
    let tunnel = match credentials {
        None => Socks5Stream::connect_with_socket(stream, target).await,
        Some((user, password)) => Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await,
    };
    tunnel.map(Socks5Stream::into_inner).map_err(failure)
}

fn failure(error: Error) -> TransportError {
    let fault = match error {
        Error::Io(error) => return TransportError::of(TransportFault::Proxy, "proxy", error),
        Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            TransportFault::ProxyRefused
        }
        Error::InvalidAuthValues(_) | Error::InvalidTargetAddress(_) => TransportFault::Settings,
        _ => TransportFault::Proxy,
    };
    TransportError::new(fault, format!("proxy: {error}"))
}
