//! Proxies in front of a broker.

mod http_connect;
mod socks5;

use core::fmt;
use core::str::FromStr;

use super::{Server, Stream, TransportError};
use crate::error::InvalidUrl;
use crate::options::{split_address, split_credentials};

/// A proxy through which the broker is reached: SOCKS5 (RFC 1928), or HTTP with the method CONNECT (RFC 9110 §9.3.6). The
/// broker's name is looked up by the proxy. TLS and WebSocket are spoken with the broker, through the proxy.
///
/// ```no_run
/// use mqtt_std::Options;
/// use mqtt_std::transport::Proxy;
///
/// let options: Options = "mqtt://broker.example".parse()?;
/// let options = options.proxy(Proxy::socks5("gateway.example", 1080).credentials("alice", "secret"));
/// # Ok::<(), mqtt_std::Error>(())
/// ```
///
/// As an address: `socks5://[user:password@]host[:1080]` or `http://[user:password@]host[:8080]`.
#[derive(Clone)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Socks5,
    Http,
}

impl Proxy {
    /// A SOCKS5 proxy at this host and port.
    #[must_use]
    pub fn socks5(host: impl Into<String>, port: u16) -> Self {
        Self { kind: Kind::Socks5, host: host.into(), port, credentials: None }
    }

    /// An HTTP proxy at this host and port. It is spoken to without TLS.
    #[must_use]
    pub fn http(host: impl Into<String>, port: u16) -> Self {
        Self { kind: Kind::Http, host: host.into(), port, credentials: None }
    }

    /// Sets a user name and a password for the proxy; default: none. Both are sent as they are.
    #[must_use]
    pub fn credentials(mut self, user_name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user_name.into(), password.into()));
        self
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Lets the proxy at the other end of this stream connect to the server; what it returns leads there. For a
    /// [`Connector`](super::Connector) that gets to the proxy in a way of its own: host and port of the proxy are not looked at. May
    /// be dropped at any time.
    ///
    /// # Errors
    /// A [`TransportError`] of the faults [`ProxyRefused`](super::TransportFault::ProxyRefused) and
    /// [`Proxy`](super::TransportFault::Proxy), or of [`Settings`](super::TransportFault::Settings) where a name or the credentials are
    /// too long for it.
    pub async fn connect(
        &self,
        server: &Server,
        stream: impl Stream + 'static,
    ) -> Result<Box<dyn Stream>, TransportError> {
        let stream: Box<dyn Stream> = Box::new(stream);
        let credentials = self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        match self.kind {
            Kind::Socks5 => socks5::connect(server, credentials, stream).await,
            Kind::Http => http_connect::connect(server, credentials, stream).await,
        }
    }
}

impl FromStr for Proxy {
    type Err = InvalidUrl;

    fn from_str(url: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (kind, default_port) = match scheme {
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 8080),
            _ => return Err(InvalidUrl::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidUrl::Path);
        }
        let (user_name, password, address) = split_credentials(rest)?;
        let (host, port) = split_address(address, default_port)?;
        let password = password.map(|password| String::from_utf8(password.into()).map_err(|_| InvalidUrl::Encoding));
        let credentials = match user_name {
            Some(user_name) => Some((user_name, password.transpose()?.unwrap_or_default())),
            None => None,
        };
        Ok(Self { kind, host, port, credentials })
    }
}

impl fmt::Debug for Proxy {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, host, port, .. } = self;
        f.debug_struct("Proxy").field("kind", kind).field("host", host).field("port", port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_which_proxy_and_hides_its_password() {
        for (url, shown) in [
            ("socks5://a", "Proxy { kind: Socks5, host: \"a\", port: 1080, .. }"),
            ("socks5h://alice:s3cret@[::1]:7/", "Proxy { kind: Socks5, host: \"::1\", port: 7, .. }"),
            ("http://alice:s3cret@a", "Proxy { kind: Http, host: \"a\", port: 8080, .. }"),
        ] {
            assert_eq!(std::format!("{:?}", url.parse::<Proxy>().unwrap()), shown);
        }
        let proxy: Proxy = "http://al%40ice:s3:cret@a".parse().unwrap();
        assert_eq!(proxy.credentials, Some(("al@ice".to_owned(), "s3:cret".to_owned())));
        for (url, error) in [
            ("a:1080", InvalidUrl::Scheme),
            ("socks4://a", InvalidUrl::Scheme),
            ("http://", InvalidUrl::Host),
            ("http://a:b", InvalidUrl::Port),
            ("http://a/b", InvalidUrl::Path),
            ("http://a:%ff@b", InvalidUrl::Encoding),
        ] {
            assert_eq!(url.parse::<Proxy>().map(drop), Err(error), "{url}");
        }
    }

    #[tokio::test]
    async fn a_proxy_is_spoken_to_over_any_stream() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        use crate::transport::TransportFault;

        for (proxy, answer, fault) in [
            (Proxy::http("", 0), &b"HTTP/1.1 200 OK\r\n\r\n"[..], None),
            (Proxy::http("", 0), b"HTTP/1.1 407 No\r\n\r\n", Some(TransportFault::ProxyRefused)),
            (Proxy::socks5("", 0), b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", None),
            (Proxy::socks5("", 0), b"\x05\xff", Some(TransportFault::ProxyRefused)),
        ] {
            let (near, mut far) = tokio::io::duplex(1024);
            far.write_all(answer).await.unwrap();
            let led = proxy.connect(&Server::tcp("broker", 1883), near).await;
            assert_eq!(led.as_ref().err().map(TransportError::fault), fault, "{proxy:?}");
            let Ok(mut led) = led else { continue };
            led.write_all(b"through").await.unwrap();
            drop(led);
            let mut sent = Vec::new();
            far.read_to_end(&mut sent).await.unwrap();
            assert!(sent.ends_with(b"through"), "{proxy:?}");
        }
    }
}
