//! Where clients connect and servers accept, without an address.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Conditions, Link, LinkEnd};
use crate::transport::{Connecting, Connector, Server, Stream};

/// A network in memory with one server: clients connect to it, whatever address they name, over [`Link`]s.
///
/// It can be cloned; all clones are one. Several servers are several networks: a function that chooses between them is a
/// connector, too. For a client it is a [`Connector`]:
/// [`Options::connector`](crate::Options::connector).
///
/// ```
/// use mqtt_std::testkit::Network;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let network = Network::new();
/// let client = network.connect().await?;
/// let server = network.accept().await;
/// server.link().cut();
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody waits to be accepted.
    waiting: Notify,
    reach_changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    conditions: Conditions,
    next: VecDeque<Conditions>,
    reach: Reach,
    waiting: VecDeque<LinkEnd>,
    attempts: u64,
    links: Vec<Link>,
    /// The number of the server there is, or was.
    server: u64,
}

/// What becomes of an attempt to connect.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reach {
    /// It succeeds, also if nobody accepts it yet.
    #[default]
    Open,
    /// It is refused.
    Refused,
    /// Nothing answers: it waits until this changes.
    Silent,
}

impl Network {
    /// A network on which everything arrives at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A network whose links behave like this.
    #[must_use]
    pub fn with(conditions: Conditions) -> Self {
        let network = Self::default();
        network.set_conditions(conditions);
        network
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How links behave that are made from now on. Each has a seed of its own, which follows from the one given.
    pub fn set_conditions(&self, conditions: Conditions) {
        self.lock().conditions = conditions;
    }

    /// How the next link behaves, that one only. Called twice, it is the next two, and so on.
    pub fn next_link(&self, conditions: Conditions) {
        self.lock().next.push_back(conditions);
    }

    /// What becomes of attempts to connect from now on, those that wait included.
    pub fn set_reach(&self, reach: Reach) {
        self.lock().reach = reach;
        self.shared.reach_changed.notify_waiters();
    }

    /// Attempts to connect so far, those that failed included.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.lock().attempts
    }

    /// The links that were made so far, the latest last.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.lock().links.clone()
    }

    /// Connects, and returns the client's end. It need not be accepted yet.
    ///
    /// Dropped half-way, it is as if it had not been called, but counted.
    ///
    /// # Errors
    /// The connection is refused, as [`set_reach`](Self::set_reach) says.
    pub async fn connect(&self) -> io::Result<LinkEnd> {
        self.lock().attempts += 1;
        loop {
            let mut changed = core::pin::pin!(self.shared.reach_changed.notified());
            changed.as_mut().enable();
            let reach = self.lock().reach;
            match reach {
                Reach::Open => break,
                Reach::Refused => return Err(ErrorKind::ConnectionRefused.into()),
                Reach::Silent => changed.await,
            }
        }
        let conditions = {
            let mut state = self.lock();
            let mut conditions = state.conditions;
            conditions.seed = conditions.seed.wrapping_add(state.links.len() as u64);
            state.next.pop_front().unwrap_or(conditions)
        };
        if !conditions.latency.is_zero() {
            sleep(conditions.latency * 2).await;
        }
        let (client, server, link) = Link::new(conditions);
        {
            let mut state = self.lock();
            state.links.push(link);
            state.waiting.push_back(server);
        }
        self.shared.waiting.notify_one();
        Ok(client)
    }

    /// Waits for the next connection, and returns the server's end. Of several that wait one gets it.
    ///
    /// Dropped half-way, no connection is lost.
    pub async fn accept(&self) -> LinkEnd {
        loop {
            // Made before looking, so that nothing comes between.
            let waiting = self.shared.waiting.notified();
            let (server, more) = {
                let mut state = self.lock();
                (state.waiting.pop_front(), !state.waiting.is_empty())
            };
            if more {
                self.shared.waiting.notify_one();
            }
            match server {
                Some(server) => return server,
                None => waiting.await,
            }
        }
    }

    /// A server takes the place of the one before, if there was one; returns its number.
    pub(in crate::testkit) fn begin_serving(&self) -> u64 {
        let mut state = self.lock();
        state.server += 1;
        let server = state.server;
        drop(state);
        self.set_reach(Reach::Open);
        server
    }

    /// The server is gone: connections are refused, and those that wait to be accepted are dropped; unless another one is in
    /// its place.
    pub(in crate::testkit) fn end_serving(&self, server: u64) {
        let waiting = {
            let mut state = self.lock();
            if state.server != server {
                return;
            }
            core::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.set_reach(Reach::Refused);
    }
}

impl Connector for Network {
    fn connect<'a>(&'a self, _: &'a Server) -> Connecting<'a> {
        Box::pin(async move { Ok(Box::new(Self::connect(self).await?) as Box<dyn Stream>) })
    }
}
