//! Connections without sockets, which behave as a test says.
//!
//! | file | subject |
//! | --- | --- |
//! | `conditions` | how a link behaves |
//! | `network` | where clients connect and servers accept |
//! | `pipe` | bytes on their way in one direction |
//! | `random` | chance that a seed repeats |

mod conditions;
mod network;
mod pipe;
mod random;
#[cfg(test)]
mod tests;

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

pub use conditions::Conditions;
pub use network::{Network, Reach};
use pipe::{Found, Pipe, Room};
use random::Random;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    const fn opposite(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// An in-memory link between a client and a server, as the one who can cut it holds it. It can be cloned, and dropping it
/// changes nothing.
///
/// ```
/// use mqtt_std::testkit::{Conditions, Direction, Link};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (mut client, mut server, link) = Link::new(Conditions::new().cut_after(Direction::ToServer, 3));
/// client.write_all(b"hello").await?;
/// let mut buffer = [0; 8];
/// assert_eq!(server.read(&mut buffer).await?, 3);
/// assert!(server.read(&mut buffer).await.is_err() && client.write(b"?").await.is_err());
/// assert!(link.is_cut());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Link {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    conditions: Conditions,
    random: Random,
    to_server: Pipe,
    to_client: Pipe,
    cut: bool,
}

impl State {
    const fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// What is asked of a pipe needs the rest, too.
    const fn parts(&mut self, direction: Direction) -> (&mut Pipe, &Conditions, &mut Random) {
        let pipe = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        (pipe, &self.conditions, &mut self.random)
    }

    fn pipes(&mut self) -> [&mut Pipe; 2] {
        [&mut self.to_server, &mut self.to_client]
    }

    /// Does what is to happen after so many bytes.
    fn check(&mut self) {
        if self.pipes().into_iter().any(|pipe| pipe.is_at_cut()) {
            self.cut = true;
            self.wake();
        }
        if self.pipes().into_iter().any(|pipe| pipe.is_at_stall()) {
            for pipe in self.pipes() {
                pipe.stalled = true;
                pipe.stall_after = None;
            }
        }
    }

    fn wake(&mut self) {
        for pipe in self.pipes() {
            pipe.wake_reader();
            pipe.wake_writer();
        }
    }
}

impl Link {
    /// A client's end, a server's end, and what is between them.
    #[must_use]
    #[allow(clippy::new_ret_no_self)] // the ends are what is wanted first
    pub fn new(conditions: Conditions) -> (LinkEnd, LinkEnd, Self) {
        let pipe = |direction: usize| {
            let after = |after: [Option<u64>; 2]| after.get(direction).copied().flatten();
            Pipe::new(after(conditions.cut_after), after(conditions.stall_after))
        };
        let random = Random::new(conditions.seed);
        let mut state = State { conditions, random, to_server: pipe(0), to_client: pipe(1), cut: false };
        state.check();
        let link = Self { state: Arc::new(Mutex::new(state)) };
        (link.end(Direction::ToServer), link.end(Direction::ToClient), link)
    }

    fn end(&self, writes: Direction) -> LinkEnd {
        LinkEnd { link: self.clone(), writes, sleep: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the link: what is under way is lost, and both ends find the connection reset.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        state.wake();
    }

    /// Tells whether the link was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.lock().cut
    }

    /// Lets the link fall silent: nothing arrives any more in either direction, and nobody is told; not even that the other
    /// end is gone. What is written waits, up to the [`capacity`](Conditions::capacity).
    ///
    /// So a half-open connection looks to the side that is left, and a lost radio link to both.
    pub fn stall(&self) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.stall_one_way(direction);
        }
    }

    /// As [`stall`](Self::stall), in one direction only.
    pub fn stall_one_way(&self, direction: Direction) {
        self.lock().pipe(direction).stalled = true;
    }

    /// Ends the silence: what waited arrives, late.
    pub fn resume(&self) {
        let mut state = self.lock();
        for pipe in state.pipes() {
            pipe.stalled = false;
        }
        state.wake();
    }

    /// How many bytes were read so far in this direction.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.lock().pipe(direction).read
    }

    /// Cuts the link as soon as so many bytes in all were read in this direction.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        let mut state = self.lock();
        state.pipe(direction).cut_after = Some(bytes);
        state.check();
    }
}

/// One end of an in-memory [`Link`].
///
/// Dropped, the other end reads what was written before, then the end; what it writes meets a broken pipe. All calls may be
/// dropped at any moment and lose nothing.
#[derive(Debug)]
pub struct LinkEnd {
    link: Link,
    writes: Direction,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LinkEnd {
    /// The link of which this is an end.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }
}

impl AsyncRead for LinkEnd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let arrival = {
                let mut state = self.link.lock();
                if state.cut {
                    return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
                }
                let (pipe, conditions, random) = state.parts(self.writes.opposite());
                match pipe.take(buf, conditions, random) {
                    Found::Bytes => {
                        state.check();
                        return Poll::Ready(Ok(()));
                    }
                    Found::End => return Poll::Ready(Ok(())),
                    Found::NextTime => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Found::At(at) => {
                        pipe.reader = Some(cx.waker().clone());
                        at
                    }
                    Found::Nothing => {
                        pipe.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(arrival)));
            if sleep.deadline() != arrival {
                sleep.as_mut().reset(arrival);
            }
            ready!(sleep.as_mut().poll(cx));
        }
    }
}

impl AsyncWrite for LinkEnd {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.link.lock();
        if state.cut {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let (pipe, conditions, random) = state.parts(self.writes);
        if pipe.is_ended() || (pipe.abandoned && !pipe.stalled) {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = match pipe.room(conditions, random) {
            Room::Bytes(room) => room,
            Room::NextTime => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Room::None => {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let mut bytes = BytesMut::with_capacity(room.min(slices.iter().map(|slice| slice.len()).sum()));
        for slice in slices {
            let len = slice.len().min(room - bytes.len());
            bytes.extend_from_slice(slice.get(..len).unwrap_or(&[]));
        }
        let len = bytes.len();
        pipe.write(bytes.freeze(), conditions, random);
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.link.lock();
        let (pipe, conditions, random) = state.parts(self.writes);
        pipe.end(conditions, random);
        Poll::Ready(Ok(()))
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        let mut state = self.link.lock();
        let (pipe, conditions, random) = state.parts(self.writes);
        pipe.end(conditions, random);
        let incoming = state.pipe(self.writes.opposite());
        incoming.abandoned = true;
        incoming.wake_writer();
    }
}
