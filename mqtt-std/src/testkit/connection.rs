//! One task per connection: it moves bytes between a socket and the [`Hub`], which has all the rules.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BytesMut};
use mqtt_core::{DecodeError, Framing, Input, Instant, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// Serves one connection until its end.
pub(super) async fn serve(mut stream: TcpStream, opened: Opened) {
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    let end = transfer(&mut stream, &opened).await;
    drop(opened);
    match end {
        Ok(LinkState::Closing) => linger(stream).await,
        Ok(_) => {}
        Err(error) => debug!(%error, "connection lost"),
    }
}

/// Moves bytes until one side has had enough: the state says how to close.
async fn transfer(stream: &mut TcpStream, opened: &Opened) -> io::Result<LinkState> {
    let Opened { shared, id, waker } = opened;
    let id = *id;
    let (mut reader, mut writer) = stream.split();
    let (mut incoming, mut outgoing) = (BytesMut::new(), BytesMut::new());
    // The version matters for messages larger than the buffer only, and those are refused.
    let mut framing = Framing::new(ProtocolVersion::V3_1_1);
    loop {
        let (state, is_congested) =
            shared.with(|hub, now| (hub.poll_transmit(id, now, &mut outgoing), hub.is_congested(id)));
        if state == LinkState::Cut || state == LinkState::Closing && outgoing.is_empty() {
            return Ok(state);
        }
        let may_read = state == LinkState::Open && !is_congested;
        incoming.reserve(READ_AT_ONCE);
        select! {
            read = reader.read_buf(&mut incoming), if may_read => {
                if read? == 0 {
                    return Ok(LinkState::Cut);
                }
                shared.with(|hub, now| receive_all(hub, id, now, &mut framing, &mut incoming));
            }
            written = writer.write(&outgoing), if !outgoing.is_empty() => outgoing.advance(written?),
            () = waker.notified() => {}
        }
    }
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
            Ok(Some((Input::PublishHead { payload_len: needed, .. }, _))) => {
                return hub.refuse(id, now, DecodeError::PacketTooLarge { needed });
            }
            Ok(Some((Input::PublishPayload { .. }, consumed))) => consumed,
            Err(error) => return hub.refuse(id, now, error),
        };
        incoming.advance(consumed);
    }
}

/// Lets the last bytes arrive: a socket that is closed with unread bytes resets the connection, and what was written is
/// lost with it.
async fn linger(mut stream: TcpStream) {
    let read_to_end = async {
        stream.shutdown().await?;
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // However that ends, the socket is closed now.
    let _ = timeout(LINGER, read_to_end).await;
}

const READ_AT_ONCE: usize = 4 * 1024;
const LINGER: Duration = Duration::from_millis(500);
