//! One task per connection: it moves bytes between a socket and the [`Hub`], which has all the rules.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use mqtt_core::{DecodeError, Framing, Input, Instant, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::select;
use tokio::sync::Notify;
use tokio::time::{self, timeout};
use tracing::debug;

use super::Statistics;
use super::hub::{ConnectionId, Hub, LinkState};

/// What the tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The clock's epoch.
    started: time::Instant,
    deadline_changed: Notify,
}

#[derive(Debug)]
struct State {
    hub: Hub,
    /// Wakes the task of a connection.
    wakers: BTreeMap<ConnectionId, Arc<Notify>>,
}

impl Shared {
    pub(super) fn new(hub: Hub) -> Self {
        Self {
            state: Mutex::new(State { hub, wakers: BTreeMap::new() }),
            started: time::Instant::now(),
            deadline_changed: Notify::new(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Does something with the hub, then wakes whom it concerns.
    pub(super) fn with<T>(&self, action: impl FnOnce(&mut Hub, Instant) -> T) -> T {
        self.with_state(|state, now| action(&mut state.hub, now))
    }

    fn with_state<T>(&self, action: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = state.hub.poll_timeout();
        let result = action(&mut state, self.now());
        while let Some(id) = state.hub.poll_ready() {
            if let Some(waker) = state.wakers.get(&id) {
                waker.notify_one();
            }
        }
        if state.hub.poll_timeout() != deadline {
            self.deadline_changed.notify_one();
        }
        result
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.with(|hub, _| hub.statistics())
    }

    /// When the hub has work to do without being asked.
    pub(super) fn deadline(&self) -> Option<time::Instant> {
        let timeout = self.with(|hub, _| hub.poll_timeout())?;
        // A deadline beyond the clock's end never comes.
        self.started.checked_add(Duration::from_millis(timeout.as_millis()))
    }

    pub(super) async fn deadline_changed(&self) {
        self.deadline_changed.notified().await;
    }

    /// Takes up a connection; `None`: there are too many.
    pub(super) fn open(self: &Arc<Self>) -> Option<Opened> {
        self.with_state(|state, now| {
            let id = state.hub.open(now)?;
            let waker = Arc::new(Notify::new());
            state.wakers.insert(id, Arc::clone(&waker));
            Some(Opened { shared: Arc::clone(self), id, waker })
        })
    }
}

/// A connection that the hub knows of. Dropped, also because its task is aborted, it is closed.
pub(super) struct Opened {
    shared: Arc<Shared>,
    id: ConnectionId,
    waker: Arc<Notify>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.with_state(|state, now| {
            state.wakers.remove(&self.id);
            state.hub.closed(self.id, now);
        });
    }
}

impl Opened {
    /// What the hub has for the socket; `outgoing` is refilled when it is empty.
    fn poll(&self, outgoing: &mut BytesMut) -> Progress {
        self.shared.with(|hub, now| Progress {
            state: hub.poll_transmit(self.id, now, outgoing),
            is_congested: hub.is_congested(self.id),
        })
    }
}

struct Progress {
    state: LinkState,
    is_congested: bool,
}

/// Serves one connection until its end.
pub(super) async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, opened: Opened) {
    let mut outgoing = BytesMut::new();
    let result = match transfer(&mut stream, &opened, &mut outgoing).await {
        // Whoever does not read the farewell goes without it.
        Ok(LinkState::Closing) => timeout(FAREWELL, part(stream, opened, outgoing)).await.unwrap_or(Ok(())),
        result => result.map(drop),
    };
    if let Err(error) = result {
        debug!(%error, "connection lost");
    }
}

/// Moves bytes until one side has had enough: the state says how to close.
async fn transfer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    opened: &Opened,
    outgoing: &mut BytesMut,
) -> io::Result<LinkState> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut incoming = BytesMut::new();
    // The version matters for messages larger than the buffer only, and those are refused.
    let mut framing = Framing::new(ProtocolVersion::V3_1_1);
    loop {
        let Progress { state, is_congested } = opened.poll(outgoing);
        if state != LinkState::Open {
            return Ok(state);
        }
        incoming.reserve(READ_AT_ONCE);
        select! {
            read = reader.read_buf(&mut incoming), if !is_congested => {
                if read? == 0 {
                    return Ok(LinkState::Cut);
                }
                opened.shared.with(|hub, now| receive_all(hub, opened.id, now, &mut framing, &mut incoming));
            }
            written = writer.write(outgoing), if !outgoing.is_empty() => outgoing.advance(written?),
            () = opened.waker.notified() => {}
        }
    }
}

/// Writes what is left and lets it arrive: a socket that is closed with unread bytes resets the connection, and what was
/// written is lost with it.
async fn part(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    opened: Opened,
    mut outgoing: BytesMut,
) -> io::Result<()> {
    while !outgoing.is_empty() {
        stream.write_all_buf(&mut outgoing).await?;
        opened.poll(&mut outgoing);
    }
    drop(opened);
    stream.shutdown().await?;
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Gives all packets that are there to the hub.
fn receive_all(hub: &mut Hub, id: ConnectionId, now: Instant, framing: &mut Framing, incoming: &mut BytesMut) {
    loop {
        let consumed = match framing.next(incoming, hub.max_packet_size()) {
            Ok(None) => return,
            Ok(Some((Input::Packet(packet), consumed))) => {
                hub.receive(id, now, packet);
                consumed
            }
            // What does not fit comes in parts.
            Ok(Some((Input::PublishHead { .. }, _))) => {
                return hub.refuse(id, now, DecodeError::PacketTooLarge);
            }
            Ok(Some((Input::PublishPayload { .. }, consumed))) => consumed,
            Err(error) => return hub.refuse(id, now, error),
        };
        incoming.advance(consumed);
    }
}

const READ_AT_ONCE: usize = 4 * 1024;
const FAREWELL: Duration = Duration::from_millis(500);
