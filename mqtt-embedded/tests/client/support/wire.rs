//! A link in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, ReadReady, Write};
use mqtt_embedded::{Connect, Shared};

#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    closed: bool,
    wakers: Vec<Waker>,
    /// The link is cut when so many more bytes were written.
    cut_after: Option<usize>,
}

impl Direction {
    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// One end: what one side reads, the other has written.
#[derive(Clone)]
pub(crate) struct WireEnd {
    reads: Rc<RefCell<Direction>>,
    writes: Rc<RefCell<Direction>>,
    /// At most so many bytes a call.
    pub(crate) piece: usize,
}

impl ErrorType for WireEnd {
    type Error = ErrorKind;
}

impl Read for WireEnd {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            let mut reads = self.reads.borrow_mut();
            if reads.bytes.is_empty() && !reads.closed {
                reads.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            let len = reads.bytes.len().min(buf.len()).min(self.piece);
            for (to, from) in buf.iter_mut().zip(reads.bytes.drain(..len)) {
                *to = from;
            }
            reads.wake();
            Poll::Ready(Ok(len))
        })
        .await
    }
}

/// Bytes that are on their way in one direction.
const CAPACITY: usize = 4096;

impl Write for WireEnd {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| {
            let mut writes = self.writes.borrow_mut();
            if writes.closed {
                return Poll::Ready(Err(ErrorKind::ConnectionReset));
            }
            let room = CAPACITY - writes.bytes.len();
            if room == 0 {
                writes.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            let len = buf.len().min(room).min(self.piece).min(writes.cut_after.unwrap_or(usize::MAX));
            writes.bytes.extend(&buf[..len]);
            writes.wake();
            if let Some(left) = &mut writes.cut_after {
                *left -= len;
                if *left == 0 {
                    drop(writes);
                    self.cut();
                }
            }
            Poll::Ready(Ok(len))
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl WireEnd {
    /// The link is cut once the other side has written so many more bytes.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.reads.borrow_mut().cut_after = Some(bytes);
    }

    /// The link is cut once this side has written so many more bytes.
    pub(crate) fn cut_own_after(&self, bytes: usize) {
        self.writes.borrow_mut().cut_after = Some(bytes);
    }

    /// Both directions are over.
    pub(crate) fn cut(&self) {
        for direction in [&self.reads, &self.writes] {
            let mut direction = direction.borrow_mut();
            direction.closed = true;
            direction.wake();
        }
    }
}

/// Makes links; the Server's ends wait to be taken.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    waiting: Rc<RefCell<VecDeque<WireEnd>>>,
    wakers: Rc<RefCell<Vec<Waker>>>,
    pub(crate) piece: Rc<RefCell<Option<usize>>>,
}

impl Wire {
    /// The Server's end of the next connection.
    pub(crate) async fn accept(&self) -> WireEnd {
        poll_fn(|cx| match self.waiting.borrow_mut().pop_front() {
            Some(end) => Poll::Ready(end),
            None => {
                self.wakers.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// The client's end of a new connection.
    pub(crate) fn dial(&self) -> Closing {
        let piece = self.piece.borrow().unwrap_or(usize::MAX);
        let (a, b) = (Rc::default(), Rc::default());
        let server = WireEnd { reads: Rc::clone(&a), writes: Rc::clone(&b), piece: usize::MAX };
        self.waiting.borrow_mut().push_back(server);
        for waker in self.wakers.borrow_mut().drain(..) {
            waker.wake();
        }
        Closing(WireEnd { reads: b, writes: a, piece })
    }
}

impl Connect for Wire {
    type Error = ErrorKind;
    type Dialled<'a> = Shared<Closing>;

    async fn connect(&mut self) -> Result<Shared<Closing>, ErrorKind> {
        Ok(Shared::new(self.dial()))
    }
}

/// The client's end, which closes the link when it is dropped.
pub(crate) struct Closing(WireEnd);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl ErrorType for Closing {
    type Error = ErrorKind;
}

impl Read for Closing {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buf).await
    }
}

impl Write for Closing {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(buf).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl ReadReady for Closing {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let reads = self.0.reads.borrow();
        Ok(reads.closed || !reads.bytes.is_empty())
    }
}

impl embedded_io::Read for Closing {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        at_once(self.0.read(buf))
    }
}

impl embedded_io::Write for Closing {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        at_once(self.0.write(buf))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Where nobody else moves, what does not end at once never does.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it blocks for ever"),
    }
}
