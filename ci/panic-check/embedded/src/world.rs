//! What a client is given: it may do anything that its trait allows.

use core::future::{Future, poll_fn};
use core::hint::black_box;
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Seek, SeekFrom, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use mqtt_embedded::mqtt_core::Record;
use mqtt_embedded::{Clock, Connect, Instant, Shared, Store};

use any::opaque;

/// Polls a future to its end. A future that has ended is not polled: no executor does it.
#[inline(never)]
pub(crate) fn run<F: Future>(future: F) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(opaque::<&Waker>());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            black_box(output);
            return;
        }
    }
}

/// Waits as long as it likes, and gives anything.
async fn anything<T>() -> T {
    poll_fn(|_| opaque::<Poll<T>>()).await
}

/// An error of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrong(ErrorKind);

impl core::fmt::Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("wrong")
    }
}

impl core::error::Error for Wrong {}

impl embedded_io_async::Error for Wrong {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

pub(crate) struct Wire;

impl ErrorType for Wire {
    type Error = Wrong;
}

impl Read for Wire {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Wrong> {
        black_box(&mut *buf);
        anything::<Result<usize, Wrong>>().await.map(|len| len.min(buf.len()))
    }
}

impl Seek for Wire {
    async fn seek(&mut self, to: SeekFrom) -> Result<u64, Wrong> {
        black_box(to);
        anything().await
    }
}

impl Write for Wire {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Wrong> {
        black_box(buf);
        anything::<Result<usize, Wrong>>().await.map(|len| len.min(buf.len()))
    }

    async fn flush(&mut self) -> Result<(), Wrong> {
        anything().await
    }
}

pub(crate) struct Dial;

impl Connect for Dial {
    type Error = Wrong;
    type Dialled<'a> = Shared<Wire>;

    async fn connect(&mut self) -> Result<Shared<Wire>, Wrong> {
        anything::<Result<(), Wrong>>().await.map(|()| Shared::new(Wire))
    }
}

pub(crate) struct Network;

impl TcpConnect for Network {
    type Error = Wrong;
    type Connection<'a> = Wire;

    async fn connect(&self, _: SocketAddr) -> Result<Wire, Wrong> {
        anything::<Result<(), Wrong>>().await.map(|()| Wire)
    }
}

impl Dns for Network {
    type Error = Wrong;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, Wrong> {
        anything().await
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Wrong> {
        anything().await
    }
}

pub(crate) struct Time;

impl Clock for Time {
    fn now(&self) -> Instant {
        opaque()
    }

    async fn sleep_until(&self, _: Instant) {
        anything().await
    }
}

pub(crate) struct Dice;

impl rand_core::CryptoRng for Dice {}

impl rand_core::RngCore for Dice {
    fn next_u32(&mut self) -> u32 {
        opaque()
    }

    fn next_u64(&mut self) -> u64 {
        opaque()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        black_box(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        black_box(bytes);
        Ok(())
    }
}

pub(crate) struct Drawer;

impl Store for Drawer {
    type Error = Wrong;

    async fn load(&mut self, each: &mut dyn FnMut(&Record<'_>)) -> Result<(), Wrong> {
        while anything::<bool>().await {
            each(&opaque());
        }
        anything().await
    }

    async fn append(&mut self, record: &[u8]) -> Result<(), Wrong> {
        black_box(record);
        anything().await
    }
}

struct SingleCore;
critical_section::set_impl!(SingleCore);

// SAFETY: the image is never run.
unsafe impl critical_section::Impl for SingleCore {
    unsafe fn acquire() -> bool {
        opaque()
    }

    unsafe fn release(were_enabled: bool) {
        black_box(were_enabled);
    }
}
