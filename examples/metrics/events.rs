//! What programs on this machine tell, as datagrams.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use mqtt_examples::{Rate, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;

use crate::config::Events;

/// A larger datagram is no event.
const LARGEST: usize = 2_048;

/// Something that has a level of a topic for its kind. It comes from a list, never out of a datagram.
pub trait Event: DeserializeOwned + Serialize {
    fn kind(&self) -> &'static str;
}

/// What a user does.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UserEvent {
    user: String,
    /// Where the user sits.
    host: String,
    command: Command,
    #[serde(default)]
    message: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    SessionStart,
    SessionStop,
    ConnectionOpen,
    ConnectionClose,
}

impl Event for UserEvent {
    fn kind(&self) -> &'static str {
        match self.command {
            Command::SessionStart => "session_start",
            Command::SessionStop => "session_stop",
            Command::ConnectionOpen => "connection_open",
            Command::ConnectionClose => "connection_close",
        }
    }
}

/// What a service logs.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogEvent {
    level: Level,
    subsystem: String,
    message: String,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Event for LogEvent {
    fn kind(&self) -> &'static str {
        match self.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Takes events of one kind, if it is wanted.
pub struct Listener<E> {
    name: &'static str,
    socket: Option<UdpSocket>,
    rate: Rate,
    taken: u64,
    unreadable: u64,
    buffer: Box<[u8; LARGEST + 1]>,
    kind: PhantomData<E>,
}

impl<E: Event> Listener<E> {
    pub async fn bind(name: &'static str, events: &Events) -> Result<Self> {
        let mut socket = None;
        if events.enabled {
            let listen = &events.listen;
            let bound = UdpSocket::bind(listen).await.map_err(|error| format!("{name} events, {listen}: {error}"))?;
            println!("{name} events at {}", bound.local_addr()?);
            socket = Some(bound);
        }
        let rate = Rate::new(events.per_second, Duration::from_secs(1));
        let buffer = Box::new([0; LARGEST + 1]);
        Ok(Self { name, socket, rate, taken: 0, unreadable: 0, buffer, kind: PhantomData })
    }

    /// Waits for the next one; for ever if none is wanted. What is none, or too much, is counted. May be dropped at any moment.
    pub async fn next(&mut self) -> E {
        let Some(socket) = &self.socket else { return std::future::pending().await };
        loop {
            // An error is about a datagram that somebody could not deliver.
            let Ok((len, _)) = socket.recv_from(&mut *self.buffer).await else { continue };
            if !self.rate.allows(Instant::now()) {
                continue;
            }
            match serde_json::from_slice(&self.buffer[..len]) {
                Ok(event) if len <= LARGEST => {
                    self.taken += 1;
                    return event;
                }
                _ => self.unreadable += 1,
            }
        }
    }
}

impl<E> fmt::Display for Listener<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, taken, unreadable, .. } = self;
        write!(f, "{name} events: {taken} taken, {unreadable} not understood, {} too many", self.rate.refused())
    }
}
