//! Ways to a broker: byte streams, and what makes them.
//!
//! A [`Connector`] makes the [`Stream`] to a [`Server`]: a socket, straight or through a proxy. TLS and WebSocket are put on
//! top of it where the server's [`Scheme`] asks for them, and MQTT runs over what comes out. An application that has a way of
//! its own gives [`Options::connector`](crate::Options::connector) a function.
//!
//! An address says most of it, options the rest:
//!
//! ```no_run
//! # async fn f() -> Result<(), mqtt_std::Error> {
//! use mqtt_std::{Client, Options};
//!
//! // TCP: every address of the name is tried, IPv6 and IPv4 in turn.
//! Client::connect("mqtt://broker.example").await?;
//! // A Unix socket.
//! # #[cfg(unix)]
//! Client::connect("unix:///run/mosquitto.sock").await?;
//!
//! // TLS, trusting those whom the system trusts.
//! # #[cfg(feature = "tls")]
//! Client::connect("mqtts://broker.example").await?;
//! // TLS with an authority and a client certificate of our own.
//! # #[cfg(feature = "tls")] {
//! use mqtt_std::transport::Tls;
//! let tls = Tls::new().ca_file("ca.pem").client_certificate_files("client.pem", "client.key");
//! Client::connect("mqtts://broker.example".parse::<Options>()?.tls(tls)).await?;
//! # }
//! // TLS with a pre-shared key.
//! # #[cfg(feature = "tls-psk")] {
//! use mqtt_std::transport::Psk;
//! let psk = Psk::new("pump-7", [0x1f, 0x2e, 0x3d, 0x4c]);
//! Client::connect("mqtts://broker.example".parse::<Options>()?.psk(psk)).await?;
//! # }
//!
//! // WebSocket, here with a header field; `wss://` is the same over TLS.
//! # #[cfg(feature = "websocket")] {
//! let options: Options = "ws://broker.example/mqtt".parse()?;
//! Client::connect(options.websocket_header("Authorization", "Bearer 4f2e")).await?;
//! # }
//!
//! // Any of them through a proxy.
//! # #[cfg(feature = "proxy")] {
//! use mqtt_std::transport::Proxy;
//! let options: Options = "mqtt://broker.example".parse()?;
//! Client::connect(options.proxy(Proxy::http("gateway.example", 8080))).await?;
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! All of it happens anew at each attempt to connect, within [`connect_timeout`](crate::Options::connect_timeout): names are
//! looked up, files of certificates are read. What goes wrong is a [`TransportError`], whose [`TransportFault`] says what kind of
//! fault it is, and [`class`](TransportFault::class) whether the client tries again.

mod connector;
mod dial;
mod error;
#[cfg(any(feature = "websocket", feature = "proxy"))]
mod http;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls-psk")]
mod psk;
mod server;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
#[cfg(feature = "websocket")]
mod websocket;

pub use connector::{Connecting, Connector, Stream};
pub use error::{TransportError, TransportFault};
#[cfg(feature = "proxy")]
pub use proxy::Proxy;
#[cfg(feature = "tls-psk")]
pub use psk::Psk;
pub use server::{Scheme, Server};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsVersion};

pub(crate) use dial::Dial;
