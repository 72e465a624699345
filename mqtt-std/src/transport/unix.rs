//! Unix sockets.

use tokio::net::UnixStream;

use super::{TransportError, TransportFault};

/// Connects to the socket at this path.
pub(super) async fn connect(path: &str) -> Result<UnixStream, TransportError> {
    UnixStream::connect(path).await.map_err(|error| TransportError::of(TransportFault::Io, path, error))
}
