//! The task behind a client: one connection after another.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use mqtt_core::{Attempt, ConnectionError, ErrorClass, Loss, ProtocolVersion};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::link::{End, Link, LinkOptions};
use crate::options::Options;
use crate::state::Shared;
use crate::status::{Cause, Status};

pub(crate) struct Driver {
    shared: Arc<Shared>,
    options: Options,
    status: Arc<watch::Sender<Status>>,
    /// The version that the broker speaks, as far as is known.
    version: ProtocolVersion,
    /// Failures since the last stable connection.
    attempt: u32,
}

/// Every wait resolves, however the task ends.
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, options: Options, status: watch::Sender<Status>) -> Self {
        let version = options.version;
        Self { shared, options, status: Arc::new(status), version, attempt: 0 }
    }

    pub(crate) async fn run(mut self) {
        let _close = CloseOnDrop(Arc::clone(&self.shared));
        let error = loop {
            let begun = Instant::now();
            match self.connection().await {
                End::Shutdown => break None,
                End::Failed(cause) => match self.after(cause, begun) {
                    Next::Now => {}
                    Next::Never => break Some(cause),
                    Next::After(delay) => {
                        tracing::info!(%cause, ?delay, "connection failed, trying again");
                        self.status.send_replace(Status::Waiting { error: cause, retry_in: delay });
                        if self.pause(delay).await {
                            break None;
                        }
                    }
                },
            }
        };
        self.status.send_replace(Status::Closed { error });
    }

    /// One connection, from its attempt to its end.
    async fn connection(&mut self) -> End {
        self.status.send_replace(Status::Connecting);
        let address = (self.options.host.as_str(), self.options.port);
        let transport = match tokio::time::timeout(self.options.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(transport)) => transport,
            Ok(Err(error)) => return End::Failed(Cause::Io(error.kind())),
            Err(_) => return End::Failed(Cause::ConnectTimeout),
        };
        // Small packets are not held back; a kernel that refuses is none the worse.
        let _ = transport.set_nodelay(true);
        let loss = match self.begin() {
            Ok(loss) => loss,
            Err(cause) => return End::Failed(cause),
        };
        let link = Link::new(Arc::clone(&self.shared), transport, self.link_options(loss));
        let end = link.run().await;
        self.shared.lock().outbox.clear();
        end
    }

    /// Writes CONNECT.
    fn begin(&self) -> Result<Loss, Cause> {
        let will_properties = self.options.will.as_ref().map(crate::options::Will::properties).unwrap_or_default();
        let (options, loss) = self.options.connect_options(self.version, &will_properties);
        self.shared.command(|state, now| state.connect(now, &options)).map_err(Cause::Usage)?;
        Ok(loss)
    }

    fn link_options(&self, loss: Loss) -> LinkOptions {
        let (status, version) = (Arc::clone(&self.status), self.version);
        LinkOptions {
            version,
            maximum_packet_size: self.options.maximum_packet_size as usize,
            stall_timeout: self.options.stall_timeout,
            session_ends: !self.options.keep_session && self.options.session_expiry_interval != 0,
            on_connected: Box::new(move |session_present| {
                status.send_replace(Status::Connected { version, session_present, loss });
            }),
        }
    }

    /// What the core's policy says comes next.
    fn after(&mut self, cause: Cause, begun: Instant) -> Next {
        let attempt = match cause {
            Cause::Connection(ConnectionError::Refused(reason)) => Some(Attempt::Refused(reason)),
            Cause::ConnectionLost if !self.was_connected() => Some(Attempt::ClosedWithoutConnack),
            _ => None,
        };
        let other = attempt.and_then(|attempt| self.options.fallback.next_version(self.version, attempt));
        if let Some(version) = other {
            self.version = version;
            return Next::Now;
        }
        let class = match cause {
            Cause::Connection(error) => ErrorClass::of_error(error),
            Cause::Usage(_) => ErrorClass::Stop,
            Cause::Io(_) | Cause::ConnectTimeout | Cause::ConnectionLost => ErrorClass::Retry,
        };
        let stood = if self.was_connected() { begun.elapsed() } else { Duration::ZERO };
        let stood = u64::try_from(stood.as_millis()).unwrap_or(u64::MAX);
        let delay = self.options.backoff.delay(class, self.attempt, crate::random::seed());
        self.attempt = self.options.backoff.next_attempt(self.attempt, stood);
        delay.map_or(Next::Never, |delay| Next::After(Duration::from_millis(u64::from(delay))))
    }

    fn was_connected(&self) -> bool {
        matches!(*self.status.borrow(), Status::Connected { .. })
    }

    /// Waits before the next attempt; tells whether the client is shut down instead.
    async fn pause(&self, delay: Duration) -> bool {
        let retry = Instant::now() + delay;
        loop {
            let (deadline, drained) = {
                let state = self.shared.lock();
                (state.shutdown, state.is_drained())
            };
            match deadline {
                Some(deadline) if drained || Instant::now() >= deadline => return true,
                _ if Instant::now() >= retry => return false,
                _ => {}
            }
            let wake = deadline.map_or(retry, |deadline| deadline.min(retry));
            self.sleep_until_or_woken(wake).await;
        }
    }

    /// Sleeps until the moment, or until a handle has changed something.
    async fn sleep_until_or_woken(&self, until: Instant) {
        let mut sleep = core::pin::pin!(tokio::time::sleep_until(until));
        let mut first = true;
        core::future::poll_fn(|cx| {
            if !core::mem::take(&mut first) {
                return core::task::Poll::Ready(());
            }
            self.shared.lock().set_driver(cx.waker());
            sleep.as_mut().poll(cx)
        })
        .await;
    }
}

enum Next {
    /// Another version, at once.
    Now,
    After(Duration),
    Never,
}
