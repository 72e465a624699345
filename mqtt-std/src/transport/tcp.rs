//! TCP: every address of a name is tried, those of both families in turn.

use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::io;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::{TransportError, TransportFault};

/// More addresses of a name than these are not tried.
const MAXIMUM_ADDRESSES: usize = 16;

/// How long an attempt may take before the next address is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// What options say about sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// After so long a silence the system looks whether the peer is there.
    pub(crate) keep_alive: Option<Duration>,
    /// Where connections come from.
    pub(crate) local_address: Option<IpAddr>,
}

/// Connects to a host; its name is looked up anew.
pub(super) async fn connect(host: &str, port: u16, settings: Settings) -> Result<TcpStream, TransportError> {
    let Settings { keep_alive, local_address } = settings;
    let mut addresses = resolve(host, port).await?;
    if let Some(local) = local_address {
        addresses.retain(|address| address.is_ipv6() == local.is_ipv6());
    }
    let stream = race(interleaved(addresses), local_address).await?;
    // Small packets are not held back; a kernel that refuses is none the worse.
    let _ = stream.set_nodelay(true);
    if let Some(time) = keep_alive {
        let parameters = socket2::TcpKeepalive::new().with_time(time);
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&parameters);
    }
    Ok(stream)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, TransportError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let not_resolved = |error| TransportError::of(TransportFault::NameNotResolved, host, error);
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(not_resolved)?.collect();
    if addresses.is_empty() {
        return Err(not_resolved(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

/// The families in turn, each in the order in which it came; what came first is first (RFC 8305 §4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut others = second.into_iter();
    let mut mixed = Vec::new();
    for address in first {
        mixed.push(address);
        mixed.extend(others.next());
    }
    mixed.extend(others);
    mixed.truncate(MAXIMUM_ADDRESSES);
    mixed
}

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream, (SocketAddr, io::Error)>> + Send>>;

/// The first of these that answers. The next one is tried once the latest attempt has failed, or takes long.
async fn race(addresses: Vec<SocketAddr>, local: Option<IpAddr>) -> Result<TcpStream, TransportError> {
    let mut addresses = addresses.into_iter();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut errors: Vec<(SocketAddr, io::Error)> = Vec::new();
    let mut next = core::pin::pin!(sleep_until(Instant::now() + STAGGER));
    let mut begun = false;
    core::future::poll_fn(|cx| {
        loop {
            let (mut connected, failures) = (None, errors.len());
            attempts.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    connected.get_or_insert(stream);
                    false
                }
                Poll::Ready(Err(error)) => {
                    errors.push(error);
                    false
                }
            });
            if let Some(stream) = connected {
                return Poll::Ready(Ok(stream));
            }
            let failed = errors.len() > failures;
            if begun && !failed && next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            begun = true;
            match addresses.next() {
                Some(address) => {
                    let attempt = async move { dial(address, local).await.map_err(|error| (address, error)) };
                    attempts.push(Box::pin(attempt));
                    next.as_mut().reset(Instant::now() + STAGGER);
                }
                None if attempts.is_empty() => return Poll::Ready(Err(failure(core::mem::take(&mut errors)))),
                None => next.as_mut().reset(Instant::now() + FAR),
            }
        }
    })
    .await
}

async fn dial(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(local) = local else { return TcpStream::connect(address).await };
    let socket = if local.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    socket.bind(SocketAddr::new(local, 0))?;
    socket.connect(address).await
}

/// There is no other address to wait for.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What became of every address; the kind is that of the first one.
fn failure(errors: Vec<(SocketAddr, io::Error)>) -> TransportError {
    let mut errors = errors.into_iter();
    let Some((address, first)) = errors.next() else {
        return TransportError::new(TransportFault::NameNotResolved, "the name has no address");
    };
    let mut tried = String::new();
    for (address, error) in errors {
        tried.push_str(&format!("{address}: {error}; "));
    }
    TransportError::of(TransportFault::Io, format!("{tried}{address}"), first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let order = |texts: &[&str]| interleaved(texts.iter().map(|text| address(text)).collect());
        let all = order(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(all, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address));
        let all = order(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(all, ["1.1.1.1:1", "[::1]:1", "[::2]:1"].map(address));
        assert_eq!(interleaved(vec![address("1.1.1.1:1"); 40]).len(), MAXIMUM_ADDRESSES);
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn an_address_that_refuses_makes_way_for_the_next_one() {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let closed = TcpSocket::new_v4().unwrap();
            closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let closed = closed.local_addr().unwrap();
            let stream = race(vec![closed, listener.local_addr().unwrap()], None).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
            let error = race(vec![closed, closed], None).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(error.to_string().matches("refused").count(), 2, "{error}");
        });
    }

    #[test]
    fn an_address_that_does_not_answer_is_tried_beside_the_next_one() {
        runtime().block_on(async {
            // Those that wait to be accepted are as many as may.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let deaf = socket.local_addr().unwrap();
            let _deaf = socket.listen(1).unwrap();
            let _waiting = (TcpStream::connect(deaf).await.unwrap(), TcpStream::connect(deaf).await.unwrap());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tokio::time::pause();
            let begun = Instant::now();
            let stream = race(vec![deaf, listener.local_addr().unwrap()], None).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
            assert!(begun.elapsed() >= STAGGER, "{:?}", begun.elapsed());
        });
    }

    #[test]
    fn small_packets_are_not_held_back_and_silence_is_looked_after_if_asked_for() {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            for silence in [None, Some(Duration::from_secs(30))] {
                let settings = Settings { keep_alive: silence, local_address: None };
                let stream = connect("127.0.0.1", port, settings).await.unwrap();
                assert!(stream.nodelay().unwrap());
                let socket = socket2::SockRef::from(&stream);
                assert_eq!(socket.keepalive().unwrap(), silence.is_some());
                #[cfg(target_os = "linux")]
                if let Some(silence) = silence {
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), silence);
                }
            }
        });
    }

    #[test]
    fn connections_come_from_the_address_that_was_chosen() {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let from = |address: &str| Settings { keep_alive: None, local_address: Some(address.parse().unwrap()) };
            let stream = connect("localhost", port, from("127.0.0.2")).await.unwrap();
            assert_eq!(stream.local_addr().unwrap().ip(), address("127.0.0.2:1").ip());
            // Not an address of this machine; of another family.
            let error = connect("127.0.0.1", port, from("192.0.2.1")).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
            assert!(connect("127.0.0.1", port, from("::1")).await.is_err());
        });
    }
}
