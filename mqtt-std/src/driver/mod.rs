//! The task behind a client: one connection after another.

mod link;
mod outbox;

pub(crate) use outbox::Outbox;

use core::future::Future;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::Arc;

use mqtt_core::{Attempt, ConnectionError, ErrorClass, Loss, ProtocolVersion};
use tokio::sync::watch;
use tokio::time::Instant;

use link::{End, Link, LinkOptions};

use crate::error::Error;
use crate::options::Options;
use crate::state::Shared;
use crate::status::{Cause, Status};

pub(crate) struct Driver {
    shared: Arc<Shared>,
    _close: CloseOnDrop,
    options: Options,
    status: Arc<watch::Sender<Status>>,
    /// The version that the broker speaks, as far as is known.
    version: ProtocolVersion,
    /// The transport of the latest attempt was made.
    dialled: bool,
    /// How long the latest connection stood since CONNACK.
    stood: Duration,
    /// The number of the latest failure since the last stable connection, from 0.
    attempt: Option<u32>,
}

/// Every wait resolves, however the task ends, and if it never begins: a runtime may be gone at any time.
struct CloseOnDrop(Arc<Shared>, Arc<watch::Sender<Status>>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.1.send_if_modified(|status| {
            let open = !matches!(status, Status::Closed { .. });
            if open {
                *status = Status::Closed { error: None };
            }
            open
        });
        self.0.close();
    }
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, options: Options, status: watch::Sender<Status>) -> Self {
        let (version, status) = (options.version, Arc::new(status));
        let close = CloseOnDrop(Arc::clone(&shared), Arc::clone(&status));
        Self { shared, _close: close, options, status, version, dialled: false, stood: Duration::ZERO, attempt: None }
    }

    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let error = loop {
            match self.connection().await {
                End::Shutdown => break None,
                End::Failed(cause) => match self.after(&cause) {
                    Next::Now => {}
                    Next::Never => break Some(cause),
                    Next::After(delay) => {
                        tracing::info!(%cause, ?delay, "connection failed, trying again");
                        self.status.send_replace(Status::Waiting { error: cause, retry_in: delay });
                        if self.unless_shut_down(tokio::time::sleep(delay)).await.is_none() {
                            break None;
                        }
                    }
                },
            }
        };
        // First, so that who waits for the end finds it there.
        self.status.send_replace(Status::Closed { error: error.clone() });
        self.shared.close();
        error.map_or(Ok(()), |cause| Err(cause.to_error()))
    }

    /// One connection, from its attempt to its end.
    async fn connection(&mut self) -> End {
        self.status.send_replace(Status::Connecting);
        self.dialled = false;
        self.stood = Duration::ZERO;
        let attempt = self.options.dial.connect(&self.options.server);
        let attempt = tokio::time::timeout(self.options.connect_timeout, attempt);
        let transport = match self.unless_shut_down(attempt).await {
            Some(Ok(Ok(transport))) => transport,
            Some(Ok(Err(error))) => return End::Failed(Cause::Transport(error.into())),
            Some(Err(_)) => return End::Failed(Cause::ConnectTimeout),
            None => return End::Shutdown,
        };
        self.dialled = true;
        let loss = match self.begin() {
            Ok(loss) => loss,
            Err(cause) => return End::Failed(cause),
        };
        let link = Link::new(Arc::clone(&self.shared), transport, self.link_options(loss));
        let (end, stood) = link.run().await;
        self.stood = stood;
        let mut state = self.shared.lock();
        state.machine.transport_lost();
        state.clear_outbox();
        end
    }

    /// Writes CONNECT.
    fn begin(&self) -> Result<Loss, Cause> {
        let will_properties = self.options.will.as_ref().map(crate::options::Will::properties).unwrap_or_default();
        let (options, loss) = self.options.connect_options(self.version, &will_properties);
        self.shared.command(|state, now| state.connect(now, &options)).map_err(Cause::Usage)?;
        // What it was about to renew takes no room now.
        self.shared.room.notify_waiters();
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
    fn after(&mut self, cause: &Cause) -> Next {
        let attempt = match cause {
            Cause::Connection(ConnectionError::Refused(reason)) => Some(Attempt::Refused(*reason)),
            Cause::ConnectionLost | Cause::Transport(_) if self.dialled && !self.was_connected() => {
                Some(Attempt::ClosedWithoutConnack)
            }
            _ => None,
        };
        let other = attempt.and_then(|attempt| self.options.fallback.next_version(self.version, attempt));
        if let Some(version) = other {
            self.version = version;
            return Next::Now;
        }
        let class = match cause {
            Cause::Connection(error) => ErrorClass::of_error(*error),
            Cause::Usage(_) => ErrorClass::Stop,
            Cause::Transport(error) => error.class(),
            Cause::ConnectTimeout | Cause::ConnectionLost | Cause::Overrun => ErrorClass::Retry,
        };
        let stood = u64::try_from(self.stood.as_millis()).unwrap_or(u64::MAX);
        let attempt = self.attempt.map_or(0, |attempt| self.options.backoff.next_attempt(attempt, stood));
        self.attempt = Some(attempt);
        let delay = self.options.backoff.delay(class, attempt, crate::random::seed());
        delay.map_or(Next::Never, |delay| Next::After(Duration::from_millis(u64::from(delay))))
    }

    fn was_connected(&self) -> bool {
        matches!(*self.status.borrow(), Status::Connected { .. })
    }

    /// Waits for something that needs no connection; `None`: the client is shut down first, and everything is delivered or
    /// the time for that is over.
    async fn unless_shut_down<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = core::pin::pin!(future);
        let mut sleep = core::pin::pin!(tokio::time::sleep(Duration::ZERO));
        core::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(value) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                let deadline = match self.idle(cx.waker()) {
                    Idle::Over => return Poll::Ready(None),
                    Idle::Until(None) => return Poll::Pending,
                    Idle::Until(Some(deadline)) => deadline,
                };
                if sleep.deadline() != deadline {
                    sleep.as_mut().reset(deadline);
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// What is to be done without a connection: messages expire, and the client may be shut down.
    fn idle(&self, waker: &Waker) -> Idle {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.set_driver(waker);
        let load = state.load();
        state.expire(now);
        state.resolve_outcomes();
        let lighter = state.load().is_lighter_than(load);
        let (shutdown, drained) = (state.shutdown, state.is_drained());
        let expiry = state.expiry_check.map(|at| self.shared.at(at));
        drop(state);
        if lighter {
            self.shared.room.notify_waiters();
        }
        if shutdown.is_some_and(|deadline| drained || Instant::now() >= deadline) {
            return Idle::Over;
        }
        Idle::Until(shutdown.into_iter().chain(expiry).min())
    }
}

/// See [`Driver::idle`].
enum Idle {
    /// The client is shut down.
    Over,
    /// There is something to do then, if at any time.
    Until(Option<Instant>),
}

enum Next {
    /// Another version, at once.
    Now,
    After(Duration),
    Never,
}
