//! The handle of a running broker, and the task that listens.

use core::future::pending;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::connection::{self, Opened, Shared};
use super::hub::Hub;
use super::link::LinkEnd;
use super::{BrokerOptions, Network, Statistics};

/// A running broker; see the [module](super) for what it is and what it is not.
///
/// Dropped, it stops without a word to its clients, and takes all tasks that it started with it. It lives on the tokio
/// runtime on which it was started.
#[derive(Debug)]
pub struct Broker {
    at: At,
    shared: Arc<Shared>,
    listening: Option<Listening>,
}

/// Where a broker is found.
#[derive(Clone, Debug)]
enum At {
    Tcp(SocketAddr),
    Memory(Network),
}

impl Broker {
    /// Starts a broker and listens on TCP.
    ///
    /// Dropped half-way, nothing was started.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn start(options: BrokerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let at = At::Tcp(listener.local_addr()?);
        let shared = Arc::new(Shared::new(Hub::new(options)));
        let listening = Some(Listening::start(Listener::Tcp(listener), &shared));
        Ok(Self { at, shared, listening })
    }

    /// Starts a broker as the server of a network in memory, without a socket; the address in the options is not used.
    ///
    /// Stopped, it refuses connections. With tokio's clock paused, its time and that of its clients is the test's.
    #[must_use]
    pub fn start_in(network: &Network, options: BrokerOptions) -> Self {
        let shared = Arc::new(Shared::new(Hub::new(options)));
        let listening = Some(Listening::start(Listener::in_memory(network), &shared));
        Self { at: At::Memory(network.clone()), shared, listening }
    }

    /// Where it listens, with the port that was free. In memory it is port 0 of no address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        match self.at {
            At::Tcp(address) => address,
            At::Memory(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        }
    }

    /// Where it listens, as clients are told: `mqtt://127.0.0.1:` and the port; in memory `mqtt://memory`.
    #[must_use]
    pub fn url(&self) -> String {
        match self.at {
            At::Tcp(address) => format!("mqtt://{address}"),
            At::Memory(_) => "mqtt://memory".to_owned(),
        }
    }

    /// What there is, and what has passed.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }

    /// Cuts the connection of the client with this identifier, without a DISCONNECT; tells whether there was one.
    ///
    /// To the session this is a lost connection: it is kept as agreed upon, and the Will is published.
    #[must_use = "it tells whether the client was connected"]
    pub fn disconnect_client(&self, client_identifier: &str) -> bool {
        self.shared.with(|hub, now| hub.cut_client(client_identifier, now))
    }

    /// Closes the port and cuts all connections, as a crash would.
    ///
    /// Sessions that outlive their connections and retained messages are kept for [`resume`](Self::resume); their time
    /// runs on. Wills of the lost connections are published. Already stopped, it does nothing. Dropped half-way, it has
    /// stopped.
    pub async fn stop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop(Farewell::Cut).await;
        }
    }

    /// Listens again after [`stop`](Self::stop), on the same port. Not stopped, it does nothing.
    ///
    /// Dropped half-way, it is still stopped.
    ///
    /// # Errors
    /// Those of binding the address; perhaps somebody else has taken the port.
    pub async fn resume(&mut self) -> io::Result<()> {
        if self.listening.is_none() {
            let listener = match &self.at {
                At::Tcp(address) => Listener::Tcp(TcpListener::bind(address).await?),
                At::Memory(network) => Listener::in_memory(network),
            };
            self.listening = Some(Listening::start(listener, &self.shared));
        }
        Ok(())
    }

    /// Stops and listens again at once: [`stop`](Self::stop) and [`resume`](Self::resume).
    ///
    /// # Errors
    /// Those of [`resume`](Self::resume).
    pub async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        self.resume().await
    }

    /// Says DISCONNECT 0x8B, server shutting down, to clients of 5.0, closes all connections and the port, and waits
    /// until every task has ended, at most a second.
    ///
    /// Dropped half-way, it has shut down less politely.
    pub async fn shutdown(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.stop(Farewell::Disconnect).await;
        }
    }
}

/// The task that listens; dropped, it ends and takes the connections' tasks with it.
#[derive(Debug)]
struct Listening {
    stop: oneshot::Sender<Farewell>,
    task: JoinHandle<()>,
}

/// Where connections come from.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Memory(InMemory),
}

/// Dropped, it refuses connections.
#[derive(Debug)]
struct InMemory {
    network: Network,
    server: u64,
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.network.end_serving(self.server);
    }
}

enum Accepted {
    Tcp(TcpStream),
    Memory(LinkEnd),
}

impl Listener {
    fn in_memory(network: &Network) -> Self {
        Self::Memory(InMemory { network: network.clone(), server: network.begin_serving() })
    }

    /// May be dropped: no connection is lost.
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Only a matter of speed.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream))
            }
            Self::Memory(InMemory { network, .. }) => Ok(Accepted::Memory(network.accept().await)),
        }
    }
}

impl Accepted {
    fn serve(self, opened: Opened, connections: &mut JoinSet<()>) {
        match self {
            Self::Tcp(stream) => connections.spawn(connection::serve(stream, opened)),
            Self::Memory(stream) => connections.spawn(connection::serve(stream, opened)),
        };
    }
}

/// How clients are left.
#[derive(Clone, Copy, Debug)]
enum Farewell {
    /// As in a crash.
    Cut,
    /// With a DISCONNECT, on 5.0.
    Disconnect,
}

impl Listening {
    fn start(listener: Listener, shared: &Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(listen(listener, Arc::clone(shared), stopped)) }
    }

    async fn stop(self, farewell: Farewell) {
        // If the task is gone, so is the receiver, and there is nothing to wait for.
        let _ = self.stop.send(farewell);
        let _ = self.task.await;
    }
}

/// Accepts connections and keeps the time until it is told to stop, or the sender of that is dropped.
async fn listen(listener: Listener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<Farewell>) {
    let mut connections = JoinSet::new();
    let farewell = loop {
        let deadline = shared.deadline();
        select! {
            farewell = &mut stopped => break farewell.ok(),
            accepted = listener.accept() => match accepted {
                Ok(accepted) => if let Some(opened) = shared.open() {
                    accepted.serve(opened, &mut connections);
                },
                Err(error) => {
                    // Out of file descriptors, most likely: some will come back.
                    debug!(%error, "not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shared.deadline_changed() => {}
            () = reach(deadline) => shared.with(Hub::handle_timeout),
        }
    };
    drop(listener);
    match farewell {
        Some(Farewell::Cut) => shared.with(Hub::cut_all),
        Some(Farewell::Disconnect) => shared.with(Hub::shut_down),
        None => return, // the set aborts what is in it
    }
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // What has not ended by then is aborted too.
    let _ = timeout(FAREWELL, all_ended).await;
}

async fn reach(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const FAREWELL: Duration = Duration::from_secs(1);
