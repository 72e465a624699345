//! A payload between the connection that receives it and whoever reads it.

use core::fmt;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use mqtt_core::ReasonCode;
use tokio::io::ReadBuf;

use crate::delivery::{Hand, Stale, Ticket};
use crate::error::Error;
use crate::state::{Later, Shared};

/// Bytes that wait to be read; beyond them nothing more is received.
pub(super) const WINDOW: usize = 256 * 1024;

/// The connection's side.
#[derive(Debug)]
pub(crate) struct Pipe {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Bytes that were not read yet, whether they have arrived or not.
    unread: u32,
    end: Option<End>,
    /// Nobody reads any more.
    gone: bool,
    reader: Option<Waker>,
    /// The connection waits for room, or for what the ticket brings.
    driver: Option<Waker>,
    /// Of the whole message.
    answer: Answer,
    by_hand: bool,
}

/// How the message is acknowledged once its last byte was read.
#[derive(Debug)]
enum Answer {
    /// It is not whole, or it was.
    None,
    /// By the ticket, which comes back then.
    Taken(Arc<Ticket>),
    /// Once the application says so.
    ByHand(Arc<Hand>),
    /// The application has said so.
    Agreed(Option<Arc<Hand>>),
}

/// Nothing more arrives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// All of it did.
    Whole,
    /// The connection was lost before the last byte.
    Cut,
    /// The reader was too slow.
    Stalled,
    /// The client has ended.
    Closed,
}

/// What the connection finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    Free,
    /// So much is unread; it changes when something was read.
    Full,
    /// Nobody reads.
    Gone,
}

/// The reader's side. Dropped, nobody reads.
pub(crate) struct ReadEnd {
    pipe: Arc<Pipe>,
    length: u32,
}

impl Pipe {
    pub(crate) fn new(length: u32, by_hand: bool) -> (Arc<Self>, ReadEnd) {
        let inner = Inner {
            pieces: VecDeque::new(),
            bytes: 0,
            unread: length,
            end: None,
            gone: false,
            reader: None,
            driver: None,
            answer: Answer::None,
            by_hand,
        };
        let pipe = Arc::new(Self { inner: Mutex::new(inner) });
        (Arc::clone(&pipe), ReadEnd { pipe, length })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether more may be put in; if it is full, `driver` is woken once that has changed.
    pub(crate) fn room(&self, driver: Option<&Waker>) -> Room {
        let mut inner = self.lock();
        if inner.gone || inner.end.is_some() {
            Room::Gone
        } else if inner.bytes < WINDOW {
            Room::Free
        } else {
            inner.driver = driver.cloned();
            Room::Full
        }
    }

    /// As [`room`](Self::room) when all is here: `Free` once it was read, and by hand agreed to.
    pub(crate) fn rest(&self, driver: Option<&Waker>) -> Room {
        let mut inner = self.lock();
        if inner.unread == 0 && (!inner.by_hand || matches!(inner.answer, Answer::Agreed(_))) {
            Room::Free
        } else if inner.gone {
            Room::Gone
        } else {
            inner.driver = driver.cloned();
            Room::Full
        }
    }

    /// Puts in what arrived, however full it is.
    pub(crate) fn push(&self, piece: &Bytes, later: &mut Later) {
        let mut inner = self.lock();
        if piece.is_empty() || inner.gone || inner.end.is_some() {
            return;
        }
        inner.bytes = inner.bytes.saturating_add(piece.len());
        append(&mut inner.pieces, piece);
        later.wakers.extend(inner.reader.take());
    }

    /// The last byte is here. What acknowledges the message does so once all was read, and `driver` is woken then.
    pub(crate) fn finish(
        &self,
        shared: &Arc<Shared>,
        ticket: Option<&Arc<Ticket>>,
        driver: Option<&Waker>,
        later: &mut Later,
    ) {
        let mut inner = self.lock();
        inner.driver = driver.cloned();
        if let Some(ticket) = ticket.cloned() {
            let all_read = inner.unread == 0;
            inner.answer = match inner.answer {
                // It comes back at once.
                Answer::Agreed(_) if all_read => Answer::Agreed(None),
                Answer::Agreed(_) => Answer::Agreed(Some(Hand::new(shared, ticket))),
                _ if inner.by_hand => Answer::ByHand(Hand::new(shared, ticket)),
                _ if all_read => Answer::None,
                _ => Answer::Taken(ticket),
            };
        }
        inner.end = Some(End::Whole);
        later.wakers.extend(inner.reader.take());
    }

    /// Nothing more comes.
    pub(crate) fn fail(&self, end: End, later: &mut Later) {
        let mut inner = self.lock();
        inner.end = inner.end.or(Some(end));
        later.wakers.extend(inner.reader.take());
    }
}

/// Puts small pieces together: each takes memory of its own, however little is in it.
fn append(pieces: &mut VecDeque<Bytes>, piece: &Bytes) {
    let together = |last: &&mut Bytes| piece.len() < SMALL && last.len() < SMALL;
    let Some(last) = pieces.back_mut().filter(together) else {
        pieces.push_back(piece.clone());
        return;
    };
    let mut joined = core::mem::take(last).try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
    joined.extend_from_slice(piece);
    *last = joined.freeze();
}

/// Smaller pieces are put together.
const SMALL: usize = 1024;

impl ReadEnd {
    /// Bytes of the whole payload.
    pub(crate) const fn length(&self) -> u32 {
        self.length
    }

    /// Bytes that were not read yet.
    pub(crate) fn unread(&self) -> u32 {
        self.pipe.lock().unread
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let mut inner = self.pipe.lock();
        while buffer.remaining() > 0 {
            let Some(piece) = inner.pieces.front_mut() else { break };
            let len = piece.len().min(buffer.remaining());
            buffer.put_slice(piece.get(..len).unwrap_or_default());
            piece.advance(len);
            if piece.is_empty() {
                inner.pieces.pop_front();
            }
            inner.bytes = inner.bytes.saturating_sub(len);
            inner.unread = inner.unread.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
        }
        let pending = buffer.filled().len() == before && buffer.remaining() > 0 && inner.unread > 0;
        if pending {
            return match inner.end {
                None | Some(End::Whole) => {
                    let before = inner.reader.replace(cx.waker().clone());
                    drop(inner);
                    drop(before); // somebody else's code: not under the lock
                    Poll::Pending
                }
                Some(End::Cut) => error(io::ErrorKind::ConnectionReset, "the connection was lost before the end"),
                Some(End::Stalled) => error(io::ErrorKind::TimedOut, "the payload was not read in time"),
                Some(End::Closed) => error(io::ErrorKind::NotConnected, "the client has ended"),
            };
        }
        let (ticket, hand) = inner.take_answer();
        let room = inner.bytes <= WINDOW / 2;
        let driver = if room || ticket.is_some() { inner.driver.take() } else { None };
        drop(inner);
        drop(ticket); // it comes back, then the driver looks
        if let Some(driver) = driver {
            driver.wake();
        }
        if let Some(hand) = hand {
            // Stale: it comes again.
            let _ = hand.acknowledge();
        }
        Poll::Ready(Ok(()))
    }

    /// By hand: the application agrees.
    pub(crate) fn acknowledge(&self) -> Result<(), Stale> {
        let mut inner = self.pipe.lock();
        if !inner.by_hand {
            return Ok(());
        }
        let unread = inner.unread > 0;
        match core::mem::replace(&mut inner.answer, Answer::Agreed(None)) {
            Answer::ByHand(hand) if unread => {
                inner.answer = Answer::Agreed(Some(hand));
                Ok(())
            }
            Answer::ByHand(hand) => {
                drop(inner);
                hand.acknowledge()
            }
            Answer::None if matches!(inner.end, None | Some(End::Whole)) => {
                let driver = inner.driver.take();
                drop(inner);
                if let Some(driver) = driver {
                    driver.wake();
                }
                Ok(())
            }
            answer => {
                inner.answer = answer;
                Err(Stale)
            }
        }
    }

    /// By hand: the application refuses.
    pub(crate) fn reject(&self, reason: ReasonCode) -> Result<(), Error> {
        let inner = self.pipe.lock();
        match &inner.answer {
            Answer::ByHand(hand) if inner.unread == 0 => {
                let hand = Arc::clone(hand);
                drop(inner);
                hand.reject(reason)
            }
            _ if inner.by_hand => Err(Stale.into()),
            _ => Ok(()),
        }
    }
}

impl Inner {
    /// What acknowledges the message now, if all was read.
    fn take_answer(&mut self) -> (Option<Arc<Ticket>>, Option<Arc<Hand>>) {
        if self.unread > 0 {
            return (None, None);
        }
        match core::mem::replace(&mut self.answer, Answer::None) {
            Answer::Taken(ticket) => (Some(ticket), None),
            Answer::Agreed(hand) => {
                self.answer = Answer::Agreed(None);
                (None, hand)
            }
            answer => {
                self.answer = answer;
                (None, None)
            }
        }
    }
}

fn error<T>(kind: io::ErrorKind, text: &'static str) -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(kind, text)))
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        let (pieces, answer, driver) = {
            let mut inner = self.pipe.lock();
            inner.gone = true;
            let agreed = match &inner.answer {
                Answer::Agreed(None) => Answer::Agreed(None),
                _ => Answer::None,
            };
            let answer = core::mem::replace(&mut inner.answer, agreed);
            (core::mem::take(&mut inner.pieces), answer, inner.driver.take())
        };
        drop((pieces, answer));
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl fmt::Debug for ReadEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadEnd").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mqtt_core::{Acknowledgement, DeliveryNumber, PacketIdentifier};

    use super::*;
    use crate::delivery::Tickets;
    use crate::options::Options;

    fn read(read_end: &ReadEnd, most: usize) -> Poll<io::Result<Vec<u8>>> {
        let mut bytes = vec![0; most];
        let mut buffer = ReadBuf::new(&mut bytes);
        let polled = read_end.poll_read(&Context::from_waker(Waker::noop()), &mut buffer);
        let found = buffer.filled().to_vec();
        polled.map_ok(|()| found)
    }

    /// When the reader is done: before the message is received, or afterwards.
    #[test]
    fn the_ticket_comes_back_once_all_was_read_and_agreed_to() {
        let shared = Shared::new(&Options::new("localhost", 1883));
        for by_hand in [false, true] {
            for read_first in [false, true] {
                for agreed_first in [false, true] {
                    let tickets = Tickets::new(10, 1_000);
                    let token = Acknowledgement::of_record(DeliveryNumber(1), PacketIdentifier::MAX);
                    let ticket = tickets.give(Some(token), 0);
                    let (pipe, read_end) = Pipe::new(5, by_hand);
                    let mut later = Later::default();
                    pipe.push(&Bytes::from_static(b"hello"), &mut later);
                    let all =
                        |read_end| assert!(matches!(read(read_end, 9), Poll::Ready(Ok(found)) if found == b"hello"));
                    if read_first {
                        all(&read_end);
                    }
                    if agreed_first {
                        read_end.acknowledge().unwrap();
                    }
                    pipe.finish(&shared, Some(&ticket), None, &mut later);
                    drop(ticket);
                    let done = read_first && (!by_hand || agreed_first);
                    assert_eq!(
                        tickets.take_returned().len(),
                        usize::from(done),
                        "{by_hand} {read_first} {agreed_first}"
                    );
                    if !read_first {
                        all(&read_end);
                    }
                    if !agreed_first {
                        // Its session knows nothing of the token.
                        let _ = read_end.acknowledge();
                    }
                    assert_eq!(
                        tickets.take_returned().len(),
                        usize::from(!done),
                        "{by_hand} {read_first} {agreed_first}"
                    );
                    assert!(matches!(read(&read_end, 9), Poll::Ready(Ok(found)) if found.is_empty()));
                }
            }
        }
    }

    #[test]
    fn a_reader_that_has_gone_leaves_no_trace() {
        let (pipe, read_end) = Pipe::new(10, false);
        let mut later = Later::default();
        pipe.push(&Bytes::from_static(b"hello"), &mut later);
        assert_eq!(pipe.room(None), Room::Free);
        drop(read_end);
        assert_eq!(pipe.room(None), Room::Gone);
        pipe.push(&Bytes::from_static(b"world"), &mut later);
        assert_eq!(pipe.lock().bytes, 5, "nothing is added");
        assert!(pipe.lock().pieces.is_empty(), "and nothing is kept");
    }

    #[test]
    fn a_full_pipe_has_room_again_once_half_of_it_was_read() {
        let length = 2 * WINDOW;
        let (pipe, read_end) = Pipe::new(u32::try_from(length).unwrap(), false);
        let mut later = Later::default();
        pipe.push(&Bytes::from(vec![1; WINDOW - 1]), &mut later);
        assert_eq!(pipe.room(None), Room::Free);
        pipe.push(&Bytes::from(vec![1; 1]), &mut later);
        assert_eq!(pipe.room(Some(Waker::noop())), Room::Full);
        assert!(read(&read_end, WINDOW / 2 - 1).is_ready());
        assert!(pipe.lock().driver.is_some(), "it is not woken for every byte");
        assert!(read(&read_end, 1).is_ready());
        assert!(pipe.lock().driver.is_none());
        assert!(read(&read_end, length).is_ready());
        assert!(read(&read_end, 1).is_pending());
    }
}
