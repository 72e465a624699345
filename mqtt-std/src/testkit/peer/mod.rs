//! A broker that does what a test says, and nothing by itself.
//!
//! | file | subject |
//! | --- | --- |
//! | `conversation` | one connection: packets sent, packets received |
//! | `expect` | what a packet has to be |
//! | `failure` | what came instead |
//! | `script` | a whole conversation, step by step |

mod conversation;
mod expect;
mod failure;
mod script;

use core::net::SocketAddr;
use std::io;

use mqtt_core::{PacketType, ProtocolVersion, ReasonCode};
use tokio::net::TcpListener;

use super::Network;
pub use conversation::{Conversation, Received};
pub use expect::Expect;
pub use failure::Failure;
pub use script::{Playing, Script};

/// A server without a will of its own: it accepts connections, and a test speaks for it, by hand with
/// [`Conversation`] or with a [`Script`].
///
/// ```
/// use mqtt_std::testkit::{Expect, Network, Peer};
/// use mqtt_std::{Client, Options, ProtocolVersion, QoS};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::new();
/// let peer = Peer::in_memory(&network, ProtocolVersion::V5_0);
/// let options = Options::new("anywhere", 1883).connector(network);
/// let (client, conversation) = tokio::join!(Client::connect(options), peer.welcome(false));
/// let (client, mut conversation) = (client?, conversation?);
///
/// let receipt = client.publish("lamp", "on").qos(QoS::AtLeastOnce).send().await?;
/// conversation.expect(&Expect::publish("lamp").payload("on")).await?;
/// conversation.answer().await?; // PUBACK
/// receipt.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Peer {
    listener: Listener,
    version: ProtocolVersion,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Memory(Network),
}

impl Peer {
    /// Listens on a free port of this machine over TCP.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn listen(version: ProtocolVersion) -> io::Result<Self> {
        Ok(Self::on(TcpListener::bind("127.0.0.1:0").await?, version))
    }

    /// Takes the connections of this listener.
    #[must_use]
    pub const fn on(listener: TcpListener, version: ProtocolVersion) -> Self {
        Self { listener: Listener::Tcp(listener), version }
    }

    /// Is the server of a network in memory.
    #[must_use]
    pub fn in_memory(network: &Network, version: ProtocolVersion) -> Self {
        Self { listener: Listener::Memory(network.clone()), version }
    }

    /// Where it listens; `None` in memory.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Memory(_) => None,
        }
    }

    /// The version that it speaks.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Waits for a connection, of which nothing was read yet. May be dropped: no connection is lost.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn accept(&self) -> Result<Conversation, Failure> {
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await.map_err(|error| Failure::new("a connection", error))?;
                // Only a matter of speed.
                let _ = stream.set_nodelay(true);
                Ok(Conversation::over_tcp(stream, self.version))
            }
            Listener::Memory(network) => Ok(Conversation::in_memory(network.accept().await, self.version)),
        }
    }

    /// Waits for a connection, takes its CONNECT and accepts it.
    ///
    /// # Errors
    /// Something else than a CONNECT came.
    pub async fn welcome(&self, session_present: bool) -> Result<Conversation, Failure> {
        let mut conversation = self.accept().await?;
        conversation.expect(&Expect::packet(PacketType::Connect)).await?;
        conversation.connack(session_present, ReasonCode::SUCCESS).await?;
        Ok(conversation)
    }
}
